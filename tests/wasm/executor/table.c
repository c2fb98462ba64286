/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Tables: elements are pointers, null when all their bytes are zero. */

#include "tests/wasm/executor/interpreter.h"

#include "tests/wasm/executor/context.h"

static const char out_of_bounds[] = "out of bounds table access";

static void **element_at(struct Frame *frame, uint32_t table_index, uint32_t i) {
    const struct wasmpool_table_definition *table = context_table(frame->vmctx, frame->offsets, table_index);

    if (i >= table->current_elements) {
        trap(frame, out_of_bounds);
        return NULL;
    }
    return (void **)table->base + i;
}

static bool run_table_get(struct Frame *frame, const struct Instruction *instruction) {
    void **element = element_at(frame, instruction->index, pop(frame).i32);

    if (!element)
        return false;
    push(frame, (union Value){.reference = *element});
    return true;
}

static bool run_table_set(struct Frame *frame, const struct Instruction *instruction) {
    void *reference = pop(frame).reference, **element = element_at(frame, instruction->index, pop(frame).i32);

    if (!element)
        return false;
    *element = reference;
    return true;
}

static bool run_table_size(struct Frame *frame, const struct Instruction *instruction) {
    push_i32(frame, (uint32_t)context_table(frame->vmctx, frame->offsets, instruction->index)->current_elements);
    return true;
}

static bool run_table_grow(struct Frame *frame, const struct Instruction *instruction) {
    struct wasmpool_instance *instance = wasmpool_vmctx_instance(frame->vmctx);
    struct wasmpool_table *table = wasmpool_instance_table_at(instance, instruction->index);
    uint32_t delta = pop(frame).i32;
    void *init = pop(frame).reference;

    push_i32(frame, (uint32_t)wasmpool_grow_table(wasmpool_instance_pool(instance), table, delta, &init));
    return true;
}

static bool run_table_fill(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t count = pop(frame).i32;
    void *value = pop(frame).reference;
    uint32_t to = pop(frame).i32;

    return wasmpool_table_fill(wasmpool_vmctx_instance(frame->vmctx), instruction->index, to, &value, count) == 0 ||
           trap(frame, out_of_bounds);
}

static bool run_table_copy(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t count = pop(frame).i32, from = pop(frame).i32, to = pop(frame).i32;

    return wasmpool_table_copy(wasmpool_vmctx_instance(frame->vmctx), instruction->index, instruction->other, to, from,
                               count) == 0 ||
           trap(frame, out_of_bounds);
}

static bool run_table_init(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t count = pop(frame).i32, from = pop(frame).i32, to = pop(frame).i32;

    return wasmpool_table_init(wasmpool_vmctx_instance(frame->vmctx), instruction->other, instruction->index, to, from,
                               count) == 0 ||
           trap(frame, out_of_bounds);
}

static bool run_elem_drop(struct Frame *frame, const struct Instruction *instruction) {
    wasmpool_elem_drop(wasmpool_vmctx_instance(frame->vmctx), instruction->index);
    return true;
}

Handler *const table_handlers[OPCODES] = {
    [0x25] = run_table_get,
    [0x26] = run_table_set,
    [OPCODE_FC + 12] = run_table_init,
    [OPCODE_FC + 13] = run_elem_drop,
    [OPCODE_FC + 14] = run_table_copy,
    [OPCODE_FC + 15] = run_table_grow,
    [OPCODE_FC + 16] = run_table_size,
    [OPCODE_FC + 17] = run_table_fill,
};
