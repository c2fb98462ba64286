/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

/* More of Wasmtime's tests under their names (see test-pooling-allocator.c): bounds, images, and what is used again. */

static struct wasmpool_memory *memory_of(struct wasmpool_instance *instance) {
    return wasmpool_instance_memory(instance, 0);
}

/* ------------------------------------------------------------------------------------------------ images */

/* CVE-2022-39393: the image of the last instance in the memory of one that has none. */
BothTest(pooling_allocator, switch_image_and_non_image) {
    const struct ModulesSegment segments[] = {{0, 4, "\1\2\3\4"}};
    struct wasmpool_module *image = modules_make(1, segments, 1), *none = modules_make(1, NULL, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "linear_memory_keep_resident=0");
    for (int i = 0; i < 10; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, i % 2 ? none : image, NULL, 0);

        if (i % 2 == 0)
            cr_assert(!memcmp(memory_of(instance)->base, "\1\2\3\4", 4));
        expect_zero(memory_of(instance)->base + (i % 2 ? 0 : 4), WASM_PAGE - 4);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(image);
    wasmpool_module_free(none);
    fixture_close(&fixture);
}

BothTest(pooling_allocator, instantiate_non_page_aligned_sizes) {
    static uint8_t bytes[761927];
    const struct ModulesSegment segments[] = {{0, sizeof(bytes), bytes}};
    struct wasmpool_module *module;
    struct Fixture fixture;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 255 + 1);
    module = modules_make(12, segments, 1);
    fixture_open(&fixture, implementation, "total_memories=1");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        cr_assert(!memcmp(memory_of(instance)->base, bytes, sizeof(bytes)));
        expect_zero(memory_of(instance)->base + sizeof(bytes), 12 * WASM_PAGE - sizeof(bytes));
        memset(memory_of(instance)->base, 0, 12 * WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* cow.rs: a slot without an image is zero, is dirtied, and is zero, as large as its minimum, which may be larger or
 * smaller than it was. */
BothTest(pooling_allocator, instantiate_no_image) {
    struct wasmpool_module *one = modules_make(1, NULL, 0), *two = modules_make(2, NULL, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    for (int i = 0; i < 6; i++) {
        uint32_t pages = i % 3 ? 1 : 2;
        struct wasmpool_instance *instance = modules_instantiate(&fixture, pages == 1 ? one : two, NULL, 0);

        expect_bounds(memory_of(instance), pages);
        expect_zero(memory_of(instance)->base, pages * WASM_PAGE);
        memset(memory_of(instance)->base, 0xaa, pages * WASM_PAGE);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 1), pages);
        expect_zero(memory_of(instance)->base + pages * WASM_PAGE, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(one);
    wasmpool_module_free(two);
    fixture_close(&fixture);
}

/* cow.rs: image, dirtied, the same image, another one, none. */
BothTest(pooling_allocator, instantiate_image) {
    const struct ModulesSegment first[] = {{4096, 4, "\1\2\3\4"}}, second[] = {{8192, 4, "\5\6\7\10"}};
    struct wasmpool_module *modules[] = {modules_make(1, first, 1), modules_make(1, first, 1),
                                         modules_make(1, second, 1), modules_make(1, NULL, 0)};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    for (int i = 0; i < 16; i++) {
        int which = i * 7 % 4;
        struct wasmpool_instance *instance = modules_instantiate(&fixture, modules[which], NULL, 0);
        const uint8_t *base = memory_of(instance)->base;

        cr_assert(!memcmp(base + 4096, which < 2 ? "\1\2\3\4" : "\0\0\0\0", 4), "round %d", i);
        cr_assert(!memcmp(base + 8192, which == 2 ? "\5\6\7\10" : "\0\0\0\0", 4), "round %d", i);
        expect_zero(base, 4096);
        expect_zero(base + 8196, WASM_PAGE - 8196);
        memset(memory_of(instance)->base, 0xee, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    for (int i = 0; i < 4; i++)
        wasmpool_module_free(modules[i]);
    fixture_close(&fixture);
}

/* cow.rs: with every amount of memory that may stay resident the contents are the same. */
BothTest(pooling_allocator, memset_instead_of_madvise) {
    static const char *const keeps[] = {"0", "4096", "8192", "10000", "65536", "131072", "262144"};
    const struct ModulesSegment segments[] = {{4096, 4, "\1\2\3\4"}, {4 * WASM_PAGE, 4, "\1\2\3\4"}};
    struct wasmpool_module *module = modules_make(6, segments, 2);

    for (size_t k = 0; k < sizeof(keeps) / sizeof(keeps[0]); k++) {
        char setting[64];
        struct Fixture fixture;

        snprintf(setting, sizeof(setting), "linear_memory_keep_resident=%s", keeps[k]);
        fixture_open(&fixture, implementation, "total_memories=1", setting);
        for (int i = 0; i < 4; i++) {
            struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
            uint8_t *base = memory_of(instance)->base;

            expect_zero(base, 4096);
            cr_assert(!memcmp(base + 4096, "\1\2\3\4", 4));
            expect_zero(base + 4100, 4 * WASM_PAGE - 4100);
            cr_assert(!memcmp(base + 4 * WASM_PAGE, "\1\2\3\4", 4));
            expect_zero(base + 4 * WASM_PAGE + 4, 2 * WASM_PAGE - 4);
            for (uint32_t page = 0; page < 96; page += 1 + (unsigned)i)
                base[page * 4096 + page] = 5;
            wasmpool_deallocate_module(&instance);
        }
        fixture_close(&fixture);
    }
    wasmpool_module_free(module);
}

/* ------------------------------------------------------------------------------------------------ bounds */

BothTest(pooling_allocator, memory_guard_page_trap) {
    struct wasmpool_module *module = fixture_module(1, 0, 0, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "max_memory_size=131072");
    for (int i = 0; i < 10; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
        const uint8_t *base = memory_of(instance)->base;

        expect_trap(base);
        expect_trap(base + 1);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 1), 0);
        expect_no_trap(base);
        expect_no_trap(base + WASM_PAGE - 1);
        expect_trap(base + 65536);
        expect_trap(base + 65537);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* CVE-2022-39392: a pool whose memories have no pages at all must trap wherever an offset of 32 bits reaches. */
BothTest(pooling_allocator, zero_memory_pages_disallows_oob) {
    static const uint64_t offsets[] = {0,
                                       1,
                                       65535,
                                       65536,
                                       65537,
                                       UINT64_C(1) << 31,
                                       (UINT64_C(1) << 32) - 1,
                                       UINT64_C(1) << 32,
                                       (UINT64_C(1) << 32) + (32 << 20) - 1};
    struct wasmpool_module *module = fixture_module(1, 0, 0, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=2", "max_memory_size=0");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++)
            expect_trap(memory_of(instance)->base + offsets[o]);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 1), -1);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Slots as large as the largest memory, without guards: code checks bounds itself, against current_length. */
BothTest(pooling_allocator, dynamic_memory_pooling_allocator) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1", "max_memory_size=131072", "memory_reservation=131072",
                 "memory_guard_size=0", "guard_before_linear_memory=false");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
        struct wasmpool_memory *memory = memory_of(instance);

        expect_bounds(memory, 1);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory, 1), 1);
        expect_zero(memory->base, 2 * WASM_PAGE);
        expect_eq(memory->definition->current_length, 2 * WASM_PAGE);
        memset(memory->base, 0xfe, 2 * WASM_PAGE);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory, 1), -1);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory, 1 << 16), -1);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* GHSA-6wgr-89rj-399p: what the last instance could reach is out of bounds for a smaller one. */
BothTest(pooling_allocator, pooling_reuse_resets) {
    const struct ModulesSegment segments[] = {{100, 1, "x"}};
    struct wasmpool_module *large = modules_make(10, segments, 1), *small = modules_make(5, segments, 1);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    for (int i = 0; i < 4; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, large, NULL, 0);

        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 10), 10);
        memory_of(instance)->base[983040] = 42;
        wasmpool_deallocate_module(&instance);
        instance = modules_instantiate(&fixture, small, NULL, 0);
        expect_bounds(memory_of(instance), 5);
        expect_trap(memory_of(instance)->base + 983040);
        expect_eq(wasmpool_grow_memory(fixture.pool, memory_of(instance), 15), 5);
        expect_eq(memory_of(instance)->base[983040], 0);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(large);
    wasmpool_module_free(small);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ index spaces */

BothTest(pooling_allocator, tricky_empty_table_with_empty_virtual_memory_alloc) {
    struct wasmpool_module *module = fixture_module(1, 0, 1, 0);
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "table_elements=0", "max_memory_size=0", "total_memories=1",
                 "total_tables=1");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        expect_eq(wasmpool_table_fill(instance, 0, 0, NULL, 0), 0);
        expect_eq(wasmpool_table_fill(instance, 0, 0, NULL, 1), WASMPOOL_E_TRAP);
        expect_eq(wasmpool_memory_fill(instance, 0, 0, 0, 0), 0);
        expect_eq(wasmpool_memory_fill(instance, 0, 0, 0, 1), WASMPOOL_E_TRAP);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* The first defined memory is number 0 among its instance's own, and 1 in the index space. */
BothTest(pooling_allocator, multi_memory_with_imported_memories) {
    struct wasmpool_module *exporter_module = modules_load("exporter"), *module = modules_load("shared");
    struct wasmpool_instance *exporter, *instance;
    struct wasmpool_extern imports[8];
    struct Fixture fixture;
    uint32_t n;

    fixture_open(&fixture, implementation, "total_memories=3", "max_memories_per_module=2", "max_tables_per_module=2");
    exporter = modules_instantiate(&fixture, exporter_module, NULL, 0);
    n = modules_bind(module, (struct ModulesNamed[]){{"exporter", exporter}, {NULL, NULL}}, imports, 8);
    instance = modules_instantiate(&fixture, module, imports, n);
    cr_assert_eq(wasmpool_instance_memory_at(instance, 1), memory_of(instance));
    cr_assert_eq(wasmpool_instance_memory_at(instance, 0), wasmpool_instance_memory(exporter, 1));
    cr_assert_neq(wasmpool_instance_memory_at(instance, 0)->base, memory_of(instance)->base);
    expect_eq(wasmpool_memory_fill(instance, 1, 0, 7, 4), 0);
    expect_eq(memory_of(instance)->base[3], 7);
    expect_zero(wasmpool_instance_memory_at(instance, 0)->base, 4);
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory_at(instance, 0), 1), 1);
    expect_eq(memory_of(instance)->current_length, WASM_PAGE);
    wasmpool_deallocate_module(&instance);
    wasmpool_deallocate_module(&exporter);
    wasmpool_module_free(module);
    wasmpool_module_free(exporter_module);
    fixture_close(&fixture);
}

/* A purge that takes the wrong slot would show in the other module's. */
BothTest(pooling_allocator, purge_module) {
    const struct ModulesSegment a[] = {{0, 1, "a"}}, b[] = {{0, 1, "b"}};
    struct wasmpool_module *modules[] = {modules_make(1, a, 1), modules_make(1, b, 1)};
    struct wasmpool_instance *instances[6];
    struct wasmpool_metrics metrics;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=6");
    for (int i = 0; i < 6; i++)
        instances[i] = modules_instantiate(&fixture, modules[i % 2], NULL, 0);
    for (int i = 0; i < 6; i++)
        wasmpool_deallocate_module(&instances[i]);
    wasmpool_purge_module(fixture.pool, modules[0]);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.unused_warm_memories, 3);
    for (int i = 0; i < 6; i++)
        instances[i] = modules_instantiate(&fixture, modules[i < 3], NULL, 0);
    for (int i = 0; i < 6; i++) {
        expect_eq(memory_of(instances[i])->base[0], i < 3 ? 'b' : 'a');
        wasmpool_deallocate_module(&instances[i]);
    }
    wasmpool_module_free(modules[0]);
    wasmpool_module_free(modules[1]);
    fixture_close(&fixture);
}
