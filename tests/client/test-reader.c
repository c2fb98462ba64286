/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"
#include "tests/client/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------ making binaries */

#define BINARY_BYTES 2048
#define HEADER "\0asm\1\0\0\0"

struct Binary {
    uint8_t at[BINARY_BYTES];
    size_t n;
    size_t ends[32]; /* where a section has just ended, and the module could */
    size_t n_ends;
};

static void put(struct Binary *binary, const void *bytes, size_t n) {
    cr_assert_leq(binary->n + n, sizeof(binary->at));
    memcpy(binary->at + binary->n, bytes, n);
    binary->n += n;
    binary->ends[binary->n_ends] = binary->n;
}

/* String literals contain NULs. */
#define PUT(BINARY, LITERAL) put(BINARY, LITERAL, sizeof(LITERAL) - 1)

static void begin(struct Binary *binary) {
    *binary = (struct Binary){0};
    PUT(binary, HEADER);
    binary->n_ends = 1;
}

static void put_section(struct Binary *binary, uint8_t id, const void *body, size_t n) {
    uint8_t head[3] = {id, (uint8_t)(n & 0x7f) | 0x80, (uint8_t)(n >> 7)};

    put(binary, head, 3);
    put(binary, body, n);
    binary->n_ends++;
}

#define SECTION(BINARY, ID, LITERAL) put_section(BINARY, ID, LITERAL, sizeof(LITERAL) - 1)

#define TYPES                                                                                                          \
    "\2\x60\7\x7f\x7e\x7d\x7c\x7b\x70\x6f\1\x7f\x60\0\0" /* 0: all value types -> i32; 1: nothing -> nothing */
#define IMPORTS                                                                                                        \
    "\5"                                                                                                               \
    "\3env\1f\0\0"                                                                                                     \
    "\3env\1t\1\x70\1\2\3"                                                                                             \
    "\3env\1m\2\0\1"                                                                                                   \
    "\3env\1g\3\x7f\0"                                                                                               \
    "\3env\1e\4\0\1"
#define GLOBALS                                                                                                        \
    "\x9"                                                                                                              \
    "\x7f\1\x41\x7f\xb"                                    /* mut i32: -1 */                                           \
    "\x7e\0\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\xb" /* i64: the least */                                       \
    "\x7d\0\x43\0\0\x80\x3f\xb"                            /* f32: 1 */                                                \
    "\x7c\0\x44\0\0\0\0\0\0\xf0\x3f\xb"                    /* f64: 1 */                                                \
    "\x7f\0\x23\0\xb"                                      /* i32: global 0 */                                         \
    "\x7b\0\xfd\xc\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf\x10\xb"                                                       \
    "\x70\0\xd2\0\xb"                                      /* funcref: function 0 */                                   \
    "\x6f\0\xd0\x6f\xb"                                    /* externref: null */                                       \
    "\x7f\0\x23\0\x41\2\x6c\x41\1\x6a\xb"                  /* i32: global 0 * 2 + 1, extended-const */
#define EXPORTS "\6\1e\4\1\3run\0\1\6memory\2\1\5table\1\2\1g\3\x9\0\0\0"

/* Every section once, in order, with custom ones in between. */
static void put_everything(struct Binary *binary) {
    begin(binary);
    SECTION(binary, 0, "\4nameanything");
    SECTION(binary, 1, TYPES);
    SECTION(binary, 2, IMPORTS);
    SECTION(binary, 3, "\2\1\1");
    SECTION(binary, 4, "\2\x6f\1\5\xa\x70\0\0");
    SECTION(binary, 5, "\1\1\1\x80\x80\4"); /* 1 to 65536 pages */
    SECTION(binary, 13, "\1\0\1");
    SECTION(binary, 0, "\0");
    SECTION(binary, 6, GLOBALS);
    SECTION(binary, 7, EXPORTS);
    SECTION(binary, 8, "\1");
    SECTION(binary, 9, "\1\0\x41\0\xb\0");
    SECTION(binary, 12, "\1");
    SECTION(binary, 10, "\2\2\0\xb\2\0\xb");
    SECTION(binary, 11, "\1\0\x41\0\xb\1x");
    SECTION(binary, 0, "\3\xe2\x82\xac");
}

/* Read from memory that ends where the module does: whoever reads on is killed. */
static int read_exactly(struct wasmpool_module **modulep, const void *bytes, size_t n, struct wasmpool_error *error) {
    static uint8_t *room;

    cr_assert_leq(n, BINARY_BYTES);
    if (!room) {
        room = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(room, MAP_FAILED);
        mprotect(room + 4096, 4096, PROT_NONE);
    }
    memcpy(room + 4096 - n, bytes, n);
    return wasmpool_module_read(modulep, room + 4096 - n, n, error);
}

static struct wasmpool_module *read_well(const struct Binary *binary) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;

    cr_assert_eq(read_exactly(&module, binary->at, binary->n, &error), 0, "%s", error.message);
    return module;
}

static void expect_refusal(const void *bytes, size_t n, int code, const char *says) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error = {0};
    int r = read_exactly(&module, bytes, n, &error);

    cr_assert_eq(r, code, "'%s': the result is %d (%s), not %d", says, r, error.message, code);
    expect_eq(error.code, code);
    cr_assert_null(module, "'%s': the module is written", says);
    expect_says(error.message, says);
}

/* ------------------------------------------------------------------------------------------------ what is read */

Test(reader, reads_what_allocation_needs) {
    struct wasmpool_module_counts counts;
    struct wasmpool_module *module;
    struct Binary binary;

    put_everything(&binary);
    module = read_well(&binary);
    wasmpool_module_counts(module, &counts);
    expect_eq(counts.types, 2);
    expect_eq(counts.imported_functions, 1);
    expect_eq(counts.imported_tables, 1);
    expect_eq(counts.imported_memories, 1);
    expect_eq(counts.imported_globals, 1);
    expect_eq(counts.defined_functions, 2);
    expect_eq(counts.defined_tables, 2);
    expect_eq(counts.defined_memories, 1);
    expect_eq(counts.defined_globals, 9);
    expect_eq(counts.exports, 6);
    expect_eq(counts.imported_tags, 1);
    expect_eq(counts.defined_tags, 1);
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
    struct Binary binary;
    uint32_t index;

    put_everything(&binary);
    module = read_well(&binary);
    expect_export(module, "run", WASMPOOL_EXTERNAL_FUNCTION, 1);
    expect_export(module, "memory", WASMPOOL_EXTERNAL_MEMORY, 1);
    expect_export(module, "table", WASMPOOL_EXTERNAL_TABLE, 2);
    expect_export(module, "g", WASMPOOL_EXTERNAL_GLOBAL, 9);
    expect_export(module, "e", WASMPOOL_EXTERNAL_TAG, 1);
    expect_export(module, "", WASMPOOL_EXTERNAL_FUNCTION, 0);
    expect_eq(wasmpool_module_export(module, "ru", &kind, &index), -ENOENT);
    expect_eq(wasmpool_module_export(module, "runs", &kind, &index), -ENOENT);
    wasmpool_module_free(module);
    begin(&binary);
    SECTION(&binary, 1, TYPES);
    SECTION(&binary, 3, "\1\1");
    SECTION(&binary, 7, "\1\3a\0b\0\0");
    module = read_well(&binary);
    expect_eq(wasmpool_module_export(module, "a", &kind, &index), -ENOENT);
    wasmpool_module_free(module);
}

Test(reader, keeps_nothing_of_the_bytes) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct Binary binary;

    put_everything(&binary);
    expect_eq(wasmpool_module_read(&module, binary.at, binary.n, &error), 0);
    memset(binary.at, 0xff, sizeof(binary.at));
    expect_export(module, "memory", WASMPOOL_EXTERNAL_MEMORY, 1);
    wasmpool_module_free(module);
}

Test(reader, an_empty_module_is_one) {
    struct wasmpool_module_counts counts, none = {0};
    struct wasmpool_module *module;
    struct Binary binary;

    begin(&binary);
    module = read_well(&binary);
    wasmpool_module_counts(module, &counts);
    cr_expect_arr_eq(&counts, &none, sizeof(none), "something was counted");
    wasmpool_module_free(module);
}

Test(reader, a_shared_memory_is_read_and_left_to_validation) {
    struct wasmpool_module *module;
    struct Binary binary;

    begin(&binary);
    SECTION(&binary, 5, "\1\3\1\2");
    module = read_well(&binary);
    expect_eq(wasmpool_module_memory(module, 0)->shared, true);
    wasmpool_module_free(module);
}

Test(reader, several_memories_are_read) {
    struct wasmpool_module *module;
    struct Binary binary;

    begin(&binary);
    SECTION(&binary, 5, "\3\0\0\0\7\1\x80\x80\4\x80\x80\4");
    module = read_well(&binary);
    expect_eq(wasmpool_module_memory(module, 1)->minimum, 7);
    expect_eq(wasmpool_module_memory(module, 2)->minimum, 65536);
    wasmpool_module_free(module);
}

/* ------------------------------------------------------------------------------------------ truncated and broken */

/* What ends between two sections is a module, as far as sections that are stepped over do not miss each other. */
Test(reader, a_module_that_is_cut_off_anywhere_is_malformed) {
    struct Binary binary;
    size_t end = 0;

    put_everything(&binary);
    for (size_t cut = 0; cut < binary.n; cut++) {
        struct wasmpool_module *module = NULL;
        struct wasmpool_error error = {0};
        int r = read_exactly(&module, binary.at, cut, &error);

        while (binary.ends[end] < cut)
            end++;
        if (binary.ends[end] == cut && cut >= 8)
            cr_assert(!r || r == WASMPOOL_E_MALFORMED, "%zu bytes of %zu: %d", cut, binary.n, r);
        else
            cr_assert_eq(r, WASMPOOL_E_MALFORMED, "%zu bytes of %zu: %d (%s)", cut, binary.n, r, error.message);
        wasmpool_module_free(module);
    }
}

/* The same within one section whose size is right for what is left. */
Test(reader, a_section_that_is_cut_off_anywhere_is_malformed) {
    static const struct {
        uint8_t id;
        const char *body;
        size_t n;
    } sections[] = {{1, TYPES, sizeof(TYPES) - 1},
                    {2, IMPORTS, sizeof(IMPORTS) - 1},
                    {3, "\2\1\1", 3},
                    {4, "\2\x6f\1\5\xa\x70\0\0", 8},
                    {5, "\1\1\1\x80\x80\4", 6},
                    {6, GLOBALS, sizeof(GLOBALS) - 1},
                    {13, "\2\0\1\0\0", 5}};

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        for (size_t cut = 0; cut < sections[i].n; cut++) {
            struct Binary binary;

            begin(&binary);
            if (sections[i].id > 1)
                SECTION(&binary, 1, TYPES);
            put_section(&binary, sections[i].id, sections[i].body, cut);
            expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "unexpected end");
        }
}

Test(reader, any_byte_may_have_any_value) {
    struct Binary binary;

    put_everything(&binary);
    for (size_t i = 0; i < binary.n; i++) {
        uint8_t right = binary.at[i];

        for (int value = 0; value < 256; value++) {
            struct wasmpool_module *module = NULL;
            int r;

            binary.at[i] = (uint8_t)value;
            r = read_exactly(&module, binary.at, binary.n, NULL);
            cr_assert(!r || r == WASMPOOL_E_MALFORMED || r == WASMPOOL_E_UNSUPPORTED, "byte %zu = %#x: %d", i, value,
                      r);
            wasmpool_module_free(module);
        }
        binary.at[i] = right;
    }
}

Test(reader, counts_are_not_believed) {
    struct Binary binary;

    /* 2^32 - 1 items announced, none there: nothing may be reserved for them, and it must end at once. */
    for (uint8_t id = 1; id <= 7; id++) {
        begin(&binary);
        if (id > 1)
            SECTION(&binary, 1, TYPES);
        put_section(&binary, id, "\xff\xff\xff\xff\xf", 5);
        expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "unexpected end");
    }
}

/* ------------------------------------------------------------------------------------------------ the header */

Test(reader, foreign_bytes_are_no_webassembly) {
    static const char *const foreign[] = {"\177ELF\2\1\1", "#!/bin/sh", "asm\0\1\0\0\0", "\0asn\1\0\0\0", "(module)"};

    expect_refusal("", 0, WASMPOOL_E_MALFORMED, "no WebAssembly binary");
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        expect_refusal(foreign[i], 8, WASMPOOL_E_MALFORMED,
                       "at offset 0, module: magic header not detected: this is no WebAssembly binary");
}

Test(reader, other_versions_are_malformed_and_components_unsupported) {
    expect_refusal("\0asm\2\0\0\0", 8, WASMPOOL_E_MALFORMED, "at offset 0x4, module: unknown binary version");
    expect_refusal("\0asm\0\0\0\0", 8, WASMPOOL_E_MALFORMED, "unknown binary version");
    expect_refusal("\0asm\1\0\0\1", 8, WASMPOOL_E_MALFORMED, "unknown binary version");
    expect_refusal("\0asm\x0d\0\1\0", 8, WASMPOOL_E_UNSUPPORTED, "component");
}

/* ------------------------------------------------------------------------------------------------ sections */

Test(reader, sections_out_of_order_or_twice_are_malformed) {
    static const uint8_t order[] = {1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11};
    const size_t n = sizeof(order);

    /* All are empty vectors here, or stepped over. */
    for (size_t first = 0; first < n; first++)
        for (size_t second = 0; second < n; second++) {
            struct wasmpool_module *module = NULL;
            struct Binary binary;
            int r, expected = first < second ? 0 : WASMPOOL_E_MALFORMED;

            begin(&binary);
            put_section(&binary, order[first], "\0", 1);
            SECTION(&binary, 0, "\0");
            put_section(&binary, order[second], "\0", 1);
            r = read_exactly(&module, binary.at, binary.n, NULL);
            cr_assert_eq(r, expected, "section %u after %u: %d, not %d", order[second], order[first], r, expected);
            wasmpool_module_free(module);
        }
}

Test(reader, unknown_sections_are_malformed) {
    struct Binary binary;

    for (int id = 14; id < 256; id++) {
        begin(&binary);
        put_section(&binary, (uint8_t)id, "\0", 1);
        expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "malformed section id");
    }
}

Test(reader, section_sizes_must_be_right) {
    struct Binary binary;

    begin(&binary);
    PUT(&binary, "\5\5\1\0\1");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED,
                   "at offset 0xa, module: the memory section announces 5 bytes of 3 that are left");
    begin(&binary);
    SECTION(&binary, 5, "\1\0\1\0\0");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "memory: section size mismatch: 2 bytes are left");
    begin(&binary);
    PUT(&binary, "\1\xff\xff\xff\xff\xf");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "announces 4294967295 bytes of 0");
}

Test(reader, custom_sections_need_a_name_within_them) {
    struct Binary binary;

    begin(&binary);
    SECTION(&binary, 0, "");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "custom: unexpected end");
    begin(&binary);
    SECTION(&binary, 0, "\5four");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "custom: unexpected end");
    begin(&binary);
    SECTION(&binary, 0, "\1\xff");
    expect_refusal(binary.at, binary.n, WASMPOOL_E_MALFORMED, "custom: malformed UTF-8 encoding");
}

/* ------------------------------------------------------------------------------------------ what items look like */

struct Item {
    uint8_t section;
    const char *body;
    size_t n;
    int code; /* 0: fine */
    const char *says;
};

#define ITEM(SECTION, BODY, CODE, SAYS) {SECTION, BODY, sizeof(BODY) - 1, CODE, SAYS}
#define MALFORMED WASMPOOL_E_MALFORMED
#define UNSUPPORTED WASMPOOL_E_UNSUPPORTED

/* Each behind a type section with two types. */
static void expect_items(const struct Item *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct Binary binary;

        begin(&binary);
        if (items[i].section != 1)
            SECTION(&binary, 1, TYPES);
        put_section(&binary, items[i].section, items[i].body, items[i].n);
        if (items[i].code)
            expect_refusal(binary.at, binary.n, items[i].code, items[i].says);
        else
            wasmpool_module_free(read_well(&binary));
    }
}

#define EXPECT_ITEMS(...)                                                                                              \
    do {                                                                                                               \
        static const struct Item items_[] = {__VA_ARGS__};                                                             \
        expect_items(items_, sizeof(items_) / sizeof(items_[0]));                                                      \
    } while (0)

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

Test(reader, names_are_utf_8) {
    EXPECT_ITEMS(ITEM(0, "\2\xc2\x80", 0, ""), ITEM(0, "\3\xef\xbf\xbf", 0, ""), ITEM(0, "\4\xf4\x8f\xbf\xbf", 0, ""),
                 ITEM(0, "\3\xed\x9f\xbf", 0, ""), ITEM(0, "\3\xee\x80\x80", 0, ""), ITEM(0, "\1\0", 0, ""),
                 ITEM(0, "\1\x80", MALFORMED, "UTF-8"),              /* begins in the middle */
                 ITEM(0, "\2\xc3x", MALFORMED, "UTF-8"),             /* goes on with something else */
                 ITEM(0, "\1\xc3\x80", MALFORMED, "UTF-8"),          /* goes on behind the name */
                 ITEM(0, "\2\xc1\xbf", MALFORMED, "UTF-8"),          /* over-long */
                 ITEM(0, "\3\xe0\x9f\xbf", MALFORMED, "UTF-8"),
                 ITEM(0, "\4\xf0\x8f\xbf\xbf", MALFORMED, "UTF-8"),
                 ITEM(0, "\3\xed\xa0\x80", MALFORMED, "UTF-8"),      /* a surrogate */
                 ITEM(0, "\3\xed\xbf\xbf", MALFORMED, "UTF-8"),
                 ITEM(0, "\4\xf4\x90\x80\x80", MALFORMED, "UTF-8"),  /* above 10FFFF */
                 ITEM(0, "\5\xf8\x88\x80\x80\x80", MALFORMED, "UTF-8"), ITEM(0, "\1\xff", MALFORMED, "UTF-8"));
}

Test(reader, names_of_imports_and_exports_are_utf_8_too) {
    EXPECT_ITEMS(ITEM(2, "\1\1\xff\1f\0\0", MALFORMED, "import: malformed UTF-8"),
                 ITEM(2, "\1\1m\1\xff\0\0", MALFORMED, "import: malformed UTF-8"),
                 ITEM(7, "\1\1\xff\0\0", MALFORMED, "export: malformed UTF-8"));
}

Test(reader, types_are_functions_of_known_values) {
    EXPECT_ITEMS(ITEM(1, "\1\x60\0\0", 0, ""), ITEM(1, "\1\x5f\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x5e\x7f\0", UNSUPPORTED, "gc"), ITEM(1, "\1\x4e\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x50\0\x60\0\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x61\0\0", MALFORMED, "malformed function type 0x61"),
                 ITEM(1, "\1\0", MALFORMED, "malformed function type 0"),
                 ITEM(1, "\1\x60\1\x63\0", UNSUPPORTED, "function-references"),
                 ITEM(1, "\1\x60\1\x6e\0", UNSUPPORTED, "gc"),
                 ITEM(1, "\1\x60\1\x7a\0", MALFORMED, "malformed value type 0x7a"),
                 ITEM(1, "\1\x60\0\1\x40", MALFORMED, "malformed value type 0x40"));
}

Test(reader, imports_are_of_five_kinds) {
    EXPECT_ITEMS(ITEM(2, "\1\1m\1f\0\1", 0, ""), ITEM(2, "\1\1m\1f\0\2", MALFORMED, "unknown type 2"),
                 ITEM(2, "\1\1m\1t\1\x7f\0\0", MALFORMED, "malformed reference type 0x7f"),
                 ITEM(2, "\1\1m\1m\2\4\1", UNSUPPORTED, "memory64"),
                 ITEM(2, "\1\1m\1g\3\x7f\2", MALFORMED, "malformed mutability"),
                 ITEM(2, "\1\1m\1e\4\0\1", 0, ""), ITEM(2, "\1\1m\1e\4\1\0", MALFORMED, "malformed tag attribute"),
                 ITEM(2, "\1\1m\1e\4\0\2", MALFORMED, "unknown type 2"),
                 ITEM(2, "\1\1m\1f\5\0", MALFORMED, "malformed import kind 5"));
}

Test(reader, functions_have_a_type_that_exists) {
    EXPECT_ITEMS(ITEM(3, "\2\0\1", 0, ""), ITEM(3, "\1\2", MALFORMED, "function: unknown type 2"),
                 ITEM(3, "\1\xff\xff\xff\xff\xf", MALFORMED, "unknown type 4294967295"));
}

Test(reader, limits_have_known_flags_and_an_order) {
    EXPECT_ITEMS(ITEM(5, "\1\1\2\2", 0, ""), ITEM(5, "\1\0\x80\x80\4", 0, ""),
                 ITEM(5, "\1\1\3\2", MALFORMED, "size minimum must not be greater than maximum"),
                 ITEM(4, "\1\x70\1\3\2", MALFORMED, "size minimum must not be greater than maximum"),
                 ITEM(5, "\1\0\x81\x80\4", MALFORMED, "at most 65536 pages"),
                 ITEM(5, "\1\1\1\x81\x80\4", MALFORMED, "at most 65536 pages"),
                 ITEM(5, "\1\2\1", MALFORMED, "malformed limits flags 0x2"), /* shared needs a maximum */
                 ITEM(4, "\1\x70\3\1\2", MALFORMED, "malformed limits flags 0x3"),
                 ITEM(4, "\1\x70\2\1", MALFORMED, "malformed limits flags 0x2"),
                 ITEM(5, "\1\x10\1", MALFORMED, "malformed limits flags 0x10"),
                 ITEM(5, "\1\x80\1", MALFORMED, "malformed limits flags 0x80"),
                 ITEM(5, "\1\4\1", UNSUPPORTED, "memory64"), ITEM(5, "\1\5\1\2", UNSUPPORTED, "memory64"),
                 ITEM(4, "\1\x70\4\1", UNSUPPORTED, "memory64"),
                 ITEM(5, "\1\x8\1\x10", UNSUPPORTED, "custom-page-sizes"));
}

Test(reader, tags_have_an_attribute_and_a_type_that_exists) {
    EXPECT_ITEMS(ITEM(13, "\1\0\1", 0, ""), ITEM(13, "\1\1\1", MALFORMED, "tag: malformed tag attribute"),
                 ITEM(13, "\1\0\2", MALFORMED, "tag: unknown type 2"));
}

Test(reader, tables_hold_references) {
    EXPECT_ITEMS(ITEM(4, "\1\x7f\0\1", MALFORMED, "malformed reference type 0x7f"),
                 ITEM(4, "\1\x63\x70\0\1", UNSUPPORTED, "function-references"),
                 ITEM(4, "\1\x40\0\x70\0\1\xd0\x70\xb", UNSUPPORTED, "function-references"),
                 ITEM(4, "\1\x6e\0\1", UNSUPPORTED, "gc"), ITEM(6, "\1\x70\0\xd0\x6e\xb", UNSUPPORTED, "gc"),
                 ITEM(6, "\1\x70\0\xd0\x7f\xb", MALFORMED, "malformed reference type 0x7f"));
}

Test(reader, globals_are_constant) {
    EXPECT_ITEMS(ITEM(6, "\1\x7f\1\x41\0\xb", 0, ""), ITEM(6, "\1\x7f\2\x41\0\xb", MALFORMED, "malformed mutability"),
                 ITEM(6, "\1\x78\0\x41\0\xb", MALFORMED, "malformed value type 0x78"),
                 ITEM(6, "\1\x7f\0\x10\0\xb", MALFORMED, "opcode 0x10 is not allowed in a constant expression"),
                 ITEM(6, "\1\x7f\0\x41\0\x45\xb", MALFORMED, "opcode 0x45"),
                 ITEM(6, "\1\x7b\0\xfd\xd\xb", MALFORMED, "opcode 0xfd"),
                 ITEM(6, "\1\x7f\0\x41\0", MALFORMED, "unexpected end"));
}

Test(reader, exports_are_of_five_kinds_and_exist) {
    EXPECT_ITEMS(ITEM(7, "\1\1f\0\0", MALFORMED, "export of unknown index 0"),
                 ITEM(7, "\1\1t\1\0", MALFORMED, "export of unknown index 0"),
                 ITEM(7, "\1\1m\2\xff\xff\xff\xff\xf", MALFORMED, "export of unknown index 4294967295"),
                 ITEM(7, "\1\1g\3\0", MALFORMED, "export of unknown index 0"),
                 ITEM(7, "\1\1e\4\0", MALFORMED, "export of unknown index 0"),
                 ITEM(7, "\1\1x\5\0", MALFORMED, "malformed export kind 5"));
}

Test(reader, imported_things_can_be_exported_up_to_the_last) {
    struct Binary binary;

    for (char kind = 0; kind < 5; kind++) {
        char body[] = {1, 1, 'x', kind, 0};

        begin(&binary);
        SECTION(&binary, 1, TYPES);
        SECTION(&binary, 2, IMPORTS);
        put_section(&binary, 7, body, sizeof(body));
        wasmpool_module_free(read_well(&binary));
        body[4] = 1;
        begin(&binary);
        SECTION(&binary, 1, TYPES);
        SECTION(&binary, 2, IMPORTS);
        put_section(&binary, 7, body, sizeof(body));
        expect_refusal(binary.at, binary.n, MALFORMED, "export of unknown index 1");
    }
}

Test(reader, errors_say_where) {
    struct Binary binary;

    begin(&binary);
    SECTION(&binary, 1, TYPES);
    SECTION(&binary, 3, "\2\0\7");
    expect_refusal(binary.at, binary.n, MALFORMED, "function: unknown type 7");
    expect_refusal(binary.at, binary.n, MALFORMED, "at offset 0x20, ");
    expect_eq(binary.n, 0x20);
}

/* ------------------------------------------------------------------------------------------------ files */

struct File {
    char directory[64], path[128];
};

static void file_init(struct File *file, const char *name, const void *bytes, size_t n) {
    int fd;

    strcpy(file->directory, "/tmp/wasmpool-reader-XXXXXX");
    cr_assert_not_null(mkdtemp(file->directory));
    snprintf(file->path, sizeof(file->path), "%s/%s", file->directory, name);
    fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void file_deinit(struct File *file) {
    unlink(file->path);
    rmdir(file->directory);
}

static int read_file(const char *path, struct wasmpool_error *error) {
    struct wasmpool_module *module = NULL;
    int r = wasmpool_module_read_file(&module, path, error);

    cr_assert(!r == !!module, "%s: %d, and the module is %p", path, r, (void *)module);
    wasmpool_module_free(module);
    return r;
}

Test(reader, a_file_is_read_and_named_after_itself) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct Binary binary;
    struct File file;

    put_everything(&binary);
    file_init(&file, "photo.wasm", binary.at, binary.n);
    cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "%s", error.message);
    expect_str(module->label, "photo.wasm");
    expect_export(module, "memory", WASMPOOL_EXTERNAL_MEMORY, 1);
    wasmpool_module_free(module);
    file_deinit(&file);
}

Test(reader, a_file_without_a_module_is_told_apart_from_one_that_cannot_be_read) {
    struct wasmpool_error error;
    struct Binary binary;
    struct File file;

    put_everything(&binary);
    file_init(&file, "empty.wasm", "", 0);
    expect_eq(read_file(file.path, &error), WASMPOOL_E_MALFORMED);
    expect_says(error.message, "the file is empty");
    expect_says(error.message, file.path);
    file_deinit(&file);
    file_init(&file, "half.wasm", binary.at, 50);
    expect_eq(read_file(file.path, &error), WASMPOOL_E_MALFORMED);
    file_deinit(&file);
    expect_eq(read_file(file.path, &error), -ENOENT);
    expect_says(error.message, file.path);
    expect_eq(read_file("/tmp", &error), -EISDIR);
    expect_eq(read_file("/proc/self/exe", &error), WASMPOOL_E_MALFORMED); /* an ELF */
    expect_says(error.message, "no WebAssembly binary");
    expect_eq(read_file("/dev/null", &error), -EINVAL);
}

/* Nobody writes to it: opening it the usual way would wait for ever. */
Test(reader, a_fifo_is_refused_at_once, .timeout = 10) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "fifo", "", 0);
    unlink(file.path);
    cr_assert_eq(mkfifo(file.path, 0600), 0);
    expect_eq(read_file(file.path, &error), -EINVAL);
    file_deinit(&file);
}

Test(reader, a_file_that_may_not_be_read_is_an_errno) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "secret.wasm", HEADER, 8);
    cr_assert_eq(chmod(file.path, 0), 0);
    if (!geteuid()) /* who may read everything */
        cr_assert_eq(chmod(file.directory, 0755) + seteuid(65534), 0);
    expect_eq(read_file(file.path, &error), -EACCES);
    if (!getuid())
        cr_assert_eq(seteuid(0), 0);
    file_deinit(&file);
}
