/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/fixture.h"

#include <stdio.h>

#define GIB (UINT64_C(1) << 30)

/* Validation and allocation must say the same. */
static void expect_invalid(struct Fixture *fixture, struct wasmpool_module *module, const char *limit, uint64_t bound,
                           uint64_t ask, const char *says) {
    struct wasmpool_instance *instance = NULL;

    for (int allocate = 0; allocate < 2; allocate++) {
        memset(&fixture->error, 0xa5, sizeof(fixture->error));
        expect_result(fixture,
                      allocate ? fixture_allocate(fixture, module, &instance)
                               : wasmpool_validate_module(fixture->pool, module, &fixture->error),
                      WASMPOOL_E_INVALID);
        expect_str(fixture->error.limit, limit);
        expect_eq(fixture->error.bound, bound);
        expect_eq(fixture->error.ask, ask);
        expect_eq(fixture->error.use, 0);
        expect_says(fixture->error.message, says);
    }
    cr_assert_null(instance);
    expect_eq(wasmpool_validate_module(fixture->pool, module, NULL), WASMPOOL_E_INVALID);
    fixture_expect_use(fixture, 0, 0, 0);
    wasmpool_module_free(module);
}

static void expect_valid(struct Fixture *fixture, struct wasmpool_module *module) {
    expect_result(fixture, wasmpool_validate_module(fixture->pool, module, &fixture->error), 0);
    wasmpool_module_free(module);
}

BothTest(validate, counts_of_memories_are_bounded_by_module_and_in_total) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=3", "total_memories=2");
    expect_valid(&fixture, fixture_module(2, 1, 0, 0));
    expect_invalid(&fixture, fixture_module(3, 1, 0, 0), "total_memories", 2, 3,
                   "defined memories count of 3 exceeds the limit total_memories of 2");
    expect_invalid(&fixture, fixture_module(4, 1, 0, 0), "max_memories_per_module", 3, 4,
                   "defined memories count of 4 exceeds the limit max_memories_per_module of 3");
    fixture_close(&fixture);
}

BothTest(validate, counts_of_tables_are_bounded_by_module_and_in_total) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_tables_per_module=3", "total_tables=2");
    expect_valid(&fixture, fixture_module(0, 0, 2, 1));
    expect_invalid(&fixture, fixture_module(0, 0, 3, 1), "total_tables", 2, 3,
                   "defined tables count of 3 exceeds the limit total_tables of 2");
    expect_invalid(&fixture, fixture_module(0, 0, 4, 1), "max_tables_per_module", 3, 4,
                   "defined tables count of 4 exceeds the limit max_tables_per_module of 3");
    fixture_close(&fixture);
}

BothTest(validate, imported_memories_and_tables_are_not_counted) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=0", "total_tables=0", "max_memories_per_module=0");
    expect_valid(&fixture,
                 fixture_describe(&(struct wasmpool_module_description){.imported_memories = 5, .imported_tables = 5}));
    fixture_close(&fixture);
}

BothTest(validate, minima_of_memories_are_bounded_by_their_index) {
    struct wasmpool_memory_type memories[] = {{.minimum = 16}, {.minimum = 17}};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=1M", "max_memories_per_module=2");
    expect_valid(&fixture, fixture_module(1, 16, 0, 0));
    expect_invalid(
        &fixture, fixture_module(1, 17, 0, 0), "max_memory_size", 1 << 20, 17 * WASM_PAGE,
        "memory index 0 has a minimum byte size of 1114112 which exceeds the limit max_memory_size of 1048576 bytes");
    expect_invalid(&fixture,
                   fixture_describe(&(struct wasmpool_module_description){
                       .imported_memories = 4, .memories = memories, .n_memories = 2}),
                   "max_memory_size", 1 << 20, 17 * WASM_PAGE, "memory index 5 has a minimum byte size of 1114112");
    fixture_close(&fixture);
}

/* The maximum of a type does not matter: growing stops earlier, that is all. */
BothTest(validate, maxima_beyond_the_limits_are_fine) {
    struct wasmpool_memory_type memory = {.minimum = 1, .maximum = 65536, .has_maximum = true};
    struct wasmpool_table_type table = {.minimum = 1, .maximum = UINT32_MAX, .has_maximum = true};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=64K", "table_elements=1");
    expect_valid(&fixture, fixture_describe(&(struct wasmpool_module_description){
                               .memories = &memory, .n_memories = 1, .tables = &table, .n_tables = 1}));
    fixture_close(&fixture);
}

BothTest(validate, a_smaller_reservation_is_the_bound_then) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=1M", "memory_reservation=1M");
    expect_valid(&fixture, fixture_module(1, 16, 0, 0));
    fixture_close(&fixture);
    if (implementation == EMBEDDED)
        return; /* where max_memory_size must not exceed it */
    fixture_open(&fixture, implementation, "max_memory_size=4G", "memory_reservation=4G");
    wasmpool_close(fixture.pool);
    expect_result(&fixture,
                  wasmpool_open(&fixture.pool,
                                &(struct wasmpool_options){
                                    .address = fixture.daemon.address,
                                    .settings = (const char *const[]){"memory_reservation=1M", NULL}},
                                &fixture.error),
                  0);
    expect_invalid(&fixture, fixture_module(1, 17, 0, 0), "memory_reservation", 1 << 20, 17 * WASM_PAGE,
                   "exceeds the limit memory_reservation of 1048576 bytes");
    fixture_close(&fixture);
}

BothTest(validate, with_a_maximum_of_0_only_empty_memories_pass) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=0");
    expect_valid(&fixture, fixture_module(1, 0, 0, 0));
    expect_invalid(
        &fixture, fixture_module(1, 1, 0, 0), "max_memory_size", 0, WASM_PAGE,
        "memory index 0 has a minimum byte size of 65536 which exceeds the limit max_memory_size of 0 bytes");
    fixture_close(&fixture);
}

Test(validate, sizes_that_overflow_are_too_large) {
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED);
    expect_invalid(&fixture, fixture_module(1, (UINT64_C(1) << 48) + 1, 0, 0), "max_memory_size", 4 * GIB, UINT64_MAX,
                   "memory index 0");
    expect_invalid(&fixture, fixture_module(1, UINT64_MAX, 0, 0), "max_memory_size", 4 * GIB, UINT64_MAX,
                   "memory index 0");
    expect_invalid(&fixture, fixture_module(1, 65537, 0, 0), "max_memory_size", 4 * GIB, 4 * GIB + WASM_PAGE,
                   "memory index 0");
    expect_valid(&fixture, fixture_module(1, 65536, 0, 0));
    fixture_close(&fixture);
}

BothTest(validate, minima_of_tables_are_bounded_by_their_index) {
    struct wasmpool_table_type tables[] = {{.minimum = 10}, {.minimum = 11}};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "table_elements=10", "max_tables_per_module=2");
    expect_valid(&fixture, fixture_module(0, 0, 1, 10));
    expect_invalid(&fixture, fixture_module(0, 0, 1, 11), "table_elements", 10, 11,
                   "table index 0 has a minimum element size of 11 which exceeds the limit table_elements of 10");
    expect_invalid(&fixture,
                   fixture_describe(
                       &(struct wasmpool_module_description){.imported_tables = 2, .tables = tables, .n_tables = 2}),
                   "table_elements", 10, 11, "table index 3 has a minimum element size of 11");
    fixture_close(&fixture);
}

BothTest(validate, shared_memories_are_unsupported) {
    struct wasmpool_memory_type memory = {.minimum = 1, .maximum = 2, .has_maximum = true, .shared = true};
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.memories = &memory, .n_memories = 1});
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, module, &fixture.error), WASMPOOL_E_UNSUPPORTED);
    expect_says(fixture.error.message, "memory index 0 is shared");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), WASMPOOL_E_UNSUPPORTED);
    fixture_expect_use(&fixture, 0, 0, 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* A description refuses them already; the hooks are called with bare types. */
Test(validate, maxima_below_minima_are_refused_by_the_hooks_too) {
    struct wasmpool_memory_type memory_type = {.minimum = 2, .maximum = 1, .has_maximum = true};
    struct wasmpool_table_type table_type = {.minimum = 2, .maximum = 1, .has_maximum = true};
    struct wasmpool_memory memory;
    struct wasmpool_table table;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED);
    expect_result(&fixture, wasmpool_allocate_memory(fixture.pool, &memory_type, NULL, &memory, &fixture.error),
                  WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "minimum greater than its maximum");
    expect_result(&fixture, wasmpool_allocate_table(fixture.pool, &table_type, NULL, &table, &fixture.error),
                  WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "minimum greater than its maximum");
    fixture_expect_use(&fixture, 0, 0, 0);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ sizes */

/* Wasmtime: instance_too_large. Whatever an instance is, it is more than that. */
BothTest(validate, an_instance_too_large_is_broken_down_by_region) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_core_instance_size=16");
    for (uint32_t globals = 0; globals <= 100; globals += 5) {
        struct wasmpool_module *module =
            fixture_describe(&(struct wasmpool_module_description){.defined_globals = globals});
        const char *message = fixture.error.message, *breakdown, *name;
        uint32_t bytes;

        expect_result(&fixture, wasmpool_validate_module(fixture.pool, module, &fixture.error), WASMPOOL_E_INVALID);
        expect_str(fixture.error.limit, "max_core_instance_size");
        expect_eq(fixture.error.bound, 16);
        expect_says(message, "max_core_instance_size is 16");
        breakdown = strchr(message, ':');
        for (uint32_t i = 0; !wasmpool_vmoffsets_region(wasmpool_module_offsets(module), i, &name, &bytes); i++)
            cr_assert_eq(strstr(breakdown, name) != NULL, bytes > fixture.error.ask / 20,
                         "%s has %u bytes of %" PRIu64 ", and the message is '%s'", name, bytes, fixture.error.ask,
                         message);
        if (!globals)
            expect_says(message, "instance state management ");
        if (globals == 100) {
            const char *percent = strstr(message, "defined globals 1600 (");

            cr_assert_not_null(percent, "%s", message);
            cr_assert_gt(atoi(percent + strlen("defined globals 1600 (")), 50, "100 globals dominate: %s", message);
        }
        wasmpool_module_free(module);
    }
    fixture_close(&fixture);
}

/* A limit that was just too small, by one: what is asked for is what is needed. */
BothTest(validate, max_core_instance_size_is_a_bound_to_the_byte) {
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){.defined_globals = 100});
    uint64_t needed = 16;

    for (int round = 0; round < 3; round++) {
        char setting[64];
        struct wasmpool_instance *instance = NULL;
        struct Fixture fixture;

        snprintf(setting, sizeof(setting), "max_core_instance_size=%" PRIu64, needed - (round == 1));
        fixture_open(&fixture, implementation, setting);
        expect_result(&fixture, fixture_allocate(&fixture, module, &instance), round == 2 ? 0 : WASMPOOL_E_INVALID);
        if (round < 2) {
            expect_eq(fixture.error.bound, needed - (round == 1));
            cr_assert(!round || fixture.error.ask == needed, "it needed %" PRIu64 ", and now %" PRIu64, needed,
                      fixture.error.ask);
            needed = fixture.error.ask;
        }
        wasmpool_deallocate_module(&instance);
        fixture_close(&fixture);
    }
    wasmpool_module_free(module);
}

/* Static: it depends on the limits alone, not on use. */
BothTest(validate, use_does_not_matter) {
    struct wasmpool_instance *instance, *second = NULL;
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_result(&fixture, fixture_allocate(&fixture, module, &second), WASMPOOL_E_LIMIT);
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, module, &fixture.error), 0);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
