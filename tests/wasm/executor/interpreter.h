/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_INTERPRETER_H
#define TESTS_WASM_EXECUTOR_INTERPRETER_H

/* Runs functions. Instances are read and written through their VMContexts alone, and the library is called where an
 * engine's generated code would call a builtin: to grow, for bulk operations, and to drop segments. Every access is
 * checked against the length in the VMContext, never by guard pages. Source: WebAssembly 2.0, 4.4 Instructions. */

#include <assert.h>

#include "tests/wasm/executor/code.h"
#include "tests/wasm/executor/value.h"

#define STACK_VALUES (1 << 20)
#define STACK_LABELS (1 << 18)
#define CALL_DEPTH_MAX 4000 /* so that the C stack suffices under sanitizers too */

extern const char TRAP_EXHAUSTED[], TRAP_UNSUPPORTED[];

/* Where a branch leads. */
struct Label {
    uint32_t target; /* instruction number */
    uint32_t arity;
    bool is_loop;
    union Value *height; /* of the operand stack below what the branch carries */
};

/* What all functions share: the VMContext's store_context. */
struct Machine {
    union Value *values;  /* STACK_VALUES */
    union Value *top;     /* of the calls made from outside */
    struct Label *labels; /* STACK_LABELS */
    struct Label *labels_top;
    uint32_t depth;
    const char *trap;     /* why it trapped, a static text */
    uint32_t unsupported; /* the opcode, with TRAP_UNSUPPORTED */
};

bool machine_init(struct Machine *machine);
void machine_deinit(struct Machine *machine);

/* A function that runs. */
struct Frame {
    struct Machine *machine;
    const struct Function *function;
    struct wasmpool_vmcontext *vmctx;
    const struct wasmpool_vmoffsets *offsets;
    union Value *locals;
    union Value *base, *top; /* operands */
    struct Label *labels;    /* the first is the function's own */
    uint32_t n_labels;
    uint32_t next; /* instruction number */
};

/* A function's array_call: `record` is the wasm_call beside it, `vmctx` the callee's. Arguments lie at `values` and are
 * replaced by the results; everything behind them is free to use. false: it trapped. */
typedef bool ArrayCall(const void *record, struct wasmpool_vmcontext *vmctx, union Value *values);
bool interpreter_call(const void *record, struct wasmpool_vmcontext *vmctx, union Value *values);

/* Call whatever `callee` refers to, from an instruction. */
bool interpreter_invoke(struct Frame *frame, const struct Instruction *instruction,
                        const struct wasmpool_func_ref *callee);

/* The same from outside: `values` are arguments first, results afterwards, with room for the more of them. Upon false
 * machine->trap says why. */
bool machine_call(struct Machine *machine, const struct wasmpool_func_ref *callee, union Value *values,
                  uint32_t n_parameters, uint32_t n_results);

/* Which handler executes an opcode; NULL: none does. The handlers are grouped by theme, each in a file of its own. */
Handler *interpreter_handler(uint32_t opcode);
extern Handler *const control_handlers[OPCODES];
extern Handler *const variable_handlers[OPCODES];
extern Handler *const integer_handlers[OPCODES];
extern Handler *const float_handlers[OPCODES];
extern Handler *const convert_handlers[OPCODES];
extern Handler *const memory_handlers[OPCODES];
extern Handler *const table_handlers[OPCODES];

static inline void push(struct Frame *frame, union Value value) {
    *frame->top++ = value;
}

static inline union Value pop(struct Frame *frame) {
    assert(frame->top > frame->base);
    return *--frame->top;
}

static inline bool trap(struct Frame *frame, const char *why) {
    frame->machine->trap = why;
    return false;
}

static inline void push_i32(struct Frame *frame, uint32_t value) {
    push(frame, (union Value){.i32 = value});
}

#endif
