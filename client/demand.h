/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_DEMAND_H
#define CLIENT_DEMAND_H

/* Demand: how a shelf comes to more slots. Under the pool's lock.
 *
 * What was granted shows in the words of the lease table, and is collected from there. Only slabs that have room for
 * more grants are looked at, the roomy ones: first the one that was asked, and all of them only when the header's futex
 * has changed, which tells of grants outside of answers. A process with many slots, all granted, pays nothing for them. */

#include "client/shelf.h"

#define DEMAND_ASK_MAX 16   /* a shelf that runs dry asks for as many as it has, but never more */
#define DEMAND_MARK_LEAST 5 /* of so many that were collected at once one is marked: demand seems to grow */

/* More idle slots in the lanes, if there are none. Errors: LIMIT, also when others wait; those of the source. */
int demand_refill(struct Shelf *shelf, struct wasmpool_error *error);

/* The marked slot was taken: most of what came with it is in use. Ask for more, without waiting for it. */
void demand_hint(struct Shelf *shelf, struct Slab *slab);

/* For who waits, first in the queue: see that the owner knows how many wait, and serve them with what has come.
 * *tablep is the lease table whose futex, as it was, then is to be waited for. Errors: UNAVAILABLE, ... */
int demand_await(struct Shelf *shelf, struct LeaseTable **tablep, uint32_t *seenp, struct wasmpool_error *error);

/* Somebody waits no longer: demand falls with it. */
void demand_settle(struct Shelf *shelf);

/* The rest is done with the pool's lock held. */

/* Put what has been granted to any slab in a lane. Returns how many. */
uint32_t demand_collect(struct Shelf *shelf);

/* A slab is new on its shelf, or leaves it. */
void demand_add_slab(struct Slab *slab);
void demand_remove_slab(struct Slab *slab);

#endif
