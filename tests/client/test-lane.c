/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "tests/client/fixture.h"

#include <pthread.h>

/* Slots of an embedded pool, laid into lanes of our own or the shelf's by hand; as its table's owner we play, too. */

#define LANES 4 /* whatever the machine has */
#define SLOTS 8
#define IMAGE 5

struct Rig {
    struct Fixture fixture;
    struct Shelf *shelf;
    struct Taken slots[SLOTS]; /* all there are, taken */
    struct Lane lane;          /* none of the shelf's */
};

static void rig_open_with(struct Rig *rig, const char *setting) {
    fixture_open(&rig->fixture, EMBEDDED, "total_memories=8", setting);
    rig->shelf = &rig->fixture.pool->memories;
    rig->shelf->n_lanes = LANES;
    lane_init(&rig->lane, 0);
    for (int i = 0; i < SLOTS; i++)
        cr_assert_eq(shelf_take(rig->shelf, &(struct Wish){0}, &rig->slots[i], NULL), 0);
    expect_eq(rig->shelf->n_granted, SLOTS);
}

static void rig_open(struct Rig *rig) {
    rig_open_with(rig, NULL);
}

static void rig_close(struct Rig *rig) {
    fixture_close(&rig->fixture);
}

static void lay_cold(struct Lane *lane, struct Taken *taken) {
    taken->slot->provenance = PROVENANCE_EMPTY;
    taken->slot->image_id = 0;
    expect_eq(lane_put(lane, taken), 0);
}

/* As when a memory with that image has been reset and is released. */
static void lay_warm(struct Lane *lane, struct Taken *taken, uint64_t image_id) {
    struct wasmpool *pool = taken->slab->shelf->pool;

    taken->slot->provenance = PROVENANCE_CLEAN;
    taken->slot->image_id = image_id;
    taken->slot->warm = pool->count_warm;
    pool->n_warm += pool->count_warm;
    expect_eq(lane_put(lane, taken), 0);
}

static void take_back(const struct Taken *taken) {
    expect_eq(lease_revoke(taken->entry, lease_generation(lease_load(taken->entry))), 0);
}

static void grant(const struct Taken *taken) {
    expect_eq(lease_grant(taken->entry, lease_generation(lease_load(taken->entry))), 0);
}

static void expect_taken(struct Lane *lane, enum LaneChoice choice, uint64_t image_id, const struct Taken *wanted) {
    struct Taken taken;

    cr_assert(lane_take(lane, choice, image_id, &taken), "the lane has no slot, not %u", wanted->index);
    expect_eq(taken.index, wanted->index);
    expect_eq(taken.slot->where, SLOT_HELD);
    expect_str(lease_word_name(lease_load(taken.entry)), "busy");
}

static void expect_none(struct Lane *lane, enum LaneChoice choice, uint64_t image_id) {
    struct Taken taken;

    cr_assert(!lane_take(lane, choice, image_id, &taken), "the lane has slot %u", taken.index);
}

static void expect_counts(const struct Lane *lane, uint32_t n_cold, uint32_t n_warm) {
    expect_eq(lane->n_cold, n_cold);
    expect_eq(lane->n_warm, n_warm);
}

/* ------------------------------------------------------------------------------------------------ choices */

Test(lane, cold_slots_are_used_again_last_in_first_out) {
    struct Rig rig;

    rig_open(&rig);
    for (int i = 0; i < 3; i++)
        lay_cold(&rig.lane, &rig.slots[i]);
    expect_counts(&rig.lane, 3, 0);
    expect_none(&rig.lane, LANE_ALIKE, 0);
    expect_none(&rig.lane, LANE_OLDEST, 0);
    for (int i = 2; i >= 0; i--)
        expect_taken(&rig.lane, LANE_COLD, 0, &rig.slots[i]);
    expect_none(&rig.lane, LANE_COLD, 0);
    expect_counts(&rig.lane, 0, 0);
    rig_close(&rig);
}

Test(lane, warm_slots_of_an_image_are_used_again_last_in_first_out) {
    struct Rig rig;

    rig_open(&rig);
    lay_warm(&rig.lane, &rig.slots[0], IMAGE);
    lay_warm(&rig.lane, &rig.slots[1], IMAGE + 1);
    lay_warm(&rig.lane, &rig.slots[2], IMAGE);
    lay_warm(&rig.lane, &rig.slots[3], 0); /* zero is an image, too */
    expect_counts(&rig.lane, 0, 4);
    expect_none(&rig.lane, LANE_COLD, 0);
    expect_none(&rig.lane, LANE_ALIKE, IMAGE + 2);
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE, &rig.slots[2]);
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE, &rig.slots[0]);
    expect_none(&rig.lane, LANE_ALIKE, IMAGE);
    expect_taken(&rig.lane, LANE_ALIKE, 0, &rig.slots[3]);
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE + 1, &rig.slots[1]);
    expect_counts(&rig.lane, 0, 0);
    rig_close(&rig);
}

Test(lane, the_oldest_is_the_one_that_was_used_least_recently) {
    struct Rig rig;

    rig_open(&rig);
    for (int i = 0; i < 6; i++)
        lay_warm(&rig.lane, &rig.slots[i], IMAGE + i % 2);
    expect_taken(&rig.lane, LANE_OLDEST, 0, &rig.slots[0]);
    lay_warm(&rig.lane, &rig.slots[0], IMAGE);
    /* The newest, and one from the middle. */
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE, &rig.slots[0]);
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE, &rig.slots[4]);
    for (int i = 1; i < 6; i++)
        if (i != 4)
            expect_taken(&rig.lane, LANE_OLDEST, IMAGE, &rig.slots[i]);
    expect_none(&rig.lane, LANE_OLDEST, 0);
    for (int i = 0; i < LANE_BUCKETS; i++)
        cr_assert_null(rig.lane.alike[i], "bucket %d is not empty", i);
    rig_close(&rig);
}

/* As many images as there are slots, all in one bucket: each is found, and none in another's place. */
Test(lane, images_of_one_bucket_are_told_apart) {
    struct Rig rig;

    rig_open(&rig);
    for (int i = 0; i < SLOTS; i++)
        lay_warm(&rig.lane, &rig.slots[i], IMAGE + (uint64_t)i * LANE_BUCKETS);
    expect_none(&rig.lane, LANE_ALIKE, IMAGE + (uint64_t)SLOTS * LANE_BUCKETS);
    for (int i = 0; i < SLOTS; i += 2) {
        expect_taken(&rig.lane, LANE_ALIKE, IMAGE + (uint64_t)i * LANE_BUCKETS, &rig.slots[i]);
        expect_none(&rig.lane, LANE_ALIKE, IMAGE + (uint64_t)i * LANE_BUCKETS);
    }
    for (int i = SLOTS - 1; i > 0; i -= 2)
        expect_taken(&rig.lane, LANE_ALIKE, IMAGE + (uint64_t)i * LANE_BUCKETS, &rig.slots[i]);
    expect_counts(&rig.lane, 0, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ the owner's edges */

Test(lane, what_was_revoked_there_is_dropped) {
    struct Rig rig;

    rig_open_with(&rig, "max_unused_warm_slots=7");
    lay_cold(&rig.lane, &rig.slots[0]);
    lay_cold(&rig.lane, &rig.slots[1]);
    lay_warm(&rig.lane, &rig.slots[2], IMAGE);
    lay_warm(&rig.lane, &rig.slots[3], IMAGE);
    take_back(&rig.slots[1]);
    take_back(&rig.slots[3]);
    expect_taken(&rig.lane, LANE_COLD, 0, &rig.slots[0]);
    expect_taken(&rig.lane, LANE_ALIKE, IMAGE, &rig.slots[2]);
    expect_counts(&rig.lane, 0, 0);
    expect_eq(rig.slots[1].slot->where, SLOT_AWAY);
    expect_eq(rig.slots[3].slot->where, SLOT_AWAY);
    expect_eq(rig.shelf->n_granted, SLOTS - 2);
    expect_eq(rig.slots[0].slab->n_granted, SLOTS - 2);
    expect_eq(rig.fixture.pool->n_warm, 1); /* the one that was taken: its taker forgets it */
    rig_close(&rig);
}

Test(lane, what_was_revoked_and_granted_again_is_cold_and_empty) {
    struct Taken *cold, *warm;
    struct Rig rig;

    rig_open_with(&rig, "max_unused_warm_slots=7");
    cold = &rig.slots[0];
    warm = &rig.slots[1];
    lay_cold(&rig.lane, cold);
    lay_warm(&rig.lane, warm, IMAGE);
    for (int i = 0; i < 2; i++) {
        take_back(&rig.slots[i]);
        grant(&rig.slots[i]);
    }
    expect_none(&rig.lane, LANE_ALIKE, IMAGE);
    expect_counts(&rig.lane, 2, 0);
    expect_eq(rig.fixture.pool->n_warm, 0);
    expect_taken(&rig.lane, LANE_COLD, 0, warm);
    expect_taken(&rig.lane, LANE_COLD, 0, cold);
    for (int i = 0; i < 2; i++) {
        expect_eq(rig.slots[i].slot->provenance, PROVENANCE_EMPTY);
        expect_eq(rig.slots[i].slot->image_id, 0);
        expect_eq(rig.slots[i].slot->generation, 1);
    }
    expect_eq(rig.shelf->n_granted, SLOTS); /* nobody has noticed that they were gone */
    rig_close(&rig);
}

/* Nor does it pass for the oldest warm one. */
Test(lane, what_was_revoked_and_granted_again_is_no_oldest) {
    struct Rig rig;

    rig_open(&rig);
    lay_warm(&rig.lane, &rig.slots[0], IMAGE);
    lay_warm(&rig.lane, &rig.slots[1], IMAGE);
    take_back(&rig.slots[0]);
    grant(&rig.slots[0]);
    expect_taken(&rig.lane, LANE_OLDEST, 0, &rig.slots[1]);
    expect_none(&rig.lane, LANE_OLDEST, 0);
    expect_taken(&rig.lane, LANE_COLD, 0, &rig.slots[0]);
    rig_close(&rig);
}

Test(lane, a_recalled_slot_cannot_be_put_there_and_stays_held) {
    struct Taken *slot;
    uint64_t word;
    struct Rig rig;

    rig_open(&rig);
    slot = &rig.slots[0];
    slot->slot->provenance = PROVENANCE_CLEAN;
    slot->slot->image_id = IMAGE;
    expect_eq(lease_recall(slot->entry, slot->slot->generation), 0);
    word = lease_load(slot->entry);
    expect_eq(lane_put(&rig.lane, slot), LEASE_E_LOST);
    expect_eq(lease_load(slot->entry), word);
    expect_eq(slot->slot->where, SLOT_HELD);
    expect_counts(&rig.lane, 0, 0);
    expect_none(&rig.lane, LANE_ALIKE, IMAGE);
    expect_none(&rig.lane, LANE_OLDEST, 0);
    rig_close(&rig);
}

/* Whoever can write the table may write anything there. */
Test(lane, a_word_that_was_tampered_with_is_not_taken) {
    static const uint64_t words[] = {LEASE_IDLE | LEASE_RECALL, LEASE_BUSY, LEASE_BUSY | LEASE_RECALL, 3, 7};
    struct Rig rig;

    rig_open(&rig);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        lay_cold(&rig.lane, &rig.slots[i]);
        atomic_store(&rig.slots[i].entry->word, words[i]);
        expect_none(&rig.lane, LANE_COLD, 0);
        expect_eq(rig.slots[i].slot->where, SLOT_AWAY);
        expect_counts(&rig.lane, 0, 0);
    }
    rig_close(&rig);
}

/* Only who finds it AWAY may have it, and he has it once. */
Test(lane, a_slot_is_claimed_once) {
    struct Taken *slot;
    struct Rig rig;

    rig_open(&rig);
    slot = &rig.slots[0];
    cr_assert(!slot_claim(slot->slot, 1), "a slot that is held was claimed");
    slot->slot->provenance = PROVENANCE_CLEAN;
    slot->slot->image_id = IMAGE;
    slot_leave(slot->slot);
    expect_eq(rig.shelf->n_granted, SLOTS - 1);
    cr_assert(slot_claim(slot->slot, 1));
    cr_assert(!slot_claim(slot->slot, 2), "a slot was claimed twice");
    expect_eq(slot->slot->where, 1);
    expect_eq(slot->slot->provenance, PROVENANCE_EMPTY);
    expect_eq(slot->slot->image_id, 0);
    expect_eq(rig.shelf->n_granted, SLOTS);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ affinity */

static struct Lane *rig_lane(struct Rig *rig, uint32_t from_home) {
    return &rig->shelf->lanes[(shelf_home(rig->shelf) + from_home) % LANES];
}

static void expect_shelf_takes(struct Rig *rig, uint64_t image_id, const struct Taken *wanted) {
    struct Wish wish = {.image_id = image_id};
    struct Taken taken;

    expect_eq(shelf_take(rig->shelf, &wish, &taken, &rig->fixture.error), 0);
    expect_eq(taken.index, wanted->index);
}

Test(lane, affinity_goes_over_all_lanes_before_anything_else) {
    struct Rig rig;

    rig_open(&rig);
    lay_cold(rig_lane(&rig, 0), &rig.slots[0]);
    lay_warm(rig_lane(&rig, 0), &rig.slots[1], IMAGE + 1);
    lay_warm(rig_lane(&rig, LANES - 1), &rig.slots[2], IMAGE);
    expect_shelf_takes(&rig, IMAGE, &rig.slots[2]);
    rig_close(&rig);
}

Test(lane, cold_slots_are_taken_before_those_that_others_may_want_warm) {
    struct Rig rig;

    rig_open(&rig);
    lay_warm(rig_lane(&rig, 0), &rig.slots[0], IMAGE + 1);
    lay_warm(rig_lane(&rig, 0), &rig.slots[1], IMAGE + 2);
    lay_warm(rig_lane(&rig, 1), &rig.slots[2], IMAGE + 3);
    lay_cold(rig_lane(&rig, 2), &rig.slots[3]);
    expect_shelf_takes(&rig, IMAGE, &rig.slots[3]);
    /* And then the one that was used least recently, in one's own lane first. */
    expect_shelf_takes(&rig, IMAGE, &rig.slots[0]);
    expect_shelf_takes(&rig, IMAGE, &rig.slots[1]);
    expect_shelf_takes(&rig, IMAGE, &rig.slots[2]);
    rig_close(&rig);
}

Test(lane, with_enough_warm_slots_the_oldest_is_taken_before_a_cold_one) {
    struct Rig rig;

    rig_open_with(&rig, "max_unused_warm_slots=3");
    lay_cold(rig_lane(&rig, 0), &rig.slots[0]);
    for (int i = 1; i < 4; i++)
        lay_warm(rig_lane(&rig, 1), &rig.slots[i], IMAGE + (uint64_t)i);
    expect_shelf_takes(&rig, IMAGE + 2, &rig.slots[2]); /* like ones come first all the same */
    lay_warm(rig_lane(&rig, 1), &rig.slots[2], IMAGE + 2);
    rig.fixture.pool->n_warm = 3;
    expect_shelf_takes(&rig, IMAGE, &rig.slots[1]);
    rig.fixture.pool->n_warm = 2; /* as its taker says */
    expect_shelf_takes(&rig, IMAGE, &rig.slots[0]);
    rig_close(&rig);
}

Test(lane, what_keeps_nothing_warm_finds_its_cold_ones) {
    struct Rig rig;

    rig_open_with(&rig, "linear_memory_keep_resident=0");
    cr_assert(!rig.shelf->keeps_warm);
    lay_cold(rig_lane(&rig, 3), &rig.slots[0]);
    expect_shelf_takes(&rig, IMAGE, &rig.slots[0]);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ threads */

struct Errand {
    struct Rig *rig;
    uint8_t home;
};

static void *release_all(void *argument) {
    struct Errand *errand = argument;

    errand->home = shelf_home(errand->rig->shelf);
    for (int i = 0; i < SLOTS; i++)
        shelf_release(&errand->rig->slots[i]);
    return NULL;
}

Test(lane, what_one_thread_released_another_takes) {
    struct Errand errand;
    struct Taken taken;
    pthread_t thread;
    struct Rig rig;

    rig_open(&rig);
    errand.rig = &rig;
    pthread_create(&thread, NULL, release_all, &errand);
    pthread_join(thread, NULL);
    cr_assert_neq(errand.home, shelf_home(rig.shelf), "two threads share lane %d of %d", errand.home, LANES);
    for (int i = 0; i < SLOTS; i++)
        expect_eq(rig.slots[i].slot->where, errand.home);
    for (int i = SLOTS - 1; i >= 0; i--)
        expect_shelf_takes(&rig, 0, &rig.slots[i]);
    expect_eq(shelf_take(rig.shelf, &(struct Wish){0}, &taken, &rig.fixture.error), WASMPOOL_E_LIMIT);
    rig_close(&rig);
}

Test(lane, that_is_locked_is_passed_by_when_a_slot_is_released) {
    struct Lane *home;
    struct Rig rig;

    rig_open(&rig);
    home = rig_lane(&rig, 0);
    lane_lock(home);
    shelf_release(&rig.slots[0]);
    lane_unlock(home);
    expect_eq(rig.slots[0].slot->where, rig_lane(&rig, 1)->number);
    expect_shelf_takes(&rig, 0, &rig.slots[0]);
    rig_close(&rig);
}
