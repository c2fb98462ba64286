/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/interpreter.h"

#include <stdlib.h>
#include <string.h>

const char TRAP_EXHAUSTED[] = "call stack exhausted";
const char TRAP_UNSUPPORTED[] = "instruction not interpreted";

bool machine_init(struct Machine *machine) {
    *machine = (struct Machine){
        .values = calloc(STACK_VALUES, sizeof(machine->values[0])),
        .labels = calloc(STACK_LABELS, sizeof(machine->labels[0])),
    };
    machine->top = machine->values;
    machine->labels_top = machine->labels;
    return machine->values && machine->labels;
}

void machine_deinit(struct Machine *machine) {
    free(machine->values);
    free(machine->labels);
    *machine = (struct Machine){0};
}

Handler *interpreter_handler(uint32_t opcode) {
    static Handler *const *const themes[] = {
        control_handlers, variable_handlers, integer_handlers, float_handlers,
        convert_handlers, memory_handlers,   table_handlers,
    };

    for (size_t i = 0; opcode < OPCODES && i < sizeof(themes) / sizeof(themes[0]); i++)
        if (themes[i][opcode])
            return themes[i][opcode];
    return NULL;
}

/* Room for the locals, for all operands that there can ever be, and for as many labels as it could open. */
static bool has_room(const struct Machine *machine, const struct Function *function, const union Value *values) {
    size_t used = (size_t)(values - machine->values), labels = (size_t)(machine->labels_top - machine->labels);
    size_t needed = (size_t)function->n_parameters + function->n_locals + function->n_results + function->height;

    return machine->depth < CALL_DEPTH_MAX && used + needed <= STACK_VALUES &&
           labels + function->n_instructions + 1 <= STACK_LABELS;
}

static bool run(struct Frame *frame) {
    const struct Instruction *instructions = frame->function->instructions;

    while (frame->n_labels > 0) {
        const struct Instruction *instruction = &instructions[frame->next++];

        if (!instruction->run(frame, instruction))
            return false;
    }
    return true;
}

bool interpreter_call(const void *record, struct wasmpool_vmcontext *vmctx, union Value *values) {
    const struct Function *function = record;
    struct Machine *machine = vmctx->store_context;
    struct Frame frame = {
        .machine = machine,
        .function = function,
        .vmctx = vmctx,
        .offsets = function->code->offsets,
        .locals = values,
        .labels = machine->labels_top,
        .n_labels = 1,
    };
    bool is_done;

    if (function->unsupported) {
        machine->unsupported = function->unsupported;
        return trap(&frame, TRAP_UNSUPPORTED);
    }
    if (!has_room(machine, function, values))
        return trap(&frame, TRAP_EXHAUSTED);
    memset(values + function->n_parameters, 0, function->n_locals * sizeof(values[0]));
    frame.base = frame.top = values + function->n_parameters + function->n_locals;
    frame.labels[0] =
        (struct Label){.target = function->n_instructions, .arity = function->n_results, .height = frame.base};
    machine->depth++;
    is_done = run(&frame);
    machine->depth--;
    machine->labels_top = frame.labels;
    if (is_done) {
        assert(frame.top - frame.base >= function->n_results);
        memmove(values, frame.top - function->n_results, function->n_results * sizeof(values[0]));
    }
    return is_done;
}

bool interpreter_invoke(struct Frame *frame, const struct Instruction *instruction,
                        const struct wasmpool_func_ref *callee) {
    ArrayCall *call = (ArrayCall *)callee->array_call;
    union Value *values = frame->top - instruction->n_parameters;
    bool is_done;

    assert(values >= frame->base);
    frame->machine->labels_top = frame->labels + frame->n_labels;
    is_done = call(callee->wasm_call, callee->vmctx, values);
    frame->top = values + instruction->n_results;
    return is_done;
}

bool machine_call(struct Machine *machine, const struct wasmpool_func_ref *callee, union Value *values,
                  uint32_t n_parameters, uint32_t n_results) {
    ArrayCall *call = (ArrayCall *)callee->array_call;
    bool is_done;

    machine->trap = NULL;
    memcpy(machine->top, values, n_parameters * sizeof(values[0]));
    is_done = call(callee->wasm_call, callee->vmctx, machine->top);
    if (is_done)
        memcpy(values, machine->top, n_results * sizeof(values[0]));
    return is_done;
}
