/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_DEMAND_H
#define CLIENT_DEMAND_H

/* Demand: how a shelf comes to more slots. Under the pool's lock.
 *
 * What was granted shows in the words of the lease table, and is collected from there. Only slabs that have room for
 * more grants are looked at, the roomy ones: first the one that was asked, and all of them only when the header's futex
 * has changed, which tells of grants outside of answers. A process with many slots, all granted, pays nothing for them.
 */

#include "client/shelf.h"

#define DEMAND_ASK_MAX 16   /* a shelf that runs dry asks for as many as it has, but never more */
#define DEMAND_LEAST_MS 10
#define DEMAND_MARK_LEAST 5 /* of so many that were collected at once one is marked: demand seems to grow */

/* More idle slots in the lanes, if there are none. The owner is given until deadline_ns (CLOCK_MONOTONIC; 0: timeout_ms
 * each time it is asked) and DEMAND_LEAST_MS at least. Errors: LIMIT, also when others wait; UNAVAILABLE; those of the
 * source. */
int demand_refill(struct Shelf *shelf, uint64_t deadline_ns, struct wasmpool_error *error);

/* The marked slot was taken: most of what came with it is in use. Ask for more, without waiting for it. */
void demand_hint(struct Shelf *shelf, struct Slab *slab);

/* Positive outcome of demand_await. */
/* Another thread talks with the owner: the first in the queue is nudged when it has ended. */
enum { DEMAND_E_BUSY = 1 };

/* For who waits: see that the owner knows how many wait, and serve them with what has come. *tablep is the lease table
 * whose futex, as it was, then is to be waited for. Waits for nobody. BUSY. Errors: UNAVAILABLE, ... */
int demand_await(struct Shelf *shelf, uint64_t deadline_ns, struct LeaseTable **tablep, uint32_t *seenp,
                 struct wasmpool_error *error);

/* Somebody waits no longer: demand falls with it, now or when the pool's lock is let go. */
void demand_settle(struct Shelf *shelf);

/* The rest is done with the pool's lock held. */

/* Put what has been granted to any slab in a lane. Returns how many. */
uint32_t demand_collect(struct Shelf *shelf);

/* Do what demand_settle and demand_await have left to do. */
void demand_tend(struct Shelf *shelf);

/* A slab is new on its shelf, or leaves it. */
void demand_add_slab(struct Slab *slab);
void demand_remove_slab(struct Slab *slab);

#endif
