/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Linear memories. */

#include "tests/wasm/executor/interpreter.h"

#include <string.h>

#include "tests/wasm/executor/context.h"

#define WASM_PAGE_BYTES 65536

static const char out_of_bounds[] = "out of bounds memory access";

/* Where an access of `bytes` begins, or NULL: it traps. */
static uint8_t *access_at(struct Frame *frame, const struct Instruction *instruction, uint32_t address, size_t bytes) {
    const struct wasmpool_memory_definition *memory = context_memory(frame->vmctx, frame->offsets, instruction->index);
    uint64_t at = (uint64_t)address + instruction->constant;

    if (bytes > memory->current_length || at > memory->current_length - bytes) {
        trap(frame, out_of_bounds);
        return NULL;
    }
    return memory->base + at;
}

/* `stored` is the type in memory, `widened` what it is converted to on the way to the stack. */
#define LOAD(name, stored, widened, member)                                                                            \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        const uint8_t *at = access_at(frame, instruction, pop(frame).i32, sizeof(stored));                             \
        stored value;                                                                                                  \
                                                                                                                       \
        if (!at)                                                                                                       \
            return false;                                                                                              \
        memcpy(&value, at, sizeof(value));                                                                             \
        push(frame, (union Value){.member = (widened)value});                                                          \
        return true;                                                                                                   \
    }

#define STORE(name, stored, member)                                                                                    \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        stored value = (stored)pop(frame).member;                                                                      \
        uint8_t *at = access_at(frame, instruction, pop(frame).i32, sizeof(stored));                                   \
                                                                                                                       \
        if (!at)                                                                                                       \
            return false;                                                                                              \
        memcpy(at, &value, sizeof(value));                                                                             \
        return true;                                                                                                   \
    }

LOAD(i32_load, uint32_t, uint32_t, i32)
LOAD(i64_load, uint64_t, uint64_t, i64)
LOAD(i32_load8_s, int8_t, uint32_t, i32)
LOAD(i32_load8_u, uint8_t, uint32_t, i32)
LOAD(i32_load16_s, int16_t, uint32_t, i32)
LOAD(i32_load16_u, uint16_t, uint32_t, i32)
LOAD(i64_load8_s, int8_t, uint64_t, i64)
LOAD(i64_load8_u, uint8_t, uint64_t, i64)
LOAD(i64_load16_s, int16_t, uint64_t, i64)
LOAD(i64_load16_u, uint16_t, uint64_t, i64)
LOAD(i64_load32_s, int32_t, uint64_t, i64)
LOAD(i64_load32_u, uint32_t, uint64_t, i64)

STORE(i32_store, uint32_t, i32)
STORE(i64_store, uint64_t, i64)
STORE(i32_store8, uint8_t, i32)
STORE(i32_store16, uint16_t, i32)
STORE(i64_store8, uint8_t, i64)
STORE(i64_store16, uint16_t, i64)
STORE(i64_store32, uint32_t, i64)

static bool run_memory_size(struct Frame *frame, const struct Instruction *instruction) {
    size_t bytes = context_memory(frame->vmctx, frame->offsets, instruction->index)->current_length;

    push_i32(frame, (uint32_t)(bytes / WASM_PAGE_BYTES));
    return true;
}

static bool run_memory_grow(struct Frame *frame, const struct Instruction *instruction) {
    struct wasmpool_instance *instance = wasmpool_vmctx_instance(frame->vmctx);
    struct wasmpool_memory *memory = wasmpool_instance_memory_at(instance, instruction->index);

    push_i32(frame, (uint32_t)wasmpool_grow_memory(wasmpool_instance_pool(instance), memory, pop(frame).i32));
    return true;
}

static bool run_memory_init(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t bytes = pop(frame).i32, from = pop(frame).i32, to = pop(frame).i32;

    return wasmpool_memory_init(wasmpool_vmctx_instance(frame->vmctx), instruction->other, instruction->index, to, from,
                                bytes) == 0 ||
           trap(frame, out_of_bounds);
}

static bool run_data_drop(struct Frame *frame, const struct Instruction *instruction) {
    wasmpool_data_drop(wasmpool_vmctx_instance(frame->vmctx), instruction->index);
    return true;
}

static bool run_memory_copy(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t bytes = pop(frame).i32, from = pop(frame).i32, to = pop(frame).i32;

    return wasmpool_memory_copy(wasmpool_vmctx_instance(frame->vmctx), instruction->index, instruction->other, to, from,
                                bytes) == 0 ||
           trap(frame, out_of_bounds);
}

static bool run_memory_fill(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t bytes = pop(frame).i32, value = pop(frame).i32, to = pop(frame).i32;

    return wasmpool_memory_fill(wasmpool_vmctx_instance(frame->vmctx), instruction->index, to, (uint8_t)value, bytes) ==
               0 ||
           trap(frame, out_of_bounds);
}

/* Floating-point values travel as their bits, so that no NaN becomes quiet on the way. */
Handler *const memory_handlers[OPCODES] = {
    [0x28] = run_i32_load,
    [0x29] = run_i64_load,
    [0x2a] = run_i32_load,
    [0x2b] = run_i64_load,
    [0x2c] = run_i32_load8_s,
    [0x2d] = run_i32_load8_u,
    [0x2e] = run_i32_load16_s,
    [0x2f] = run_i32_load16_u,
    [0x30] = run_i64_load8_s,
    [0x31] = run_i64_load8_u,
    [0x32] = run_i64_load16_s,
    [0x33] = run_i64_load16_u,
    [0x34] = run_i64_load32_s,
    [0x35] = run_i64_load32_u,
    [0x36] = run_i32_store,
    [0x37] = run_i64_store,
    [0x38] = run_i32_store,
    [0x39] = run_i64_store,
    [0x3a] = run_i32_store8,
    [0x3b] = run_i32_store16,
    [0x3c] = run_i64_store8,
    [0x3d] = run_i64_store16,
    [0x3e] = run_i64_store32,
    [0x3f] = run_memory_size,
    [0x40] = run_memory_grow,
    [OPCODE_FC + 8] = run_memory_init,
    [OPCODE_FC + 9] = run_data_drop,
    [OPCODE_FC + 10] = run_memory_copy,
    [OPCODE_FC + 11] = run_memory_fill,
};
