/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/handle.h"
#include "client/instance.h"
#include "tests/client/modules.h"

#include <errno.h>
#include <inttypes.h>

/* This program is linked with --wrap for these two: what the library asks of the heap is counted. */

static unsigned n_allocated, n_freed;

void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *block);
void __wrap_free(void *block);

void *__wrap_aligned_alloc(size_t align, size_t bytes) {
    n_allocated++;
    return __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *block) {
    n_freed += block != NULL;
    __real_free(block);
}

/* ------------------------------------------------------------------------------------------------ classes */

Test(handle, classes_leave_a_quarter_unused_at_most) {
    uint64_t before = 0;
    unsigned n = 0;

    for (uint64_t bytes = 1; bytes <= UINT64_C(1) << 32; bytes += 1 + bytes / 64) {
        uint64_t class = handle_round(bytes);

        cr_assert_geq(class, bytes);
        cr_assert_eq(class % HANDLE_ALIGN, 0);
        cr_assert(class - bytes < HANDLE_ALIGN || (class - bytes) * 4 <= bytes, "%" PRIu64 " for %" PRIu64, class,
                  bytes);
        cr_assert_eq(handle_round(class), class);
        n += class != before;
        before = class;
    }
    cr_assert_leq(n, HANDLE_CLASSES + 1, "there are %u classes", n); /* and 4 GiB, which no slot has */
}

/* ------------------------------------------------------------------------------------------------ the spare ones */

struct Rig {
    struct Handles handles;
    struct Slot slots[40];
};

static void rig_change(struct Rig *rig, uint64_t bytes) {
    for (int i = 0; i < 40; i++) {
        expect_eq(handles_change(&rig->handles, &rig->slots[i], handle_round(bytes)), 0);
        expect_eq(rig->slots[i].handle_bytes, handle_round(bytes));
        expect_eq((uintptr_t)rig->slots[i].handle % HANDLE_ALIGN, 0);
        memset(rig->slots[i].handle, i, bytes);
    }
}

static void rig_close(struct Rig *rig) {
    handles_deinit(&rig->handles);
    for (int i = 0; i < 40; i++)
        free(rig->slots[i].handle);
    expect_eq(n_allocated, n_freed);
}

Test(handle, slots_do_not_hold_the_largest_for_ever) {
    struct Rig rig = {0};

    handles_init(&rig.handles);
    n_allocated = n_freed = 0;
    rig_change(&rig, 1000);
    expect_eq(n_allocated, 40);
    rig_change(&rig, 100000);
    expect_eq(rig.handles.spare_bytes, 40 * handle_round(1000));
    rig_change(&rig, 1000);
    expect_eq(rig.handles.spare_bytes, 40 * handle_round(100000));
    expect_eq(n_allocated, 80);
    expect_eq(n_freed, 0);
    rig_close(&rig);
}

/* Forty blocks of a megabyte become small ones: no more than 16 of them are kept. */
Test(handle, spare_ones_are_bounded) {
    struct Rig rig = {0};

    handles_init(&rig.handles);
    n_allocated = n_freed = 0;
    for (int round = 0; round < 3; round++) {
        rig_change(&rig, 1 << 20);
        cr_assert_leq(rig.handles.spare_bytes, HANDLE_SPARE_BYTES_MAX);
        rig_change(&rig, 500);
        cr_assert_leq(rig.handles.spare_bytes, HANDLE_SPARE_BYTES_MAX);
        cr_assert_geq(rig.handles.spare_bytes, HANDLE_SPARE_BYTES_MAX - (1 << 20));
        cr_assert_geq(n_freed, 24);
    }
    rig_close(&rig);
}

Test(handle, what_cannot_be_had_changes_nothing) {
    struct Rig rig = {0};
    void *before;

    handles_init(&rig.handles);
    n_allocated = n_freed = 0;
    rig_change(&rig, 1000);
    before = rig.slots[0].handle;
    expect_eq(handles_change(&rig.handles, &rig.slots[0], UINT64_C(1) << 32), -ENOMEM);
    cr_assert_eq(rig.slots[0].handle, before);
    expect_eq(rig.slots[0].handle_bytes, handle_round(1000));
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ instances */

static struct wasmpool_module *describe(uint32_t globals) {
    return fixture_describe(&(struct wasmpool_module_description){.defined_globals = globals});
}

static const void *use(struct Fixture *fixture, const struct wasmpool_module *module) {
    struct wasmpool_instance *instance = NULL;
    const void *address;

    expect_result(fixture, fixture_allocate(fixture, module, &instance), 0);
    memset(wasmpool_instance_global_at(instance, 0), 0xfe, module->counts.defined_globals * 16);
    address = instance;
    wasmpool_deallocate_module(&instance);
    return address;
}

/* One slot, or two at a time, and modules of three sizes in turn. */
BothTest(handle, modules_in_turn_do_not_allocate) {
    struct wasmpool_module *modules[] = {describe(1), describe(100), describe(10000)};
    struct wasmpool_instance *other = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_core_instances=2");
    for (int round = 0; round < 20; round++) {
        if (round == 4)
            n_allocated = n_freed = 0;
        for (int i = 0; i < 3; i++) {
            use(&fixture, modules[i]);
            expect_result(&fixture, fixture_allocate(&fixture, modules[(i + round) % 3], &other), 0);
            use(&fixture, modules[i]);
            wasmpool_deallocate_module(&other);
        }
    }
    expect_eq(n_allocated, 0);
    expect_eq(n_freed, 0);
    for (int i = 0; i < 3; i++)
        wasmpool_module_free(modules[i]);
    fixture_close(&fixture);
}

BothTest(handle, a_slot_keeps_its_block_for_the_same_module) {
    struct wasmpool_module *module = describe(100), *twin = describe(101), *large = describe(1000);
    struct Fixture fixture;
    const void *first;

    fixture_open(&fixture, implementation, "total_core_instances=1");
    first = use(&fixture, module);
    for (int round = 0; round < 10; round++) {
        cr_assert_eq(use(&fixture, module), first);
        cr_assert_eq(use(&fixture, twin), first); /* of the same class */
        cr_assert_neq(use(&fixture, large), first);
    }
    wasmpool_module_free(module);
    wasmpool_module_free(twin);
    wasmpool_module_free(large);
    fixture_close(&fixture);
}
