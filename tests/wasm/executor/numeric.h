/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_NUMERIC_H
#define TESTS_WASM_EXECUTOR_NUMERIC_H

/* What numeric instructions have in common: operands off the stack, a result onto it. `from` and `to` are members of
 * union Value, `type` is what the expression sees an operand as. Source: WebAssembly 2.0, 4.3 Numerics. */

#include "tests/wasm/executor/interpreter.h"

#define UNARY(name, type, from, to, expression)                                                                        \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        type a = (type)pop(frame).from;                                                                                \
                                                                                                                       \
        (void)instruction;                                                                                             \
        push(frame, (union Value){.to = (expression)});                                                                \
        return true;                                                                                                   \
    }

#define BINARY(name, type, from, to, expression)                                                                       \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        type b = (type)pop(frame).from, a = (type)pop(frame).from;                                                     \
                                                                                                                       \
        (void)instruction;                                                                                             \
        push(frame, (union Value){.to = (expression)});                                                                \
        return true;                                                                                                   \
    }

/* The same where `trap_text`, an expression too, is not NULL for operands that trap. */
#define UNARY_OR_TRAP(name, type, from, to, trap_text, expression)                                                     \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        type a = (type)pop(frame).from;                                                                                \
        const char *why = (trap_text);                                                                                 \
                                                                                                                       \
        (void)instruction;                                                                                             \
        if (why)                                                                                                       \
            return trap(frame, why);                                                                                   \
        push(frame, (union Value){.to = (expression)});                                                                \
        return true;                                                                                                   \
    }

#define BINARY_OR_TRAP(name, type, from, to, trap_text, expression)                                                    \
    static bool run_##name(struct Frame *frame, const struct Instruction *instruction) {                               \
        type b = (type)pop(frame).from, a = (type)pop(frame).from;                                                     \
        const char *why = (trap_text);                                                                                 \
                                                                                                                       \
        (void)instruction;                                                                                             \
        if (why)                                                                                                       \
            return trap(frame, why);                                                                                   \
        push(frame, (union Value){.to = (expression)});                                                                \
        return true;                                                                                                   \
    }

#endif
