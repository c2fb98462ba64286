/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "shared/memfd.h"
#include "tests/client/fixture.h"

/* One memory for all: whoever allocates after a release gets the same slot. */
#define ONE "total_memories=1"

static struct wasmpool_memory allocate(struct Fixture *fixture, uint64_t pages) {
    struct wasmpool_memory memory;

    expect_result(fixture, fixture_allocate_memory(fixture, pages, &memory), 0);
    return memory;
}

BothTest(memory, has_its_minimum_and_not_a_byte_more) {
    static const uint64_t sizes[] = {0, 1, 2, 5, 160, 65536};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct wasmpool_memory memory = allocate(&fixture, sizes[i]);

        expect_bounds(&memory, sizes[i]);
        expect_trap(memory.base + (UINT64_C(4) << 30)); /* behind the reservation: the guard */
        expect_trap(memory.base + (UINT64_C(4) << 30) + (32 << 20) - 1);
        expect_trap(memory.base - 1); /* the guard in front */
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    fixture_close(&fixture);
}

BothTest(memory, knows_its_maximum) {
    struct wasmpool_memory_type type = {.minimum = 1, .maximum = 7, .has_maximum = true};
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "max_memory_size=1000000"); /* no multiple of a page: rounded down */
    memory = allocate(&fixture, 1);
    expect_eq(memory.maximum_length, 15 * WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    expect_result(&fixture, wasmpool_allocate_memory(fixture.pool, &type, NULL, &memory, &fixture.error), 0);
    expect_eq(memory.maximum_length, 7 * WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    type.maximum = 16;
    expect_result(&fixture, wasmpool_allocate_memory(fixture.pool, &type, NULL, &memory, &fixture.error), 0);
    expect_eq(memory.maximum_length, 15 * WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(memory, of_size_0_traps_at_0_until_it_grows) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    for (int i = 0; i < 10; i++) {
        struct wasmpool_memory memory = allocate(&fixture, 0);

        expect_trap(memory.base);
        expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), 0);
        expect_bounds(&memory, 1);
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    fixture_close(&fixture);
}

/* Wasmtime: zero_memory_pages_disallows_oob. */
BothTest(memory, of_a_pool_whose_maximum_is_0_traps_everywhere) {
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=0");
    memory = allocate(&fixture, 0);
    expect_eq(memory.maximum_length, 0);
    for (uint64_t at = 1; at < UINT64_C(4) << 30; at *= 16)
        expect_trap(memory.base + at - 1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), -1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 0), 0);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(memory, grows_in_place_and_says_its_old_size) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    uint8_t *base;

    fixture_open(&fixture, implementation, ONE);
    memory = allocate(&fixture, 1);
    base = memory.base;
    memset(base, 0xfe, WASM_PAGE);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 0), 1);
    expect_bounds(&memory, 1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 3), 1);
    expect_bounds(&memory, 4);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 10), 4);
    expect_bounds(&memory, 14);
    cr_assert_eq(memory.base, base, "it has moved from %p to %p", (void *)base, (void *)memory.base);
    expect_eq(base[WASM_PAGE - 1], 0xfe);
    expect_zero(base + WASM_PAGE, 13 * WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(memory, grows_up_to_its_maximum_and_not_beyond) {
    struct wasmpool_memory_type type = {.minimum = 2, .maximum = 5, .has_maximum = true};
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "max_memory_size=1M");
    expect_result(&fixture, wasmpool_allocate_memory(fixture.pool, &type, NULL, &memory, &fixture.error), 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 4), -1);
    expect_bounds(&memory, 2);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 3), 2);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), -1);
    expect_bounds(&memory, 5);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    memory = allocate(&fixture, 2); /* no maximum of its own: the pool's, 16 pages */
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 15), -1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 14), 2);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), -1);
    expect_bounds(&memory, 16);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* How much of a memory's slot can be reached. */
static uint64_t accessible(struct wasmpool *pool, const struct wasmpool_memory *memory) {
    struct Taken taken;

    cr_assert(shelf_find(pool, memory->allocation, &taken));
    return taken.slot->accessible;
}

/* Where code checks its bounds itself, memory.grow by one page is no system call each time, and none where another one
 * has grown as far. */
BothTest(memory, with_explicit_bounds_grows_in_larger_steps) {
    static const struct wasmpool_memory_type type = {.minimum = 1, .has_maximum = true, .maximum = 100};
    static const char label[LEASE_LABEL_BYTES];
    struct MemoryRequest request = {.type = &type, .label = label, .explicit_bounds = true};
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    for (int round = 0; round < 3; round++) {
        unsigned steps = 0;

        cr_assert_eq(memory_allocate(fixture.pool, &request, &memory, &fixture.error), 0);
        for (int64_t pages = 1; pages < 100; pages++) {
            uint64_t before = accessible(fixture.pool, &memory);

            expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), pages);
            expect_zero(memory.base + pages * 65536, 65536);
            memory.base[pages * 65536 + 17] = 1;
            steps += accessible(fixture.pool, &memory) != before;
        }
        cr_expect(steps <= (round ? 0 : 7), "%u steps in round %d", steps, round);
        expect_eq(accessible(fixture.pool, &memory), 100 * 65536);
        expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), -1);
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    /* And whoever relies on the guard has it. */
    request.explicit_bounds = false;
    cr_assert_eq(memory_allocate(fixture.pool, &request, &memory, &fixture.error), 0);
    expect_eq(accessible(fixture.pool, &memory), 65536);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(memory, grows_to_all_of_4_gib) {
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    memory = allocate(&fixture, 1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 65536), -1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 65535), 1);
    expect_bounds(&memory, 65536);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 1), -1);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(memory, does_not_grow_by_what_overflows) {
    static const uint64_t deltas[] = {UINT64_MAX, UINT64_MAX / WASM_PAGE, UINT64_MAX / WASM_PAGE + 1, UINT64_C(1) << 48,
                                      (UINT64_C(1) << 48) - 1, UINT32_MAX, INT64_MAX};
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    memory = allocate(&fixture, 1);
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        expect_eq(wasmpool_grow_memory(fixture.pool, &memory, deltas[i]), -1);
        expect_bounds(&memory, 1);
    }
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* Wasmtime: pooling_reuse_resets. */
BothTest(memory, that_grew_ends_where_the_next_one_ends) {
    struct wasmpool_memory a, b;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE);
    a = allocate(&fixture, 10);
    expect_eq(wasmpool_grow_memory(fixture.pool, &a, 10), 10);
    memset(a.base, 0xfe, a.current_length);
    wasmpool_deallocate_memory(fixture.pool, &a);
    b = allocate(&fixture, 5);
    expect_bounds(&b, 5);
    expect_trap(b.base + 983040);
    expect_trap(b.base + 20 * WASM_PAGE - 1);
    expect_eq(wasmpool_grow_memory(fixture.pool, &b, 15), 5);
    expect_zero(b.base, 20 * WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &b);
    fixture_close(&fixture);
}

/* Wasmtime: memory_zeroed, with growing, for each size from a page to far above what is zeroed without a look. */
static void expect_zeroed(struct Fixture *fixture, uint64_t minimum, uint64_t grown) {
    struct wasmpool_memory memory;

    for (int round = 0; round < 10; round++) {
        memory = allocate(fixture, minimum);
        expect_zero(memory.base, memory.current_length);
        expect_eq(wasmpool_grow_memory(fixture->pool, &memory, grown - minimum), minimum);
        expect_zero(memory.base, memory.current_length);
        memset(memory.base, 0xfe, memory.current_length);
        wasmpool_deallocate_memory(fixture->pool, &memory);
    }
    memory = allocate(fixture, grown);
    expect_zero(memory.base, memory.current_length);
    wasmpool_deallocate_memory(fixture->pool, &memory);
}

static void expect_zeroed_with(enum Implementation implementation, const char *setting) {
    static const struct {
        uint64_t minimum, grown;
    } sizes[] = {{1, 1}, {4, 4}, {5, 5}, {0, 3}, {1, 20}, {32, 32}};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, setting);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        expect_zeroed(&fixture, sizes[i].minimum, sizes[i].grown);
    fixture_close(&fixture);
}

BothTest(memory, is_zero_again) {
    expect_zeroed_with(implementation, "linear_memory_keep_resident=64G");
}

BothTest(memory, is_zero_again_when_nothing_is_kept) {
    expect_zeroed_with(implementation, "linear_memory_keep_resident=0");
}

BothTest(memory, is_zero_again_when_a_page_is_kept) {
    expect_zeroed_with(implementation, "linear_memory_keep_resident=64K");
}

BothTest(memory, is_zero_again_when_half_a_host_page_is_kept) {
    expect_zeroed_with(implementation, "linear_memory_keep_resident=2000");
}

BothTest(memory, is_zero_again_when_1_mib_is_kept) {
    expect_zeroed_with(implementation, "linear_memory_keep_resident=1M");
}

BothTest(memory, is_zero_again_when_no_slot_stays_warm) {
    expect_zeroed_with(implementation, "max_unused_warm_slots=0");
}

/* Written here and there: what is between is not to be filled by the reset, and what is there not to be missed. */
BothTest(memory, is_zero_again_after_scattered_writes) {
    struct wasmpool_memory memory;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE, "linear_memory_keep_resident=200000");
    for (uint64_t stride = 4096; stride <= 3 * WASM_PAGE; stride += 4096 * 3) {
        memory = allocate(&fixture, 20);
        for (uint64_t at = stride - 1; at < memory.current_length; at += stride)
            memory.base[at] = 0xfe;
        wasmpool_deallocate_memory(fixture.pool, &memory);
        memory = allocate(&fixture, 20);
        expect_zero(memory.base, memory.current_length);
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    fixture_close(&fixture);
}

static uint64_t resident(struct Fixture *fixture, wasmpool_allocation_index allocation) {
    struct Taken taken;
    uint64_t bytes = 0;
    bool whole;

    cr_assert(shelf_find(fixture->pool, allocation, &taken));
    cr_assert_eq(memfd_resident(taken.slab->fd, shape_slot_offset(&taken.slab->shape, taken.index),
                                taken.slab->shape.slot_bytes, 10000, &bytes, &whole),
                 0);
    return bytes;
}

BothTest(memory, keeps_resident_what_the_setting_says) {
    static const struct {
        const char *setting;
        uint64_t kept;
    } cases[] = {{"linear_memory_keep_resident=0", 0},
                 {"linear_memory_keep_resident=128K", 2 * WASM_PAGE},
                 {"linear_memory_keep_resident=64G", 20 * WASM_PAGE},
                 {"max_unused_warm_slots=0", 0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wasmpool_allocation_index allocation;
        struct wasmpool_memory memory;
        struct Fixture fixture;

        fixture_open(&fixture, implementation, cases[i].setting);
        memory = allocate(&fixture, 20);
        allocation = memory.allocation;
        memset(memory.base, 0xfe, memory.current_length);
        wasmpool_deallocate_memory(fixture.pool, &memory);
        expect_eq(resident(&fixture, allocation), cases[i].kept);
        fixture_close(&fixture);
    }
}

BothTest(memory, stays_warm_in_as_many_slots_as_the_setting_says) {
    wasmpool_allocation_index allocations[3];
    struct wasmpool_memory memories[3];
    struct Fixture fixture;
    uint64_t total = 0;

    fixture_open(&fixture, implementation, "max_unused_warm_slots=1");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            memories[i] = allocate(&fixture, 1);
            allocations[i] = memories[i].allocation;
            memset(memories[i].base, 0xfe, memories[i].current_length);
        }
        for (int i = 0; i < 3; i++)
            wasmpool_deallocate_memory(fixture.pool, &memories[i]);
        total = 0;
        for (int i = 0; i < 3; i++)
            total += resident(&fixture, allocations[i]);
        expect_eq(total, WASM_PAGE);
    }
    fixture_close(&fixture);
}

BothTest(memory, is_given_back_once) {
    struct wasmpool_memory a, b, copy;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=2");
    a = copy = allocate(&fixture, 1);
    b = allocate(&fixture, 1);
    wasmpool_deallocate_memory(fixture.pool, &a);
    cr_expect_null(a.base);
    expect_eq(a.current_length, 0);
    expect_eq(a.allocation, WASMPOOL_NO_ALLOCATION);
    wasmpool_deallocate_memory(fixture.pool, &a);
    fixture_expect_use(&fixture, 0, 1, 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, &a, 1), -1);
    a = allocate(&fixture, 1);
    expect_eq(a.allocation, copy.allocation);
    cr_expect_neq(a.base, b.base);
    wasmpool_deallocate_memory(fixture.pool, &a);
    wasmpool_deallocate_memory(fixture.pool, &b);
    fixture_expect_use(&fixture, 0, 0, 0);
    fixture_close(&fixture);
}

BothTest(memory, says_its_label_and_size_to_those_who_inspect) {
    struct wasmpool_memory_type type = {.minimum = 2};
    struct wasmpool_memory memory;
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, implementation, ONE);
    expect_result(
        &fixture,
        wasmpool_allocate_memory(fixture.pool, &type, "a label of more than 23 bytes", &memory, &fixture.error), 0);
    cr_assert(shelf_find(fixture.pool, memory.allocation, &taken));
    expect_str(taken.entry->label, "a label of more than 23");
    expect_eq(taken.entry->pages, 2 * WASM_PAGE / 4096);
    cr_expect_neq(taken.entry->taken_ns, 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, &memory, 3), 2);
    expect_eq(taken.entry->pages, 5 * WASM_PAGE / 4096);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    memory = allocate(&fixture, 1);
    expect_str(taken.entry->label, "");
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ maps */

BothTest(memory, maps_are_filled_in_index_order_behind_what_they_hold) {
    struct wasmpool_memory_type types[] = {{.minimum = 1}, {.minimum = 2}};
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.name = "maps", .memories = types, .n_memories = 2});
    struct wasmpool_request request = {.module = module, .label = "of the request"};
    struct wasmpool_memory room[4];
    struct wasmpool_memories memories = {.at = room, .capacity = 4};
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, implementation, "max_memories_per_module=2");
    for (uint32_t n = 0; n < 4; n += 2) {
        expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error), 0);
        expect_eq(memories.count, n + 2);
        expect_bounds(&room[n], 1);
        expect_bounds(&room[n + 1], 2);
    }
    cr_assert(shelf_find(fixture.pool, room[3].allocation, &taken));
    expect_str(taken.entry->label, "of the request");
    expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error),
                  WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "the map has room for 0 memories of 2");
    fixture_expect_use(&fixture, 0, 4, 0);
    wasmpool_deallocate_memories(fixture.pool, &memories);
    expect_eq(memories.count, 0);
    wasmpool_deallocate_memories(fixture.pool, &memories);
    fixture_expect_use(&fixture, 0, 0, 0);
    memories.capacity = 1;
    expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error),
                  WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "the map has room for 1 memories of 2");
    expect_eq(memories.count, 0);
    request.label = NULL; /* then it is the module's name */
    memories.capacity = 4;
    expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error), 0);
    cr_assert(shelf_find(fixture.pool, room[0].allocation, &taken));
    expect_str(taken.entry->label, "maps");
    wasmpool_deallocate_memories(fixture.pool, &memories);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* What was allocated before an error stays in the map, to be given back. */
BothTest(memory, maps_keep_what_was_allocated_before_an_error) {
    struct wasmpool_module *module = fixture_module(3, 1, 0, 0);
    struct wasmpool_request request = {.module = module};
    struct wasmpool_memory room[3], other;
    struct wasmpool_memories memories = {.at = room, .capacity = 3};
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memories_per_module=3", "total_memories=3");
    other = allocate(&fixture, 1);
    expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error),
                  WASMPOOL_E_LIMIT);
    expect_limit(&fixture, "total_memories", 3, 3);
    expect_eq(memories.count, 2);
    fixture_expect_use(&fixture, 0, 3, 0);
    wasmpool_deallocate_memories(fixture.pool, &memories);
    wasmpool_deallocate_memory(fixture.pool, &other);
    expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error), 0);
    wasmpool_deallocate_memories(fixture.pool, &memories);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
