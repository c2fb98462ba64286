/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_COLDEST_H
#define DAEMON_COLDEST_H

/* The coldest slots of a client: of those of one kind that are idle, or busy, the ones that were taken longest ago, by
 * what the table says: the client's word, and only about its own.
 *
 * To find them each slot is looked at, of which there may be 65,536. So more are found than are needed now, and kept:
 * what becomes idle later was taken later, as a rule, and would not be among them. */

#include "shared/lease.h"

struct Client;
struct Slab;

#define COLDEST_MAX 64 /* one look for so many revocations */

struct ColdestSlot {
    struct Slab *slab;
    uint32_t slot;
    uint64_t taken_ns;
};

struct Coldest {
    uint32_t n;      /* left, the coldest last */
    uint32_t n_seen; /* in that state, the coldest or not, and not stolen since */
    struct ColdestSlot slots[COLDEST_MAX];
};

/* Whether a slab's slots come into question. */
typedef bool (*ColdestFilter)(const struct Slab *slab, const void *data);

/* Look at all granted slots of the kind that are in that state and not recalled. */
void coldest_find(struct Coldest *coldest, const struct Client *client, enum Kind kind, enum LeaseState state,
                  ColdestFilter belongs, const void *data);

/* The next one; one that is not in that state any more, or was taken in between, is left out. False: there is
 * none. */
bool coldest_peek(struct Coldest *coldest, enum LeaseState state, struct ColdestSlot *slotp);

/* Take it. */
bool coldest_steal(struct Coldest *coldest, enum LeaseState state, struct ColdestSlot *slotp);

#endif
