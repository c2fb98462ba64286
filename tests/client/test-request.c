/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/pool.h"
#include "client/reset.h"
#include "client/template.h"
#include "tests/client/modules.h"

#include <sys/mman.h>

/* That what a request and its module say of memories reaches the memories. */

#define HOST_PAGE 4096
#define PAGES 17 /* of Wasm: more than is compared */

static struct wasmpool_instance *allocate(struct Fixture *fixture, const struct wasmpool_request *request) {
    struct wasmpool_instance *instance = NULL;

    expect_result(fixture, wasmpool_allocate_module(fixture->pool, request, &instance, &fixture->error), 0);
    return instance;
}

static struct Taken slot_of(struct Fixture *fixture, struct wasmpool_instance *instance) {
    struct Taken taken;

    cr_assert(shelf_find(fixture->pool, wasmpool_instance_memory(instance, 0)->allocation, &taken));
    return taken;
}

/* ------------------------------------------------------------------------------------------------ pinned */

/* The slot's pages, mapped a second time: nothing tells of what is written there. */
static uint8_t *alias_of(const struct Taken *taken) {
    const struct Shape *shape = &taken->slab->shape;
    uint8_t *alias = mmap(NULL, PAGES * WASM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, taken->slab->fd,
                          (off_t)shape_slot_offset(shape, taken->index));

    cr_assert_neq(alias, MAP_FAILED);
    return alias;
}

static unsigned count_stale(bool pinned) {
    struct wasmpool_module *module = modules_make(PAGES, NULL, 0);
    struct wasmpool_request request = {.module = module, .pinned = pinned};
    struct Fixture fixture;
    unsigned stale = 0;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int i = 0; i < 8; i++) {
        struct wasmpool_instance *instance = allocate(&fixture, &request);
        struct Taken taken = slot_of(&fixture, instance);
        uint8_t *alias = alias_of(&taken);

        stale += alias[5 * HOST_PAGE] != 0;
        alias[5 * HOST_PAGE] = 1;
        munmap(alias, PAGES * WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
    fixture_close(&fixture);
    wasmpool_module_free(module);
    return stale;
}

/* What is written behind the kernel's back is not found, as the contract says, unless the request says so. */
Test(request, that_is_pinned_has_memories_that_nothing_is_presumed_of) {
    expect_eq(count_stale(true), 0);
}

/* ------------------------------------------------------------------------------------------------ planners */

Test(request, of_each_module_has_a_planner_for_each_of_its_memories) {
    struct wasmpool_module *modules[] = {fixture_module(2, PAGES, 0, 0), fixture_module(1, PAGES, 0, 0)};
    struct wasmpool_instance *instances[2];
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, EMBEDDED, "max_memories_per_module=2");
    for (int i = 0; i < 2; i++) {
        instances[i] = allocate(&fixture, &(struct wasmpool_request){.module = modules[i]});
        expect_eq(slot_of(&fixture, instances[i]).slot->planner, &modules[i]->template->planners[0]);
    }
    cr_assert(shelf_find(fixture.pool, wasmpool_instance_memory(instances[0], 1)->allocation, &taken));
    expect_eq(taken.slot->planner, &modules[0]->template->planners[1]);
    for (int i = 0; i < 2; i++) {
        wasmpool_deallocate_module(&instances[i]);
        wasmpool_module_free(modules[i]);
    }
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ growth */

static bool is_accessible(struct Fixture *fixture, struct wasmpool_instance *instance, uint64_t bytes) {
    return slot_of(fixture, instance).slot->accessible >= bytes;
}

/* Where code checks its bounds, in slots that never grew as well; elsewhere guards do, and nothing may lie beyond. */
static void expect_opening(bool explicit_bounds, bool learns) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct wasmpool_request request = {.module = module, .explicit_bounds = explicit_bounds};
    struct wasmpool_instance *grown, *other;
    struct wasmpool_memory *memory;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, "total_memories=2");
    grown = allocate(&fixture, &request);
    memory = wasmpool_instance_memory(grown, 0);
    expect_eq(memory->explicit_bounds, explicit_bounds);
    expect_eq(wasmpool_grow_memory(fixture.pool, memory, 9), 1);
    wasmpool_deallocate_module(&grown);
    grown = allocate(&fixture, &request);
    other = allocate(&fixture, &request);
    expect_eq(is_accessible(&fixture, grown, 10 * WASM_PAGE), learns);
    expect_eq(is_accessible(&fixture, other, 10 * WASM_PAGE), learns);
    expect_eq(wasmpool_instance_memory(other, 0)->current_length, WASM_PAGE);
    wasmpool_deallocate_module(&grown);
    wasmpool_deallocate_module(&other);
    fixture_close(&fixture);
    wasmpool_module_free(module);
}

Test(request, of_code_that_checks_its_bounds_opens_as_much_as_others_needed) {
    expect_opening(true, true);
}

Test(request, of_code_that_relies_on_guards_opens_no_more_than_it_asks_for) {
    expect_opening(false, false);
}

/* ------------------------------------------------------------------------------------------------ contents */

static struct {
    unsigned calls;
    uint64_t bytes;
} populated;

/* This program is linked with --wrap for it. */
int __real_madvise(void *base, size_t bytes, int advice);
int __wrap_madvise(void *base, size_t bytes, int advice);
int __wrap_madvise(void *base, size_t bytes, int advice) {
    if (advice == MADV_POPULATE_WRITE) {
        populated.calls++;
        populated.bytes += bytes;
    }
    return __real_madvise(base, bytes, advice);
}

/* Those that are worth a call, in one, and those that are there already in none. */
Test(request, of_a_module_with_contents_has_their_pages_made_in_bulk) {
    static uint8_t bytes[32 * HOST_PAGE];
    const struct ModulesSegment segments[] = {{0, sizeof(bytes), bytes}, {12 * WASM_PAGE, 16, bytes}};
    struct wasmpool_module *module;
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    memset(bytes, 7, sizeof(bytes));
    module = modules_make(PAGES, segments, 2);
    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int i = 0; i < 3; i++) {
        instance = allocate(&fixture, &(struct wasmpool_request){.module = module});
        expect_eq(wasmpool_instance_memory(instance, 0)->base[12 * WASM_PAGE], 7);
        wasmpool_deallocate_module(&instance);
    }
    expect_eq(populated.calls, 1);
    expect_eq(populated.bytes, sizeof(bytes));
    fixture_close(&fixture);
    wasmpool_module_free(module);
}
