/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"

/* Which sections there may be, and what is valid in them, but for segments. */

/* All are empty vectors here; there is no function to start with. */
Test(section, out_of_order_or_twice_is_malformed) {
    static const uint8_t order[] = {1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11};
    const size_t n = sizeof(order);

    for (size_t first = 0; first < n; first++)
        for (size_t second = 0; second < n; second++) {
            struct wasmpool_module *module = NULL;
            struct Bytes bytes;
            int r, expected = first < second ? 0 : MALFORMED;

            if (order[first] == 8 || (order[second] == 8 && !expected))
                expected = INVALID;
            begin(&bytes);
            put_section(&bytes, order[first], "\0", 1);
            SECTION(&bytes, 0, "\0");
            put_section(&bytes, order[second], "\0", 1);
            r = read_exactly(&module, bytes.at, bytes.n, NULL);
            cr_assert_eq(r, expected, "section %u after %u: %d, not %d", order[second], order[first], r, expected);
            wasmpool_module_free(module);
        }
}

Test(section, of_an_unknown_id_is_malformed) {
    struct Bytes bytes;

    for (int id = 14; id < 256; id++) {
        begin(&bytes);
        put_section(&bytes, (uint8_t)id, "\0", 1);
        expect_refusal(bytes.at, bytes.n, MALFORMED, "at offset 0x8, module: malformed section id");
    }
}

Test(section, sizes_must_be_right) {
    struct Bytes bytes;

    begin(&bytes);
    PUT(&bytes, "\5\5\1\0\1");
    expect_refusal(bytes.at, bytes.n, MALFORMED,
                   "at offset 0x8, module: the memory section announces 5 bytes of 3 that are left");
    begin(&bytes);
    SECTION(&bytes, 5, "\1\0\1\0\0");
    expect_refusal(bytes.at, bytes.n, MALFORMED, "memory: section size mismatch: 2 bytes are left");
    begin(&bytes);
    PUT(&bytes, "\1\xff\xff\xff\xff\xf");
    expect_refusal(bytes.at, bytes.n, MALFORMED, "announces 4294967295 bytes of 0");
}

Test(section, custom_ones_need_a_name_within_them) {
    EXPECT_ITEMS(ITEM(0, "", MALFORMED, "custom: unexpected end"),
                 ITEM(0, "\5four", MALFORMED, "custom: unexpected end"),
                 ITEM(0, "\1\xff", MALFORMED, "custom: malformed UTF-8 encoding"), ITEM(0, "\1xanything", 0, ""));
}

Test(section, types_are_functions_of_known_values) {
    EXPECT_ITEMS(ITEM(1, "\1\x60\0\0", 0, ""), ITEM(1, "\1\x5f\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x5e\x7f\0", UNSUPPORTED, "gc"), ITEM(1, "\1\x4e\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x50\0\x60\0\0", UNSUPPORTED, "gc"), ITEM(1, "\1\x5d\0", UNSUPPORTED, "stack-switching"),
                 ITEM(1, "\1\x61\0\0", MALFORMED, "malformed function type 0x61"),
                 ITEM(1, "\1\0", MALFORMED, "malformed function type 0"),
                 ITEM(1, "\1\x60\1\x63\0", UNSUPPORTED, "function-references"),
                 ITEM(1, "\1\x60\1\x6e\0", UNSUPPORTED, "gc"), ITEM(1, "\1\x60\1\x69\0", UNSUPPORTED, "exnref"),
                 ITEM(1, "\1\x60\1\x67\0", UNSUPPORTED, "stringref"),
                 ITEM(1, "\1\x60\1\x7a\0", MALFORMED, "malformed value type 0x7a"),
                 ITEM(1, "\1\x60\0\1\x40", MALFORMED, "malformed value type 0x40"));
}

Test(section, types_have_at_most_a_thousand_parameters_and_results) {
    for (int list = 0; list < 2; list++)
        for (uint16_t n = 1000; n <= 1001; n++) {
            uint8_t body[1100] = {1, 0x60};
            size_t at = 2;
            struct Bytes bytes;

            if (list)
                body[at++] = 0;
            body[at++] = (uint8_t)(n | 0x80);
            body[at++] = (uint8_t)(n >> 7);
            memset(body + at, 0x7f, n);
            at += n;
            if (!list)
                body[at++] = 0;
            begin(&bytes);
            put_section(&bytes, 1, body, at);
            if (n == 1000)
                wasmpool_module_free(read_well(&bytes));
            else
                expect_refusal(bytes.at, bytes.n, INVALID,
                               list ? "1001 exceeds the limit module_type_results of 1000"
                                    : "1001 exceeds the limit module_type_parameters of 1000");
        }
}

Test(section, imports_are_of_five_kinds) {
    EXPECT_ITEMS(ITEM(2, "\1\1m\1f\0\1", 0, ""), ITEM(2, "\1\1m\1f\0\2", INVALID, "unknown type 2"),
                 ITEM(2, "\1\1m\1t\1\x7f\0\0", MALFORMED, "malformed reference type 0x7f"),
                 ITEM(2, "\1\1m\1m\2\4\1", UNSUPPORTED, "memory64"),
                 ITEM(2, "\1\1m\1g\3\x7f\2", MALFORMED, "malformed mutability"), ITEM(2, "\1\1m\1g\3\x7f\1", 0, ""),
                 ITEM(2, "\1\1m\1e\4\0\1", 0, ""), ITEM(2, "\1\1m\1e\4\1\0", MALFORMED, "malformed tag attribute"),
                 ITEM(2, "\1\1m\1e\4\0\2", INVALID, "unknown type 2"),
                 ITEM(2, "\1\1m\1e\4\0\0", INVALID, "non-empty tag result type"),
                 ITEM(2, "\1\1m\1f\5\0", MALFORMED, "malformed import kind 5"));
}

Test(section, functions_have_a_type_that_exists) {
    EXPECT_ITEMS(ITEM(3, "\1\2", INVALID, "function: unknown type 2"),
                 ITEM(3, "\1\xff\xff\xff\xff\xf", INVALID, "unknown type 4294967295"));
}

Test(section, limits_have_known_flags_and_an_order) {
    EXPECT_ITEMS(ITEM(5, "\1\1\2\2", 0, ""), ITEM(5, "\1\0\x80\x80\4", 0, ""),
                 ITEM(5, "\1\1\3\2", INVALID, "size minimum must not be greater than maximum"),
                 ITEM(4, "\1\x70\1\3\2", INVALID, "size minimum must not be greater than maximum"),
                 ITEM(5, "\1\0\x81\x80\4", INVALID, "at most 65536 pages"),
                 ITEM(5, "\1\1\1\x81\x80\4", INVALID, "at most 65536 pages"),
                 ITEM(5, "\1\2\1", MALFORMED, "malformed limits flags 0x2"), /* shared needs a maximum */
                 ITEM(4, "\1\x70\3\1\2", MALFORMED, "malformed limits flags 0x3"),
                 ITEM(4, "\1\x70\2\1", MALFORMED, "malformed limits flags 0x2"),
                 ITEM(4, "\1\x70\x8\1", MALFORMED, "malformed limits flags 0x8"),
                 ITEM(5, "\1\x10\1", MALFORMED, "malformed limits flags 0x10"),
                 ITEM(5, "\1\x80\1", MALFORMED, "malformed limits flags 0x80"),
                 ITEM(5, "\1\4\1", UNSUPPORTED, "memory64"), ITEM(5, "\1\5\1\2", UNSUPPORTED, "memory64"),
                 ITEM(4, "\1\x70\4\1", UNSUPPORTED, "memory64"),
                 ITEM(5, "\1\x8\1\x10", UNSUPPORTED, "custom-page-sizes"));
}

Test(section, tags_have_an_attribute_and_a_type_without_results) {
    EXPECT_ITEMS(ITEM(13, "\1\0\1", 0, ""), ITEM(13, "\1\1\1", MALFORMED, "tag: malformed tag attribute"),
                 ITEM(13, "\1\0\2", INVALID, "tag: unknown type 2"),
                 ITEM(13, "\1\0\0", INVALID, "tag: non-empty tag result type: type 0 has results"));
}

Test(section, tables_hold_references) {
    EXPECT_ITEMS(ITEM(4, "\1\x7f\0\1", MALFORMED, "malformed reference type 0x7f"),
                 ITEM(4, "\1\x63\x70\0\1", UNSUPPORTED, "function-references"),
                 ITEM(4, "\1\x40\0\x70\0\1\xd0\x70\xb", UNSUPPORTED, "function-references"),
                 ITEM(4, "\1\x6e\0\1", UNSUPPORTED, "gc"));
}

Test(section, globals_have_a_type_and_a_mutability) {
    EXPECT_ITEMS(ITEM(6, "\1\x7f\1\x41\0\xb", 0, ""), ITEM(6, "\1\x7f\2\x41\0\xb", MALFORMED, "malformed mutability"),
                 ITEM(6, "\1\x78\0\x41\0\xb", MALFORMED, "malformed value type 0x78"));
}

Test(section, exports_are_of_five_kinds_and_exist) {
    EXPECT_ITEMS(ITEM(7, "\1\1f\0\0", INVALID, "unknown function 0"), ITEM(7, "\1\1t\1\0", INVALID, "unknown table 0"),
                 ITEM(7, "\1\1m\2\xff\xff\xff\xff\xf", INVALID, "unknown memory 4294967295"),
                 ITEM(7, "\1\1g\3\0", INVALID, "unknown global 0"), ITEM(7, "\1\1e\4\0", INVALID, "unknown tag 0"),
                 ITEM(7, "\1\1x\5\0", MALFORMED, "malformed export kind 5"));
}

Test(section, imported_things_can_be_exported_up_to_the_last) {
    struct Bytes bytes;

    for (char kind = 0; kind < 5; kind++)
        for (char index = 0; index < 2; index++) {
            const char body[] = {1, 1, 'x', kind, index};

            begin(&bytes);
            SECTION(&bytes, 1, TYPES);
            SECTION(&bytes, 2, SOME_IMPORTS);
            put_section(&bytes, 7, body, sizeof(body));
            if (index)
                expect_refusal(bytes.at, bytes.n, INVALID, "export: unknown ");
            else
                wasmpool_module_free(read_well(&bytes));
        }
}

Test(section, export_names_are_unique) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(7, "\2\1a\0\0\1b\0\0", 0, ""), ITEM(7, "\2\1a\0\0\2a\0\0\0", 0, ""),
                              ITEM(7, "\2\1a\0\0\1a\0\0", INVALID, "duplicate export name 'a'"),
                              ITEM(7, "\3\1a\0\0\1b\0\0\1a\2\0", INVALID, "duplicate export name 'a'"),
                              ITEM(7, "\2\0\0\0\0\1\0", INVALID, "duplicate export name ''"),
                              ITEM(7, "\2\3\n\xc3\xa4\0\0\3\n\xc3\xa4\1\0", INVALID, "duplicate export name '\?\?\?'"));
}

Test(section, the_start_function_exists_and_takes_and_gives_nothing) {
    static const struct Before before[] = {BEFORE(1, "\3\x60\0\0\x60\1\x7f\0\x60\0\1\x7f"),
                                           BEFORE(2, "\3\0\0\0\0\0\0\0\1\0\0\0\2")};
    static const struct Item items[] = {ITEM(8, "\0", 0, ""), ITEM(8, "\3", INVALID, "start: unknown function 3"),
                                        ITEM(8, "\1", INVALID, "start function: function 1 has parameters or results"),
                                        ITEM(8, "\2", INVALID, "start function: function 2 has parameters or results"),
                                        ITEM(8, "\0\0", MALFORMED, "start: section size mismatch")};

    expect_items_after(before, 2, items, sizeof(items) / sizeof(items[0]));
}

/* ------------------------------------------------------------------------------------------------ code */

static void expect_code(const char *body, size_t n, int code, const char *says) {
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 1, TYPES);
    SECTION(&bytes, 3, "\2\1\1");
    if (n)
        put_section(&bytes, 10, body, n);
    if (code)
        expect_refusal(bytes.at, bytes.n, code, says);
    else
        wasmpool_module_free(read_well(&bytes));
}

#define EXPECT_CODE(BODY, CODE, SAYS) expect_code(BODY, sizeof(BODY) - 1, CODE, SAYS)

Test(section, code_has_a_body_for_each_function) {
    EXPECT_CODE("\2\2\0\xb\2\0\xb", 0, "");
    EXPECT_CODE("\1\2\0\xb", MALFORMED, "code: function and code section have inconsistent lengths: 2 functions and 1");
    EXPECT_CODE("\3\2\0\xb\2\0\xb\2\0\xb", MALFORMED, "inconsistent lengths");
    EXPECT_CODE("\0", MALFORMED, "inconsistent lengths: 2 functions and 0 bodies");
    EXPECT_CODE("", MALFORMED,
                "module: function and code section have inconsistent lengths: 2 functions and no bodies");
}

Test(section, bodies_are_stepped_over_and_lie_within_the_section) {
    EXPECT_CODE("\2\3\xff\xff\xff\2\xff\xff", 0, ""); /* whatever they say */
    EXPECT_CODE("\2\2\0\xb\3\0\xb", MALFORMED, "code: unexpected end");
    EXPECT_CODE("\2\2\0\xb\xff\xff\xff\xff\xf", MALFORMED, "code: unexpected end");
    EXPECT_CODE("\2\2\0\xb\0", MALFORMED, "a function body of 0 bytes");
    EXPECT_CODE("\2\2\0\xb\1\xb", MALFORMED, "a function body of 1 bytes");
    EXPECT_CODE("\2\2\0\xb\2\0\xb\0", MALFORMED, "code: section size mismatch: 1 bytes are left");
}

/* ------------------------------------------------------------------------------------------------ data count */

Test(section, the_data_count_is_that_of_the_data_section) {
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 12, "\2");
    SECTION(&bytes, 11, "\1\1\0");
    expect_refusal(bytes.at, bytes.n, MALFORMED,
                   "data: data count and data section have inconsistent lengths: 2 announced and 1 there");
    begin(&bytes);
    SECTION(&bytes, 12, "\1");
    SECTION(&bytes, 11, "\1\1\0");
    wasmpool_module_free(read_well(&bytes));
    begin(&bytes);
    SECTION(&bytes, 12, "\2");
    expect_refusal(bytes.at, bytes.n, MALFORMED,
                   "at offset 0xc, module: data count and data section have inconsistent lengths: 2 announced and 0");
    begin(&bytes);
    SECTION(&bytes, 12, "\0");
    wasmpool_module_free(read_well(&bytes));
}
