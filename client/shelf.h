/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SHELF_H
#define CLIENT_SHELF_H

/* A shelf: all slots of one shape that this process has, over all their slabs, and the idle ones in lanes.
 *
 * Taking and releasing is a lane's lock and one edge of the slot's word; neither makes a system call. Only empty lanes
 * lead to the slow path, under the pool's lock: see demand.h. Who then waits stands in the shelf's queue: see wait.h.
 */

#include "client/lane.h"
#include "client/wait.h"

struct wasmpool;
struct wasmpool_error;

#define SHELF_SLAB_SLOTS 64       /* of a memory or table slab: one fd and one mapping serve them all */
#define SHELF_PERMIT_SLOTS 256    /* of an instance slab, which costs entries only */

struct Shelf {
    /* Read on every way, and written when somebody begins or ends to wait. */
    struct wasmpool *pool;
    struct Shelf *kin;      /* whose idle slots count against the same total, here; NULL: none */
    _Atomic uint32_t n_waiters;
    _Atomic uint32_t n_kin_waiters; /* of the kin's queue: they want what becomes idle here */
    uint32_t n_lanes;
    bool keeps_warm;        /* slots with pages are kept at all */
    struct Shape shape;     /* of the next slab */
    /* Everything from here on is the slow path's, under the pool's lock; see demand.h. */
    _Alignas(64) struct Slab *slabs;
    struct Slab *roomy;     /* those that may have slots that are not granted */
    struct Slab *asked;     /* whom more slots were asked of last; they may come late */
    struct Slab *awaited;   /* whose target says that somebody waits */
    struct Connection *news_of; /* whose futex was `news` when all roomy slabs were looked at last */
    uint32_t news;
    bool hinted;            /* more was asked for in advance, and nothing has come since */
    _Atomic bool is_unsettled; /* somebody waits no longer: see demand_settle */
    _Atomic bool is_stalled;   /* who is first is to be nudged: see demand_await */
    _Atomic bool has_left;     /* a slot has gone AWAY from a slab that is not among the roomy ones */
    _Atomic uint32_t n_granted; /* slots that are not AWAY */
    struct Wait wait;
    struct Lane lanes[LANES_MAX];
};

static_assert(offsetof(struct Shelf, n_kin_waiters) < 64, "what every release reads is in one cache line");
static_assert(offsetof(struct Shelf, slabs) % 64 == 0, "what every way reads is in no line that the slow path writes");
static_assert(offsetof(struct Shelf, lanes) % 128 == 0, "nor is the first lane in one with the queue");

/* What is asked of a shelf. */
struct Wish {
    uint64_t image_id;    /* that the slot should hold already; 0: none */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC: until when to wait; 0: not at all */
};

void shelf_init(struct Shelf *shelf, struct wasmpool *pool, const struct Shape *shape, bool keeps_warm);
void shelf_deinit(struct Shelf *shelf);

/* Take an idle slot, asking the source when there is none, and waiting when there is no more; it has no contents that
 * matter. Errors: the source's. */
int shelf_take(struct Shelf *shelf, const struct Wish *wish, struct Taken *taken, struct wasmpool_error *error);

/* Put a taken slot back, or hand it over to who waits; it must have been reset. */
void shelf_release(struct Taken *taken);

/* What is taken and cannot be used again is never released: it stays charged until the connection ends. */
void shelf_retire(struct Taken *taken);

/* Recover what belongs to the number of a taken slot. Returns false when there is no such slot. */
bool shelf_find(struct wasmpool *pool, uint32_t number, struct Taken *taken);

/* Does any lane have a slot, revoked or not? */
bool shelf_has_idle(const struct Shelf *shelf);

/* Take what is idle now, out of any lane, and nothing else. With every lane's lock waited for: what was put there
 * before is found. */
bool shelf_take_idle(struct Shelf *shelf, uint64_t image_id, struct Taken *taken);

/* File new ones, chained by `next` in the order in which they are to lie, the lowest first, in the caller's own lane.
 */
void shelf_file(struct Shelf *shelf, struct Slot *chain);
/* The number of the caller's lane. */
uint8_t shelf_home(const struct Shelf *shelf);

/* Nothing of the slab is idle any more: take its slots out of the lanes. */
void shelf_forget_slab(struct Slab *slab);

/* A slot was recalled, or its word was tampered with: it is AWAY, and was BUSY or becomes VACANT. Returns true if the
 * owner is to be told, by pool_slot_returned. */
bool shelf_lose(struct Taken *taken);

/* Take each warm slot with that image in turn, give it to the function, and put it back; a slot that the function fails
 * for is retired. With the pool's lock held, so that nobody is refused because it is missing meanwhile. */
void shelf_visit(struct Shelf *shelf, uint64_t image_id, int (*visit)(struct Taken *taken));

#endif
