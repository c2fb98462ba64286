/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

/* The tests that Wasmtime has for its pooling allocator (tests/all/pooling_allocator.rs), each under its name there,
 * and its regressions. Where another file has the whole of one already, that is said here:
 *   instance_too_large: test-validate.c; unused_memories_tables_and_more: test-metrics.c, step by step;
 *   of index_allocator.rs the order of slots: test-shelf.c; of table_pool.rs and memory_pool.rs the places of slots:
 *   tests/shared/test-shape.c; of cow.rs: test-image.c, test-reset.c and test-pooling-image.c; failures of decommitting
 *   and leaks after errors: test-injection.c.
 *
 * What does not apply:
 *   total_stacks_limit, stack zeroing, unix_stack_pool: instances run on the stacks of those who call them
 *   total_component_instances_limit, component_*_limit, component sizes: components are refused when they are read
 *   MPK, stripes, pkeys, purging under MPK: slots are told apart by guards, and tenants by processes
 *   gc_heaps, table_pool's continuations: there are no garbage-collected types and no stack switching
 *   custom page sizes: the proposal is refused
 *   decommit_batching: nothing is put off, so that a batch is always of 1
 *   affinity and sharding of index_allocator: a shelf is one stack, last in, first out, without locks
 *   pagemap_scan on and off: SEEK_DATA says which pages there are
 *   test_non_pooling_allocator: there is no other kind */

#define SMALL                                                                                                          \
    "total_core_instances=1", "total_memories=1", "total_tables=1", "max_memory_size=65536", "table_elements=10"

static struct wasmpool_memory *memory_of(struct wasmpool_instance *instance) {
    return wasmpool_instance_memory(instance, 0);
}

/* ------------------------------------------------------------------------------------------------ limits */

BothTest(pooling_allocator, successful_instantiation) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 10);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    instance = modules_instantiate(&fixture, module, NULL, 0);
    expect_bounds(memory_of(instance), 1);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, memory_limit) {
    struct wasmpool_module *two = fixture_module(2, 1, 0, 0), *large = fixture_module(1, 4, 0, 0),
                           *module = fixture_module(1, 0, 0, 0);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "max_memory_size=196608");
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, two, &fixture.error), WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "defined memories count of 2 exceeds");
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, large, &fixture.error), WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "memory index 0 has a minimum byte size of 262144 which exceeds the limit");
    instance = modules_instantiate(&fixture, module, NULL, 0);
    for (int i = 0; i < 3; i++)
        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 1), i);
    expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 1), -1);
    expect_bounds(memory_of(instance), 3);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(two);
    wasmpool_module_free(large);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, table_limit) {
    struct wasmpool_module *two = fixture_module(0, 0, 2, 1), *large = fixture_module(0, 0, 1, 31),
                           *module = fixture_module(0, 0, 1, 0);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_tables=1", "table_elements=10");
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, two, &fixture.error), WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "defined tables count of 2 exceeds");
    expect_result(&fixture, wasmpool_validate_module(fixture.pool, large, &fixture.error), WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "table index 0 has a minimum element size of 31 which exceeds the limit");
    instance = modules_instantiate(&fixture, module, NULL, 0);
    for (int i = 0; i < 10; i++)
        expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 1, NULL), i);
    expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 1, NULL), -1);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(two);
    wasmpool_module_free(large);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* N succeed, one more is refused by type, and one succeeds again after one was dropped. */
static void expect_total(enum Implementation implementation, const char *setting, const char *limit,
                         struct wasmpool_module *module) {
    struct wasmpool_instance *instances[5], *none = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, setting);
    for (int i = 0; i < 5; i++)
        instances[i] = modules_instantiate(&fixture, module, NULL, 0);
    for (int i = 0; i < 3; i++) {
        expect_result(&fixture, fixture_allocate(&fixture, module, &none), WASMPOOL_E_LIMIT);
        expect_limit(&fixture, limit, 5, 5);
        wasmpool_deallocate_module(&instances[i]);
        instances[i] = modules_instantiate(&fixture, module, NULL, 0);
    }
    for (int i = 0; i < 5; i++)
        wasmpool_deallocate_module(&instances[i]);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, total_core_instances_limit) {
    expect_total(implementation, "total_core_instances=5", "total_core_instances", fixture_module(0, 0, 0, 0));
}

BothTest(pooling_allocator, total_memories_limit) {
    expect_total(implementation, "total_memories=5", "total_memories", fixture_module(1, 1, 0, 0));
}

BothTest(pooling_allocator, total_tables_limit) {
    expect_total(implementation, "total_tables=5", "total_tables", fixture_module(0, 0, 1, 1));
}

BothTest(pooling_allocator, shared_memory_unsupported) {
    struct wasmpool_memory_type type = {.minimum = 1, .maximum = 5, .has_maximum = true, .shared = true};
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.memories = &type, .n_memories = 1});
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), WASMPOOL_E_UNSUPPORTED);
    expect_says(fixture.error.message, "memory index 0 is shared, which is not supported");
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

Test(pooling_allocator, test_pooling_allocator_with_memory_pages_exceeded) {
    static const char *const settings[] = {"max_memory_size=4294967296", "memory_reservation=65536", NULL};
    struct wasmpool_options options = {.address = "embedded:", .settings = settings};
    struct wasmpool_error error;
    struct wasmpool *pool;

    expect_eq(wasmpool_open(&pool, &options, &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "max_memory_size");
    expect_says(error.message, "memory_reservation");
}

/* ------------------------------------------------------------------------------------------------ contents */

/* Segments over the ends of pages. */
BothTest(pooling_allocator, memory_init) {
    const struct ModulesSegment segments[] = {{65530, 10, "0123456789"}, {131066, 6, "abcdef"}, {4094, 4, "wxyz"}};
    struct wasmpool_module *module = modules_make(2, segments, 3);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "max_memory_size=131072");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        for (int s = 0; s < 3; s++)
            cr_assert(!memcmp(memory_of(instance)->base + segments[s].offset, segments[s].bytes, segments[s].n));
        expect_zero(memory_of(instance)->base + 65540, 65526);
        memset(memory_of(instance)->base, 0xff, 2 * WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, memory_zeroed) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    for (int i = 0; i < 10; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        expect_zero(memory_of(instance)->base, WASM_PAGE);
        memset(memory_of(instance)->base, 0xfe, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, table_zeroed) {
    struct wasmpool_module *module = fixture_module(0, 0, 1, 10);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    for (int i = 0; i < 10; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
        struct wasmpool_table *table = wasmpool_instance_table(instance, 0);

        expect_zero(table->base, 80);
        memset(table->base, 0xfe, 80);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Five functions, and the sixth element is null. */
BothTest(pooling_allocator, table_init) {
    struct wasmpool_module *module = modules_load("five");
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    for (int round = 0; round < 3; round++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
        struct wasmpool_func_ref **elements = wasmpool_instance_table(instance, 0)->base;

        for (uint32_t i = 0; i < 5; i++) {
            cr_assert_not_null(elements[i]);
            cr_assert_eq(elements[i], wasmpool_instance_function_at(instance, i));
            cr_assert_eq(elements[i]->vmctx, wasmpool_instance_vmctx(instance));
        }
        cr_assert_null(elements[5]);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* The module is dropped first: what the instance needs of it stays. */
BothTest(pooling_allocator, preserve_data_segments) {
    struct wasmpool_module *module = modules_load("bulk");
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=2", "max_tables_per_module=3");
    instance = modules_instantiate(&fixture, module, NULL, 0);
    module = wasmpool_module_free(module);
    /* Something else in between, where the module might have been. */
    for (int i = 0; i < 20; i++)
        wasmpool_module_free(modules_load("everything"));
    expect_eq(wasmpool_memory_init(instance, 0, 0, 0, 0, 10), 0);
    cr_assert(!memcmp(memory_of(instance)->base, "0123456789", 10));
    expect_eq(wasmpool_table_init(instance, 0, 0, 0, 0, 3), 0);
    wasmpool_deallocate_module(&instance);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ failures */

static bool refuse_table(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    (void)data;
    (void)current;
    (void)desired;
    (void)maximum;
    return false;
}

/* The image is in the slot already when the limiter refuses the table. */
BothTest(pooling_allocator, memory_reset_if_instantiation_fails) {
    static const struct wasmpool_limiter limiter = {.table_growing = refuse_table};
    struct wasmpool_module *image = modules_load("image"), *plain = fixture_module(1, 1, 0, 0);
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    for (int i = 0; i < 4; i++) {
        struct wasmpool_request request = {.module = image, .limiter = &limiter};

        expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &instance, &fixture.error),
                      WASMPOOL_E_LIMIT);
        expect_says(fixture.error.message, "table");
        fixture_expect_use(&fixture, 0, 0, 0);
        instance = modules_instantiate(&fixture, plain, NULL, 0);
        expect_zero(memory_of(instance)->base, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(image);
    wasmpool_module_free(plain);
    fixture_close(&fixture);
}

/* CVE-2022-23636: what is in a reused block's globals is nobody's, and an instance that fails before they are written
 * must not look at them. */
BothTest(pooling_allocator, drop_externref_global_during_module_init) {
    struct wasmpool_module *plain = modules_load("globals-only"), *trapping = modules_load("reference-then-trap");
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, SMALL);
    for (int order = 0; order < 2; order++) {
        instance = modules_instantiate(&fixture, plain, NULL, 0);
        for (uint32_t i = 0; i < 4; i++)
            memset(wasmpool_instance_global_at(instance, i), 0xfe, 16);
        wasmpool_deallocate_module(&instance);
        expect_result(&fixture, fixture_allocate(&fixture, trapping, &instance), 0);
        expect_zero(wasmpool_instance_global_at(instance, 0), 16);
        expect_result(&fixture, wasmpool_initialize(instance, (enum wasmpool_order)order, &fixture.error),
                      WASMPOOL_E_TRAP);
        expect_zero(wasmpool_instance_global_at(instance, 0), 16);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(plain);
    wasmpool_module_free(trapping);
    fixture_close(&fixture);
}
