/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_GRANT_H
#define DAEMON_GRANT_H

/* The edges that the daemon walks, with the charges that go with them. First come, first served: a want takes what is
 * free when it comes. */

#include "daemon/slab.h"

#define GRANT_BATCH_MAX 16 /* slots for one Want: a burst does not clear the pool in front of everybody else */

/* Grant up to `ask` slots of the slab, at most GRANT_BATCH_MAX and what the total has left. Returns how many. */
uint32_t grant_slots(struct Slab *slab, uint32_t ask);

/* Give an idle slot's pages back to the kernel: revoke it, punch it off the loop, and grant it again once it is empty, if
 * its client is still connected and there is room then. 0, or LEASE_E_LOST when it is not idle any more. */
int grant_trim(struct Slab *slab, uint32_t slot);

/* Take back every idle slot of the slab, and punch it. Returns how many. */
uint32_t grant_revoke_idle(struct Slab *slab);

/* Uncharge the slots that were recalled and have come back. Returns how many. */
uint32_t grant_collect(struct Slab *slab);

/* Uncharge everything, whatever the table says: the slab is about to go. */
void grant_forget(struct Slab *slab);

#endif
