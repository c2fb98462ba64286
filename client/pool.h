/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_POOL_H
#define CLIENT_POOL_H

/* struct wasmpool: the allocator of one process. */

#include "client/channel.h"
#include "client/handle.h"
#include "client/planner.h"
#include "client/shelf.h"
#include "client/source.h"
#include "shared/limits.h"
#include "shared/paths.h"

#include <pthread.h>

/* Slabs at one time, those that only drain included: more than LEASE_SLABS_MAX, which bounds one connection's. */
#define POOL_SLABS_MAX 4096
#define POOL_PLANNERS_N 17 /* sizes of 2^0 to 2^16 wasm pages */

struct wasmpool {
    /* A page that fork(2) wipes: 0 in a child. getpid(2) would be a system call each time. */
    const volatile uint8_t *alive;
    struct Limits limits;
    uint32_t element_sizes[2]; /* by enum wasmpool_reference */
    const struct Source *source;
    struct Shelf instances, memories, tables[2];
    struct Shelf *table_shelves[2]; /* by enum wasmpool_reference: one and the same if the sizes are */
    uint32_t n_lanes;               /* of each shelf */
    bool count_warm;                /* max_unused_warm_slots is a bound at all */
    _Atomic uint64_t n_shared_images, n_private_images; /* made for modules, since open */
    struct Handles handles;         /* of the instances' blocks */
    _Alignas(64) _Atomic uint64_t n_warm; /* idle memories with pages, if they are counted */
    /* Everything below is the slow path's, under the lock. It is held while the daemon is talked with: who only has
     * something to say leaves it to whoever holds it, see pool_defer. */
    _Alignas(64) pthread_mutex_t lock;
    char path[PATHS_SOCKET_BYTES]; /* of the daemon's socket */
    char *name;
    struct Patience patience;      /* the deadline is that of who holds the lock */
    struct Connection *connection; /* the current one, and behind it those that drain */
    uint64_t n_connections;        /* since open */
    uint64_t granted[KIND_N];      /* embedded: what it has granted itself */
    struct Slab *spares;           /* records of unmapped slabs */
    uint32_t n_slabs, n_mapped;
    _Atomic bool is_untended;       /* see pool_defer */
    /* What was written, and how slots are reset: see tracker.h. Tried when it is needed first, under a lock of its own.
     */
    pthread_mutex_t tracker_lock;
    _Atomic bool tracker_tried;
    struct Tracker tracker;
    struct Planner planners[POOL_PLANNERS_N]; /* of memories that belong to no module, by size */
    struct Slab *_Atomic returned;  /* slabs of which recalled slots have come back */
    struct Slab *_Atomic slabs[POOL_SLABS_MAX]; /* by number */
};

static_assert(offsetof(struct wasmpool, n_warm) % 64 == 0 &&
                  offsetof(struct wasmpool, lock) == offsetof(struct wasmpool, n_warm) + 64,
              "what every cycle may write has a cache line of its own");

/* Refuse a forked child. 0 or FORKED. */
static inline int pool_check(const struct wasmpool *pool, struct wasmpool_error *error) {
    if (__builtin_expect(*pool->alive != 0, 1))
        return 0;
    return error_set(failure(error), ERROR_FORKED,
                     "this allocator belongs to the parent process; a forked child opens its own");
}

/* Take the lock, and give up neither it nor what the daemon is asked for under it before deadline_ns (CLOCK_MONOTONIC;
 * 0: for as long as it takes). False: another has it all that time. */
bool pool_lock_until(struct wasmpool *pool, uint64_t deadline_ns);

/* Let the lock go, and do what was left for its holder. */
void pool_unlock(struct wasmpool *pool);

/* What was noted for the pool's attention is seen after now, or by whoever holds the lock before he has let it go. Not
 * with the lock held. */
void pool_defer(struct wasmpool *pool);

/* An idle memory is not warm any more: taken, or emptied. */
static inline void pool_forget_warm(struct wasmpool *pool, struct Slot *slot) {
    if (!slot->warm)
        return;
    slot->warm = false;
    atomic_fetch_sub(&pool->n_warm, 1);
}

/* NULL: nothing can be tracked. */
const struct Tracker *pool_tracker(struct wasmpool *pool);

/* Of a memory that begins with so many bytes, and belongs to no module. */
struct Planner *pool_planner(struct wasmpool *pool, uint64_t bytes);

uint64_t pool_total(const struct wasmpool *pool, enum Kind kind);
const char *pool_total_name(enum Kind kind);

/* A record for a slab of the shelf's shape, with a number, not yet on the shelf. Sources fill in the rest. -ENOMEM or
 * HOST. */
int pool_new_slab(struct wasmpool *pool, struct Shelf *shelf, const struct Shape *shape, struct Slab **slabp,
                  struct wasmpool_error *error);
/* Put a complete one on its shelf. */
void pool_add_slab(struct wasmpool *pool, struct Slab *slab);
/* Unmap a slab and keep its record for another; it must have no busy slot. Off its shelf if it was on it. Idempotent.
 */
void pool_unmap_slab(struct wasmpool *pool, struct Slab *slab);

/* A slot of the slab was recalled and has come back. Does not wait for the lock. */
void pool_slot_returned(struct wasmpool *pool, struct Slab *slab);

#endif
