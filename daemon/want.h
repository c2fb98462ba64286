/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_WANT_H
#define DAEMON_WANT_H

/* Wants: who gets what is free, and what is taken from whom when nothing is.
 *
 * A want is a slab whose target, in its client's lease table, is above what it was granted. One that cannot be met at
 * once is refused, or, when the target says so, waits:
 *
 *    (none) --want_wait--> WAITING --want_serve: granted, or the target was lowered--> (none)
 *                             +------want_forget: the slab or its connection ends----> (none)
 *
 * Capacity for a want is found in this order:
 *   1. the pool's room;
 *   2. idle slots, by revoking them: first of whoever holds more than its fair share, then of anyone; the coldest first;
 *   3. busy slots, by recalling them, for who waits and has less than its fair share, from who has more. They come back
 *      when they are released.
 * Where the bound that is reached is a user's or a connection's own quota, only that user's or connection's slots count.
 * Shares are of users first, by weight, and then of a user's connections, equally (share.h).
 *
 * A revoked slot's pages are on their way back to the kernel when its capacity is granted elsewhere: that other slot is
 * empty by itself. */

#include "daemon/slab.h"

/* Grant up to `ask` slots of the slab now, also by revoking. Returns how many; 0: *error says what is exhausted, who is
 * refused, the bound, the use and the ask. */
uint32_t want_meet(struct Slab *slab, uint32_t ask, struct Error *error);

/* The slab waits its turn, unless it does already. */
void want_wait(struct Slab *slab);
void want_forget(struct Slab *slab);

/* Grant what can be granted to those that wait, in turn, and recall for the rest. A client that got something has
 * `woken` set: its driver wakes it. Called when capacity may have come back, and on a timer while this returns true:
 * somebody still waits. */
bool want_serve(struct Pool *pool);

#endif
