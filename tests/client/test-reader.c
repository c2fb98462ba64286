/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"

#include "client/binary.h"

#include <errno.h>

/* What is read, and what no binary may do to the reader. Sections' rules are tested in test-section.c and
 * test-segment.c, files in test-input.c. */

Test(reader, counts_what_there_is) {
    struct wasmpool_module_counts counts;
    struct wasmpool_module *module;
    struct Bytes bytes;

    put_everything(&bytes);
    module = read_well(&bytes);
    wasmpool_module_counts(module, &counts);
    expect_eq(counts.types, 2);
    expect_eq(counts.imports, 5);
    expect_eq(counts.imported_functions, 1);
    expect_eq(counts.imported_tables, 1);
    expect_eq(counts.imported_memories, 1);
    expect_eq(counts.imported_globals, 1);
    expect_eq(counts.imported_tags, 1);
    expect_eq(counts.defined_functions, 2);
    expect_eq(counts.defined_tables, 2);
    expect_eq(counts.defined_memories, 1);
    expect_eq(counts.defined_globals, 9);
    expect_eq(counts.defined_tags, 1);
    expect_eq(counts.exports, 6);
    expect_eq(counts.element_segments, 8);
    expect_eq(counts.data_segments, 3);
    expect_eq(counts.escaped_functions, 3);
    wasmpool_module_free(module);
}

Test(reader, keeps_the_types_of_memories_and_tables) {
    struct wasmpool_module *module;
    struct Bytes bytes;

    put_everything(&bytes);
    module = read_well(&bytes);
    expect_eq(wasmpool_module_memory(module, 0)->minimum, 1);
    expect_eq(wasmpool_module_memory(module, 0)->maximum, 65536);
    expect_eq(wasmpool_module_memory(module, 0)->has_maximum, true);
    expect_eq(wasmpool_module_memory(module, 0)->shared, false);
    expect_eq(wasmpool_module_table(module, 0)->element, WASMPOOL_EXTERNREF);
    expect_eq(wasmpool_module_table(module, 0)->minimum, 5);
    expect_eq(wasmpool_module_table(module, 0)->maximum, 10);
    expect_eq(wasmpool_module_table(module, 1)->element, WASMPOOL_FUNCREF);
    expect_eq(wasmpool_module_table(module, 1)->has_maximum, false);
    wasmpool_module_free(module);
}

Test(reader, keeps_the_segments) {
    static const struct ModuleElement expected[8] = {
        {.mode = SEGMENT_ACTIVE, .type = WASMPOOL_FUNCREF, .table = 0, .first_item = 0, .n_items = 2},
        {.mode = SEGMENT_PASSIVE, .type = WASMPOOL_FUNCREF, .first_item = 2, .n_items = 1},
        {.mode = SEGMENT_ACTIVE, .type = WASMPOOL_FUNCREF, .table = 0, .first_item = 3, .n_items = 1},
        {.mode = SEGMENT_DECLARED, .type = WASMPOOL_FUNCREF, .first_item = 4, .n_items = 1},
        {.mode = SEGMENT_ACTIVE, .type = WASMPOOL_FUNCREF, .table = 0, .first_item = 5, .n_items = 2},
        {.mode = SEGMENT_PASSIVE, .type = WASMPOOL_EXTERNREF, .first_item = 7, .n_items = 1},
        {.mode = SEGMENT_ACTIVE, .type = WASMPOOL_EXTERNREF, .table = 1, .first_item = 8, .n_items = 1},
        {.mode = SEGMENT_DECLARED, .type = WASMPOOL_FUNCREF, .first_item = 9, .n_items = 1},
    };
    static const uint32_t items[10] = {0, 1, 2, 2, 0, ITEM_NULL, 1, ITEM_NULL, ITEM_NULL, 2};
    struct wasmpool_module *module;
    struct Bytes bytes;

    put_everything(&bytes);
    module = read_well(&bytes);
    for (int i = 0; i < 8; i++) {
        expect_eq(module->elements[i].mode, expected[i].mode);
        expect_eq(module->elements[i].type, expected[i].type);
        expect_eq(module->elements[i].table, expected[i].table);
        expect_eq(module->elements[i].first_item, expected[i].first_item);
        expect_eq(module->elements[i].n_items, expected[i].n_items);
    }
    for (int i = 0; i < 10; i++)
        expect_eq(module->items[i], items[i]);
    expect_eq(module->elements[0].offset.value, 1);
    expect_eq(module->data[0].mode, SEGMENT_ACTIVE);
    expect_eq(module->data[1].mode, SEGMENT_PASSIVE);
    expect_eq(module->data[2].memory, 1);
    expect_eq(module->data[2].offset.kind, CONSTANT_GLOBAL);
    expect_eq(module->data[1].bytes, 3);
    cr_expect_arr_eq(module_data(module, &module->data[1]), "abc", 3);
    cr_expect_arr_eq(module_data(module, &module->data[2]), "yz", 2);
    wasmpool_module_free(module);
}

static void expect_export(const struct wasmpool_module *module, const char *name, enum wasmpool_external kind,
                          uint32_t index) {
    enum wasmpool_external found_kind = (enum wasmpool_external)77;
    uint32_t found = 77;

    cr_assert_eq(wasmpool_module_export(module, name, &found_kind, &found), 0, "there is no export '%s'", name);
    expect_eq(found_kind, kind);
    expect_eq(found, index);
}

Test(reader, finds_exports_by_their_whole_names) {
    enum wasmpool_external kind;
    struct wasmpool_module *module;
    struct Bytes bytes;
    uint32_t index;

    put_everything(&bytes);
    module = read_well(&bytes);
    expect_export(module, "run", WASMPOOL_EXTERNAL_FUNCTION, 1);
    expect_export(module, "memory", WASMPOOL_EXTERNAL_MEMORY, 1);
    expect_export(module, "table", WASMPOOL_EXTERNAL_TABLE, 2);
    expect_export(module, "g", WASMPOOL_EXTERNAL_GLOBAL, 9);
    expect_export(module, "e", WASMPOOL_EXTERNAL_TAG, 1);
    expect_export(module, "", WASMPOOL_EXTERNAL_FUNCTION, 0);
    expect_eq(wasmpool_module_export(module, "ru", &kind, &index), -ENOENT);
    expect_eq(wasmpool_module_export(module, "runs", &kind, &index), -ENOENT);
    expect_eq(wasmpool_module_export(module, "a", &kind, &index), -ENOENT);
    expect_eq(wasmpool_module_export(module, "z", &kind, &index), -ENOENT);
    wasmpool_module_free(module);
}

Test(reader, names_with_nuls_are_told_apart) {
    enum wasmpool_external kind;
    struct wasmpool_module *module;
    struct wasmpool_export export;
    struct Bytes bytes;
    uint32_t index;

    begin(&bytes);
    SECTION(&bytes, 5, "\1\0\1");
    SECTION(&bytes, 7, "\3\3a\0c\2\0\3a\0b\2\0\2a\0\2\0");
    module = read_well(&bytes);
    expect_eq(wasmpool_module_export(module, "a", &kind, &index), -ENOENT);
    expect_eq(wasmpool_module_export_at(module, 1, &export), 0);
    expect_eq(export.name.bytes, 3);
    cr_expect_arr_eq(export.name.text, "a\0b", 4);
    wasmpool_module_free(module);
}

Test(reader, keeps_nothing_of_the_bytes) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct Bytes bytes;

    put_everything(&bytes);
    expect_eq(wasmpool_module_read(&module, bytes.at, bytes.n, &error), 0);
    memset(bytes.at, 0xff, sizeof(bytes.at));
    expect_export(module, "memory", WASMPOOL_EXTERNAL_MEMORY, 1);
    cr_expect_arr_eq(module_data(module, &module->data[1]), "abc", 3);
    wasmpool_module_free(module);
}

Test(reader, an_empty_module_is_one) {
    struct wasmpool_module_counts counts, none = {0};
    struct wasmpool_module *module;
    struct Bytes bytes;

    begin(&bytes);
    module = read_well(&bytes);
    wasmpool_module_counts(module, &counts);
    cr_expect_arr_eq(&counts, &none, sizeof(none), "something was counted");
    wasmpool_module_free(module);
}

Test(reader, a_shared_memory_is_read_and_left_to_validation) {
    struct wasmpool_module *module;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 5, "\1\3\1\2");
    module = read_well(&bytes);
    expect_eq(wasmpool_module_memory(module, 0)->shared, true);
    wasmpool_module_free(module);
}

Test(reader, several_memories_are_read) {
    struct wasmpool_module *module;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 5, "\3\0\0\0\7\1\x80\x80\4\x80\x80\4");
    module = read_well(&bytes);
    expect_eq(wasmpool_module_memory(module, 1)->minimum, 7);
    expect_eq(wasmpool_module_memory(module, 2)->minimum, 65536);
    wasmpool_module_free(module);
}

/* ------------------------------------------------------------------------------------------ truncated and broken */

/* What ends between two sections is a module, as far as sections do not miss each other. */
Test(reader, a_module_that_is_cut_off_anywhere_is_malformed) {
    struct Bytes bytes;
    size_t end = 0;

    put_everything(&bytes);
    for (size_t cut = 0; cut < bytes.n; cut++) {
        struct wasmpool_module *module = NULL;
        struct wasmpool_error error = {0};
        int r = read_exactly(&module, bytes.at, cut, &error);

        while (bytes.ends[end] < cut)
            end++;
        if (bytes.ends[end] == cut && cut >= 8)
            cr_assert(!r || r == MALFORMED, "%zu bytes of %zu: %d", cut, bytes.n, r);
        else
            cr_assert_eq(r, MALFORMED, "%zu bytes of %zu: %d (%s)", cut, bytes.n, r, error.message);
        wasmpool_module_free(module);
    }
}

/* The same within one section whose size is right for what is left. */
Test(reader, a_section_that_is_cut_off_anywhere_is_malformed) {
    static const struct Before sections[] = {BEFORE(1, TYPES),
                                             BEFORE(2, SOME_IMPORTS),
                                             BEFORE(3, "\2\1\1"),
                                             BEFORE(4, "\2\x6f\1\5\xa\x70\0\0"),
                                             BEFORE(6, GLOBALS),
                                             BEFORE(5, "\1\1\1\x80\x80\4"),
                                             BEFORE(13, "\2\0\1\0\1"),
                                             BEFORE(8, "\0"),
                                             BEFORE(12, "\3"),
                                             BEFORE(9, "\2\0\x41\0\xb\1\0\4\x41\0\xb\1\xd2\0\xb"),
                                             BEFORE(11, "\1\0\x41\0\xb\1x"),
                                             BEFORE(7, "\1\1e\4\0")};

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        for (size_t cut = 0; cut < sections[i].n; cut++) {
            struct Bytes bytes;

            begin(&bytes);
            if (sections[i].section > 1)
                SECTION(&bytes, 1, TYPES);
            if (sections[i].section > 2)
                SECTION(&bytes, 2, SOME_IMPORTS);
            put_section(&bytes, sections[i].section, sections[i].body, cut);
            expect_refusal(bytes.at, bytes.n, MALFORMED, "unexpected end");
        }
}

Test(reader, any_byte_may_have_any_value) {
    struct Bytes bytes;

    put_everything(&bytes);
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t right = bytes.at[i];

        for (int value = 0; value < 256; value++) {
            struct wasmpool_module *module = NULL;
            int r;

            bytes.at[i] = (uint8_t)value;
            r = read_exactly(&module, bytes.at, bytes.n, NULL);
            cr_assert(!r || r == MALFORMED || r == UNSUPPORTED || r == INVALID, "byte %zu = %#x: %d", i, value, r);
            wasmpool_module_free(module);
        }
        bytes.at[i] = right;
    }
}

/* ------------------------------------------------------------------------------------------------ hostile counts */

#define MOST "\xff\xff\xff\xff\xf" /* 2^32 - 1 */

Test(reader, counts_beyond_the_limits_name_them) {
    static const struct {
        uint8_t section;
        const char *limit;
        uint64_t bound;
    } cases[] = {{1, "module_types", 1000000},
                 {2, "module_imports", 1000000},
                 {3, "module_functions", 1000000},
                 {4, "module_tables", 100},
                 {5, "module_memories", 100},
                 {6, "module_globals", 1000000},
                 {13, "module_tags", 1000000},
                 {7, "module_exports", 1000000},
                 {9, "module_element_segments", 100000},
                 {11, "module_data_segments", 100000},
                 {12, "module_data_segments", 100000}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wasmpool_error error;
        struct Bytes bytes;

        begin(&bytes);
        put_section(&bytes, cases[i].section, MOST, 5);
        error = expect_refusal(bytes.at, bytes.n, INVALID, "4294967295 exceeds the limit module_");
        expect_str(error.limit, cases[i].limit);
        expect_eq(error.bound, cases[i].bound);
        expect_eq(error.ask, UINT32_MAX);
    }
}

/* As many as may be are announced and none is there: nothing may be reserved for them, and it must end at once. */
Test(reader, counts_are_not_believed) {
    static const struct Before sections[] = {
        BEFORE(1, "\xc0\x84\x3d"), BEFORE(2, "\xc0\x84\x3d"), BEFORE(3, "\xbf\x84\x3d"),  BEFORE(4, "\x63"),
        BEFORE(5, "\x63"),         BEFORE(6, "\xbf\x84\x3d"), BEFORE(13, "\xbf\x84\x3d"), BEFORE(7, "\xc0\x84\x3d"),
        BEFORE(9, "\xa0\x8d\6"),   BEFORE(11, "\xa0\x8d\6")};

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        struct Bytes bytes;

        begin(&bytes);
        if (sections[i].section > 1)
            SECTION(&bytes, 1, TYPES);
        if (sections[i].section > 2)
            SECTION(&bytes, 2, SOME_IMPORTS);
        put_section(&bytes, sections[i].section, sections[i].body, sections[i].n);
        expect_refusal(bytes.at, bytes.n, MALFORMED, "unexpected end");
    }
}

Test(reader, imported_items_count_towards_the_limits) {
    struct wasmpool_error error;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 1, TYPES);
    SECTION(&bytes, 2, SOME_IMPORTS);
    SECTION(&bytes, 4, "\x64");
    error = expect_refusal(bytes.at, bytes.n, INVALID, "table: 101 exceeds the limit module_tables of 100");
    expect_eq(error.ask, 101);
    begin(&bytes);
    PUT(&bytes, "\2\x9b\5\x65"); /* 101 memories are imported */
    for (int i = 0; i < 101; i++)
        PUT(&bytes, "\1m\0\2\0\1");
    PUT(&bytes, "");
    bytes.at[9] = 0xdf; /* the section's size: 1 + 101 * 6 = 607 */
    bytes.at[10] = 4;
    expect_refusal(bytes.at, bytes.n, INVALID, "import: 101 exceeds the limit module_memories of 100");
}

Test(reader, the_most_of_everything_else_is_refused) {
    EXPECT_ITEMS_WITH_IMPORTS(
        ITEM(0, MOST, MALFORMED, "custom: unexpected end"), ITEM(1, "\1\x60" MOST, INVALID, "module_type_parameters"),
        ITEM(1, "\1\x60\0" MOST, INVALID, "module_type_results"), ITEM(2, "\1" MOST, MALFORMED, "unexpected end"),
        ITEM(2, "\1\1m" MOST, MALFORMED, "unexpected end"), ITEM(3, "\1" MOST, INVALID, "unknown type 4294967295"),
        ITEM(4, "\1\x70\1" MOST "\xfe\xff\xff\xff\xf", INVALID, "minimum"),
        ITEM(5, "\1\0" MOST, INVALID, "at most 65536 pages"), ITEM(13, "\1\0" MOST, INVALID, "unknown type 4294967295"),
        ITEM(6, "\1\x7f\0\x23" MOST "\xb", INVALID, "unknown global 4294967295"),
        ITEM(6, "\1\x70\0\xd2" MOST "\xb", INVALID, "unknown function 4294967295"),
        ITEM(7, "\1" MOST, MALFORMED, "unexpected end"),
        ITEM(7, "\1\1f\0" MOST, INVALID, "unknown function 4294967295"),
        ITEM(8, MOST, INVALID, "unknown function 4294967295"), ITEM(9, "\1" MOST, MALFORMED, "element segment flags"),
        ITEM(9, "\1\2" MOST, INVALID, "unknown table 4294967295"),
        ITEM(9, "\1\1\0" MOST, INVALID, "module_element_items"),
        ITEM(9, "\1\1\0\1" MOST, INVALID, "unknown function 4294967295"),
        ITEM(10, MOST, MALFORMED, "inconsistent lengths"), ITEM(11, "\1" MOST, MALFORMED, "data segment flags"),
        ITEM(11, "\1\2" MOST, INVALID, "unknown memory 4294967295"),
        ITEM(11, "\1\1" MOST, MALFORMED, "unexpected end"));
}

/* ------------------------------------------------------------------------------------------------ the header */

Test(reader, foreign_bytes_are_no_webassembly) {
    static const char *const foreign[] = {"\177ELF\2\1\1", "#!/bin/sh", "asm\0\1\0\0\0", "\0asn\1\0\0\0", "(module)"};

    expect_refusal("", 0, MALFORMED, "no WebAssembly binary");
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        expect_refusal(foreign[i], 8, MALFORMED,
                       "at offset 0, module: magic header not detected: this is no WebAssembly binary");
}

Test(reader, other_versions_are_malformed_and_components_unsupported) {
    expect_refusal("\0asm\2\0\0\0", 8, MALFORMED, "at offset 0x4, module: unknown binary version");
    expect_refusal("\0asm\0\0\0\0", 8, MALFORMED, "unknown binary version");
    expect_refusal("\0asm\1\0\0\1", 8, MALFORMED, "unknown binary version");
    expect_refusal("\0asm\x0d\0\1\0", 8, UNSUPPORTED, "component");
}

/* ------------------------------------------------------------------------------------------------ names */

static void expect_name(const char *body, size_t n, const char *name) {
    struct wasmpool_module *module;
    struct Bytes bytes;

    begin(&bytes);
    put_section(&bytes, 0, body, n);
    SECTION(&bytes, 5, "\1\0\1"); /* is still found behind it */
    module = read_well(&bytes);
    expect_str(wasmpool_module_name(module), name);
    expect_str(module->label, name);
    expect_eq(module->counts.defined_memories, 1);
    wasmpool_module_free(module);
}

#define EXPECT_NAME(BODY, NAME) expect_name(BODY, sizeof(BODY) - 1, NAME)

Test(reader, the_name_section_names_the_module) {
    EXPECT_NAME("\4name\0\5\4blur", "blur");
    EXPECT_NAME("\4name\0\5\4blur\1\7anything", "blur");
    EXPECT_NAME("\4name", "");
    EXPECT_NAME("\4name\1\5\4blur", "");  /* names of functions */
    EXPECT_NAME("\5namex\0\5\4blur", ""); /* another section */
}

Test(reader, a_malformed_name_section_is_ignored) {
    EXPECT_NAME("\4name\0\6\4blur", "");
    EXPECT_NAME("\4name\0\5\5blur", "");
    EXPECT_NAME("\4name\0\4\4blur", "");
    EXPECT_NAME("\4name\0\6\4blurx", ""); /* not all of the subsection */
    EXPECT_NAME("\4name\0\3\2\xc3x", "");
    EXPECT_NAME("\4name\0" MOST "\4blur", "");
    EXPECT_NAME("\4name\0\x80\x80\x80\x80\x80\x80", "");
}

Test(reader, names_are_utf_8) {
    EXPECT_ITEMS(ITEM(0, "\2\xc2\x80", 0, ""), ITEM(0, "\3\xef\xbf\xbf", 0, ""), ITEM(0, "\4\xf4\x8f\xbf\xbf", 0, ""),
                 ITEM(0, "\3\xed\x9f\xbf", 0, ""), ITEM(0, "\3\xee\x80\x80", 0, ""), ITEM(0, "\1\0", 0, ""),
                 ITEM(0, "\1\x80", MALFORMED, "UTF-8"),     /* begins in the middle */
                 ITEM(0, "\2\xc3x", MALFORMED, "UTF-8"),    /* goes on with something else */
                 ITEM(0, "\1\xc3\x80", MALFORMED, "UTF-8"), /* goes on behind the name */
                 ITEM(0, "\2\xc1\xbf", MALFORMED, "UTF-8"), /* over-long */
                 ITEM(0, "\3\xe0\x9f\xbf", MALFORMED, "UTF-8"), ITEM(0, "\4\xf0\x8f\xbf\xbf", MALFORMED, "UTF-8"),
                 ITEM(0, "\3\xed\xa0\x80", MALFORMED, "UTF-8"), /* a surrogate */
                 ITEM(0, "\3\xed\xbf\xbf", MALFORMED, "UTF-8"),
                 ITEM(0, "\4\xf4\x90\x80\x80", MALFORMED, "UTF-8"), /* above 10FFFF */
                 ITEM(0, "\5\xf8\x88\x80\x80\x80", MALFORMED, "UTF-8"),
                 ITEM(2, "\1\1\xff\1f\0\0", MALFORMED, "import: malformed UTF-8"),
                 ITEM(2, "\1\1m\1\xff\0\0", MALFORMED, "import: malformed UTF-8"),
                 ITEM(7, "\1\1\xff\0\0", MALFORMED, "export: malformed UTF-8"));
}

Test(reader, names_have_a_limit) {
    const uint32_t n = MODULE_STRING_BYTES_MAX + 1;
    uint8_t *bytes = malloc(n + 32);
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;

    memset(bytes, 'x', n + 32);
    for (uint32_t name = n - 1; name <= n; name++) {
        const uint32_t section = name + 3;
        const uint8_t head[] = {0,
                                'a',
                                's',
                                'm',
                                1,
                                0,
                                0,
                                0,
                                0,
                                (uint8_t)(section | 0x80),
                                (uint8_t)(section >> 7 | 0x80),
                                (uint8_t)(section >> 14),
                                (uint8_t)(name | 0x80),
                                (uint8_t)(name >> 7 | 0x80),
                                (uint8_t)(name >> 14)};

        memcpy(bytes, head, sizeof(head));
        expect_eq(wasmpool_module_read(&module, bytes, sizeof(head) + name, &error), name == n ? INVALID : 0);
        if (name < n)
            module = wasmpool_module_free(module);
    }
    expect_str(error.limit, "module_string_bytes");
    expect_eq(error.ask, n);
    free(bytes);
}

/* ------------------------------------------------------------------------------------------------ integers */

/* The NUL behind the last name counts too; once the limit is reached nothing more is taken, not even nothing. */
Test(reader, the_limit_of_all_names_cannot_be_stepped_over) {
    struct wasmpool_error error;
    struct Binary binary = {.section = "import", .error = &error};
    uint8_t text[8] = "\7abcdefg";
    struct Buffer names = {.at = malloc(8), .capacity = MODULE_NAMES_BYTES_MAX + 8};

    for (uint64_t n = MODULE_NAMES_BYTES_MAX - 7; n <= MODULE_NAMES_BYTES_MAX + 1; n++) {
        names.n = n;
        binary.result = 0;
        input_init_bytes(&binary.input, text, sizeof(text));
        binary_name(&binary, &names);
        expect_eq(binary.result, INVALID);
        cr_assert_str_eq(error.limit, "module_names_bytes");
        expect_eq(names.n, n);
    }
    free(names.at);
}

Test(reader, integers_are_neither_too_long_nor_too_large) {
    EXPECT_ITEMS(ITEM(5, "\1\0\x81\x80\x80\x80\0", 0, ""), /* 1, with padding: allowed */
                 ITEM(4, "\1\x70\0\xff\xff\xff\xff\xf", 0, ""),
                 ITEM(5, "\1\0\x81\x80\x80\x80\x80\0", MALFORMED, "integer representation too long"),
                 ITEM(4, "\1\x70\0\xff\xff\xff\xff\x1f", MALFORMED, "integer too large"),
                 ITEM(4, "\1\x70\0\xff\xff\xff\xff\x8f\0", MALFORMED, "integer representation too long"),
                 ITEM(5, "\1\0\x80\x80\x80\x80\x10", MALFORMED, "integer too large"),
                 ITEM(5, "\x80\x80\x80\x80\x70", MALFORMED, "integer too large"));
}

Test(reader, signed_integers_carry_copies_of_their_sign) {
    EXPECT_ITEMS(ITEM(6, "\1\x7f\0\x41\x80\x80\x80\x80\x78\xb", 0, ""), /* i32, the least */
                 ITEM(6, "\1\x7f\0\x41\xff\xff\xff\xff\7\xb", 0, ""),   /* the most */
                 ITEM(6, "\1\x7f\0\x41\x80\x80\x80\x80\x70\xb", MALFORMED, "integer too large"),
                 ITEM(6, "\1\x7f\0\x41\xff\xff\xff\xff\xf\xb", MALFORMED, "integer too large"),
                 ITEM(6, "\1\x7f\0\x41\xff\xff\xff\xff\x4f\xb", MALFORMED, "integer too large"),
                 ITEM(6, "\1\x7f\0\x41\xff\xff\xff\xff\xff\x7f\xb", MALFORMED, "integer representation too long"),
                 ITEM(6, "\1\x7e\0\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\xb", 0, ""),
                 ITEM(6, "\1\x7e\0\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\xb", MALFORMED, "integer too large"),
                 ITEM(6, "\1\x7e\0\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7e\xb", MALFORMED, "integer too large"));
}

/* ------------------------------------------------------------------------------------------------ places */

/* The value that is wrong begins where the message says. */
Test(reader, faults_say_where) {
    static const struct {
        struct Item item;
        size_t offset; /* in the section's body */
    } cases[] = {
        {ITEM(0, "\2\xc3x", MALFORMED, ", custom: malformed UTF-8 encoding"), 1},
        {ITEM(1, "\2\x60\0\0\x61", MALFORMED, ", type: malformed function type"), 4},
        {ITEM(1, "\1\x60\2\x7f\x40", MALFORMED, ", type: malformed value type"), 4},
        {ITEM(2, "\2\1m\1f\0\0\1m\1f\0\x82\0", INVALID, ", import: unknown type 2"), 12},
        {ITEM(3, "\2\0\7", INVALID, ", function: unknown type 7"), 2},
        {ITEM(4, "\1\x70\1\3\2", INVALID, ", table: size minimum"), 2},
        {ITEM(5, "\2\0\1\0\x81\x80\4", INVALID, ", memory: memory size"), 3},
        {ITEM(13, "\1\1\1", MALFORMED, ", tag: malformed tag attribute"), 1},
        {ITEM(6, "\1\x7f\0\x42\0\xb", INVALID, ", global: type mismatch"), 3},
        {ITEM(6, "\1\x7f\0\x41\0\x45\xb", INVALID, ", global: constant expression required"), 5},
        {ITEM(7, "\2\1a\0\0\1b\0\1", INVALID, ", export: unknown function 1"), 8},
        {ITEM(7, "\3\1b\0\0\1a\0\0\1b\1\0", INVALID, ", export: duplicate export name 'b'"), 9},
        {ITEM(8, "\1", INVALID, ", start: unknown function 1"), 0},
        {ITEM(9, "\1\x8\0", MALFORMED, ", element: malformed element segment flags 0x8"), 1},
        {ITEM(9, "\1\0\x41\0\xb\1\3", INVALID, ", element: unknown function 3"), 6},
        {ITEM(10, "\1\2\0\xb", MALFORMED, ", code: function and code section"), 0},
        {ITEM(11, "\1\0\x41\0\xb\x5x", MALFORMED, ", data: unexpected end"), 6},
        {ITEM(11, "\1\1\1xy", MALFORMED, ", data: section size mismatch: 1 bytes are left"), 4},
        {ITEM(12, "\xa1\x8d\6", INVALID, ", data count: 100001 exceeds the limit"), 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct Item *item = &cases[i].item;
        struct Bytes bytes;
        char says[128];

        begin(&bytes);
        if (item->section > 1)
            SECTION(&bytes, 1, TYPES);
        if (item->section > 2)
            SECTION(&bytes, 2, SOME_IMPORTS);
        snprintf(says, sizeof(says), "at offset %#zx%s", bytes.n + 3 + cases[i].offset, item->says);
        put_section(&bytes, item->section, item->body, item->n);
        expect_refusal(bytes.at, bytes.n, item->code, says);
    }
}
