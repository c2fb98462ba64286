/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/template.h"
#include "tests/client/modules.h"

#include <errno.h>

#define N 5
#define MANY 70 /* more than a slab has */

/* ------------------------------------------------------------------------------------------------ handles */

BothTest(instance, has_its_memories_and_tables_in_index_order) {
    struct wasmpool_memory_type memories[] = {{.minimum = 1}, {.minimum = 0}, {.minimum = 3}};
    struct wasmpool_table_type tables[] = {{.minimum = 4}, {.minimum = 5, .element = WASMPOOL_EXTERNREF}};
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){.imported_memories = 2,
                                                                                            .memories = memories,
                                                                                            .n_memories = 3,
                                                                                            .imported_tables = 1,
                                                                                            .tables = tables,
                                                                                            .n_tables = 2});
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=3", "max_tables_per_module=2");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    cr_assert_eq(wasmpool_instance_module(instance), module);
    for (uint32_t i = 0; i < 3; i++)
        expect_bounds(wasmpool_instance_memory(instance, i), memories[i].minimum);
    for (uint32_t i = 0; i < 2; i++)
        expect_eq(wasmpool_instance_table(instance, i)->current_elements, tables[i].minimum);
    cr_expect_null(wasmpool_instance_memory(instance, 3));
    cr_expect_null(wasmpool_instance_table(instance, 2));
    fixture_expect_use(&fixture, 1, 3, 2);
    wasmpool_deallocate_module(&instance);
    cr_expect_null(instance);
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_deallocate_module(&instance); /* does nothing */
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(instance, of_nothing_is_an_instance) {
    struct wasmpool_module *module = fixture_module(0, 0, 0, 0);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=0", "total_tables=0");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    cr_expect_null(wasmpool_instance_memory(instance, 0));
    fixture_expect_use(&fixture, 1, 0, 0);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(instance, memories_and_tables_grow_in_place) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "total_tables=1");
    for (int round = 0; round < 3; round++) {
        expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
        expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 0), 6), 1);
        expect_bounds(wasmpool_instance_memory(instance, 0), 7);
        memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, 7 * WASM_PAGE);
        expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 9, &(uint64_t){1}), 1);
        expect_eq(wasmpool_instance_table(instance, 0)->current_elements, 10);
        wasmpool_deallocate_module(&instance);
    }
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 0), 6), 1);
    expect_zero(wasmpool_instance_memory(instance, 0)->base, 7 * WASM_PAGE);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* The handle's block is used again, also by modules with more in it. */
BothTest(instance, handles_are_used_again_by_larger_modules) {
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_core_instances=1", "max_memories_per_module=8",
                 "max_tables_per_module=8");
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t n = round * 5 % 9;
        struct wasmpool_module *module = fixture_module(n, 1, 8 - n, 1);

        expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
        for (uint32_t i = 0; i < n; i++)
            expect_bounds(wasmpool_instance_memory(instance, i), 1);
        for (uint32_t i = 0; i < 8 - n; i++)
            expect_eq(wasmpool_instance_table(instance, i)->current_elements, 1);
        wasmpool_deallocate_module(&instance);
        wasmpool_module_free(module);
    }
    fixture_close(&fixture);
}

BothTest(instance, no_two_share_a_byte) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 100);
    struct wasmpool_instance *instances[MANY];
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    for (int i = 0; i < MANY; i++) {
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
        memset(wasmpool_instance_memory(instances[i], 0)->base, i + 1, WASM_PAGE);
        memset(wasmpool_instance_table(instances[i], 0)->base, i + 1, 800);
    }
    for (int i = 0; i < MANY; i++) {
        const uint8_t *memory = wasmpool_instance_memory(instances[i], 0)->base;
        const uint8_t *table = wasmpool_instance_table(instances[i], 0)->base;

        for (int at = 0; at < WASM_PAGE; at++)
            cr_assert_eq(memory[at], i + 1, "byte %d of memory %d is %d", at, i, memory[at]);
        for (int at = 0; at < 800; at++)
            cr_assert_eq(table[at], i + 1, "byte %d of table %d is %d", at, i, table[at]);
        wasmpool_deallocate_module(&instances[i]);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ limits */

/* N succeed, one more is told what is exhausted, and after one release it works again, in the same connection. */
static void expect_total(enum Implementation implementation, const char *name, uint32_t bound) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_instance *instances[MANY + 1] = {0};
    struct wasmpool_metrics metrics;
    struct Fixture fixture;
    char setting[64];

    snprintf(setting, sizeof(setting), "%s=%u", name, bound);
    fixture_open(&fixture, implementation, setting);
    for (uint32_t i = 0; i < bound; i++)
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
    for (uint32_t released = 0; released < bound; released += 1 + bound / 4) {
        for (int attempt = 0; attempt < 3; attempt++) {
            expect_result(&fixture, fixture_allocate(&fixture, module, &instances[bound]), WASMPOOL_E_LIMIT);
            expect_limit(&fixture, name, bound, bound);
            cr_assert_geq(fixture.error.ask, 1); /* more than that is asked for, the more there is */
            cr_assert_null(instances[bound]);
            fixture_expect_use(&fixture, bound, bound, bound);
        }
        wasmpool_deallocate_module(&instances[released]);
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[released]), 0);
    }
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.connections, 1);
    for (uint32_t i = 0; i < bound; i++)
        wasmpool_deallocate_module(&instances[i]);
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(instance, total_core_instances_is_a_limit) {
    expect_total(implementation, "total_core_instances", N);
    expect_total(implementation, "total_core_instances", 1);
    expect_total(implementation, "total_core_instances", MANY);
}

BothTest(instance, total_memories_is_a_limit) {
    expect_total(implementation, "total_memories", N);
    expect_total(implementation, "total_memories", 1);
    expect_total(implementation, "total_memories", 64);
    expect_total(implementation, "total_memories", MANY);
}

BothTest(instance, total_tables_is_a_limit) {
    expect_total(implementation, "total_tables", N);
    expect_total(implementation, "total_tables", 1);
    expect_total(implementation, "total_tables", MANY);
}

BothTest(instance, a_total_of_0_is_exhausted_from_the_beginning) {
    struct wasmpool_module *module = fixture_module(0, 0, 0, 0);
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_core_instances=0");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), WASMPOOL_E_LIMIT);
    expect_limit(&fixture, "total_core_instances", 0, 0);
    cr_assert_null(instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* What is refused again and again must not open slab after slab. */
BothTest(instance, refusals_cost_nothing) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct wasmpool_instance *instances[64], *none = NULL;
    struct wasmpool_metrics before, after;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=64");
    for (int i = 0; i < 64; i++)
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
    expect_result(&fixture, fixture_allocate(&fixture, module, &none), WASMPOOL_E_LIMIT);
    wasmpool_metrics(fixture.pool, &before);
    for (int i = 0; i < 100; i++)
        expect_result(&fixture, fixture_allocate(&fixture, module, &none), WASMPOOL_E_LIMIT);
    wasmpool_metrics(fixture.pool, &after);
    expect_eq(after.slabs, before.slabs);
    for (int i = 0; i < 64; i++)
        wasmpool_deallocate_module(&instances[i]);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ rollback */

/* The first fits, the second runs out in the middle; then everything is as before. */
static void expect_rollback(struct Fixture *fixture, struct wasmpool_module *module, const char *limit,
                            uint64_t bound) {
    struct wasmpool_instance *first, *second = NULL;
    struct wasmpool_metrics before, after;

    expect_result(fixture, fixture_allocate(fixture, module, &first), 0);
    expect_result(fixture, fixture_allocate(fixture, module, &second), WASMPOOL_E_LIMIT);
    wasmpool_metrics(fixture->pool, &before);
    for (int i = 0; i < 10; i++) {
        expect_result(fixture, fixture_allocate(fixture, module, &second), WASMPOOL_E_LIMIT);
        expect_limit(fixture, limit, bound, bound);
        cr_assert_null(second);
        wasmpool_metrics(fixture->pool, &after);
        cr_assert_arr_eq(&after, &before, sizeof(after), "the metrics have changed");
    }
    fixture_expect_use(fixture, 1, 3, 3);
    wasmpool_deallocate_module(&first);
    expect_result(fixture, fixture_allocate(fixture, module, &second), 0);
    for (uint32_t i = 0; i < 3; i++) {
        expect_bounds(wasmpool_instance_memory(second, i), 1);
        expect_zero(wasmpool_instance_memory(second, i)->base, WASM_PAGE);
    }
    wasmpool_deallocate_module(&second);
    fixture_expect_use(fixture, 0, 0, 0);
    wasmpool_module_free(module);
}

BothTest(instance, that_runs_out_of_memories_leaks_nothing) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=3", "max_tables_per_module=3", "total_memories=5");
    expect_rollback(&fixture, fixture_module(3, 1, 3, 1), "total_memories", 5);
    fixture_close(&fixture);
}

BothTest(instance, that_runs_out_of_tables_leaks_nothing) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=3", "max_tables_per_module=3", "total_tables=5");
    expect_rollback(&fixture, fixture_module(3, 1, 3, 1), "total_tables", 5);
    fixture_close(&fixture);
}

/* A table that is too large is found out only when its turn comes. */
BothTest(instance, that_can_never_be_leaks_nothing) {
    struct wasmpool_memory_type memory = {.minimum = 1};
    struct wasmpool_table_type table = {.minimum = 11};
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){
        .memories = &memory, .n_memories = 1, .tables = &table, .n_tables = 1});
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "table_elements=10");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), WASMPOOL_E_INVALID);
    expect_str(fixture.error.limit, "table_elements");
    cr_assert_null(instance);
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* A memory that was written by an instance which came into being is zero for one after a rollback too. */
BothTest(instance, memories_are_zero_after_a_rollback) {
    struct wasmpool_module *with_table = fixture_module(1, 1, 1, 1), *without = fixture_module(1, 1, 0, 0);
    struct wasmpool_instance *instance, *none = NULL;
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "total_tables=1");
    expect_result(&fixture, fixture_allocate(&fixture, with_table, &instance), 0);
    memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
    wasmpool_deallocate_module(&instance);
    expect_result(&fixture, fixture_allocate_table(&fixture, 1, &table), 0);
    expect_result(&fixture, fixture_allocate(&fixture, with_table, &none), WASMPOOL_E_LIMIT);
    expect_result(&fixture, fixture_allocate(&fixture, without, &instance), 0);
    expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
    wasmpool_deallocate_module(&instance);
    wasmpool_deallocate_table(fixture.pool, &table);
    wasmpool_module_free(with_table);
    wasmpool_module_free(without);
    fixture_close(&fixture);
}

BothTest(instance, errors_may_be_ignored) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0), *large = fixture_module(5, 1, 0, 0);
    struct wasmpool_instance *instance, *none = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    expect_eq(wasmpool_allocate_module(fixture.pool, &(struct wasmpool_request){.module = module}, &instance, NULL), 0);
    expect_eq(wasmpool_allocate_module(fixture.pool, &(struct wasmpool_request){.module = module}, &none, NULL),
              WASMPOOL_E_LIMIT);
    expect_eq(wasmpool_allocate_module(fixture.pool, &(struct wasmpool_request){.module = large}, &none, NULL),
              WASMPOOL_E_INVALID);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    wasmpool_module_free(large);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ modules */

BothTest(instance, exports_are_found_by_name_as_something_to_import) {
    static const struct {
        const char *name;
        enum wasmpool_external kind;
        uint32_t index;
    } exports[] = {{"add", WASMPOOL_EXTERNAL_FUNCTION, 1},
                   {"memory", WASMPOOL_EXTERNAL_MEMORY, 1},
                   {"table", WASMPOOL_EXTERNAL_TABLE, 1},
                   {"wide", WASMPOOL_EXTERNAL_GLOBAL, 2},
                   {"tag", WASMPOOL_EXTERNAL_TAG, 1}};
    struct wasmpool_module *module = modules_load("exporter");
    struct wasmpool_extern item = {.index = 99};
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=2", "max_tables_per_module=2");
    instance = modules_instantiate(&fixture, module, NULL, 0);
    for (size_t i = 0; i < sizeof(exports) / sizeof(exports[0]); i++) {
        item = modules_export(instance, exports[i].name);
        expect_eq(item.kind, exports[i].kind);
        expect_eq(item.index, exports[i].index);
        cr_assert_eq(item.instance, instance);
        cr_assert_null(item.function);
    }
    item.index = 99;
    expect_eq(wasmpool_instance_export(instance, "ad", &item), -ENOENT);
    expect_eq(wasmpool_instance_export(instance, "", &item), -ENOENT);
    expect_eq(item.index, 99);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(instance, is_counted_by_its_module) {
    struct wasmpool_module *module = modules_load("image");
    struct wasmpool_instance *instances[N];
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    cr_assert(refs_none(&module->template->refs));
    for (int i = 0; i < N; i++) {
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
        cr_assert(!refs_none(&module->template->refs));
    }
    for (int i = 0; i < N; i++) {
        cr_assert(!refs_none(&module->template->refs));
        wasmpool_deallocate_module(&instances[i]);
    }
    cr_assert(refs_none(&module->template->refs));
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* The owner may let go at once: the module goes with its last instance, whichever that is. */
BothTest(instance, outlives_the_owner_of_its_module) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    for (int last = 0; last < N; last++) {
        struct wasmpool_module *module = modules_load("image");
        struct wasmpool_instance *instances[N];

        for (int i = 0; i < N; i++)
            expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
        module = wasmpool_module_free(module);
        for (int i = 0; i < N; i++) {
            struct wasmpool_instance *instance = instances[(last + i) % N];

            expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_BOUNDS_FIRST, &fixture.error), 0);
            cr_assert_eq(((void **)wasmpool_instance_table(instance, 0)->base)[1],
                         wasmpool_instance_function_at(instance, 0));
            expect_str(wasmpool_module_name(wasmpool_instance_module(instance)), "image.wasm");
            wasmpool_deallocate_module(&instance);
        }
    }
    fixture_expect_use(&fixture, 0, 0, 0);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ many times */

BothTest(instance, comes_and_goes_in_any_order) {
    struct wasmpool_module *modules[3] = {fixture_module(1, 1, 0, 0), fixture_module(0, 0, 1, 10),
                                          fixture_module(1, 5, 1, 600)};
    struct wasmpool_instance *instances[16] = {0};
    uint64_t seed = 42;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=8", "total_tables=8");
    for (int step = 0; step < 2000; step++) {
        struct wasmpool_memory *memory;
        uint32_t i;
        int r;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        i = (uint32_t)(seed >> 60);
        if (instances[i]) {
            wasmpool_deallocate_module(&instances[i]);
            continue;
        }
        r = fixture_allocate(&fixture, modules[(seed >> 40) % 3], &instances[i]);
        cr_assert(!r || r == WASMPOOL_E_LIMIT, "%s", fixture.error.message);
        memory = r ? NULL : wasmpool_instance_memory(instances[i], 0);
        if (memory) {
            expect_zero(memory->base, memory->current_length);
            memset(memory->base, 0xfe, memory->current_length);
        }
    }
    for (int i = 0; i < 16; i++)
        wasmpool_deallocate_module(&instances[i]);
    fixture_expect_use(&fixture, 0, 0, 0);
    for (int i = 0; i < 3; i++)
        wasmpool_module_free(modules[i]);
    fixture_close(&fixture);
}
