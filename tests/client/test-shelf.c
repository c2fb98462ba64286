/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/demand.h"
#include "client/pool.h"
#include "shared/memfd.h"
#include "tests/client/fixture.h"
#include "tests/support/host.h"

#include <sys/mman.h>

/* The embedded allocator's own table is played with here, as a daemon would. */

static struct Taken take(struct Fixture *fixture) {
    struct Taken taken;

    cr_assert_eq(shelf_take(&fixture->pool->memories, &(struct Wish){0}, &taken, &fixture->error), 0, "%s", fixture->error.message);
    expect_str(lease_word_name(lease_load(taken.entry)), "busy");
    return taken;
}

static void take_back(const struct Taken *slot) {
    expect_eq(lease_revoke(slot->entry, lease_generation(lease_load(slot->entry))), 0);
}

static void grant(const struct Taken *slot) {
    expect_eq(memfd_punch(slot->slab->fd, shape_slot_offset(&slot->slab->shape, slot->index),
                          slot->slab->shape.slot_bytes),
              0);
    expect_eq(lease_grant(slot->entry, lease_generation(lease_load(slot->entry))), 0);
}

Test(shelf, slots_are_used_again_last_in_first_out) {
    struct Taken a, b, c;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED);
    a = take(&fixture);
    b = take(&fixture);
    c = take(&fixture);
    shelf_release(&a);
    shelf_release(&c);
    shelf_release(&b);
    expect_eq(take(&fixture).index, b.index);
    expect_eq(take(&fixture).index, c.index);
    expect_eq(take(&fixture).index, a.index);
    fixture_close(&fixture);
}

Test(shelf, demand_is_doubled_up_to_16_at_a_time) {
    static const uint64_t granted[] = {1, 2, 4, 8, 16, 32, 48, 64, 80};
    struct Taken taken[80];
    struct Fixture fixture;
    size_t step = 0;

    fixture_open(&fixture, EMBEDDED);
    for (uint64_t i = 0; i < 80; i++) {
        taken[i] = take(&fixture);
        if (i == granted[step])
            step++;
        expect_eq(fixture.pool->granted[KIND_MEMORY], granted[step]);
    }
    for (int i = 0; i < 80; i++)
        shelf_release(&taken[i]);
    fixture_close(&fixture);
}

Test(shelf, no_slot_is_handed_out_twice) {
    struct Fixture fixture;
    struct Taken taken[200];

    fixture_open(&fixture, EMBEDDED, "total_memories=200");
    for (int i = 0; i < 200; i++) {
        taken[i] = take(&fixture);
        for (int j = 0; j < i; j++)
            cr_assert_neq(taken[i].entry, taken[j].entry, "the slots of %d and %d are one", i, j);
    }
    for (int i = 0; i < 200; i++)
        shelf_release(&taken[i]);
    fixture_close(&fixture);
}

/* The embedded allocator's books say that all is granted: it grants nothing in its place. */
Test(shelf, what_was_taken_back_while_idle_is_not_handed_out) {
    struct Fixture fixture;
    struct Taken slots[2];

    fixture_open(&fixture, EMBEDDED, "total_memories=2");
    slots[0] = take(&fixture);
    slots[1] = take(&fixture);
    shelf_release(&slots[0]);
    shelf_release(&slots[1]);
    take_back(&slots[1]);
    expect_eq(take(&fixture).index, slots[0].index);
    expect_eq(shelf_take(&fixture.pool->memories, &(struct Wish){0}, &slots[1], &fixture.error), WASMPOOL_E_LIMIT);
    fixture_close(&fixture);
}

/* It lies on the stack of idle slots already when it is found granted again: it must not come to lie there twice. */
Test(shelf, what_was_taken_back_and_granted_again_is_handed_out_once) {
    struct Taken slots[8], again[8];
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, "total_memories=8");
    for (int i = 0; i < 8; i++)
        slots[i] = take(&fixture);
    for (int i = 0; i < 8; i++)
        shelf_release(&slots[i]);
    for (int i = 0; i < 8; i += 2) {
        take_back(&slots[i]);
        if (i % 4)
            grant(&slots[i]);
    }
    pthread_mutex_lock(&fixture.pool->lock);
    demand_collect(&fixture.pool->memories);
    pthread_mutex_unlock(&fixture.pool->lock);
    for (int i = 0; i < 6; i++) { /* two are not granted any more, and in the books they still are */
        again[i] = take(&fixture);
        for (int j = 0; j < i; j++)
            cr_assert_neq(again[i].index, again[j].index, "slot %u is handed out twice", again[i].index);
    }
    expect_eq(shelf_take(&fixture.pool->memories, &(struct Wish){0}, &again[6], &fixture.error), WASMPOOL_E_LIMIT);
    fixture_close(&fixture);
}

Test(shelf, a_new_generation_means_no_pages_and_the_old_protection) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    expect_result(&fixture, fixture_allocate_memory(&fixture, 20, &memory), 0);
    memset(memory.base, 0xfe, memory.current_length);
    cr_assert(shelf_find(fixture.pool, memory.allocation, &slot));
    wasmpool_deallocate_memory(fixture.pool, &memory);
    expect_eq(slot.slot->provenance, PROVENANCE_CLEAN);
    take_back(&slot);
    grant(&slot);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 5, &memory), 0);
    expect_eq(slot.slot->provenance, PROVENANCE_EMPTY);
    expect_bounds(&memory, 5);
    expect_trap(memory.base + 20 * WASM_PAGE - 1);
    expect_zero(memory.base, memory.current_length);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

Test(shelf, a_recalled_slot_does_not_become_idle) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    cr_assert(shelf_find(fixture.pool, memory.allocation, &slot));
    expect_eq(lease_recall(slot.entry, slot.slot->generation), 0);
    expect_bounds(&memory, 1); /* nothing changes for who uses it */
    fixture_expect_use(&fixture, 0, 1, 0);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    expect_str(lease_word_name(lease_load(slot.entry)), "vacant");
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), WASMPOOL_E_LIMIT);
    grant(&slot);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* Nothing can be punched without its fd. */
Test(shelf, a_memory_whose_reset_fails_is_retired_for_good) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    struct Taken slot;
    int fd;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    expect_result(&fixture, fixture_allocate_memory(&fixture, 20, &memory), 0);
    cr_assert(shelf_find(fixture.pool, memory.allocation, &slot));
    memset(memory.base, 0xfe, memory.current_length);
    fd = slot.slab->fd;
    slot.slab->fd = -1;
    wasmpool_deallocate_memory(fixture.pool, &memory);
    slot.slab->fd = fd;
    expect_eq(slot.entry->flags, LEASE_FLAG_RETIRED);
    expect_str(lease_word_name(lease_load(slot.entry)), "busy");
    expect_eq(slot.slot->provenance, PROVENANCE_UNKNOWN);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), WASMPOOL_E_LIMIT);
    fixture_close(&fixture);
}

Test(shelf, only_numbers_of_slots_are_found) {
    struct Fixture fixture;
    struct Taken slot, found;

    fixture_open(&fixture, EMBEDDED);
    cr_expect(!shelf_find(fixture.pool, 0, &found));
    slot = take(&fixture);
    cr_expect(shelf_find(fixture.pool, slab_slot_number(slot.slab, 63), &found));
    expect_eq(found.index, 63);
    cr_expect(!shelf_find(fixture.pool, slab_slot_number(slot.slab, 64), &found));
    cr_expect(!shelf_find(fixture.pool, slab_slot_number(slot.slab, 0) + (1 << SLOT_BITS), &found));
    cr_expect(!shelf_find(fixture.pool, WASMPOOL_NO_ALLOCATION, &found));
    cr_expect(!shelf_find(fixture.pool, (uint32_t)POOL_SLABS_MAX << SLOT_BITS, &found));
    shelf_release(&slot);
    fixture_close(&fixture);
}

/* Whoever can write the table may write anything there. */
Test(shelf, a_word_that_was_tampered_with_loses_its_slot_and_nothing_else) {
    struct Fixture fixture;
    struct Taken bad, good;

    fixture_open(&fixture, EMBEDDED);
    bad = take(&fixture);
    atomic_store(&bad.entry->word, lease_word(4711, 3));
    shelf_release(&bad);
    good = take(&fixture);
    cr_expect_neq(good.index, bad.index);
    shelf_release(&good);
    atomic_store(&bad.entry->word, lease_word(4711, LEASE_VACANT));
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ what is shared */

#define BARE_SLOTS 2
#define BARE_IMAGE 7
#define BARE_PAGE 4096

/* A shelf with idle slots and nothing else, of which what threads share lies on other pages than what is one thread's
 * at a time: the lanes, the slots, and the words. */
struct Bare {
    struct wasmpool *pool;
    struct Shelf *shelf;
    struct Slab *slab;
    struct LeaseTable *table;
};

static size_t bare_round(size_t bytes) {
    return (bytes + BARE_PAGE - 1) / BARE_PAGE * BARE_PAGE;
}

static void *bare_map(size_t bytes) {
    void *base = mmap(NULL, bare_round(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(base, MAP_FAILED);
    return base;
}

/* An object whose byte `at` is a page's first. */
static void *bare_map_split(size_t at, size_t bytes) {
    return (uint8_t *)bare_map(bare_round(at) + bytes - at) + bare_round(at) - at;
}

static void bare_unmap_split(void *object, size_t at, size_t bytes) {
    munmap((uint8_t *)object + at - bare_round(at), bare_round(bare_round(at) + bytes - at));
}

static const size_t bare_slab_bytes = sizeof(struct Slab) + BARE_SLOTS * sizeof(struct Slot);

static void bare_fill(struct Bare *bare) {
    struct Slab *slab = bare->slab;

    slab->shelf = bare->shelf;
    slab->shape = bare->shelf->shape;
    slab->entries = bare->table->entries;
    for (uint32_t i = 0; i < BARE_SLOTS; i++) {
        struct Slot *slot = &slab->slots[i];

        slot->slab = slab;
        slot->where = SLOT_AWAY;
        slot->generation = UINT64_MAX;
        expect_eq(lease_grant(slab_entry(slab, i), 0), 0);
        cr_assert(slot_claim(slot, shelf_home(bare->shelf)));
        slot->next = NULL;
        shelf_file(bare->shelf, slot);
    }
}

static void bare_open(struct Bare *bare) {
    struct Shape shape = {.kind = KIND_MEMORY, .count = BARE_SLOTS};

    bare->pool = bare_map(sizeof(*bare->pool));
    bare->pool->n_lanes = LANES_MAX;
    bare->shelf = bare_map_split(offsetof(struct Shelf, lanes), sizeof(*bare->shelf));
    bare->slab = bare_map_split(offsetof(struct Slab, slots), bare_slab_bytes);
    bare->table = bare_map(lease_table_bytes(BARE_SLOTS));
    lease_table_init(bare->table, BARE_SLOTS);
    shelf_init(bare->shelf, bare->pool, &shape, true);
    bare_fill(bare);
}

static void bare_close(struct Bare *bare) {
    shelf_deinit(bare->shelf);
    bare_unmap_split(bare->slab, offsetof(struct Slab, slots), bare_slab_bytes);
    bare_unmap_split(bare->shelf, offsetof(struct Shelf, lanes), sizeof(*bare->shelf));
    munmap(bare->table, bare_round(lease_table_bytes(BARE_SLOTS)));
    munmap(bare->pool, bare_round(sizeof(*bare->pool)));
}

static void bare_protect(const struct Bare *bare) {
    size_t shelf_bytes = offsetof(struct Shelf, lanes), slab_bytes = offsetof(struct Slab, slots);

    host_demand(!mprotect(bare->pool, bare_round(sizeof(*bare->pool)), PROT_READ) &&
                    !mprotect((uint8_t *)bare->shelf + shelf_bytes - bare_round(shelf_bytes), bare_round(shelf_bytes),
                              PROT_READ) &&
                    !mprotect((uint8_t *)bare->slab + slab_bytes - bare_round(slab_bytes), bare_round(slab_bytes),
                              PROT_READ) &&
                    !mprotect(bare->table, sizeof(struct LeaseHeader), PROT_READ),
                "mprotect");
}

/* Cold the first time, and warm from then on. */
static void bare_cycle(void *argument) {
    struct Bare *bare = argument;

    bare_protect(bare);
    for (int i = 0; i < 4; i++) {
        struct Wish wish = {.image_id = BARE_IMAGE};
        struct Taken taken;

        host_demand(!shelf_take(bare->shelf, &wish, &taken, NULL), "no slot is idle");
        host_demand(taken.slot->image_id == (i ? BARE_IMAGE : 0), "it is not the slot that was released");
        taken.slot->provenance = PROVENANCE_CLEAN;
        taken.slot->image_id = BARE_IMAGE;
        shelf_release(&taken);
    }
}

/* A counter, a flag, an atomic that all processors write is what all of them wait for. In a process that dies if it is
 * there, even if what is written was there before. */
Test(shelf, cycle_writes_nothing_that_threads_share) {
    struct Bare bare;

    bare_open(&bare);
    expect_eq(host_join(host_fork(bare_cycle, &bare)), 0);
    bare_close(&bare);
}

static void expect_lines_apart(const struct Shelf *shelf) {
    for (uint32_t i = 0; i < LANES_MAX; i++)
        expect_eq((uintptr_t)&shelf->lanes[i] % 128, 0);
    for (const struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->capacity; i++)
            expect_eq((uintptr_t)&slab->slots[i] % 128, 0);
}

/* What the types ask for the heap has to give. */
Test(shelf, lanes_and_slots_have_pairs_of_cache_lines_of_their_own) {
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, EMBEDDED);
    taken = take(&fixture);
    expect_lines_apart(&fixture.pool->instances);
    expect_lines_apart(&fixture.pool->memories);
    expect_lines_apart(&fixture.pool->tables[0]);
    expect_lines_apart(&fixture.pool->tables[1]);
    shelf_release(&taken);
    fixture_close(&fixture);
}
