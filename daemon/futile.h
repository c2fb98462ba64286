/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_FUTILE_H
#define DAEMON_FUTILE_H

/* Who has looked in vain for idle slots to take back, while those that wait are served: nobody need look there again.
 * One look is not enough to say so, as who wants slots of a shape leaves its own of that shape alone; those are looked
 * at by whoever looks next. So two looks, by different clients or for different shapes, have seen everything, and one
 * client that waits with hundreds of slabs costs what a client with one does. */

#include "daemon/client.h"
#include "daemon/slab.h"

static inline bool futile_is_alike(const struct Futile *futile, unsigned i, const struct Slab *slab) {
    return futile->looks[i].client == slab->client->id && futile->looks[i].stride == slab->shape.stride &&
           futile->looks[i].element_size == slab->shape.element_size;
}

/* `serve` is the number of this time: what was in vain another time says nothing. */
static inline bool futile_is(const struct Futile *futile, uint64_t serve, const struct Slab *slab) {
    return futile->serve == serve && (futile->n == FUTILE_LOOKS || futile_is_alike(futile, 0, slab));
}

static inline void futile_note(struct Futile *futile, uint64_t serve, const struct Slab *slab) {
    if (futile->serve != serve)
        *futile = (struct Futile){.serve = serve};
    if (futile->n < FUTILE_LOOKS)
        futile->looks[futile->n++] =
            (struct FutileLook){slab->client->id, slab->shape.stride, slab->shape.element_size};
}

#endif
