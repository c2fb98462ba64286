/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_DUE_H
#define DAEMON_DUE_H

/* How many slots each client is due, by what it has and by what its slabs that wait are short of: users share by
 * weight, and a user's clients equally (share.h). */

#include "daemon/client.h"
#include "daemon/slab.h"

/* Compute everyone's, where `asking` asks for `ask` more slots without waiting; NULL: nobody does. */
void due_compute(struct Pool *pool, enum Kind kind, const struct Slab *asking, uint32_t ask);

/* How many slots the client has beyond what it was due then, and how many it lacks. */
uint64_t due_excess(const struct Client *client, enum Kind kind);
uint64_t due_deficit(const struct Client *client, enum Kind kind);

#endif
