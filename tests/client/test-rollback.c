/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

/* What ends in the middle, of an initialisation by a trap and of an allocation by the daemon's death, is given back
 * whole, and the next one in the same slots begins anew. (Where the limiter ends it: test-limiter.c; where a call
 * fails: test-injection.c) */

/* ------------------------------------------------------------------------------------------------ traps */

#define SEGMENTS 6 /* of trap-anywhere.wat: three of elements, three of data */

struct Trapping {
    struct Fixture fixture;
    struct wasmpool_module *six_module, *module;
    struct wasmpool_instance *six;
    struct wasmpool_extern imports[SEGMENTS];
};

static void trapping_open(struct Trapping *trapping, enum Implementation implementation) {
    fixture_open(&trapping->fixture, implementation, "total_core_instances=2", "total_memories=1", "total_tables=1");
    trapping->six_module = modules_load("six");
    trapping->module = modules_load("trap-anywhere");
    trapping->six = modules_instantiate(&trapping->fixture, trapping->six_module, NULL, 0);
    expect_eq(modules_bind(trapping->module, (struct ModulesNamed[]){{"six", trapping->six}, {NULL, NULL}},
                           trapping->imports, SEGMENTS),
              SEGMENTS);
}

static void trapping_close(struct Trapping *trapping) {
    wasmpool_deallocate_module(&trapping->six);
    wasmpool_module_free(trapping->six_module);
    wasmpool_module_free(trapping->module);
    fixture_close(&trapping->fixture);
}

static struct wasmpool_instance *trapping_allocate(struct Trapping *trapping) {
    struct wasmpool_instance *instance = NULL;

    expect_result(&trapping->fixture,
                  modules_allocate(&trapping->fixture, trapping->module, trapping->imports, SEGMENTS, &instance), 0);
    return instance;
}

/* The first `n` segments have been written, and nothing else. */
static void expect_written(struct wasmpool_instance *instance, unsigned n) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    void **table = wasmpool_instance_table(instance, 0)->base;
    void *f0 = wasmpool_instance_function_at(instance, 0), *f1 = wasmpool_instance_function_at(instance, 1);
    void *const elements[10] = {
        n > 0 ? f0 : NULL, NULL, n > 1 ? f1 : NULL, n > 1 ? f0 : NULL, n > 2 ? f0 : NULL, n > 2 ? f1 : NULL,
        n > 2 ? f0 : NULL};
    static const struct {
        uint32_t at;
        const char *text;
    } data[] = {{0, "zero"}, {100, "one"}, {65000, "two"}};
    uint32_t at = 0;

    for (int i = 0; i < 10; i++)
        cr_assert_eq(table[i], elements[i], "element %d is %p, not %p, after %u segments", i, table[i], elements[i], n);
    for (unsigned i = 0; i + 3 < n; i++) {
        size_t bytes = strlen(data[i].text);

        expect_zero(memory->base + at, data[i].at - at);
        cr_assert(!memcmp(memory->base + data[i].at, data[i].text, bytes));
        at = data[i].at + (uint32_t)bytes;
    }
    expect_zero(memory->base + at, WASM_PAGE - at);
}

BothTest(rollback, a_trap_at_any_segment_leaves_nothing_for_the_next_instance) {
    struct Trapping trapping;

    trapping_open(&trapping, implementation);
    for (int order = 0; order < 2; order++)
        for (uint32_t i = 0; i < SEGMENTS; i++) {
            uint32_t *offset = &wasmpool_instance_global_at(trapping.six, i)->i32, was = *offset;
            struct wasmpool_instance *instance = trapping_allocate(&trapping);
            char says[64];

            *offset = UINT32_MAX - i;
            expect_result(&trapping.fixture,
                          wasmpool_initialize(instance, (enum wasmpool_order)order, &trapping.fixture.error),
                          WASMPOOL_E_TRAP);
            snprintf(says, sizeof(says), "%s segment %u is out of bounds", i < 3 ? "element" : "data", i % 3);
            expect_says(trapping.fixture.error.message, says);
            expect_written(instance, order == WASMPOOL_IN_ORDER ? i : 0);
            wasmpool_deallocate_module(&instance);
            fixture_expect_use(&trapping.fixture, 1, 0, 0);
            *offset = was;
            instance = trapping_allocate(&trapping);
            expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
            expect_zero(wasmpool_instance_table(instance, 0)->base, 80);
            expect_result(&trapping.fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &trapping.fixture.error),
                          0);
            expect_written(instance, SEGMENTS);
            expect_eq(wasmpool_instance_global_at(instance, SEGMENTS)->i32, 100);
            memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
            memset(wasmpool_instance_table(instance, 0)->base, 0xfe, 80);
            wasmpool_deallocate_module(&instance);
        }
    trapping_close(&trapping);
}

/* Given back without ever having been initialised: its image is there all the same. */
BothTest(rollback, an_instance_may_be_given_back_before_it_is_initialised) {
    struct wasmpool_module *image = modules_load("image"), *plain = fixture_module(1, 1, 1, 4);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_core_instances=1", "total_memories=1", "total_tables=1");
    for (int i = 0; i < 4; i++) {
        expect_result(&fixture, fixture_allocate(&fixture, image, &instance), 0);
        cr_assert(!memcmp(wasmpool_instance_memory(instance, 0)->base, "a memory", 8));
        expect_zero(wasmpool_instance_table(instance, 0)->base, 32);
        wasmpool_deallocate_module(&instance);
        if (i % 2)
            continue;
        expect_result(&fixture, fixture_allocate(&fixture, plain, &instance), 0);
        expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(image);
    wasmpool_module_free(plain);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ the daemon */

/* The permit and the memory are here already, only the table would be the daemon's to grant. */
Test(rollback, without_the_daemon_what_is_granted_is_given_back_and_stays_usable) {
    static const char *const settings[] = {"--config=/dev/null", "total_core_instances=1", "total_memories=1",
                                           "total_tables=1", NULL};
    struct wasmpool_module *image = modules_load("image"), *no_table = fixture_module(1, 1, 0, 0);
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, REMOTE, "total_core_instances=1", "total_memories=1", "total_tables=1");
    instance = modules_instantiate(&fixture, no_table, NULL, 0);
    memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
    wasmpool_deallocate_module(&instance);
    private_daemon_kill(&fixture.daemon);
    for (int i = 0; i < 3; i++) {
        expect_result(&fixture, fixture_allocate(&fixture, image, &instance), WASMPOOL_E_UNAVAILABLE);
        cr_assert_null(instance);
        fixture_expect_use(&fixture, 0, 0, 0);
        instance = modules_instantiate(&fixture, no_table, NULL, 0);
        expect_bounds(wasmpool_instance_memory(instance, 0), 1);
        expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
        memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    private_daemon_restart(&fixture.daemon, settings);
    for (int i = 0; i < 2; i++) {
        struct wasmpool_func_ref **table;

        instance = modules_instantiate(&fixture, i ? no_table : image, NULL, 0);
        if (!i) {
            cr_assert(!memcmp(wasmpool_instance_memory(instance, 0)->base, "a memory", 8));
            table = wasmpool_instance_table(instance, 0)->base;
            cr_assert(!table[0] && table[1] && !table[2] && !table[3]);
        } else {
            expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
        }
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(image);
    wasmpool_module_free(no_table);
    fixture_close(&fixture);
}
