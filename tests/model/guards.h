/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_MODEL_GUARDS_H
#define TESTS_MODEL_GUARDS_H

/* The guards that make the protocol right. run.sh searches the model once with each of them taken out,
 * -DMUTANT=GUARD_..., and demands that a property fails then; behind the number stands where, and which. */

/* shared/lease.h: the word */
#define GUARD_WHOLE_WORD              1 /* both GENERATION_GROWS: edges compare the generation, not the state alone */
#define GUARD_REVOKE_GROWS            2 /* both GENERATION_GROWS: the generation grows when a slot is revoked */
#define GUARD_GIVE_BACK_GROWS         3 /* both GENERATION_GROWS: and when it is given back */
#define GUARD_COMPARE                 4 /* calm ONE_HOLDER: take is a compare-and-swap, not a look and a store */
#define GUARD_NEW_GENERATION          5 /* both PAGES_KEPT: another generation than remembered: its pages are gone */
#define GUARD_RELEASE_SEES_RECALL     6 /* recall SERVED: release does not reach IDLE when it was recalled */

/* daemon/grant.c, daemon/slab.c, daemon/reclaim.c */
#define GUARD_EMPTY_BEFORE_GRANT      7 /* both GRANTED_EMPTY: has it pages? is asked just before the grant */
#define GUARD_NOT_WHILE_CLEANING      8 /* both NEVER_PUNCHED: and nothing is granted while a punch is in flight */
#define GUARD_RECORD_BEFORE_GRANT     9 /* both ONE_BUDGET: the record is written before the edge */
#define GUARD_RECORD_BEFORE_RECALL   10 /* both NOTHING_LOST: of a recall, too */
#define GUARD_REVOKE_BEFORE_TRIM     11 /* both NEVER_PUNCHED: trimming is revoke, punch, grant */
#define GUARD_SLAB_IS_THERE          12 /* both RECORD_THERE: a punch that ends after its slab did is nobody's */
#define GUARD_ROOM                   13 /* both ONE_BUDGET: no more is granted than there may be, by the record */

/* daemon/want.c, daemon/server.c */
#define GUARD_RESCAN                 14 /* calm SERVED: while somebody waits the daemon looks again by itself */
#define GUARD_WAKE_AT_GRANT          15 /* calm SERVED: the futex is bumped when something was granted */
#define GUARD_NOT_FROM_WAITER        16 /* both NO_PING_PONG: what was granted to who waits is left to him */

/* daemon/client.c, daemon/session.c */
#define GUARD_ONLY_DEATH             17 /* cut NEVER_PUNCHED: end-of-file is not death: busy slots stay */
#define GUARD_SWEEP                  18 /* cut SERVED: who is cut off loses what becomes idle later, too */

/* client/shelf.c, client/wait.c, client/remote.c */
#define GUARD_READ_BEFORE_LOOK       19 /* calm SERVED: the futex is read before one looks for what is granted */
#define GUARD_COUNT_BEFORE_LOOK      20 /* calm SERVED: who joins the queue counts himself before he looks */
#define GUARD_LOOK_UNDER_LOCK        21 /* calm SERVED: a release looks for waiters under the lane's lock */
#define GUARD_SERVE_WAITER           22 /* calm SERVED: a release serves who waits before the slot is idle */
#define GUARD_HAND_OVER_SEES_RECALL  23 /* recall SERVED: what was recalled is not handed over */
#define GUARD_SLICE                  24 /* cut SERVED: who sleeps looks after the daemon now and then */
#define GUARD_DRAIN_REVOKES          25 /* forget NOTHING_LOST: where a connection has ended idle slots are revoked */
#define GUARD_DRAIN_RECALLS          26 /* forget NOTHING_LOST: and busy ones recalled */

/* A daemon that takes over from the record of one that crashed */
#define GUARD_PUNCH_DIES             27 /* both NEVER_PUNCHED: it starts when no punch of the old one's is left */
#define GUARD_ADOPT_CLEANING         28 /* crash NOTHING_LOST: no punch is under way any more */
#define GUARD_ADOPT_GRANT            29 /* both NOTHING_LOST: recorded, and the word not granted: it is not */
#define GUARD_ADOPT_RETURN           30 /* both NOTHING_LOST: recorded, and of the next generation: it came back */
#define GUARD_ADOPT_RECALL           31 /* recall SERVED: recorded, and the word not recalled: it is not */
#define GUARD_ADOPT_WAKES            32 /* crash SERVED: who waits is woken, and looks, and says so again */

#ifndef MUTANT
#define MUTANT 0
#endif

/* Is the guard there? */
#define WITH(GUARD) (MUTANT != GUARD)

#endif
