/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"

/* Constant expressions: what is allowed in one, and its value. */

#define ALLOWED(BODY) ITEM(6, "\1" BODY, 0, "")
#define REFUSED(BODY, CODE, SAYS) ITEM(6, "\1" BODY, CODE, SAYS)

Test(constant, is_of_the_type_that_is_wanted) {
    EXPECT_ITEMS_WITH_IMPORTS(
        ALLOWED("\x7f\0\x41\0\xb"), ALLOWED("\x7e\0\x42\0\xb"), ALLOWED("\x7d\0\x43\0\0\0\0\xb"),
        ALLOWED("\x7c\0\x44\0\0\0\0\0\0\0\0\xb"), ALLOWED("\x70\0\xd0\x70\xb"), ALLOWED("\x6f\0\xd0\x6f\xb"),
        ALLOWED("\x70\0\xd2\0\xb"), ALLOWED("\x7f\0\x23\0\xb"),
        REFUSED("\x7e\0\x41\0\xb", INVALID, "the constant expression is of type i32, not i64"),
        REFUSED("\x7d\0\x44\0\0\0\0\0\0\0\0\xb", INVALID, "of type f64, not f32"),
        REFUSED("\x6f\0\xd0\x70\xb", INVALID, "of type funcref, not externref"),
        REFUSED("\x6f\0\xd2\0\xb", INVALID, "of type funcref, not externref"),
        REFUSED("\x7e\0\x23\0\xb", INVALID, "of type i32, not i64"),
        REFUSED("\x7f\0\xfd\xc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xb", INVALID, "of type v128, not i32"));
}

Test(constant, gives_exactly_one_value) {
    EXPECT_ITEMS(REFUSED("\x7f\0\xb", INVALID, "gives 0 values, not one i32"),
                 REFUSED("\x7f\0\x41\0\x41\0\xb", INVALID, "gives 2 values, not one i32"),
                 REFUSED("\x7f\0\xd0\x70\x41\0\x41\0\x6a\xb", INVALID, "gives 2 values"),
                 REFUSED("\x7b\0\xfd\xc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x41\0\xb", INVALID, "gives 2 values"));
}

Test(constant, operations_have_two_operands_of_their_type) {
    EXPECT_ITEMS(ALLOWED("\x7f\0\x41\1\x41\2\x6a\xb"), ALLOWED("\x7f\0\x41\1\x41\2\x6b\xb"),
                 ALLOWED("\x7f\0\x41\1\x41\2\x6c\xb"), ALLOWED("\x7e\0\x42\1\x42\2\x7c\xb"),
                 ALLOWED("\x7e\0\x42\1\x42\2\x7d\xb"), ALLOWED("\x7e\0\x42\1\x42\2\x7e\xb"),
                 REFUSED("\x7f\0\x6a\xb", INVALID, "needs two operands of type i32"),
                 REFUSED("\x7f\0\x41\1\x6a\xb", INVALID, "needs two operands of type i32"),
                 REFUSED("\x7f\0\x41\1\x42\1\x6a\xb", INVALID, "needs two operands of type i32"),
                 REFUSED("\x7e\0\x41\1\x41\1\x7c\xb", INVALID, "needs two operands of type i64"),
                 REFUSED("\x7e\0\x41\1\x41\1\x6a\xb", INVALID, "of type i32, not i64"));
}

Test(constant, consists_of_constant_instructions) {
    EXPECT_ITEMS(REFUSED("\x7f\0\x10\0\xb", INVALID, "constant expression required: opcode 0x10 is not allowed"),
                 REFUSED("\x7f\0\x41\0\x45\xb", INVALID, "opcode 0x45"),
                 REFUSED("\x7f\0\x1\xb", INVALID, "opcode 0x1 is not allowed"),
                 REFUSED("\x7b\0\xfd\xd\xb", INVALID, "opcode 0xfd 0xd"),
                 REFUSED("\x7f\0\xfc\0\xb", INVALID, "opcode 0xfc"),
                 REFUSED("\x7f\0\xfb\x1c\xb", UNSUPPORTED, "gc proposal"),
                 REFUSED("\x7f\0\xff\xb", MALFORMED, "illegal opcode 0xff"),
                 REFUSED("\x7f\0\x27\xb", MALFORMED, "illegal opcode 0x27"),
                 REFUSED("\x7f\0\x41\0", MALFORMED, "unexpected end"), REFUSED("\x70\0\xd0\x6e\xb", UNSUPPORTED, "gc"),
                 REFUSED("\x70\0\xd0\x7f\xb", MALFORMED, "malformed reference type 0x7f"));
}

Test(constant, names_functions_and_globals_that_exist) {
    EXPECT_ITEMS_WITH_IMPORTS(REFUSED("\x70\0\xd2\1\xb", INVALID, "unknown function 1"),
                              REFUSED("\x7f\0\x23\1\xb", INVALID, "unknown global 1"));
    /* What is defined is not imported, be it before. */
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(6, "\2\x7f\0\x41\0\xb\x7f\0\x23\1\xb", INVALID,
                                   "unknown global 1: a constant expression can only use imported globals"));
}

Test(constant, does_not_depend_on_what_is_mutable) {
    static const struct Before before[] = {BEFORE(2, "\1\0\0\3\x7f\1")};
    static const struct Item items[] = {
        REFUSED("\x7f\0\x23\0\xb", INVALID, "constant expression required: global 0 is mutable")};

    expect_items_after(before, 1, items, 1);
}

Test(constant, has_a_limited_depth) {
    for (unsigned depth = CONSTANT_DEPTH_MAX; depth <= CONSTANT_DEPTH_MAX + 1; depth++) {
        uint8_t body[2048] = {1, 0x7f, 0};
        size_t n = 3;
        struct Bytes bytes;

        for (unsigned i = 0; i < depth; i++, n += 2) {
            body[n] = 0x41;
            body[n + 1] = 1;
        }
        for (unsigned i = 1; i < depth; i++)
            body[n++] = 0x6a;
        body[n++] = 0x0b;
        begin(&bytes);
        put_section(&bytes, 6, body, n);
        if (depth == CONSTANT_DEPTH_MAX)
            wasmpool_module_free(read_well(&bytes));
        else
            expect_refusal(bytes.at, bytes.n, INVALID, "257 exceeds the limit constant_depth of 256");
    }
}

/* ------------------------------------------------------------------------------------------------ values */

static struct wasmpool_func_ref functions[3];
static union wasmpool_global_definition imported;

static const union wasmpool_global_definition *global_of(void *instance, uint32_t index) {
    cr_assert_eq(instance, (void *)functions);
    expect_eq(index, 0);
    return &imported;
}

static struct wasmpool_func_ref *function_of(void *instance, uint32_t index) {
    cr_assert_eq(instance, (void *)functions);
    return &functions[index];
}

/* The value of a global of a module with the usual imports. */
static union wasmpool_global_definition evaluate(const char *body, size_t n, int kind) {
    union wasmpool_global_definition value;
    struct ConstantScope scope = {.global = global_of, .function = function_of, .instance = functions};
    struct wasmpool_module *module;
    struct Bytes bytes;

    memset(&value, 0xa5, sizeof(value));
    begin(&bytes);
    SECTION(&bytes, 1, TYPES);
    SECTION(&bytes, 2, SOME_IMPORTS);
    put_section(&bytes, 6, body, n);
    module = read_well(&bytes);
    scope.expressions = module->expressions;
    expect_eq(module->globals[1].init.kind, kind);
    constant_evaluate(&module->globals[1].init, &scope, &value);
    wasmpool_module_free(module);
    return value;
}

#define EVALUATE(BODY, KIND) evaluate("\1" BODY, sizeof(BODY), KIND)

/* All 16 bytes: the value, then zeroes. */
static void expect_value(union wasmpool_global_definition actual, uint64_t low, uint64_t high) {
    uint64_t halves[2];

    memcpy(halves, &actual, sizeof(halves));
    expect_eq(halves[0], low);
    expect_eq(halves[1], high);
}

Test(constant, numbers_are_their_bits) {
    expect_value(EVALUATE("\x7f\0\x41\x7f\xb", CONSTANT_VALUE), UINT32_MAX, 0);
    expect_value(EVALUATE("\x7f\0\x41\xff\xff\xff\xff\7\xb", CONSTANT_VALUE), INT32_MAX, 0);
    expect_value(EVALUATE("\x7f\0\x41\x80\x80\x80\x80\x78\xb", CONSTANT_VALUE), UINT64_C(1) << 31, 0);
    expect_value(EVALUATE("\x7e\0\x42\x7f\xb", CONSTANT_VALUE), UINT64_MAX, 0);
    expect_value(EVALUATE("\x7e\0\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\xb", CONSTANT_VALUE), UINT64_C(1) << 63,
                 0);
    expect_value(EVALUATE("\x7d\0\x43\0\0\xc0\x7f\xb", CONSTANT_VALUE), 0x7fc00000, 0);
    expect_value(EVALUATE("\x7c\0\x44\1\2\3\4\5\6\7\x8\xb", CONSTANT_VALUE), UINT64_C(0x0807060504030201), 0);
    expect_value(EVALUATE("\x7b\0\xfd\xc\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf\x10\xb", CONSTANT_V128),
                 UINT64_C(0x0807060504030201), UINT64_C(0x100f0e0d0c0b0a09));
}

Test(constant, references_are_pointers) {
    expect_value(EVALUATE("\x70\0\xd0\x70\xb", CONSTANT_NULL), 0, 0);
    expect_value(EVALUATE("\x6f\0\xd0\x6f\xb", CONSTANT_NULL), 0, 0);
    expect_value(EVALUATE("\x70\0\xd2\0\xb", CONSTANT_FUNCTION), (uintptr_t)&functions[0], 0);
}

Test(constant, globals_are_read_as_wide_as_their_type) {
    memset(&imported, 0x77, sizeof(imported));
    expect_value(EVALUATE("\x7f\0\x23\0\xb", CONSTANT_GLOBAL), 0x77777777, 0);
}

Test(constant, extended_ones_are_computed_modulo_their_width) {
    memset(&imported, 0xff, sizeof(imported));
    imported.i32 = 7;
    expect_value(EVALUATE("\x7f\0\x23\0\x41\2\x6c\x41\1\x6a\xb", CONSTANT_EXTENDED), 15, 0);
    expect_value(EVALUATE("\x7f\0\x41\1\x41\2\x6b\xb", CONSTANT_EXTENDED), UINT32_MAX, 0);
    expect_value(EVALUATE("\x7f\0\x41\x7f\x23\0\x6a\xb", CONSTANT_EXTENDED), 6, 0);
    expect_value(EVALUATE("\x7e\0\x42\1\x42\2\x7d\xb", CONSTANT_EXTENDED), UINT64_MAX, 0);
    expect_value(EVALUATE("\x7e\0\x42\3\x42\4\x7e\x42\5\x42\6\x7c\x7d\xb", CONSTANT_EXTENDED), 1, 0);
    expect_value(EVALUATE("\x7e\0\x42\x80\x80\x80\x80\x10\x42\x80\x80\x80\x80\x10\x7e\xb", CONSTANT_EXTENDED), 0, 0);
}

/* Every expression's place in the module is its own. */
Test(constant, several_are_kept_apart) {
    struct ConstantScope scope = {.global = global_of, .function = function_of, .instance = functions};
    union wasmpool_global_definition value;
    struct wasmpool_module *module;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 6,
            "\4\x7f\0\x41\1\x41\2\x6a\xb\x7b\0\xfd\xc\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\xb\x7f\0\x41\7\xb"
            "\x7e\0\x42\3\x42\4\x7e\xb");
    module = read_well(&bytes);
    scope.expressions = module->expressions;
    for (int i = 0; i < 4; i++) {
        static const uint64_t low[4] = {3, 1, 7, 12}, high[4] = {0, 2, 0, 0};

        constant_evaluate(&module->globals[i].init, &scope, &value);
        expect_value(value, low[i], high[i]);
    }
    wasmpool_module_free(module);
}
