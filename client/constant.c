/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/constant.h"

#include <string.h>

static uint64_t constant_global(const struct ConstantScope *scope, uint64_t index) {
    return scope->global(scope->instance, (uint32_t)index)->i64;
}

static uint64_t constant_operate(uint8_t opcode, uint64_t left, uint64_t right) {
    switch (opcode) {
    case OP_I32_ADD:
    case OP_I64_ADD:
        return left + right;
    case OP_I32_SUB:
    case OP_I64_SUB:
        return left - right;
    default:
        return left * right;
    }
}

/* Modulo 2^64 throughout: the lower half of that is what i32 needs. */
static uint64_t constant_run(const struct Constant *constant, const struct ConstantScope *scope) {
    const uint8_t *at = scope->expressions + constant->value, *end = at + constant->bytes;
    uint64_t stack[CONSTANT_DEPTH_MAX], value;
    uint32_t n = 0;

    for (; at < end; at += CONSTANT_INSTRUCTION_BYTES) {
        memcpy(&value, at + 1, sizeof(value));
        if (*at == OP_I32_CONST || *at == OP_I64_CONST) {
            stack[n++] = value;
        } else if (*at == OP_GLOBAL_GET) {
            stack[n++] = constant_global(scope, value);
        } else {
            n--;
            stack[n - 1] = constant_operate(*at, stack[n - 1], stack[n]);
        }
    }
    return stack[0];
}

static size_t constant_bytes(uint8_t type) {
    switch (type) {
    case WASMPOOL_TYPE_I32:
    case WASMPOOL_TYPE_F32:
        return 4;
    case WASMPOOL_TYPE_V128:
        return 16;
    case WASMPOOL_TYPE_I64:
    case WASMPOOL_TYPE_F64:
        return 8;
    default:
        return sizeof(void *);
    }
}

void constant_evaluate(const struct Constant *constant, const struct ConstantScope *scope,
                       union wasmpool_global_definition *valuep) {
    union wasmpool_global_definition value = {0};

    switch (constant->kind) {
    case CONSTANT_VALUE:
        value.i64 = constant->value;
        break;
    case CONSTANT_V128:
        memcpy(value.bytes, scope->expressions + constant->value, sizeof(value.bytes));
        break;
    case CONSTANT_FUNCTION:
        value.reference = scope->function(scope->instance, (uint32_t)constant->value);
        break;
    case CONSTANT_GLOBAL:
        value = *scope->global(scope->instance, (uint32_t)constant->value);
        break;
    case CONSTANT_EXTENDED:
        value.i64 = constant_run(constant, scope);
        break;
    }
    memset(valuep, 0, sizeof(*valuep));
    memcpy(valuep->bytes, value.bytes, constant_bytes(constant->type));
}
