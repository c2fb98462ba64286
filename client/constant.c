/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/constant.h"

#include "client/reader.h"
#include "client/types.h"

enum {
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

#define VECTOR_CONST 12 /* behind OP_VECTOR */

/* An instruction as it is kept. */
#define CONSTANT_INSTRUCTION_BYTES 9

/* ------------------------------------------------------------------------------------------------ reading */

struct ConstantStack {
    uint8_t types[CONSTANT_DEPTH_MAX];
    uint32_t n;
};

static void constant_push(struct Reader *reader, struct ConstantStack *stack, uint8_t type) {
    if (stack->n == CONSTANT_DEPTH_MAX)
        binary_fail_limit(&reader->binary, "constant_depth", CONSTANT_DEPTH_MAX, (uint64_t)stack->n + 1);
    else
        stack->types[stack->n++] = type;
}

static void constant_read_global(struct Reader *reader, struct ConstantStack *stack, struct Constant *constant) {
    uint32_t index = section_index(reader, reader_globals(reader), "global");
    const struct ModuleGlobal *global;

    if (reader->binary.result)
        return;
    global = (const struct ModuleGlobal *)(const void *)reader->globals.at + index;
    if (index >= reader->counts->imported_globals)
        binary_fail(&reader->binary, ERROR_INVALID,
                    "unknown global %u: a constant expression can only use imported globals", index);
    else if (global->type.is_mutable)
        binary_fail(&reader->binary, ERROR_INVALID, "constant expression required: global %u is mutable", index);
    *constant = (struct Constant){.kind = CONSTANT_GLOBAL, .value = index};
    constant_push(reader, stack, (uint8_t)global->type.content);
}

static void constant_read_function(struct Reader *reader, struct ConstantStack *stack, struct Constant *constant) {
    uint32_t index = section_index(reader, reader_functions(reader), "function");

    if (reader->binary.result)
        return;
    ((uint32_t *)(void *)reader->escaped.at)[index] = 0;
    *constant = (struct Constant){.kind = CONSTANT_FUNCTION, .value = index};
    constant_push(reader, stack, WASMPOOL_TYPE_FUNCREF);
}

/* The first byte is kept as an opcode, so that all kept instructions begin with one. */
static void constant_read_vector(struct Reader *reader, struct ConstantStack *stack, struct Constant *constant) {
    struct Binary *binary = &reader->binary;
    uint64_t mark = binary->mark;
    uint32_t opcode = binary_u32(binary);

    binary->mark = mark;
    if (opcode != VECTOR_CONST)
        binary_fail(binary, ERROR_INVALID, "constant expression required: opcode 0xfd %#x is not allowed", opcode);
    *constant = (struct Constant){.kind = CONSTANT_V128, .bytes = 16, .value = reader->expressions.n};
    binary_append(binary, &reader->expressions, 16, "module_expression_bytes", MODULE_EXPRESSION_BYTES_MAX);
    constant_push(reader, stack, WASMPOOL_TYPE_V128);
}

static void constant_read_operation(struct Reader *reader, struct ConstantStack *stack, uint8_t type,
                                    struct Constant *constant) {
    constant->kind = CONSTANT_EXTENDED;
    if (stack->n >= 2 && stack->types[stack->n - 1] == type && stack->types[stack->n - 2] == type)
        stack->n--;
    else
        binary_fail(&reader->binary, ERROR_INVALID, "type mismatch: the operation needs two operands of type %s",
                    types_name(type));
}

/* Opcodes that are assigned, in WebAssembly or a proposal that is well known. */
static bool constant_is_opcode(uint8_t opcode) {
    return opcode <= 0x15 || (opcode >= 0x18 && opcode <= 0x1c) || (opcode >= 0x1f && opcode <= 0x26) ||
           (opcode >= 0x28 && opcode <= 0xc4) || (opcode >= 0xd0 && opcode <= 0xd6) ||
           (opcode >= 0xfc && opcode <= 0xfe);
}

static void constant_refuse(struct Binary *binary, uint8_t opcode) {
    if (opcode == OP_GC)
        binary_fail(binary, ERROR_UNSUPPORTED, "opcode 0xfb in a constant expression needs the gc proposal");
    else if (constant_is_opcode(opcode))
        binary_fail(binary, ERROR_INVALID, "constant expression required: opcode %#x is not allowed", opcode);
    else
        binary_fail(binary, ERROR_MALFORMED, "illegal opcode %#x", opcode);
}

static void constant_read_instruction(struct Reader *reader, struct ConstantStack *stack, uint8_t opcode,
                                      struct Constant *constant) {
    struct Binary *binary = &reader->binary;
    uint8_t bytes[8] = {0};

    *constant = (struct Constant){.kind = CONSTANT_VALUE};
    switch (opcode) {
    case OP_I32_CONST:
        constant->value = binary_s32(binary);
        constant_push(reader, stack, WASMPOOL_TYPE_I32);
        break;
    case OP_I64_CONST:
        constant->value = binary_s64(binary);
        constant_push(reader, stack, WASMPOOL_TYPE_I64);
        break;
    case OP_F32_CONST:
    case OP_F64_CONST:
        binary_bytes(binary, bytes, opcode == OP_F32_CONST ? 4 : 8);
        memcpy(&constant->value, bytes, 8);
        constant_push(reader, stack, opcode == OP_F32_CONST ? WASMPOOL_TYPE_F32 : WASMPOOL_TYPE_F64);
        break;
    case OP_GLOBAL_GET:
        constant_read_global(reader, stack, constant);
        break;
    case OP_REF_NULL:
        constant->kind = CONSTANT_NULL;
        constant_push(reader, stack, types_of_reference(types_reference(binary)));
        break;
    case OP_REF_FUNC:
        constant_read_function(reader, stack, constant);
        break;
    case OP_VECTOR:
        constant_read_vector(reader, stack, constant);
        break;
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
        constant_read_operation(reader, stack, WASMPOOL_TYPE_I32, constant);
        break;
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL:
        constant_read_operation(reader, stack, WASMPOOL_TYPE_I64, constant);
        break;
    default:
        constant_refuse(binary, opcode);
    }
}

/* Whoever has one instruction is not kept. One whose result is i32 or i64 and who has more consists of such alone. */
static void constant_keep(struct Reader *reader, uint8_t opcode, uint64_t value) {
    uint8_t instruction[CONSTANT_INSTRUCTION_BYTES] = {opcode};

    memcpy(instruction + 1, &value, sizeof(value));
    if (reader->expressions.n + sizeof(instruction) > MODULE_EXPRESSION_BYTES_MAX)
        binary_fail_limit(&reader->binary, "module_expression_bytes", MODULE_EXPRESSION_BYTES_MAX,
                          reader->expressions.n + sizeof(instruction));
    else
        reader_add(reader, &reader->expressions, instruction, sizeof(instruction));
}

static void constant_check(struct Reader *reader, const struct ConstantStack *stack, uint8_t type, uint64_t mark) {
    struct Binary *binary = &reader->binary;

    if (binary->result)
        return;
    binary->mark = mark;
    if (stack->n != 1)
        binary_fail(binary, ERROR_INVALID, "type mismatch: the constant expression gives %u values, not one %s",
                    stack->n, types_name(type));
    else if (stack->types[0] != type)
        binary_fail(binary, ERROR_INVALID, "type mismatch: the constant expression is of type %s, not %s",
                    types_name(stack->types[0]), types_name(type));
}

struct Constant constant_read(struct Reader *reader, uint8_t type) {
    uint64_t kept = reader->expressions.n, mark = input_offset(&reader->binary.input);
    struct ConstantStack stack;
    struct Constant constant = {0};
    uint8_t opcode, first = 0;
    uint32_t n = 0;

    stack.n = 0;
    for (;; n++) {
        struct Constant next;

        opcode = binary_byte(&reader->binary);
        if (opcode == OP_END || reader->binary.result)
            break;
        if (n == 1 && constant.kind != CONSTANT_V128)
            constant_keep(reader, first, constant.value);
        constant_read_instruction(reader, &stack, opcode, n ? &next : &constant);
        first = opcode;
        if (n && !reader->binary.result)
            constant_keep(reader, opcode, next.value);
    }
    constant_check(reader, &stack, type, mark);
    if (n > 1)
        constant = (struct Constant){
            .kind = CONSTANT_EXTENDED, .bytes = (uint32_t)(reader->expressions.n - kept), .value = kept};
    constant.type = type;
    return constant;
}

/* ------------------------------------------------------------------------------------------------ evaluating */

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
