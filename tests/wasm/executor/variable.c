/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Operands, locals, globals, constants and references. */

#include "tests/wasm/executor/interpreter.h"

#include <string.h>

#include "tests/wasm/executor/context.h"

static bool run_drop(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    pop(frame);
    return true;
}

static bool run_select(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t which = pop(frame).i32;
    union Value second = pop(frame), first = pop(frame);

    (void)instruction;
    push(frame, which ? first : second);
    return true;
}

static bool run_local_get(struct Frame *frame, const struct Instruction *instruction) {
    push(frame, frame->locals[instruction->index]);
    return true;
}

static bool run_local_set(struct Frame *frame, const struct Instruction *instruction) {
    frame->locals[instruction->index] = pop(frame);
    return true;
}

static bool run_local_tee(struct Frame *frame, const struct Instruction *instruction) {
    union Value value = pop(frame);

    frame->locals[instruction->index] = value;
    push(frame, value);
    return true;
}

static bool run_global_get(struct Frame *frame, const struct Instruction *instruction) {
    union Value value = {0};

    memcpy(&value, context_global(frame->vmctx, frame->offsets, instruction->index), instruction->constant);
    push(frame, value);
    return true;
}

static bool run_global_set(struct Frame *frame, const struct Instruction *instruction) {
    union Value value = pop(frame);

    memcpy(context_global(frame->vmctx, frame->offsets, instruction->index), &value, instruction->constant);
    return true;
}

static bool run_constant(struct Frame *frame, const struct Instruction *instruction) {
    push(frame, (union Value){.i64 = instruction->constant});
    return true;
}

static bool run_ref_null(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    push(frame, (union Value){.reference = NULL});
    return true;
}

static bool run_ref_is_null(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    push_i32(frame, pop(frame).reference == NULL);
    return true;
}

static bool run_ref_func(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t number = frame->function->code->func_refs[instruction->index];

    assert(number != NOT_ESCAPED);
    push(frame, (union Value){.reference = context_func_ref(frame->vmctx, frame->offsets, number)});
    return true;
}

Handler *const variable_handlers[OPCODES] = {
    [0x1a] = run_drop,
    [0x1b] = run_select,
    [OP_SELECT_TYPED] = run_select,
    [0x20] = run_local_get,
    [0x21] = run_local_set,
    [0x22] = run_local_tee,
    [OP_GLOBAL_GET] = run_global_get,
    [OP_GLOBAL_SET] = run_global_set,
    [OP_I32_CONST] = run_constant,
    [OP_I64_CONST] = run_constant,
    [OP_F32_CONST] = run_constant,
    [OP_F64_CONST] = run_constant,
    [OP_REF_NULL] = run_ref_null,
    [0xd1] = run_ref_is_null,
    [OP_REF_FUNC] = run_ref_func,
};
