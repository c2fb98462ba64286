/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/shelf.h"

#include "client/demand.h"
#include "client/pool.h"

/* A thread's own lane, of any shelf: numbers are given round robin. In the library's static block: it is read on every
 * way, and a call to find it would show. */
static _Thread_local uint32_t shelf_thread __attribute__((tls_model("initial-exec"))); /* 0: none yet */
static _Atomic uint32_t shelf_threads;

static uint32_t shelf_number_thread(void) {
    uint32_t number;

    do
        number = atomic_fetch_add(&shelf_threads, 1) + 1;
    while (!number);
    return shelf_thread = number;
}

uint8_t shelf_home(const struct Shelf *shelf) {
    uint32_t number = shelf_thread;

    if (__builtin_expect(!number, 0))
        number = shelf_number_thread();
    return (uint8_t)(number % shelf->n_lanes);
}

void shelf_init(struct Shelf *shelf, struct wasmpool *pool, const struct Shape *shape, bool keeps_warm) {
    shelf->pool = pool;
    shelf->shape = *shape;
    shelf->n_lanes = pool->n_lanes;
    shelf->keeps_warm = keeps_warm;
    wait_init(&shelf->wait);
    for (uint8_t i = 0; i < LANES_MAX; i++)
        lane_init(&shelf->lanes[i], i);
}

void shelf_deinit(struct Shelf *shelf) {
    if (shelf->pool)
        wait_deinit(&shelf->wait);
}

bool shelf_find(struct wasmpool *pool, uint32_t number, struct Taken *taken) {
    uint32_t index = slot_index(number);

    if (number >> SLOT_BITS >= POOL_SLABS_MAX)
        return false;
    taken->slab = atomic_load_explicit(&pool->slabs[number >> SLOT_BITS], memory_order_acquire);
    if (!taken->slab || index >= taken->slab->shape.count)
        return false;
    taken->index = index;
    taken->slot = &taken->slab->slots[index];
    taken->entry = slab_entry(taken->slab, index);
    return true;
}

/* ------------------------------------------------------------------------------------------------ take */

/* As Wasmtime chooses: the same image first, whoever's lane it lies in; else a cold one, so that other images stay
 * warm, unless as many slots are warm as may be. */
static const enum LaneChoice SPARING[] = {LANE_ALIKE, LANE_COLD, LANE_OLDEST, LANE_END};
static const enum LaneChoice FULL[] = {LANE_ALIKE, LANE_OLDEST, LANE_COLD, LANE_END};
/* A table's elements are written sooner than one page is made, and into null ones sooner than over others. */
static const enum LaneChoice TABLES[] = {LANE_ALIKE, LANE_ZERO, LANE_COLD, LANE_OLDEST, LANE_END};

static const enum LaneChoice *shelf_choices(const struct Shelf *shelf) {
    struct wasmpool *pool = shelf->pool;

    if (shelf->shape.kind == KIND_TABLE)
        return TABLES;
    return pool->count_warm && atomic_load_explicit(&pool->n_warm, memory_order_relaxed) >=
                                   pool->limits.max_unused_warm_slots
               ? FULL
               : SPARING;
}

enum ShelfOutcome { SHELF_TAKEN, SHELF_EMPTY, SHELF_LOCKED };

/* One choice, over all lanes, one's own first. Of the others' that look empty nothing is touched. */
static enum ShelfOutcome shelf_try_choice(struct Shelf *shelf, enum LaneChoice choice, uint64_t image_id,
                                          struct Taken *taken) {
    enum ShelfOutcome outcome = SHELF_EMPTY;
    uint32_t at = shelf_home(shelf);

    for (uint32_t i = 0; i < shelf->n_lanes; i++, at = at + 1 < shelf->n_lanes ? at + 1 : 0) {
        struct Lane *lane = &shelf->lanes[at];
        bool found;

        if (!lane_count(lane, choice))
            continue;
        if (!lane_trylock(lane)) {
            outcome = SHELF_LOCKED;
            continue;
        }
        found = lane_take(lane, choice, image_id, taken);
        lane_unlock(lane);
        if (found)
            return SHELF_TAKEN;
    }
    return outcome;
}

static bool shelf_try(struct Shelf *shelf, uint64_t image_id, struct Taken *taken) {
    const enum LaneChoice *choices = shelf_choices(shelf);

    for (;;) {
        bool locked = false;

        /* What keeps nothing warm does not look for it, least of all in other threads' lanes. */
        for (int i = shelf->keeps_warm ? 0 : 1; choices[i] != LANE_END; i++)
            switch (shelf_try_choice(shelf, choices[i], image_id, taken)) {
            case SHELF_TAKEN:
                return true;
            case SHELF_LOCKED:
                locked = true;
                break;
            case SHELF_EMPTY:
                break;
            }
        if (!locked)
            return false;
        sched_yield();
    }
}

bool shelf_take_idle(struct Shelf *shelf, uint64_t image_id, struct Taken *taken) {
    const enum LaneChoice *choices = shelf_choices(shelf);

    for (uint32_t at = 0; at < shelf->n_lanes; at++) {
        struct Lane *lane = &shelf->lanes[at];
        bool found = false;

        lane_lock(lane);
        for (int i = 0; choices[i] != LANE_END && !found; i++)
            found = lane_take(lane, choices[i], image_id, taken);
        lane_unlock(lane);
        if (found)
            return true;
    }
    return false;
}

bool shelf_has_idle(const struct Shelf *shelf) {
    for (uint32_t i = 0; i < shelf->n_lanes; i++)
        if (lane_count(&shelf->lanes[i], LANE_COLD) || lane_count(&shelf->lanes[i], LANE_OLDEST))
            return true;
    return false;
}

static int shelf_take_slowly(struct Shelf *shelf, const struct Wish *wish, struct Taken *taken,
                             struct wasmpool_error *error) {
    for (;;) {
        struct wasmpool_error why;
        int r = demand_refill(shelf, wish->deadline_ns, &why);

        if (r == ERROR_LIMIT && wish->deadline_ns)
            return wait_take(shelf, wish, &why, taken, error);
        if (r) {
            if (error)
                *error = why;
            return r;
        }
        if (shelf_try(shelf, wish->image_id, taken))
            return 0;
    }
}

int shelf_take(struct Shelf *shelf, const struct Wish *wish, struct Taken *taken, struct wasmpool_error *error) {
    /* Nobody overtakes who waits. */
    if (__builtin_expect(atomic_load_explicit(&shelf->n_waiters, memory_order_relaxed), 0) ||
        !shelf_try(shelf, wish->image_id, taken)) {
        int r = shelf_take_slowly(shelf, wish, taken, error);

        if (r)
            return r;
    }
    if (__builtin_expect(taken->slot->marked, 0)) {
        taken->slot->marked = false;
        demand_hint(shelf, taken->slab);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ release */

bool shelf_lose(struct Taken *taken) {
    uint64_t generation = taken->slot->generation;

    /* AWAY before it is VACANT: from then on it may be granted again, and collected. */
    slot_leave(taken->slot);
    return lease_release(taken->entry, generation) == LEASE_E_RECALLED;
}

static void shelf_lose_and_tell(struct Shelf *shelf, struct Taken *taken) {
    if (shelf_lose(taken))
        pool_slot_returned(shelf->pool, taken->slab);
}

static struct Lane *shelf_lock_any(struct Shelf *shelf) {
    uint32_t home = shelf_home(shelf), at = home;

    for (;;) {
        if (__builtin_expect(lane_trylock(&shelf->lanes[at]), 1))
            return &shelf->lanes[at];
        at = at + 1 < shelf->n_lanes ? at + 1 : 0;
        if (at == home)
            sched_yield();
    }
}

/* Someone waits: to whoever is first it goes as it is, BUSY. Unless it was recalled: then it is the owner's. */
static bool shelf_hand_over(struct Shelf *shelf, struct Taken *taken) {
    if (lease_load(taken->entry) & LEASE_RECALL) {
        shelf_lose_and_tell(shelf, taken);
        return true;
    }
    return wait_serve_first(shelf, taken);
}

void shelf_release(struct Taken *taken) {
    struct Shelf *shelf = taken->slab->shelf;
    struct Lane *lane;
    int r;

    for (;;) {
        /* Under the lock: who begins to wait counts himself first, and then looks into each lane under its lock. So
         * either he finds what is put here now, or he is seen here. */
        lane = shelf_lock_any(shelf);
        if (__builtin_expect(!atomic_load_explicit(&shelf->n_waiters, memory_order_relaxed), 1))
            break;
        lane_unlock(lane);
        if (shelf_hand_over(shelf, taken))
            return;
    }
    r = lane_put(lane, taken);
    lane_unlock(lane);
    if (__builtin_expect(r, 0))
        shelf_lose_and_tell(shelf, taken);
    else if (__builtin_expect(atomic_load(&shelf->n_kin_waiters), 0))
        wait_rouse(shelf->kin);
}

void shelf_retire(struct Taken *taken) {
    atomic_fetch_or(&taken->entry->flags, LEASE_FLAG_RETIRED);
}

/* ------------------------------------------------------------------------------------------------ lanes as a whole */

void shelf_file(struct Shelf *shelf, struct Slot *chain) {
    struct Lane *lane = &shelf->lanes[shelf_home(shelf)];

    lane_lock(lane);
    while (chain) {
        struct Slot *next = chain->next;

        lane_file(lane, chain);
        chain = next;
    }
    lane_unlock(lane);
}

void shelf_forget_slab(struct Slab *slab) {
    for (uint32_t i = 0; i < slab->shape.count; i++) {
        struct Slot *slot = &slab->slots[i];
        uint8_t where = atomic_load(&slot->where);
        struct Lane *lane;

        if (where >= LANES_MAX)
            continue;
        lane = &slab->shelf->lanes[where];
        lane_lock(lane);
        if (atomic_load(&slot->where) == where) {
            lane_unfile(lane, slot);
            slot_leave(slot);
        }
        lane_unlock(lane);
    }
}

static void shelf_visit_one(struct Shelf *shelf, struct Taken *taken, int (*visit)(struct Taken *taken)) {
    struct Lane *lane;
    int r;

    if (visit(taken)) {
        shelf_retire(taken);
        return;
    }
    lane = &shelf->lanes[shelf_home(shelf)];
    lane_lock(lane);
    r = lane_put(lane, taken);
    lane_unlock(lane);
    if (r && shelf_lose(taken))
        shelf->pool->source->returned(shelf->pool, taken->slab);
}

void shelf_visit(struct Shelf *shelf, uint64_t image_id, int (*visit)(struct Taken *taken)) {
    for (uint32_t i = 0; i < shelf->n_lanes; i++) {
        struct Lane *lane = &shelf->lanes[i];
        struct Taken taken;
        bool found;

        do {
            lane_lock(lane);
            found = lane_take(lane, LANE_ALIKE, image_id, &taken);
            lane_unlock(lane);
            if (found)
                shelf_visit_one(shelf, &taken, visit);
        } while (found);
    }
    wait_serve(shelf);
}
