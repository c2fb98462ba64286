/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "tests/client/fixture.h"

#define ONE "total_tables=1"

static struct wasmpool_table allocate(struct Fixture *fixture, uint32_t elements) {
    struct wasmpool_table table;

    expect_result(fixture, fixture_allocate_table(fixture, elements, &table), 0);
    return table;
}

static uint64_t table_bytes(const struct wasmpool_table *table) {
    return (uint64_t)table->current_elements * table->element_size;
}

BothTest(table, has_its_minimum_and_maximum) {
    struct wasmpool_table_type type = {.minimum = 3, .maximum = 5, .has_maximum = true};
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "table_elements=10");
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &table, &fixture.error), 0);
    expect_eq(table.current_elements, 3);
    expect_eq(table.maximum_elements, 5);
    expect_eq(table.element_size, 8);
    wasmpool_deallocate_table(fixture.pool, &table);
    type.maximum = 100;
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &table, &fixture.error), 0);
    expect_eq(table.maximum_elements, 10);
    wasmpool_deallocate_table(fixture.pool, &table);
    table = allocate(&fixture, 10);
    expect_eq(table.maximum_elements, 10);
    wasmpool_deallocate_table(fixture.pool, &table);
    fixture_close(&fixture);
}

BothTest(table, of_no_elements_is_a_table) {
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "table_elements=0");
    for (int i = 0; i < 10; i++) {
        table = allocate(&fixture, 0);
        cr_expect_not_null(table.base);
        expect_eq(table.current_elements, 0);
        expect_eq(wasmpool_grow_table(fixture.pool, &table, 1, NULL), -1);
        expect_eq(wasmpool_grow_table(fixture.pool, &table, 0, NULL), 0);
        wasmpool_deallocate_table(fixture.pool, &table);
    }
    fixture_close(&fixture);
}

BothTest(table, grows_in_place_and_says_its_old_size) {
    struct wasmpool_table table;
    struct Fixture fixture;
    uint64_t *elements;

    fixture_open(&fixture, implementation, ONE, "table_elements=1000");
    table = allocate(&fixture, 2);
    elements = table.base;
    elements[0] = elements[1] = 11;
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 3, &(uint64_t){22}), 2);
    expect_eq(table.current_elements, 5);
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 995, NULL), 5);
    cr_assert_eq(table.base, elements, "it has moved");
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(elements[i], i < 2 ? 11 : i < 5 ? 22 : 0, "element %d is %" PRIu64, i, elements[i]);
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 1, NULL), -1);
    expect_eq(table.current_elements, 1000);
    wasmpool_deallocate_table(fixture.pool, &table);
    fixture_close(&fixture);
}

BothTest(table, does_not_grow_beyond_its_maximum_nor_by_what_overflows) {
    struct wasmpool_table_type type = {.minimum = 2, .maximum = 4, .has_maximum = true};
    static const uint32_t deltas[] = {3, 1000, UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 2};
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &table, &fixture.error), 0);
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        expect_eq(wasmpool_grow_table(fixture.pool, &table, deltas[i], &(uint64_t){22}), -1);
        expect_eq(table.current_elements, 2);
    }
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 2, &(uint64_t){22}), 2);
    expect_eq(((uint64_t *)table.base)[3], 22);
    wasmpool_deallocate_table(fixture.pool, &table);
    fixture_close(&fixture);
}

/* Wasmtime: table_zeroed, with growing. */
static void expect_null_with(enum Implementation implementation, const char *setting) {
    static const struct {
        uint32_t minimum, grown;
    } sizes[] = {{10, 10}, {1, 600}, {0, 20000}, {20000, 20000}, {100000, 100000}};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "table_elements=100000", setting); /* 800 KB */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int round = 0; round < 10; round++) {
            struct wasmpool_table table = allocate(&fixture, sizes[i].minimum);

            expect_zero(table.base, table_bytes(&table));
            expect_eq(wasmpool_grow_table(fixture.pool, &table, sizes[i].grown - sizes[i].minimum, NULL),
                      sizes[i].minimum);
            expect_zero(table.base, table_bytes(&table));
            memset(table.base, 0xfe, table_bytes(&table));
            wasmpool_deallocate_table(fixture.pool, &table);
            table = allocate(&fixture, 100000);
            expect_zero(table.base, table_bytes(&table));
            wasmpool_deallocate_table(fixture.pool, &table);
        }
    fixture_close(&fixture);
}

BothTest(table, is_null_again) {
    expect_null_with(implementation, "table_keep_resident=64G");
}

BothTest(table, is_null_again_when_nothing_is_kept) {
    expect_null_with(implementation, "table_keep_resident=0");
}

BothTest(table, is_null_again_when_a_little_is_kept) {
    expect_null_with(implementation, "table_keep_resident=10000");
}

/* What was grown with a value must be null for the next, which is only as large as it was before. */
BothTest(table, is_null_again_after_it_grew_with_a_value) {
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    table = allocate(&fixture, 1);
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 4999, &(uint64_t){UINT64_MAX}), 1);
    wasmpool_deallocate_table(fixture.pool, &table);
    table = allocate(&fixture, 1);
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 4999, NULL), 1);
    expect_zero(table.base, 5000 * 8);
    wasmpool_deallocate_table(fixture.pool, &table);
    fixture_close(&fixture);
}

static void allocate_both(struct Fixture *fixture, struct wasmpool_table *funcrefs, struct wasmpool_table *externrefs) {
    struct wasmpool_table_type type = {.minimum = 1000, .element = WASMPOOL_FUNCREF};

    expect_result(fixture, wasmpool_allocate_table(fixture->pool, &type, NULL, funcrefs, &fixture->error), 0);
    type.element = WASMPOOL_EXTERNREF;
    expect_result(fixture, wasmpool_allocate_table(fixture->pool, &type, NULL, externrefs, &fixture->error), 0);
}

BothTest(table, elements_may_have_two_sizes) {
    struct wasmpool_options options = {.funcref_size = 24, .externref_size = 8};
    struct wasmpool_table funcrefs, externrefs;
    struct Fixture fixture;
    uint8_t element[24];

    memset(element, 0x55, sizeof(element));
    fixture_open_with(&fixture, implementation, options, (const char *const[]){"total_tables=2", NULL});
    for (int round = 0; round < 3; round++) {
        allocate_both(&fixture, &funcrefs, &externrefs);
        expect_eq(funcrefs.element_size, 24);
        expect_eq(externrefs.element_size, 8);
        expect_zero(funcrefs.base, 24000);
        expect_zero(externrefs.base, 8000);
        expect_eq(wasmpool_grow_table(fixture.pool, &funcrefs, 19000, element), 1000);
        for (size_t i = 0; i < 24 * 20000; i++)
            cr_assert_eq(((uint8_t *)funcrefs.base)[i], i < 24000 ? 0 : 0x55, "byte %zu is %#x", i,
                         ((uint8_t *)funcrefs.base)[i]);
        expect_zero(externrefs.base, 8000);
        fixture_expect_use(&fixture, 0, 0, 2);
        wasmpool_deallocate_table(fixture.pool, &funcrefs);
        wasmpool_deallocate_table(fixture.pool, &externrefs);
    }
    fixture_close(&fixture);
}

/* Idle tables of one element size do not stand in the way of one of the other. */
Test(table, elements_of_two_sizes_share_their_total) {
    struct wasmpool_table_type type = {.minimum = 10};
    struct wasmpool_options options = {.funcref_size = 24, .externref_size = 8};
    struct wasmpool_table tables[3];
    struct Fixture fixture;

    fixture_open_with(&fixture, EMBEDDED, options, (const char *const[]){"total_tables=2", NULL});
    for (int round = 0; round < 6; round++) {
        type.element = round % 2 ? WASMPOOL_EXTERNREF : WASMPOOL_FUNCREF;
        for (int i = 0; i < 2; i++) {
            expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &tables[i], &fixture.error), 0);
            expect_zero(tables[i].base, table_bytes(&tables[i]));
            memset(tables[i].base, 0xfe, table_bytes(&tables[i]));
        }
        type.element = round % 2 ? WASMPOOL_FUNCREF : WASMPOOL_EXTERNREF;
        expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &tables[2], &fixture.error),
                      WASMPOOL_E_LIMIT);
        expect_limit(&fixture, "total_tables", 2, 2);
        for (int i = 0; i < 2; i++)
            wasmpool_deallocate_table(fixture.pool, &tables[i]);
    }
    fixture_close(&fixture);
}

BothTest(table, elements_of_one_size_share_their_slots) {
    struct wasmpool_table funcrefs, externrefs;
    struct wasmpool_metrics metrics;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_tables=2");
    allocate_both(&fixture, &funcrefs, &externrefs);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.slabs, 1);
    wasmpool_deallocate_table(fixture.pool, &funcrefs);
    wasmpool_deallocate_table(fixture.pool, &externrefs);
    fixture_close(&fixture);
}

BothTest(table, is_given_back_once) {
    struct wasmpool_table a, b;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_tables=2");
    a = allocate(&fixture, 1);
    b = allocate(&fixture, 1);
    wasmpool_deallocate_table(fixture.pool, &a);
    cr_expect_null(a.base);
    expect_eq(a.allocation, WASMPOOL_NO_ALLOCATION);
    wasmpool_deallocate_table(fixture.pool, &a);
    expect_eq(wasmpool_grow_table(fixture.pool, &a, 1, NULL), -1);
    fixture_expect_use(&fixture, 0, 0, 1);
    wasmpool_deallocate_table(fixture.pool, &b);
    fixture_expect_use(&fixture, 0, 0, 0);
    fixture_close(&fixture);
}

BothTest(table, says_its_label_and_size_to_those_who_inspect) {
    struct wasmpool_table_type type = {.minimum = 513};
    struct wasmpool_table table;
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, "table", &table, &fixture.error), 0);
    cr_assert(shelf_find(fixture.pool, table.allocation, &taken));
    expect_str(taken.entry->label, "table");
    expect_eq(taken.entry->pages, 2);
    expect_eq(wasmpool_grow_table(fixture.pool, &table, 512, NULL), 513);
    expect_eq(taken.entry->pages, 3);
    wasmpool_deallocate_table(fixture.pool, &table);
    fixture_close(&fixture);
}

BothTest(table, maps_are_filled_in_index_order_and_keep_what_they_have) {
    struct wasmpool_table_type types[] = {
        {.minimum = 1}, {.minimum = 2, .element = WASMPOOL_EXTERNREF}, {.minimum = 3}};
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.tables = types, .n_tables = 3});
    struct wasmpool_request request = {.module = module};
    struct wasmpool_table room[3], other;
    struct wasmpool_tables tables = {.at = room, .capacity = 2};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_tables_per_module=3", "total_tables=3");
    expect_result(&fixture, wasmpool_allocate_tables(fixture.pool, &request, &tables, &fixture.error),
                  WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "the map has room for 2 tables of 3");
    expect_eq(tables.count, 0);
    tables.capacity = 3;
    other = allocate(&fixture, 1);
    expect_result(&fixture, wasmpool_allocate_tables(fixture.pool, &request, &tables, &fixture.error),
                  WASMPOOL_E_LIMIT);
    expect_limit(&fixture, "total_tables", 3, 3);
    expect_eq(tables.count, 2);
    fixture_expect_use(&fixture, 0, 0, 3);
    wasmpool_deallocate_tables(fixture.pool, &tables);
    expect_eq(tables.count, 0);
    wasmpool_deallocate_table(fixture.pool, &other);
    expect_result(&fixture, wasmpool_allocate_tables(fixture.pool, &request, &tables, &fixture.error), 0);
    for (uint32_t i = 0; i < 3; i++)
        expect_eq(room[i].current_elements, i + 1);
    wasmpool_deallocate_tables(fixture.pool, &tables);
    wasmpool_deallocate_tables(fixture.pool, &tables);
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
