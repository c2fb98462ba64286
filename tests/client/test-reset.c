/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "client/reset.h"
#include "shared/memfd.h"
#include "tests/client/fixture.h"

#include <errno.h>

#define HOST_PAGE 4096
#define SLOT_BYTES (UINT64_C(16) << 20)
#define KEEP_ALL UINT64_MAX

/* A slot whose every byte can be touched. */
static struct Taken open_slot(struct Fixture *fixture) {
    struct Taken taken;

    cr_assert_eq(shelf_take(&fixture->pool->memories, &(struct Wish){0}, &taken, &fixture->error), 0);
    cr_assert_eq(mapping_protect(slab_slot_base(taken.slab, taken.index), 0, SLOT_BYTES, NULL), 0);
    taken.slot->accessible = SLOT_BYTES;
    return taken;
}

static uint64_t resident(const struct Taken *taken) {
    uint64_t bytes = UINT64_MAX;
    bool whole = false;

    cr_assert_eq(memfd_resident(taken->slab->fd, shape_slot_offset(&taken->slab->shape, taken->index),
                                taken->slab->shape.slot_bytes, 100000, &bytes, &whole),
                 0);
    cr_assert(whole);
    return bytes;
}

static uint8_t *base_of(const struct Taken *taken) {
    return slab_slot_base(taken->slab, taken->index);
}

/* To zero, and without tracking. */
static int reset(struct Taken *taken, uint64_t used, uint64_t keep) {
    return reset_slot(taken, &(struct ResetAsk){.used = used, .keep = keep});
}

/* Make a slot's pages [first, end) exist, with something on them. */
static void fill(const struct Taken *taken, uint64_t first, uint64_t end) {
    memset(base_of(taken) + first * HOST_PAGE, 0xfe, (end - first) * HOST_PAGE);
}

Test(reset, small_ones_are_zeroed_in_place_and_stay_resident) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    fill(&slot, 0, 64);
    expect_eq(reset(&slot, RESET_ZERO_BYTES, KEEP_ALL), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_CLEAN);
    expect_eq(resident(&slot), RESET_ZERO_BYTES);
    expect_zero(base_of(&slot), RESET_ZERO_BYTES);
    fixture_close(&fixture);
}

Test(reset, of_nothing_used_does_nothing) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    expect_eq(reset(&slot, 0, KEEP_ALL), 0);
    expect_eq(resident(&slot), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_CLEAN);
    expect_eq(reset(&slot, 0, 0), 0);
    cr_expect_neq(slot.slot->provenance, PROVENANCE_UNKNOWN);
    fixture_close(&fixture);
}

static void expect_announced(const struct Taken *taken, enum LeaseReset way, uint64_t pages) {
    uint32_t word = atomic_load(&taken->entry->reset);

    expect_str(lease_reset_name(lease_reset_way(word)), lease_reset_name(way));
    expect_eq(lease_reset_pages(word), pages);
    cr_expect_neq(lease_reset_ns(word), 0);
}

/* For `wasmpoolctl images`: which pages were found to be written, or looked at, and how long that took. Of a small one
 * it is told when it has been measured. */
Test(reset, says_how_it_was_done_what_it_found_and_how_long_it_took) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    for (unsigned i = 0; i < TRIAL_EVERY; i++)
        expect_eq(reset(&slot, RESET_SMALL_BYTES, KEEP_ALL), 0);
    expect_announced(&slot, LEASE_RESET_SMALL, RESET_SMALL_BYTES / HOST_PAGE);
    fill(&slot, 0, 3);
    fill(&slot, 1000, 1010);
    expect_eq(reset(&slot, SLOT_BYTES, KEEP_ALL), 0);
    expect_announced(&slot, LEASE_RESET_EXTENTS, RESET_SMALL_BYTES / HOST_PAGE + 10);
    expect_eq(reset(&slot, SLOT_BYTES, 3 * HOST_PAGE), 0);
    expect_announced(&slot, LEASE_RESET_EXTENTS, 3);
    for (unsigned i = 0; i < PLANNER_EVERY; i++)
        expect_eq(reset(&slot, RESET_ZERO_BYTES, KEEP_ALL), 0);
    expect_announced(&slot, LEASE_RESET_WHOLE, RESET_ZERO_BYTES / HOST_PAGE);
    fixture_close(&fixture);
}

/* Reading a hole of a larger memory would allocate it: only what exists is touched. */
Test(reset, large_ones_keep_their_holes) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    fill(&slot, 0, 3);
    fill(&slot, 100, 101);
    fill(&slot, 1000, 1010);
    expect_eq(reset(&slot, SLOT_BYTES, KEEP_ALL), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_CLEAN);
    expect_eq(resident(&slot), 14 * HOST_PAGE);
    expect_zero(base_of(&slot), SLOT_BYTES);
    fixture_close(&fixture);
}

Test(reset, keeps_the_first_pages_and_gives_the_rest_back) {
    static const struct {
        uint64_t keep, resident;
    } cases[] = {{HOST_PAGE, HOST_PAGE},
                 {3 * HOST_PAGE, 3 * HOST_PAGE},
                 {5 * HOST_PAGE, 5 * HOST_PAGE},
                 {14 * HOST_PAGE, 14 * HOST_PAGE},
                 {15 * HOST_PAGE, 14 * HOST_PAGE},
                 {HOST_PAGE + 1, HOST_PAGE},
                 {HOST_PAGE - 1, 0},
                 {1, 0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct Fixture fixture;
        struct Taken slot;

        fixture_open(&fixture, EMBEDDED);
        slot = open_slot(&fixture);
        fill(&slot, 0, 3);
        fill(&slot, 100, 101);
        fill(&slot, 1000, 1010);
        expect_eq(reset(&slot, SLOT_BYTES, cases[i].keep), 0);
        cr_expect_neq(slot.slot->provenance, PROVENANCE_UNKNOWN);
        expect_eq(resident(&slot), cases[i].resident);
        expect_zero(base_of(&slot), SLOT_BYTES);
        fixture_close(&fixture);
    }
}

Test(reset, looks_at_a_bounded_number_of_extents) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    for (uint64_t i = 0; i < RESET_EXTENTS_MAX + 100; i++)
        fill(&slot, 2 * i, 2 * i + 1);
    expect_eq(reset(&slot, SLOT_BYTES, KEEP_ALL), 0);
    expect_eq(resident(&slot), RESET_EXTENTS_MAX * HOST_PAGE);
    expect_zero(base_of(&slot), SLOT_BYTES);
    fixture_close(&fixture);
}

Test(reset, keeping_nothing_empties) {
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    fill(&slot, 0, 64);
    expect_eq(reset(&slot, RESET_ZERO_BYTES, 0), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_EMPTY);
    expect_eq(resident(&slot), 0);
    fill(&slot, 0, 4096);
    expect_eq(reset_empty(&slot), 0);
    expect_eq(resident(&slot), 0);
    expect_zero(base_of(&slot), SLOT_BYTES);
    fixture_close(&fixture);
}

Test(reset, does_not_touch_the_neighbours) {
    static const uint64_t keeps[] = {0, HOST_PAGE, 100 * HOST_PAGE, KEEP_ALL};
    struct Taken slots[3];
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, "memory_reservation=16M", "max_memory_size=16M", "memory_guard_size=0");
    for (int i = 0; i < 3; i++)
        slots[i] = open_slot(&fixture);
    for (size_t k = 0; k < sizeof(keeps) / sizeof(keeps[0]); k++) {
        for (int i = 0; i < 3; i++)
            fill(&slots[i], 0, 4096);
        expect_eq(reset(&slots[1], SLOT_BYTES, keeps[k]), 0);
        expect_zero(base_of(&slots[1]), SLOT_BYTES);
        for (int i = 0; i < 3; i += 2)
            for (uint64_t at = 0; at < SLOT_BYTES; at++)
                cr_assert_eq(base_of(&slots[i])[at], 0xfe, "slot %d, byte %" PRIu64, i, at);
    }
    fixture_close(&fixture);
}

Test(reset, that_fails_leaves_the_contents_unknown) {
    struct Fixture fixture;
    struct Taken slot;
    int fd;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    fill(&slot, 0, 100);
    fd = slot.slab->fd;
    slot.slab->fd = -1;
    expect_eq(reset(&slot, SLOT_BYTES, KEEP_ALL), -EBADF);
    expect_eq(slot.slot->provenance, PROVENANCE_UNKNOWN);
    slot.slab->fd = fd;
    expect_eq(reset_empty(&slot), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_EMPTY);
    fixture_close(&fixture);
}

/* Nothing may be kept, and the kernel does not take it: a slot that is small is written all the same. */
Test(reset, that_cannot_give_pages_back_writes_them) {
    struct Fixture fixture;
    struct Taken slot;
    int fd;

    fixture_open(&fixture, EMBEDDED);
    slot = open_slot(&fixture);
    fill(&slot, 0, HOST_PAGE);
    fd = slot.slab->fd;
    slot.slab->fd = -1;
    expect_eq(reset(&slot, HOST_PAGE, 0), 0);
    slot.slab->fd = fd;
    expect_eq(slot.slot->provenance, PROVENANCE_CLEAN);
    expect_zero(slab_slot_base(slot.slab, slot.index), HOST_PAGE);
    fixture_close(&fixture);
}
