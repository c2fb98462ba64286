/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/shelf.h"

#include "client/pool.h"

#include <string.h>

void shelf_init(struct Shelf *shelf, struct wasmpool *pool, const struct Shape *shape) {
    shelf->pool = pool;
    shelf->shape = *shape;
    shelf->slabs = NULL;
    atomic_init(&shelf->top, SLOT_NONE);
}

static inline struct Slab *shelf_slab(struct wasmpool *pool, uint32_t number) {
    return atomic_load_explicit(&pool->slabs[number >> SLOT_BITS], memory_order_acquire);
}

bool shelf_find(struct wasmpool *pool, uint32_t number, struct Taken *taken) {
    uint32_t index = slot_index(number);

    if (number >> SLOT_BITS >= POOL_SLABS_MAX)
        return false;
    taken->slab = shelf_slab(pool, number);
    if (!taken->slab || index >= taken->slab->shape.count)
        return false;
    taken->index = index;
    taken->slot = &taken->slab->slots[index];
    taken->entry = slab_entry(taken->slab, index);
    return true;
}

static void shelf_push(struct Shelf *shelf, struct Slot *slot, uint32_t number) {
    uint64_t top = atomic_load_explicit(&shelf->top, memory_order_relaxed);

    do
        atomic_store_explicit(&slot->next, (uint32_t)top, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&shelf->top, &top, (top >> 32) << 32 | number, memory_order_release,
                                                  memory_order_relaxed));
}

static uint32_t shelf_pop(struct Shelf *shelf, struct Taken *taken) {
    uint64_t top = atomic_load_explicit(&shelf->top, memory_order_acquire);
    uint64_t below;

    do {
        if ((uint32_t)top == SLOT_NONE)
            return SLOT_NONE;
        taken->slab = shelf_slab(shelf->pool, (uint32_t)top);
        taken->index = slot_index((uint32_t)top);
        taken->slot = &taken->slab->slots[taken->index];
        below = atomic_load_explicit(&taken->slot->next, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&shelf->top, &top, ((top >> 32) + 1) << 32 | below,
                                                    memory_order_acquire, memory_order_acquire));
    return (uint32_t)top;
}

uint32_t shelf_collect(struct Shelf *shelf) {
    uint32_t n = 0;

    for (struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->shape.count; i++) {
            struct Slot *slot = &slab->slots[i];

            if (lease_state(lease_load(slab_entry(slab, i))) != LEASE_IDLE || atomic_load(&slot->known))
                continue;
            atomic_store(&slot->known, true);
            shelf_push(shelf, slot, slab_slot_number(slab, i));
            n++;
        }
    return n;
}

/* Take everything off the stack. What is not idle any more is forgotten, the rest is a list by `next`, the last used at
 * its end, and is returned. */
static uint32_t shelf_empty(struct Shelf *shelf) {
    uint32_t kept = SLOT_NONE, number;
    struct Taken taken;

    while ((number = shelf_pop(shelf, &taken)) != SLOT_NONE)
        if (lease_state(lease_load(slab_entry(taken.slab, taken.index))) == LEASE_IDLE) {
            atomic_store(&taken.slot->next, kept);
            kept = number;
        } else {
            atomic_store(&taken.slot->known, false);
        }
    return kept;
}

void shelf_sweep(struct Shelf *shelf) {
    uint32_t kept = shelf_empty(shelf);

    while (kept != SLOT_NONE) {
        struct Slot *slot = &shelf_slab(shelf->pool, kept)->slots[slot_index(kept)];
        uint32_t next = atomic_load(&slot->next);

        shelf_push(shelf, slot, kept);
        kept = next;
    }
}

/* The rest of taking a slot whose number was popped: its word. False: it was taken back while it lay there; it will be
 * collected again when it is granted again. */
static bool shelf_take_word(struct Taken *taken) {
    uint64_t generation;

    taken->entry = slab_entry(taken->slab, taken->index);
    if (lease_take(taken->entry, &generation)) {
        atomic_store(&taken->slot->known, false);
        return false;
    }
    if (generation != taken->slot->generation) {
        taken->slot->generation = generation;
        taken->slot->provenance = PROVENANCE_EMPTY;
        taken->slot->image_id = 0;
    }
    return true;
}

static void shelf_visit_one(struct Shelf *shelf, uint32_t number, int (*visit)(struct Taken *, const void *),
                            const void *data) {
    struct Taken taken;

    shelf_find(shelf->pool, number, &taken);
    if (!shelf_take_word(&taken))
        return;
    if (visit(&taken, data)) {
        shelf_retire(&taken);
        return;
    }
    switch (lease_release(taken.entry, taken.slot->generation)) {
    case 0:
        shelf_push(shelf, taken.slot, number);
        return;
    case LEASE_E_RECALLED:
        atomic_store(&taken.slot->known, false);
        shelf->pool->source->returned(shelf->pool, taken.slab);
        return;
    default:
        atomic_store(&taken.slot->known, false);
    }
}

void shelf_visit(struct Shelf *shelf, int (*visit)(struct Taken *taken, const void *data), const void *data) {
    uint32_t kept = shelf_empty(shelf);

    while (kept != SLOT_NONE) {
        uint32_t next = atomic_load(&shelf_slab(shelf->pool, kept)->slots[slot_index(kept)].next);

        shelf_visit_one(shelf, kept, visit, data);
        kept = next;
    }
}

static bool shelf_has_idle(struct Shelf *shelf) {
    return (uint32_t)atomic_load(&shelf->top) != SLOT_NONE;
}

/* A slab that may have more slots granted, and how many slots the shelf has in all. */
static struct Slab *shelf_choose(struct Shelf *shelf, uint32_t *grantedp) {
    struct Slab *chosen = NULL;
    uint32_t granted = 0;

    for (struct Slab *slab = shelf->slabs; slab; slab = slab->next) {
        struct SlabUse use = slab_use(slab);

        granted += use.idle + use.busy;
        if (!slab->connection->draining && !slab->full && use.vacant && !chosen)
            chosen = slab;
    }
    *grantedp = granted;
    return chosen;
}

/* Where the address space does not suffice for a slab of the usual size, a smaller one may do. */
static int shelf_open_slab(struct Shelf *shelf, uint32_t ask, struct wasmpool_error *error) {
    uint32_t count = shelf->shape.count;

    for (;;) {
        struct wasmpool_error why = {0};
        int r = shelf->pool->source->open_slab(shelf->pool, shelf, count, ask < count ? ask : count, &why);
        bool is_space = r == ERROR_HOST && (!strcmp(why.limit, "RLIMIT_AS") || !strcmp(why.limit, "address space") ||
                                            !strcmp(why.limit, "RLIMIT_FSIZE"));

        if (is_space && count > 1) {
            count = count > 4 ? count / 4 : 1;
            continue;
        }
        if (r && error)
            *error = why;
        return r;
    }
}

/* Demand is doubled each time: a worker that needs one slot gets one, one with a burst is not slowed by round trips. */
static int shelf_ask(struct Shelf *shelf, struct wasmpool_error *error) {
    uint32_t granted, ask;
    struct Slab *slab = shelf_choose(shelf, &granted);
    int r;

    ask = granted < 1 ? 1 : granted < SHELF_ASK_MAX ? granted : SHELF_ASK_MAX;
    if (!slab) {
        r = shelf_open_slab(shelf, ask, error);
        if (r)
            return r;
        slab = shelf->slabs;
        if (slab_use(slab).idle)
            return 0;
        /* Nothing was free: ask again, to be told why. */
    }
    r = shelf->pool->source->want(shelf->pool, slab, ask, error);
    return r && slab->full ? shelf_ask(shelf, error) : r;
}

static int shelf_refill_locked(struct Shelf *shelf, struct wasmpool_error *error) {
    struct wasmpool *pool = shelf->pool;

    /* More than once: that a daemon has been started anew shows only when it is asked. */
    for (int attempt = 0; attempt < 3; attempt++) {
        int r;

        /* Another thread may have collected or released what there is while this one came here. */
        if (shelf_collect(shelf) || shelf_has_idle(shelf))
            return 0;
        r = pool->source->reach(pool, error);
        if (!r)
            r = shelf_ask(shelf, error);
        if ((!r && shelf_collect(shelf)) || shelf_has_idle(shelf))
            return 0;
        if (r && (r != ERROR_UNAVAILABLE || !pool->connection->ended || attempt))
            return r;
    }
    return error_set(failure(error), ERROR_PROTOCOL, "slots were promised and not granted");
}

static int shelf_refill(struct Shelf *shelf, struct wasmpool_error *error) {
    int r;

    pthread_mutex_lock(&shelf->pool->lock);
    r = shelf_refill_locked(shelf, error);
    pthread_mutex_unlock(&shelf->pool->lock);
    return r;
}

int shelf_take(struct Shelf *shelf, struct Taken *taken, struct wasmpool_error *error) {
    for (;;) {
        if (shelf_pop(shelf, taken) == SLOT_NONE) {
            int r = shelf_refill(shelf, error);

            if (r)
                return r;
        } else if (shelf_take_word(taken)) {
            return 0;
        }
    }
}

void shelf_release(struct Taken *taken) {
    struct Slab *slab = taken->slab;
    struct Slot *slot = taken->slot;
    struct Shelf *shelf = slab->shelf;
    uint32_t number = slab_slot_number(slab, taken->index);
    int r = lease_release(taken->entry, slot->generation);

    if (__builtin_expect(!r, 1)) {
        shelf_push(shelf, slot, number);
        return;
    }
    atomic_store(&slot->known, false);
    if (r == LEASE_E_RECALLED)
        pool_slot_returned(shelf->pool, slab);
}

void shelf_retire(struct Taken *taken) {
    atomic_fetch_or(&taken->entry->flags, LEASE_FLAG_RETIRED);
}
