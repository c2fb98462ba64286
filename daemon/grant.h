/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_GRANT_H
#define DAEMON_GRANT_H

/* The edges that the daemon walks, with the charges that go with them. Who gets what, and who loses it, is want.h's. */

#include "daemon/slab.h"

#define GRANT_BATCH_MAX 16 /* slots for one Want: a burst does not clear the pool in front of everybody else */

/* How many more slots of the slab's kind its client may have now: by the pool's total, its user's quota and its own. */
uint64_t grant_room(const struct Slab *slab);

/* Grant up to `ask` slots of the slab, at most GRANT_BATCH_MAX and what there is room for. Returns how many. */
uint32_t grant_slots(struct Slab *slab, uint32_t ask);
/* The same for who has waited for them, and is to have some time to wake up to it: see want_may_lose. */
uint32_t grant_slots_fresh(struct Slab *slab, uint32_t ask);

/* Take an idle slot back: its pages, if any, go to the reclaims. 0 or LEASE_E_LOST. */
int grant_revoke(struct Slab *slab, uint32_t slot);

/* Ask for a busy slot. 0 or LEASE_E_LOST. */
int grant_recall(struct Slab *slab, uint32_t slot);

/* Give an idle slot's pages back to the kernel: revoke it, punch it off the loop, and grant it again once it is empty,
 * if its client is still connected and there is room then. 0, or LEASE_E_LOST when it is not idle any more. */
int grant_trim(struct Slab *slab, uint32_t slot);

/* Take back every idle slot of the slab, and punch it. Returns how many. */
uint32_t grant_revoke_idle(struct Slab *slab);

/* Uncharge the slots that were recalled and have come back. Returns how many. */
uint32_t grant_collect(struct Slab *slab);

/* The reclaim of a slot is finished, as slab_slot_cleaned: a trimmed one is granted again. */
void grant_cleaned(struct Slab *slab, uint32_t slot, int result);

/* Uncharge everything, whatever the table says: the slab is about to go. */
void grant_forget(struct Slab *slab);

#endif
