/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"
#include "tests/client/fixture.h"

#include <errno.h>

static int describe(const struct wasmpool_module_description *description, struct wasmpool_error *error) {
    struct wasmpool_module *module = (struct wasmpool_module *)error;
    int r = wasmpool_module_describe(&module, description, error);

    if (r)
        cr_assert_eq(module, (struct wasmpool_module *)error, "the module is written although %d is returned", r);
    else
        wasmpool_module_free(module);
    return r;
}

Test(module, description_is_what_is_asked_for_later_and_is_not_kept) {
    struct wasmpool_memory_type memories[] = {{.minimum = 1, .maximum = 2, .has_maximum = true}, {.minimum = 3}};
    struct wasmpool_table_type tables[] = {{.minimum = 4, .element = WASMPOOL_EXTERNREF}};
    char name[] = "thumbs";
    struct wasmpool_module_description description = {.name = name,
                                                      .imported_functions = 10,
                                                      .imported_tables = 11,
                                                      .imported_memories = 12,
                                                      .imported_globals = 13,
                                                      .defined_functions = 14,
                                                      .defined_globals = 15,
                                                      .memories = memories,
                                                      .n_memories = 2,
                                                      .tables = tables,
                                                      .n_tables = 1};
    struct wasmpool_module *module = fixture_describe(&description);
    struct wasmpool_module_counts counts;

    memset(name, 'x', sizeof(name) - 1);
    memset(memories, 0xa5, sizeof(memories));
    memset(tables, 0xa5, sizeof(tables));
    memset(&description, 0xa5, sizeof(description));
    wasmpool_module_counts(module, &counts);
    expect_eq(counts.imported_functions, 10);
    expect_eq(counts.imported_tables, 11);
    expect_eq(counts.imported_memories, 12);
    expect_eq(counts.imported_globals, 13);
    expect_eq(counts.defined_functions, 14);
    expect_eq(counts.defined_globals, 15);
    expect_eq(counts.defined_memories, 2);
    expect_eq(counts.defined_tables, 1);
    expect_eq(counts.types, 0);
    expect_eq(counts.imports, 10 + 11 + 12 + 13);
    expect_eq(counts.exports, 0);
    expect_eq(wasmpool_module_memory(module, 0)->maximum, 2);
    expect_eq(wasmpool_module_memory(module, 0)->has_maximum, true);
    expect_eq(wasmpool_module_memory(module, 1)->minimum, 3);
    expect_eq(wasmpool_module_memory(module, 1)->has_maximum, false);
    expect_eq(wasmpool_module_table(module, 0)->element, WASMPOOL_EXTERNREF);
    expect_str(module->label, "thumbs");
    wasmpool_module_free(module);
}

Test(module, there_is_no_memory_table_or_export_beyond_the_last) {
    struct wasmpool_module *module = fixture_module(2, 1, 1, 1);
    enum wasmpool_external kind;
    uint32_t index;

    cr_expect_not_null(wasmpool_module_memory(module, 1));
    cr_expect_null(wasmpool_module_memory(module, 2));
    cr_expect_null(wasmpool_module_memory(module, UINT32_MAX));
    cr_expect_null(wasmpool_module_table(module, 1));
    expect_eq(wasmpool_module_export(module, "memory", &kind, &index), -ENOENT);
    wasmpool_module_free(module);
}

Test(module, of_nothing_is_a_module_too) {
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){0});

    cr_expect_null(wasmpool_module_memory(module, 0));
    expect_str(module->label, "");
    cr_expect_null(wasmpool_module_free(module));
    cr_expect_null(wasmpool_module_free(NULL));
}

Test(module, maxima_below_minima_are_refused) {
    struct wasmpool_memory_type memories[] = {{.minimum = 9}, {.minimum = 5, .maximum = 4, .has_maximum = true}};
    struct wasmpool_table_type tables[] = {{.minimum = 7, .maximum = 6, .has_maximum = true}};
    struct wasmpool_error error;

    expect_eq(describe(&(struct wasmpool_module_description){.memories = memories, .n_memories = 2}, &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "memory 1 has a minimum of 5 pages and a maximum of 4");
    expect_eq(describe(&(struct wasmpool_module_description){.tables = tables, .n_tables = 1}, &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "table 0 has a minimum of 7 elements and a maximum of 6");
    memories[1].has_maximum = tables[0].has_maximum = false; /* then the maximum means nothing */
    expect_eq(describe(&(struct wasmpool_module_description){.memories = memories, .n_memories = 2}, &error), 0);
    expect_eq(describe(&(struct wasmpool_module_description){.tables = tables, .n_tables = 1}, &error), 0);
}

Test(module, elements_of_unknown_types_are_refused) {
    struct wasmpool_table_type tables[] = {{.minimum = 1}, {.element = (enum wasmpool_reference)2}};
    struct wasmpool_error error;

    expect_eq(describe(&(struct wasmpool_module_description){.tables = tables, .n_tables = 2}, &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "table 1 has elements of an unknown type, 2");
    expect_eq(describe(&(struct wasmpool_module_description){.tables = tables, .n_tables = 2}, NULL),
              WASMPOOL_E_INVALID);
}

Test(module, may_have_many_memories_and_tables) {
    struct wasmpool_memory_type memories[1000] = {0};
    struct wasmpool_table_type tables[1000] = {0};
    struct wasmpool_module *module;

    for (uint32_t i = 0; i < 1000; i++) {
        memories[i].minimum = i;
        tables[i].minimum = i;
    }
    module = fixture_describe(&(struct wasmpool_module_description){
        .memories = memories, .n_memories = 1000, .tables = tables, .n_tables = 1000});
    for (uint32_t i = 0; i < 1000; i++) {
        expect_eq(wasmpool_module_memory(module, i)->minimum, i);
        expect_eq(wasmpool_module_table(module, i)->minimum, i);
    }
    wasmpool_module_free(module);
}

Test(module, index_spaces_of_a_description_end_at_the_last_index) {
    struct wasmpool_memory_type memory = {0};
    struct wasmpool_error error;

    expect_eq(describe(&(struct wasmpool_module_description){.imported_functions = UINT32_MAX, .defined_functions = 1},
                       &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "at most 4294967295 items of a kind");
    expect_eq(describe(&(struct wasmpool_module_description){
                           .imported_memories = UINT32_MAX, .memories = &memory, .n_memories = 1},
                       &error),
              WASMPOOL_E_INVALID);
    expect_eq(describe(&(struct wasmpool_module_description){.imported_globals = UINT32_MAX, .imported_functions = 1},
                       &error),
              WASMPOOL_E_INVALID);
}

Test(module, labels_are_cut_off_and_padded) {
    static const struct {
        const char *text, *label;
    } cases[] = {{NULL, ""},
                 {"", ""},
                 {"short", "short"},
                 {"12345678901234567890123", "12345678901234567890123"},
                 {"123456789012345678901234", "12345678901234567890123"}};
    static const char zeroes[LEASE_LABEL_BYTES];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char label[LEASE_LABEL_BYTES];
        size_t n = strlen(cases[i].label);

        memset(label, 'x', sizeof(label));
        module_label(label, cases[i].text);
        expect_str(label, cases[i].label);
        cr_expect_arr_eq(label + n, zeroes, sizeof(label) - n, "'%s' is not padded", label);
    }
}
