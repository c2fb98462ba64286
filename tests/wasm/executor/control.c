/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Control flow and calls. */

#include "tests/wasm/executor/interpreter.h"

#include <string.h>

#include "tests/wasm/executor/context.h"

static bool run_unreachable(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    return trap(frame, "unreachable");
}

static bool run_nop(struct Frame *frame, const struct Instruction *instruction) {
    (void)frame, (void)instruction;
    return true;
}

static void open_block(struct Frame *frame, const struct Instruction *instruction) {
    assert(frame->top - frame->base >= instruction->n_parameters);
    frame->labels[frame->n_labels++] = (struct Label){
        .target = instruction->end + 1,
        .arity = instruction->n_results,
        .height = frame->top - instruction->n_parameters,
    };
}

static bool run_block(struct Frame *frame, const struct Instruction *instruction) {
    open_block(frame, instruction);
    return true;
}

static bool run_loop(struct Frame *frame, const struct Instruction *instruction) {
    assert(frame->top - frame->base >= instruction->n_parameters);
    frame->labels[frame->n_labels++] = (struct Label){
        .target = frame->next,
        .arity = instruction->n_parameters,
        .is_loop = true,
        .height = frame->top - instruction->n_parameters,
    };
    return true;
}

static bool run_if(struct Frame *frame, const struct Instruction *instruction) {
    bool is_true = pop(frame).i32 != 0;

    if (!is_true)
        frame->next = instruction->other_way;
    if (is_true || instruction->other_way != instruction->end + 1)
        open_block(frame, instruction);
    return true;
}

/* The end of the part before it. */
static bool run_else(struct Frame *frame, const struct Instruction *instruction) {
    frame->next = instruction->end;
    return true;
}

static bool run_end(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    frame->n_labels--;
    return true;
}

static bool branch(struct Frame *frame, uint32_t depth) {
    const struct Label *label;

    assert(depth < frame->n_labels);
    frame->n_labels -= depth + 1;
    label = &frame->labels[frame->n_labels];
    memmove(label->height, frame->top - label->arity, label->arity * sizeof(frame->top[0]));
    frame->top = label->height + label->arity;
    frame->next = label->target;
    frame->n_labels += label->is_loop;
    return true;
}

static bool run_br(struct Frame *frame, const struct Instruction *instruction) {
    return branch(frame, instruction->index);
}

static bool run_br_if(struct Frame *frame, const struct Instruction *instruction) {
    return pop(frame).i32 == 0 || branch(frame, instruction->index);
}

static bool run_br_table(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t i = pop(frame).i32;

    if (i > instruction->other)
        i = instruction->other;
    return branch(frame, frame->function->labels[instruction->index + i]);
}

static bool run_return(struct Frame *frame, const struct Instruction *instruction) {
    (void)instruction;
    return branch(frame, frame->n_labels - 1);
}

static bool run_call(struct Frame *frame, const struct Instruction *instruction) {
    uint32_t n_imported = frame->offsets->fields.imported_functions;
    struct wasmpool_func_ref direct = {.vmctx = frame->vmctx};

    if (instruction->index < n_imported)
        return interpreter_invoke(frame, instruction,
                                  context_imported_function(frame->vmctx, frame->offsets, instruction->index));
    /* Code of the same module: its address is known without the VMContext. */
    direct.array_call = (const void *)interpreter_call;
    direct.wasm_call = &frame->function->code->functions[instruction->index - n_imported];
    return interpreter_invoke(frame, instruction, &direct);
}

static bool run_call_indirect(struct Frame *frame, const struct Instruction *instruction) {
    const struct wasmpool_table_definition *table = context_table(frame->vmctx, frame->offsets, instruction->other);
    uint32_t i = pop(frame).i32;
    const struct wasmpool_func_ref *callee;

    if (i >= table->current_elements)
        return trap(frame, "undefined element");
    callee = ((struct wasmpool_func_ref **)table->base)[i];
    if (!callee)
        return trap(frame, "uninitialized element");
    if (callee->type_index != frame->vmctx->type_ids[instruction->index])
        return trap(frame, "indirect call type mismatch");
    return interpreter_invoke(frame, instruction, callee);
}

Handler *const control_handlers[OPCODES] = {
    [0x00] = run_unreachable,
    [0x01] = run_nop,
    [OP_BLOCK] = run_block,
    [OP_LOOP] = run_loop,
    [OP_IF] = run_if,
    [OP_ELSE] = run_else,
    [OP_END] = run_end,
    [0x0c] = run_br,
    [0x0d] = run_br_if,
    [OP_BR_TABLE] = run_br_table,
    [0x0f] = run_return,
    [OP_CALL] = run_call,
    [OP_CALL_INDIRECT] = run_call_indirect,
};
