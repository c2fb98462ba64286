/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"

/* Element and data segments. With the imports there are function 0, table 0 of funcref, memory 0 and global 0, an
 * immutable i32. */

Test(segment, elements_have_eight_forms) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(9, "\1\0\x41\0\xb\1\0", 0, ""), ITEM(9, "\1\1\0\1\0", 0, ""),
                              ITEM(9, "\1\2\0\x41\0\xb\0\1\0", 0, ""), ITEM(9, "\1\3\0\1\0", 0, ""),
                              ITEM(9, "\1\4\x41\0\xb\1\xd2\0\xb", 0, ""), ITEM(9, "\1\5\x70\1\xd2\0\xb", 0, ""),
                              ITEM(9, "\1\6\0\x41\0\xb\x70\1\xd2\0\xb", 0, ""), ITEM(9, "\1\7\x70\1\xd2\0\xb", 0, ""),
                              ITEM(9, "\1\x8\0\1\0", MALFORMED, "malformed element segment flags 0x8"),
                              ITEM(9, "\1\xff\x7f\0\1\0", MALFORMED, "malformed element segment flags 0x3fff"));
}

Test(segment, element_kinds_are_zero) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(9, "\1\1\1\1\0", MALFORMED, "malformed element kind 0x1"),
                              ITEM(9, "\1\2\0\x41\0\xb\x70\1\0", MALFORMED, "malformed element kind 0x70"),
                              ITEM(9, "\1\3\x6f\1\0", MALFORMED, "malformed element kind 0x6f"));
}

Test(segment, element_types_are_references) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(9, "\1\5\0\0", MALFORMED, "malformed reference type 0"),
                              ITEM(9, "\1\5\x7f\0", MALFORMED, "malformed reference type 0x7f"),
                              ITEM(9, "\1\5\x64\0\0", UNSUPPORTED, "function-references"),
                              ITEM(9, "\1\7\x6e\0", UNSUPPORTED, "gc"));
}

Test(segment, active_elements_need_a_table_of_their_type) {
    EXPECT_ITEMS(ITEM(9, "\1\0\x41\0\xb\0", INVALID, "unknown table 0"),
                 ITEM(9, "\1\2\0\x41\0\xb\0\0", INVALID, "unknown table 0"),
                 ITEM(9, "\1\4\x41\0\xb\0", INVALID, "unknown table 0"),
                 ITEM(9, "\1\6\0\x41\0\xb\x70\0", INVALID, "unknown table 0"), ITEM(9, "\1\1\0\0", 0, ""),
                 ITEM(9, "\1\7\x6f\0", 0, ""));
    EXPECT_ITEMS_WITH_IMPORTS(
        ITEM(9, "\1\2\1\x41\0\xb\0\0", INVALID, "unknown table 1"),
        ITEM(9, "\1\6\0\x41\0\xb\x6f\0", INVALID, "type mismatch: elements of type externref for table 0 of funcref"));
}

Test(segment, functions_do_not_go_into_a_table_of_externref) {
    static const struct Before before[] = {BEFORE(4, "\1\x6f\0\1")};
    static const struct Item items[] = {
        ITEM(9, "\1\0\x41\0\xb\0", INVALID, "type mismatch: elements of type funcref for table 0 of externref"),
        ITEM(9, "\1\2\0\x41\0\xb\0\0", INVALID, "type mismatch"), ITEM(9, "\1\4\x41\0\xb\0", INVALID, "type mismatch"),
        ITEM(9, "\1\6\0\x41\0\xb\x70\0", INVALID, "type mismatch"), ITEM(9, "\1\6\0\x41\0\xb\x6f\1\xd0\x6f\xb", 0, "")};

    expect_items_after(before, 1, items, sizeof(items) / sizeof(items[0]));
}

Test(segment, elements_name_functions_that_exist) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(9, "\1\0\x41\0\xb\2\0\1", INVALID, "unknown function 1"),
                              ITEM(9, "\1\3\0\1\1", INVALID, "unknown function 1"),
                              ITEM(9, "\1\4\x41\0\xb\1\xd2\1\xb", INVALID, "unknown function 1"));
}

Test(segment, items_are_of_the_segments_type) {
    EXPECT_ITEMS_WITH_IMPORTS(
        ITEM(9, "\1\5\x70\1\xd0\x6f\xb", INVALID, "the constant expression is of type externref, not funcref"),
        ITEM(9, "\1\5\x6f\1\xd2\0\xb", INVALID, "the constant expression is of type funcref, not externref"),
        ITEM(9, "\1\5\x70\1\x41\0\xb", INVALID, "the constant expression is of type i32, not funcref"),
        ITEM(9, "\1\5\x70\1\x23\0\xb", INVALID, "the constant expression is of type i32, not funcref"),
        ITEM(9, "\1\5\x70\1\xb", INVALID, "gives 0 values, not one funcref"));
}

Test(segment, items_may_be_imported_globals) {
    static const struct Before before[] = {BEFORE(2, "\2\0\0\3\x70\0\0\0\3\x6f\0")};
    static const struct Item items[] = {ITEM(9, "\1\5\x70\1\x23\0\xb", 0, ""), ITEM(9, "\1\5\x6f\1\x23\1\xb", 0, ""),
                                        ITEM(9, "\1\5\x6f\1\x23\0\xb", INVALID, "type mismatch")};
    struct wasmpool_module *module;
    struct Bytes bytes;

    expect_items_after(before, 1, items, sizeof(items) / sizeof(items[0]));
    begin(&bytes);
    put_section(&bytes, 2, before[0].body, before[0].n);
    SECTION(&bytes, 9, "\1\5\x6f\1\x23\1\xb");
    module = read_well(&bytes);
    expect_eq(module->items[0], ITEM_GLOBAL | 1);
    wasmpool_module_free(module);
}

Test(segment, offsets_are_i32) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(9, "\1\0\x42\0\xb\0", INVALID, "the constant expression is of type i64, not i32"),
                              ITEM(9, "\1\0\x23\0\xb\0", 0, ""), ITEM(9, "\1\0\x41\1\x41\2\x6a\xb\0", 0, ""),
                              ITEM(11, "\1\0\x42\0\xb\0", INVALID, "the constant expression is of type i64, not i32"),
                              ITEM(11, "\1\0\x23\0\xb\0", 0, ""),
                              ITEM(11, "\1\0\x23\1\xb\0", INVALID, "unknown global 1"));
}

Test(segment, items_of_all_segments_have_a_limit) {
    struct wasmpool_error error;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 2, "\1\0\0\3\x70\0");
    SECTION(&bytes, 9, "\2\5\x70\1\xd0\x70\xb\5\x70\x80\xad\xe2\4");
    error = expect_refusal(bytes.at, bytes.n, INVALID, "10000001 exceeds the limit module_element_items of 10000000");
    expect_eq(error.ask, 10000001);
}

/* ------------------------------------------------------------------------------------------------ data */

Test(segment, data_has_three_forms) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(11, "\1\0\x41\0\xb\1x", 0, ""), ITEM(11, "\1\1\1x", 0, ""),
                              ITEM(11, "\1\2\0\x41\0\xb\1x", 0, ""),
                              ITEM(11, "\1\3\1x", MALFORMED, "malformed data segment flags 0x3"),
                              ITEM(11, "\1\x80\1\1x", MALFORMED, "malformed data segment flags 0x80"));
}

Test(segment, active_data_needs_a_memory) {
    EXPECT_ITEMS(ITEM(11, "\1\0\x41\0\xb\0", INVALID, "unknown memory 0"),
                 ITEM(11, "\1\2\0\x41\0\xb\0", INVALID, "unknown memory 0"), ITEM(11, "\1\1\0", 0, ""));
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(11, "\1\2\1\x41\0\xb\0", INVALID, "unknown memory 1"));
}

Test(segment, data_ends_within_its_section) {
    EXPECT_ITEMS_WITH_IMPORTS(ITEM(11, "\1\1\3xy", MALFORMED, "data: unexpected end"),
                              ITEM(11, "\1\1\xff\xff\xff\xff\xfxy", MALFORMED, "data: unexpected end"),
                              ITEM(11, "\1\1\1xy", MALFORMED, "data: section size mismatch: 1 bytes are left"));
}

Test(segment, as_many_as_may_be_are_read) {
    const uint32_t n = MODULE_DATA_MAX, size = 3 + 3 * n;
    uint8_t *bytes = malloc(32 + size);
    struct wasmpool_module *module;
    struct wasmpool_error error;
    size_t at = 0;

    memcpy(bytes, HEADER "\xb", 9);
    for (at = 9; at < 14; at++)
        bytes[at] = (uint8_t)(size >> (7 * (at - 9))) | (at < 13 ? 0x80 : 0);
    bytes[13] &= 0x7f;
    memcpy(bytes + at, "\xa0\x8d\6", 3);
    at += 3;
    for (uint32_t i = 0; i < n; i++, at += 3) {
        bytes[at] = 1;
        bytes[at + 1] = 1;
        bytes[at + 2] = (uint8_t)i;
    }
    cr_assert_eq(wasmpool_module_read(&module, bytes, at, &error), 0, "%s", error.message);
    expect_eq(module->counts.data_segments, n);
    for (uint32_t i = 0; i < n; i++)
        expect_eq(*module_data(module, &module->data[i]), (uint8_t)i);
    wasmpool_module_free(module);
    free(bytes);
}
