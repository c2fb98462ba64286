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
 * While somebody waits for the pool's slots, who does not wait gets what it is due, and no more. What was granted to
 * who waited is its own for some time, so that those that wait take turns and do not rob each other.
 *
 * A revoked slot's pages are on their way back to the kernel when its capacity is granted elsewhere: that other slot is
 * empty by itself. */

#include "daemon/slab.h"

/* By how many slots the slab is short of its target, which is hostile: no more than the slab has. *waitsp, unless NULL:
 * does the target say that somebody waits? */
uint32_t want_unmet(const struct Slab *slab, bool *waitsp);

/* Are the pool, the client's user and the client below their resident_bytes_max? 0 or ERROR_LIMIT, which says that
 * `ask` bytes were asked for: how many they will be is not known. */
int want_check_bytes(const struct Client *client, uint64_t ask, struct Error *error);

/* Grant up to `ask` slots of the slab now, also by revoking. Returns how many; 0: *error says what is exhausted, who is
 * refused, the bound, the use and the ask. */
uint32_t want_meet(struct Slab *slab, uint32_t ask, struct Error *error);

/* The slab waits its turn, unless it does already. */
void want_wait(struct Slab *slab);
/* It does not any more. */
void want_forget(struct Slab *slab);

/* The client was granted something outside of an answer: its driver wakes it. */
void want_wake(struct Client *client);

/* Grant what can be granted to those that wait, in turn, and recall for the rest. To be called while pool->served is
 * false. And, `again`, on a timer while pool->wants is not NULL: a client may have been stopped before it could say
 * that a slot came back, and of slots that were recalled some may be held for long: then as many more are. */
void want_serve(struct Pool *pool, bool again);

#endif
