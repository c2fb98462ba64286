/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CONSTANT_H
#define CLIENT_CONSTANT_H

/* Constant expressions: read and typed once, evaluated for each instance. Source: WebAssembly 2.0, 3.3.10 Constant
 * Expressions, and the extended-const proposal. */

#include "client/wasmpool.h"

/* Operands that an expression may have pending; nothing real has more than a few. */
#define CONSTANT_DEPTH_MAX 256

struct Reader;

enum ConstantKind {
    CONSTANT_VALUE,    /* i32, i64, f32 or f64: `value` is the bits */
    CONSTANT_V128,     /* 16 bytes at `value` of the module's expressions */
    CONSTANT_NULL,     /* ref.null */
    CONSTANT_FUNCTION, /* ref.func `value` */
    CONSTANT_GLOBAL,   /* global.get `value`: always an imported, immutable one */
    CONSTANT_EXTENDED, /* more than one instruction, of type i32 or i64: `bytes` bytes at `value` of the module's
                          expressions, each instruction as its opcode and 8 bytes of immediate */
};

struct Constant {
    uint8_t kind; /* enum ConstantKind */
    uint8_t type; /* enum wasmpool_value_type of its result */
    uint32_t bytes;
    uint64_t value;
};

/* Read an expression, with its end, that gives one value of a type. Functions that it names escape. */
struct Constant constant_read(struct Reader *reader, uint8_t type);

/* What an expression may refer to, of the instance that it is evaluated for. */
struct ConstantScope {
    const uint8_t *expressions; /* the module's */
    const union wasmpool_global_definition *(*global)(void *instance, uint32_t global_index);
    struct wasmpool_func_ref *(*function)(void *instance, uint32_t function_index);
    void *instance;
};

/* The value of a valid expression; all 16 bytes are written. Cannot fail: what could was refused when it was read. */
void constant_evaluate(const struct Constant *constant, const struct ConstantScope *scope,
                       union wasmpool_global_definition *valuep);

#endif
