/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/lane.h"

#include "client/pool.h"

void lane_init(struct Lane *lane, uint8_t number) {
    *lane = (struct Lane){.number = number};
}

/* ------------------------------------------------------------------------------------------------ lists */

/* Only the lock's holder writes: no read-modify-write is needed. */
static void lane_add(_Atomic uint32_t *count, int32_t n) {
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + (uint32_t)n, memory_order_relaxed);
}

static struct Slot **lane_bucket(struct Lane *lane, uint64_t image_id) {
    return &lane->alike[image_id % LANE_BUCKETS];
}

static bool slot_is_warm(const struct Slot *slot) {
    return atomic_load_explicit(&((struct Slot *)slot)->provenance, memory_order_relaxed) == PROVENANCE_CLEAN;
}

static void lane_file_warm(struct Lane *lane, struct Slot *slot) {
    struct Slot **bucket = lane_bucket(lane, slot->image_id);

    slot->previous = NULL;
    slot->next = lane->newest;
    *(slot->next ? &slot->next->previous : &lane->oldest) = slot;
    lane->newest = slot;
    slot->previous_alike = NULL;
    slot->next_alike = *bucket;
    if (slot->next_alike)
        slot->next_alike->previous_alike = slot;
    *bucket = slot;
    lane_add(&lane->n_warm, 1);
}

static void lane_unfile_warm(struct Lane *lane, struct Slot *slot) {
    *(slot->previous ? &slot->previous->next : &lane->newest) = slot->next;
    *(slot->next ? &slot->next->previous : &lane->oldest) = slot->previous;
    *(slot->previous_alike ? &slot->previous_alike->next_alike : lane_bucket(lane, slot->image_id)) = slot->next_alike;
    if (slot->next_alike)
        slot->next_alike->previous_alike = slot->previous_alike;
    lane_add(&lane->n_warm, -1);
}

static void lane_file_cold(struct Lane *lane, struct Slot *slot) {
    slot->previous = NULL;
    slot->next = lane->cold;
    if (slot->next)
        slot->next->previous = slot;
    lane->cold = slot;
    lane_add(&lane->n_cold, 1);
}

static void lane_unfile_cold(struct Lane *lane, struct Slot *slot) {
    *(slot->previous ? &slot->previous->next : &lane->cold) = slot->next;
    if (slot->next)
        slot->next->previous = slot->previous;
    lane_add(&lane->n_cold, -1);
}

void lane_file(struct Lane *lane, struct Slot *slot) {
    atomic_store_explicit(&slot->where, lane->number, memory_order_relaxed);
    if (slot_is_warm(slot))
        lane_file_warm(lane, slot);
    else
        lane_file_cold(lane, slot);
}

void lane_unfile(struct Lane *lane, struct Slot *slot) {
    if (slot_is_warm(slot))
        lane_unfile_warm(lane, slot);
    else
        lane_unfile_cold(lane, slot);
}

/* ------------------------------------------------------------------------------------------------ granted or not */

static void slot_is_empty(struct Slot *slot) {
    atomic_store_explicit(&slot->provenance, PROVENANCE_EMPTY, memory_order_relaxed);
    slot->image_id = 0;
    slot->marked = false;
}

bool slot_claim(struct Slot *slot, uint8_t lane) {
    uint8_t away = SLOT_AWAY;

    if (!atomic_compare_exchange_strong(&slot->where, &away, lane))
        return false;
    slot_is_empty(slot);
    atomic_fetch_add(&slot->slab->n_granted, 1);
    atomic_fetch_add(&slot->slab->shelf->n_granted, 1);
    return true;
}

void slot_leave(struct Slot *slot) {
    struct Slab *slab = slot->slab;
    struct Shelf *shelf = slab->shelf;

    pool_forget_warm(shelf->pool, slot);
    atomic_fetch_sub(&slab->n_granted, 1);
    atomic_fetch_sub(&shelf->n_granted, 1);
    /* The last touch: it may be claimed at once. */
    atomic_store(&slot->where, SLOT_AWAY);
    if (!atomic_load(&slab->roomy))
        atomic_store(&shelf->has_left, true);
}

/* It was revoked while it lay there. It may have been granted again since, while it did not look AWAY to those who
 * collect: then it is still ours to put back. */
static void lane_drop(struct Lane *lane, struct Slot *slot) {
    lane_unfile(lane, slot);
    slot_leave(slot);
    if (lease_is_idle(lease_load(slot_entry(slot))) && slot_claim(slot, lane->number))
        lane_file(lane, slot);
}

/* ------------------------------------------------------------------------------------------------ take and put */

static struct Slot *lane_find(struct Lane *lane, enum LaneChoice choice, uint64_t image_id) {
    struct Slot *slot;

    if (choice == LANE_COLD)
        return lane->cold;
    if (choice == LANE_OLDEST)
        return lane->oldest;
    if (choice == LANE_ZERO)
        image_id = 0;
    for (slot = *lane_bucket(lane, image_id); slot && slot->image_id != image_id;)
        slot = slot->next_alike;
    return slot;
}

/* Its word has changed since it was put there: it is gone, or came back without its pages. */
static bool lane_is_as_it_was(struct Lane *lane, struct Slot *slot, const struct LeaseEntry *entry) {
    uint64_t word = atomic_load_explicit(&((struct LeaseEntry *)entry)->word, memory_order_relaxed);

    if (__builtin_expect(!lease_is_idle(word), 0)) {
        lane_drop(lane, slot);
        return false;
    }
    if (__builtin_expect(lease_generation(word) == slot->generation || !slot_is_warm(slot), 1))
        return true;
    lane_unfile(lane, slot);
    pool_forget_warm(slot->slab->shelf->pool, slot);
    slot_is_empty(slot);
    lane_file(lane, slot);
    return false;
}

bool lane_take(struct Lane *lane, enum LaneChoice choice, uint64_t image_id, struct Taken *taken) {
    struct Slot *slot;
    uint64_t generation;

    while ((slot = lane_find(lane, choice, image_id))) {
        struct LeaseEntry *entry = slot_entry(slot);

        if (!lane_is_as_it_was(lane, slot, entry) || lease_take(entry, &generation))
            continue;
        lane_unfile(lane, slot);
        atomic_store_explicit(&slot->where, SLOT_HELD, memory_order_relaxed);
        if (generation != slot->generation) {
            slot->generation = generation;
            atomic_store_explicit(&slot->provenance, PROVENANCE_EMPTY, memory_order_relaxed);
            slot->image_id = 0;
        }
        *taken = (struct Taken){slot->slab, slot, entry, (uint32_t)(slot - slot->slab->slots)};
        return true;
    }
    return false;
}

int lane_put(struct Lane *lane, struct Taken *taken) {
    struct Slot *slot = taken->slot;

    /* Filed first: a slot that is IDLE can be revoked, and must be found where it is, at once. */
    lane_file(lane, slot);
    if (__builtin_expect(!lease_walk(taken->entry, lease_word(slot->generation, LEASE_BUSY),
                                     lease_word(slot->generation, LEASE_IDLE)),
                         1))
        return 0;
    lane_unfile(lane, slot);
    atomic_store_explicit(&slot->where, SLOT_HELD, memory_order_relaxed);
    return LEASE_E_LOST;
}
