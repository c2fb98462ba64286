/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

/* Who waits for a slot of a shelf: a queue of tickets, served in order.
 *
 *    QUEUED --it is first--> HEAD --a slot is released or granted--> SERVED
 *       |                      |
 *       +----------------------+--its deadline passes, or there is no daemon to ask--> (gone)
 *
 * The head watches the lease table's futex, which tells of grants; the others sleep on their tickets. A slot that is
 * released goes to the head as it is, BUSY, without anybody else having a chance. So does what is granted: whoever
 * finds it, the head or one who joins, serves the queue from its front. */

#include "client/lane.h"

#include <pthread.h>

struct Shelf;
struct Ticket;
struct Wish;
struct wasmpool_error;

#define WAIT_SLICE_NS UINT64_C(1000000000) /* a daemon that was killed wakes nobody: so often the head looks after it */

struct Wait {
    _Alignas(64) pthread_mutex_t lock; /* taken with or without the pool's lock held, and before a lane's */
    struct Ticket *first, **lastp;
    struct LeaseTable *watched; /* by the first one; NULL: it does not sleep */
    bool is_due;                /* it has to look again: it has become first, or was nudged */
};

void wait_init(struct Wait *wait);
void wait_deinit(struct Wait *wait);

/* Stand in the queue until a slot comes or the deadline passes; `refusal` is why there is none, and what is returned
 * then, with how long it was waited for. Errors: LIMIT; UNAVAILABLE and others if the daemon cannot be asked. */
int wait_take(struct Shelf *shelf, const struct Wish *wish, const struct wasmpool_error *refusal, struct Taken *taken,
              struct wasmpool_error *error);

/* How many stand in the queue. */
uint32_t wait_count(const struct Shelf *shelf);

/* If anyone waits, who does not want to is refused as they were. */
bool wait_refuse(struct Shelf *shelf, struct wasmpool_error *error);

/* Hand a taken slot to the first. False: nobody waits any more. */
bool wait_serve_first(struct Shelf *shelf, const struct Taken *taken);

/* Hand out what is idle in the lanes. */
void wait_serve(struct Shelf *shelf);

/* The first has to look again, since the pool's lock was taken when somebody tried. */
void wait_nudge(struct Shelf *shelf);

/* What became idle elsewhere may help those who wait here. Embedded. */
void wait_rouse(struct Shelf *shelf);

#endif
