/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CONSTANT_H
#define CLIENT_CONSTANT_H

/* Constant expressions: read and typed once, evaluated for each instance. Source: WebAssembly 2.0, 3.3.10 Constant
 * Expressions, and the extended-const proposal. */

#include "client/wasmpool.h"

/* Operands that an expression may have pending; nothing real has more than a few. */
#define CONSTANT_DEPTH_MAX 256

/* Opcodes of the instructions that constant expressions may have. */
enum ConstantOpcode {
    OP_END = 0x0b,
    OP_GLOBAL_GET = 0x23,
    OP_I32_CONST = 0x41,
    OP_I64_CONST = 0x42,
    OP_F32_CONST = 0x43,
    OP_F64_CONST = 0x44,
    OP_I32_ADD = 0x6a,
    OP_I32_SUB = 0x6b,
    OP_I32_MUL = 0x6c,
    OP_I64_ADD = 0x7c,
    OP_I64_SUB = 0x7d,
    OP_I64_MUL = 0x7e,
    OP_REF_NULL = 0xd0,
    OP_REF_FUNC = 0xd2,
    OP_GC = 0xfb,
    OP_VECTOR = 0xfd,
};

/* An extended expression is kept as a row of instructions: the opcode, and 8 bytes of immediate. */
#define CONSTANT_INSTRUCTION_BYTES 9

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
