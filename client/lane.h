/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_LANE_H
#define CLIENT_LANE_H

/* A lane: idle slots of one shelf, on cache lines of their own. A shelf has as many lanes as there are processors, and
 * each thread puts what it releases into its own: two threads at work write no common cache line. Who finds nothing in
 * its own lane looks into the others'.
 *
 * Warm slots are in two lists, by age and with those of like images; cold ones, which have no pages, in one: the last
 * used first, whose page tables and handle may still be in the cache. */

#include "client/slab.h"

#include <sched.h>

#define LANES_MAX 16    /* more threads at once than that share lanes */
#define LANE_BUCKETS 32 /* of images: as many modules as a lane is expected to keep warm, about */

static_assert(LANES_MAX < SLOT_HELD, "the number of a lane is none of the other places");

struct Lane {
    _Alignas(128) _Atomic uint32_t locked;
    _Atomic uint32_t n_cold, n_warm; /* read without the lock, too: a hint */
    uint8_t number;
    struct Slot *cold;             /* the last used first */
    struct Slot *newest, *oldest;  /* warm */
    struct Slot *alike[LANE_BUCKETS]; /* warm, by image id; the last used first */
};

/* What two threads write in two lanes is never in one pair of cache lines, which are fetched together. */
static_assert(_Alignof(struct Lane) == 128 && sizeof(struct Lane) % 128 == 0, "lanes share no cache lines");

/* A slot that was taken. */
struct Taken {
    struct Slab *slab;
    struct Slot *slot;
    struct LeaseEntry *entry;
    uint32_t index;
};

/* Which of the idle slots. */
enum LaneChoice {
    LANE_ALIKE,  /* warm, with that image; the last used */
    LANE_ZERO,   /* warm, without an image; the last used */
    LANE_COLD,   /* without pages */
    LANE_OLDEST, /* warm, with any image; the one that was used least recently */
    LANE_END,    /* none: behind the last of several */
};

void lane_init(struct Lane *lane, uint8_t number);

static inline bool lane_trylock(struct Lane *lane) {
    return !atomic_exchange_explicit(&lane->locked, 1, memory_order_acquire);
}

static inline void lane_unlock(struct Lane *lane) {
    atomic_store_explicit(&lane->locked, 0, memory_order_release);
}

/* What is done under the lock takes less than a microsecond, but its holder may have been interrupted. */
static inline void lane_lock(struct Lane *lane) {
    while (!lane_trylock(lane))
        sched_yield();
}

/* How many slots such a choice has, at some moment. */
static inline uint32_t lane_count(const struct Lane *lane, enum LaneChoice choice) {
    return atomic_load_explicit(choice == LANE_COLD ? &((struct Lane *)lane)->n_cold : &((struct Lane *)lane)->n_warm,
                                memory_order_relaxed);
}

/* The rest is done under the lock. */

/* Take a slot. What is found revoked is dropped: it is AWAY. False: there is none. */
bool lane_take(struct Lane *lane, enum LaneChoice choice, uint64_t image_id, struct Taken *taken);

/* Put a taken slot back and make its word IDLE, or return LEASE_E_LOST: it is still held, and its word is not BUSY any
 * more: recalled. */
int lane_put(struct Lane *lane, struct Taken *taken);

/* Put a slot there that is AWAY no more, see slot_claim. */
void lane_file(struct Lane *lane, struct Slot *slot);

/* Take a slot out that is there; where it is then is the caller's to say. */
void lane_unfile(struct Lane *lane, struct Slot *slot);

/* It is not granted any more: AWAY, and not warm. Whoever finds its word IDLE from then on may claim it. */
void slot_leave(struct Slot *slot);

/* It has been granted: claim it from AWAY, cold and empty, for a lane. Of two that try one succeeds. */
bool slot_claim(struct Slot *slot, uint8_t lane);

#endif
