/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

static const struct ModulesSegment FIRST[] = {{100, 5, "first"}}, SECOND[] = {{200, 6, "second"}};

static uint64_t resident(struct Fixture *fixture, uint64_t *warmp) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(fixture->pool, &metrics);
    if (warmp)
        *warmp = metrics.unused_warm_memories;
    return metrics.unused_memory_bytes_resident;
}

static void expect_text(struct wasmpool_instance *instance, uint32_t at, const char *text) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    size_t n = strlen(text);

    expect_zero(memory->base, at);
    cr_assert(!memcmp(memory->base + at, text, n), "not '%s' but '%.*s'", text, (int)n, memory->base + at);
    expect_zero(memory->base + at + n, memory->current_length - at - n);
}

BothTest(purge, gives_the_pages_of_idle_memories_back) {
    struct wasmpool_module *module = modules_make(1, FIRST, 1);
    struct wasmpool_instance *instances[4];
    struct Fixture fixture;
    uint64_t warm;

    fixture_open(&fixture, implementation, "total_memories=4");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            instances[i] = modules_instantiate(&fixture, module, NULL, 0);
        for (int i = 0; i < 4; i++) {
            expect_text(instances[i], 100, "first");
            memset(wasmpool_instance_memory(instances[i], 0)->base, 0xfe, WASM_PAGE);
            wasmpool_deallocate_module(&instances[i]);
        }
        expect_eq(resident(&fixture, &warm), 4 * WASM_PAGE);
        expect_eq(warm, 4);
        wasmpool_purge_module(fixture.pool, module);
        expect_eq(resident(&fixture, &warm), 0);
        expect_eq(warm, 0);
        wasmpool_purge_module(fixture.pool, module); /* nothing is left */
        fixture_expect_use(&fixture, 0, 0, 0);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(purge, leaves_other_modules_and_busy_memories_alone) {
    struct wasmpool_module *first = modules_make(1, FIRST, 1), *second = modules_make(1, SECOND, 1),
                           *plain = modules_make(1, NULL, 0);
    struct wasmpool_instance *idle[3], *busy;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=4", "total_core_instances=4");
    busy = modules_instantiate(&fixture, first, NULL, 0);
    idle[0] = modules_instantiate(&fixture, first, NULL, 0);
    idle[1] = modules_instantiate(&fixture, second, NULL, 0);
    idle[2] = modules_instantiate(&fixture, plain, NULL, 0);
    for (int i = 0; i < 3; i++) {
        wasmpool_instance_memory(idle[i], 0)->base[WASM_PAGE - 1] = 1;
        wasmpool_deallocate_module(&idle[i]);
    }
    expect_eq(resident(&fixture, NULL), 3 * WASM_PAGE);
    wasmpool_purge_module(fixture.pool, first);
    expect_eq(resident(&fixture, NULL), 2 * WASM_PAGE);
    expect_text(busy, 100, "first");
    fixture_expect_use(&fixture, 1, 1, 0);
    wasmpool_purge_module(fixture.pool, plain); /* it has no image: nothing is its own */
    expect_eq(resident(&fixture, NULL), 2 * WASM_PAGE);
    /* All four slots can be had, whatever they hold. */
    for (int i = 0; i < 3; i++) {
        idle[i] = modules_instantiate(&fixture, i == 1 ? first : second, NULL, 0);
        expect_text(idle[i], i == 1 ? 100 : 200, i == 1 ? "first" : "second");
    }
    expect_text(busy, 100, "first");
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_module(&idle[i]);
    wasmpool_deallocate_module(&busy);
    wasmpool_module_free(first);
    wasmpool_module_free(second);
    wasmpool_module_free(plain);
    fixture_close(&fixture);
}

BothTest(purge, of_a_module_that_was_never_allocated_does_nothing) {
    struct wasmpool_module *module = modules_make(1, FIRST, 1), *described = fixture_module(1, 1, 0, 0);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    wasmpool_purge_module(fixture.pool, module);
    wasmpool_purge_module(fixture.pool, described);
    instance = modules_instantiate(&fixture, module, NULL, 0);
    expect_text(instance, 100, "first");
    wasmpool_deallocate_module(&instance);
    wasmpool_purge_module(fixture.pool, described);
    expect_eq(resident(&fixture, NULL), WASM_PAGE);
    wasmpool_module_free(module);
    wasmpool_module_free(described);
    fixture_close(&fixture);
}

/* What is purged counts no longer against the slots that may stay warm. */
BothTest(purge, makes_room_among_the_warm_slots) {
    struct wasmpool_module *first = modules_make(1, FIRST, 1), *second = modules_make(1, SECOND, 1);
    struct wasmpool_instance *a, *b;
    struct Fixture fixture;
    uint64_t warm;

    fixture_open(&fixture, implementation, "total_memories=2", "max_unused_warm_slots=1");
    for (int i = 0; i < 3; i++) {
        a = modules_instantiate(&fixture, first, NULL, 0);
        b = modules_instantiate(&fixture, second, NULL, 0);
        wasmpool_deallocate_module(&a);
        wasmpool_purge_module(fixture.pool, first);
        expect_eq(resident(&fixture, &warm), 0);
        wasmpool_deallocate_module(&b);
        resident(&fixture, &warm);
        expect_eq(warm, 1);
    }
    wasmpool_module_free(first);
    wasmpool_module_free(second);
    fixture_close(&fixture);
}
