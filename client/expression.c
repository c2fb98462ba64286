/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reader.h"
#include "client/types.h"

/* Constant expressions as they are read: each instruction is typed, what they come to is for constant.c. */

#define VECTOR_CONST 12 /* behind OP_VECTOR */

struct ExpressionStack {
    uint8_t types[CONSTANT_DEPTH_MAX];
    uint32_t n;
};

static void expression_push(struct Reader *reader, struct ExpressionStack *stack, uint8_t type) {
    if (stack->n == CONSTANT_DEPTH_MAX)
        binary_fail_limit(&reader->binary, "constant_depth", CONSTANT_DEPTH_MAX, (uint64_t)stack->n + 1);
    else
        stack->types[stack->n++] = type;
}

static void expression_read_global(struct Reader *reader, struct ExpressionStack *stack, struct Constant *constant) {
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
    expression_push(reader, stack, (uint8_t)global->type.content);
}

static void expression_read_function(struct Reader *reader, struct ExpressionStack *stack, struct Constant *constant) {
    uint32_t index = section_index(reader, reader_functions(reader), "function");

    if (reader->binary.result)
        return;
    ((uint32_t *)(void *)reader->escaped.at)[index] = 0;
    *constant = (struct Constant){.kind = CONSTANT_FUNCTION, .value = index};
    expression_push(reader, stack, WASMPOOL_TYPE_FUNCREF);
}

/* The first byte is kept as an opcode, so that all kept instructions begin with one. */
static void expression_read_vector(struct Reader *reader, struct ExpressionStack *stack, struct Constant *constant) {
    struct Binary *binary = &reader->binary;
    uint64_t mark = binary->mark;
    uint32_t opcode = binary_u32(binary);

    binary->mark = mark;
    if (opcode != VECTOR_CONST)
        binary_fail(binary, ERROR_INVALID, "constant expression required: opcode 0xfd %#x is not allowed", opcode);
    *constant = (struct Constant){.kind = CONSTANT_V128, .bytes = 16, .value = reader->expressions.n};
    binary_append(binary, &reader->expressions, 16, "module_expression_bytes", MODULE_EXPRESSION_BYTES_MAX);
    expression_push(reader, stack, WASMPOOL_TYPE_V128);
}

static void expression_read_operation(struct Reader *reader, struct ExpressionStack *stack, uint8_t type,
                                      struct Constant *constant) {
    constant->kind = CONSTANT_EXTENDED;
    if (stack->n >= 2 && stack->types[stack->n - 1] == type && stack->types[stack->n - 2] == type)
        stack->n--;
    else
        binary_fail(&reader->binary, ERROR_INVALID, "type mismatch: the operation needs two operands of type %s",
                    types_name(type));
}

/* Opcodes that are assigned, in WebAssembly or a proposal that is well known. */
static bool expression_is_opcode(uint8_t opcode) {
    return opcode <= 0x15 || (opcode >= 0x18 && opcode <= 0x1c) || (opcode >= 0x1f && opcode <= 0x26) ||
           (opcode >= 0x28 && opcode <= 0xc4) || (opcode >= 0xd0 && opcode <= 0xd6) ||
           (opcode >= 0xfc && opcode <= 0xfe);
}

static void expression_refuse(struct Binary *binary, uint8_t opcode) {
    if (opcode == OP_GC)
        binary_fail(binary, ERROR_UNSUPPORTED, "opcode 0xfb in a constant expression needs the gc proposal");
    else if (expression_is_opcode(opcode))
        binary_fail(binary, ERROR_INVALID, "constant expression required: opcode %#x is not allowed", opcode);
    else
        binary_fail(binary, ERROR_MALFORMED, "illegal opcode %#x", opcode);
}

static void expression_read_instruction(struct Reader *reader, struct ExpressionStack *stack, uint8_t opcode,
                                        struct Constant *constant) {
    struct Binary *binary = &reader->binary;
    uint8_t bytes[8] = {0};

    *constant = (struct Constant){.kind = CONSTANT_VALUE};
    switch (opcode) {
    case OP_I32_CONST:
        constant->value = binary_s32(binary);
        expression_push(reader, stack, WASMPOOL_TYPE_I32);
        break;
    case OP_I64_CONST:
        constant->value = binary_s64(binary);
        expression_push(reader, stack, WASMPOOL_TYPE_I64);
        break;
    case OP_F32_CONST:
    case OP_F64_CONST:
        binary_bytes(binary, bytes, opcode == OP_F32_CONST ? 4 : 8);
        memcpy(&constant->value, bytes, 8);
        expression_push(reader, stack, opcode == OP_F32_CONST ? WASMPOOL_TYPE_F32 : WASMPOOL_TYPE_F64);
        break;
    case OP_GLOBAL_GET:
        expression_read_global(reader, stack, constant);
        break;
    case OP_REF_NULL:
        constant->kind = CONSTANT_NULL;
        expression_push(reader, stack, types_of_reference(types_reference(binary)));
        break;
    case OP_REF_FUNC:
        expression_read_function(reader, stack, constant);
        break;
    case OP_VECTOR:
        expression_read_vector(reader, stack, constant);
        break;
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
        expression_read_operation(reader, stack, WASMPOOL_TYPE_I32, constant);
        break;
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL:
        expression_read_operation(reader, stack, WASMPOOL_TYPE_I64, constant);
        break;
    default:
        expression_refuse(binary, opcode);
    }
}

/* Whoever has one instruction is not kept. One whose result is i32 or i64 and who has more consists of such alone. */
static void expression_keep(struct Reader *reader, uint8_t opcode, uint64_t value) {
    uint8_t instruction[CONSTANT_INSTRUCTION_BYTES] = {opcode};

    memcpy(instruction + 1, &value, sizeof(value));
    if (reader->expressions.n + sizeof(instruction) > MODULE_EXPRESSION_BYTES_MAX)
        binary_fail_limit(&reader->binary, "module_expression_bytes", MODULE_EXPRESSION_BYTES_MAX,
                          reader->expressions.n + sizeof(instruction));
    else
        reader_add(reader, &reader->expressions, instruction, sizeof(instruction));
}

static void expression_check(struct Reader *reader, const struct ExpressionStack *stack, uint8_t type, uint64_t mark) {
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

struct Constant expression_read(struct Reader *reader, uint8_t type) {
    uint64_t kept = reader->expressions.n, mark = input_offset(&reader->binary.input);
    struct ExpressionStack stack;
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
            expression_keep(reader, first, constant.value);
        expression_read_instruction(reader, &stack, opcode, n ? &next : &constant);
        first = opcode;
        if (n && !reader->binary.result)
            expression_keep(reader, opcode, next.value);
    }
    expression_check(reader, &stack, type, mark);
    if (n > 1)
        constant = (struct Constant){
            .kind = CONSTANT_EXTENDED, .bytes = (uint32_t)(reader->expressions.n - kept), .value = kept};
    constant.type = type;
    return constant;
}
