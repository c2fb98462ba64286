/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

#define HOST_PAGE 4096

static struct wasmpool_metrics measure(struct Fixture *fixture) {
    struct wasmpool_metrics metrics;

    memset(&metrics, 0xa5, sizeof(metrics));
    wasmpool_metrics(fixture->pool, &metrics);
    return metrics;
}

/* Every counter; the totals are so small that all slots are granted at once. */
#define expect_metrics(FIXTURE, ...)                                                                                   \
    do {                                                                                                               \
        struct wasmpool_metrics is_ = measure(FIXTURE), wanted_ = {__VA_ARGS__, .connections = 1};                     \
                                                                                                                       \
        expect_eq(is_.core_instances, wanted_.core_instances);                                                         \
        expect_eq(is_.memories, wanted_.memories);                                                                     \
        expect_eq(is_.tables, wanted_.tables);                                                                         \
        expect_eq(is_.idle_instances, wanted_.idle_instances);                                                         \
        expect_eq(is_.idle_memories, wanted_.idle_memories);                                                           \
        expect_eq(is_.idle_tables, wanted_.idle_tables);                                                               \
        expect_eq(is_.unused_warm_memories, wanted_.unused_warm_memories);                                             \
        expect_eq(is_.unused_warm_tables, wanted_.unused_warm_tables);                                                 \
        expect_eq(is_.unused_memory_bytes_resident, wanted_.unused_memory_bytes_resident);                             \
        expect_eq(is_.unused_table_bytes_resident, wanted_.unused_table_bytes_resident);                               \
        expect_eq(is_.slabs, wanted_.slabs);                                                                           \
        expect_eq(is_.connections, wanted_.connections);                                                               \
    } while (0)

#define TWO "total_core_instances=2", "total_memories=2", "total_tables=2"

BothTest(metrics, count_every_step_of_instances) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 10);
    struct wasmpool_instance *first, *second;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, TWO);
    expect_metrics(&fixture, .slabs = 0);
    expect_result(&fixture, fixture_allocate(&fixture, module, &first), 0);
    expect_metrics(&fixture, .core_instances = 1, .memories = 1, .tables = 1, .slabs = 3);
    expect_result(&fixture, fixture_allocate(&fixture, module, &second), 0);
    expect_metrics(&fixture, .core_instances = 2, .memories = 2, .tables = 2, .slabs = 3);
    expect_result(&fixture, fixture_allocate(&fixture, module, &(struct wasmpool_instance *){NULL}), WASMPOOL_E_LIMIT);
    expect_metrics(&fixture, .core_instances = 2, .memories = 2, .tables = 2, .slabs = 3);
    memset(wasmpool_instance_memory(first, 0)->base, 0xfe, WASM_PAGE);
    memset(wasmpool_instance_table(first, 0)->base, 0xfe, 80);
    wasmpool_deallocate_module(&first);
    expect_metrics(&fixture, .core_instances = 1, .memories = 1, .tables = 1, .idle_instances = 1, .idle_memories = 1,
                   .idle_tables = 1, .unused_warm_memories = 1, .unused_memory_bytes_resident = WASM_PAGE,
                   .unused_warm_tables = 1, .unused_table_bytes_resident = HOST_PAGE, .slabs = 3);
    expect_result(&fixture, fixture_allocate(&fixture, module, &first), 0);
    expect_metrics(&fixture, .core_instances = 2, .memories = 2, .tables = 2, .slabs = 3);
    wasmpool_deallocate_module(&first);
    wasmpool_deallocate_module(&second);
    expect_metrics(&fixture, .idle_instances = 2, .idle_memories = 2, .idle_tables = 2, .unused_warm_memories = 2,
                   .unused_memory_bytes_resident = 2 * WASM_PAGE, .unused_warm_tables = 2,
                   .unused_table_bytes_resident = 2 * HOST_PAGE, .slabs = 3);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(metrics, count_single_memories_and_tables) {
    struct wasmpool_memory memory;
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, TWO);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    expect_metrics(&fixture, .memories = 1, .slabs = 1);
    expect_result(&fixture, fixture_allocate_table(&fixture, 1000, &table), 0);
    expect_metrics(&fixture, .memories = 1, .tables = 1, .slabs = 2);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    expect_metrics(&fixture, .tables = 1, .idle_memories = 1, .unused_warm_memories = 1,
                   .unused_memory_bytes_resident = WASM_PAGE, .slabs = 2);
    wasmpool_deallocate_table(fixture.pool, &table);
    expect_metrics(&fixture, .idle_memories = 1, .unused_warm_memories = 1, .unused_memory_bytes_resident = WASM_PAGE,
                   .idle_tables = 1, .unused_warm_tables = 1, .unused_table_bytes_resident = 2 * HOST_PAGE, .slabs = 2);
    fixture_close(&fixture);
}

/* An idle slot without pages is not warm. */
BothTest(metrics, what_is_not_kept_is_neither_warm_nor_resident) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 10);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, TWO, "linear_memory_keep_resident=0", "table_keep_resident=0");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
    memset(wasmpool_instance_table(instance, 0)->base, 0xfe, 80);
    wasmpool_deallocate_module(&instance);
    expect_metrics(&fixture, .idle_instances = 1, .idle_memories = 1, .idle_tables = 1, .slabs = 3);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Of what is large only the pages that exist are resident, and no more than is kept. */
BothTest(metrics, resident_is_what_is_kept) {
    static const struct {
        const char *keep;
        uint64_t touched, resident;
    } cases[] = {{"linear_memory_keep_resident=64G", 5, 5},
                 {"linear_memory_keep_resident=12288", 5, 3},
                 {"linear_memory_keep_resident=16383", 5, 3},
                 {"linear_memory_keep_resident=20480", 5, 5}};
    struct wasmpool_module *module = fixture_module(1, 100, 0, 0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wasmpool_instance *instance;
        struct Fixture fixture;

        fixture_open(&fixture, implementation, TWO, cases[i].keep);
        expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
        for (uint64_t page = 0; page < cases[i].touched; page++)
            wasmpool_instance_memory(instance, 0)->base[page * 100 * HOST_PAGE] = 1;
        wasmpool_deallocate_module(&instance);
        expect_metrics(&fixture, .idle_instances = 1, .idle_memories = 1, .unused_warm_memories = 1,
                       .unused_memory_bytes_resident = cases[i].resident * HOST_PAGE, .slabs = 2);
        fixture_close(&fixture);
    }
    wasmpool_module_free(module);
}

/* Clean, kept, and without a page: nothing was ever written. */
BothTest(metrics, what_was_never_touched_is_not_warm) {
    struct wasmpool_module *module = fixture_module(1, 100, 0, 0);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, TWO);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    wasmpool_deallocate_module(&instance);
    expect_metrics(&fixture, .idle_instances = 1, .idle_memories = 1, .slabs = 2);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(metrics, purging_makes_cold) {
    const struct ModulesSegment segments[] = {{100, 4, "text"}};
    struct wasmpool_module *module = modules_make(1, segments, 1);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, TWO);
    instance = modules_instantiate(&fixture, module, NULL, 0);
    wasmpool_deallocate_module(&instance);
    expect_metrics(&fixture, .idle_instances = 1, .idle_memories = 1, .unused_warm_memories = 1,
                   .unused_memory_bytes_resident = WASM_PAGE, .slabs = 2);
    wasmpool_purge_module(fixture.pool, module);
    expect_metrics(&fixture, .idle_instances = 1, .idle_memories = 1, .slabs = 2);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Tables of two element sizes have slabs of their own, and one total. */
BothTest(metrics, add_up_tables_of_both_element_sizes) {
    struct wasmpool_options options = {.funcref_size = 24, .externref_size = 8};
    struct wasmpool_table_type type = {.minimum = 1, .element = WASMPOOL_EXTERNREF};
    struct wasmpool_table funcrefs, externrefs;
    struct Fixture fixture;

    fixture_open_with(&fixture, implementation, options, (const char *const[]){TWO, NULL});
    expect_result(&fixture, fixture_allocate_table(&fixture, 1, &funcrefs), 0);
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &type, NULL, &externrefs, &fixture.error), 0);
    expect_metrics(&fixture, .tables = 2, .slabs = 2);
    wasmpool_deallocate_table(fixture.pool, &funcrefs);
    wasmpool_deallocate_table(fixture.pool, &externrefs);
    expect_metrics(&fixture, .idle_tables = 2, .unused_warm_tables = 2, .unused_table_bytes_resident = 2 * HOST_PAGE,
                   .slabs = 2);
    fixture_close(&fixture);
}
