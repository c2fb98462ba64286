/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/types.h"

#include "client/module.h"
#include "shared/limits.h"

#include <errno.h>

const char *types_name(uint8_t type) {
    switch (type) {
    case WASMPOOL_TYPE_I32:
        return "i32";
    case WASMPOOL_TYPE_I64:
        return "i64";
    case WASMPOOL_TYPE_F32:
        return "f32";
    case WASMPOOL_TYPE_F64:
        return "f64";
    case WASMPOOL_TYPE_V128:
        return "v128";
    case WASMPOOL_TYPE_FUNCREF:
        return "funcref";
    default:
        return "externref";
    }
}

/* Whose type starts with this byte, or NULL. */
static const char *types_proposal(uint8_t type) {
    switch (type) {
    case 0x63:
    case 0x64: /* (ref null ..), (ref ..) */
        return "function-references";
    case 0x6a:
    case 0x6b:
    case 0x6c:
    case 0x6d:
    case 0x6e: /* array, struct, i31, eq, any */
    case 0x71:
    case 0x72:
    case 0x73: /* none, noextern, nofunc */
        return "gc";
    case 0x69:
    case 0x74: /* exn, noexn */
        return "exception-handling (exnref)";
    case 0x68:
    case 0x75: /* cont, nocont */
        return "stack-switching";
    case 0x65:
        return "shared-everything-threads";
    case 0x67:
    case 0x66:
    case 0x62:
    case 0x61: /* string and its views */
        return "stringref";
    default:
        return NULL;
    }
}

static void types_refuse(struct Binary *binary, const char *what, uint8_t type) {
    const char *proposal = types_proposal(type);

    if (proposal)
        binary_fail(binary, ERROR_UNSUPPORTED, "%s %#x needs the %s proposal", what, type, proposal);
    else
        binary_fail(binary, ERROR_MALFORMED, "malformed %s %#x", what, type);
}

uint8_t types_value(struct Binary *binary) {
    uint8_t type = binary_byte(binary);

    if (__builtin_expect(!types_is_value(type), 0))
        types_refuse(binary, "value type", type);
    return type;
}

enum wasmpool_reference types_reference(struct Binary *binary) {
    uint8_t type = binary_byte(binary);

    if (!types_is_reference(type))
        types_refuse(binary, "reference type", type);
    return type == WASMPOOL_TYPE_EXTERNREF ? WASMPOOL_EXTERNREF : WASMPOOL_FUNCREF;
}

struct TypesLimits {
    uint32_t minimum, maximum;
    bool has_maximum, shared;
};

/* Flags: 1 there is a maximum, 2 shared, 4 of 64 bits, 8 there is a page size. */
static struct TypesLimits types_limits(struct Binary *binary, bool is_memory) {
    uint8_t flags = binary_byte(binary);
    struct TypesLimits limits = {.has_maximum = flags & 1, .shared = flags & 2};
    uint64_t mark = binary->mark;

    if (flags < 16 && flags & 4)
        binary_fail(binary, ERROR_UNSUPPORTED, "64-bit limits need the memory64 proposal");
    else if (flags < 16 && flags & 8 && is_memory)
        binary_fail(binary, ERROR_UNSUPPORTED, "a page size needs the custom-page-sizes proposal");
    else if (flags > 3 || flags == 2 || (flags & 2 && !is_memory))
        binary_fail(binary, ERROR_MALFORMED, "malformed limits flags %#x", flags);
    limits.minimum = binary_u32(binary);
    limits.maximum = limits.has_maximum ? binary_u32(binary) : 0;
    if (binary->result)
        return limits;
    binary->mark = mark;
    if (is_memory && (limits.minimum > WASM_PAGES_MAX || limits.maximum > WASM_PAGES_MAX))
        binary_fail(binary, ERROR_INVALID, "memory size must be at most 65536 pages (4GiB)");
    else if (limits.has_maximum && limits.minimum > limits.maximum)
        binary_fail(binary, ERROR_INVALID, "size minimum must not be greater than maximum");
    return limits;
}

struct wasmpool_memory_type types_memory(struct Binary *binary) {
    struct TypesLimits limits = types_limits(binary, true);

    return (struct wasmpool_memory_type){limits.minimum, limits.maximum, limits.has_maximum, limits.shared};
}

struct wasmpool_table_type types_table(struct Binary *binary) {
    enum wasmpool_reference element;
    struct TypesLimits limits;

    binary_mark(binary);
    if (input_left(&binary->input) && binary_peek(binary) == 0x40)
        binary_fail(binary, ERROR_UNSUPPORTED, "a table with an initialiser needs the function-references proposal");
    element = types_reference(binary);
    limits = types_limits(binary, false);
    return (struct wasmpool_table_type){limits.minimum, limits.maximum, limits.has_maximum, element};
}

struct wasmpool_global_type types_global(struct Binary *binary) {
    struct wasmpool_global_type type = {.content = (enum wasmpool_value_type)types_value(binary)};
    uint8_t mutability = binary_byte(binary);

    if (mutability > 1)
        binary_fail(binary, ERROR_MALFORMED, "malformed mutability %#x", mutability);
    type.is_mutable = mutability;
    return type;
}

static uint32_t types_list(struct Binary *binary, struct Buffer *bytes, const char *limit, uint32_t most) {
    uint32_t n = binary_u32(binary);

    if (n > most)
        binary_fail_limit(binary, limit, most, n);
    else if (n > MODULE_TYPE_BYTES_MAX - bytes->n)
        binary_fail_limit(binary, "module_type_bytes", MODULE_TYPE_BYTES_MAX, (uint64_t)bytes->n + n);
    else if (buffer_reserve(bytes, n))
        binary_fail_errno(binary, -ENOMEM);
    for (uint32_t i = 0; i < n && !binary->result; i++)
        bytes->at[bytes->n++] = types_value(binary);
    return n;
}

struct wasmpool_function_type types_function(struct Binary *binary, struct Buffer *bytes) {
    struct wasmpool_function_type type = {0};
    uint8_t form = binary_byte(binary);

    if (form == 0x5e || form == 0x5f || form == 0x4e || form == 0x4f || form == 0x50)
        binary_fail(binary, ERROR_UNSUPPORTED, "type form %#x needs the gc proposal", form);
    else if (form == 0x5d)
        binary_fail(binary, ERROR_UNSUPPORTED, "type form %#x needs the stack-switching proposal", form);
    else if (form != 0x60)
        binary_fail(binary, ERROR_MALFORMED, "malformed function type %#x", form);
    type.n_parameters = types_list(binary, bytes, "module_type_parameters", MODULE_PARAMETERS_MAX);
    type.n_results = types_list(binary, bytes, "module_type_results", MODULE_RESULTS_MAX);
    return type;
}
