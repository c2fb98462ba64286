/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/reclaim.h"

#include "daemon/grant.h"
#include "shared/memfd.h"

#include <stdlib.h>
#include <unistd.h>

struct Backing *backing_new(int fd) {
    struct Backing *backing = calloc(1, sizeof(*backing));

    if (backing)
        *backing = (struct Backing){.fd = fd, .n_refs = 1};
    return backing;
}

struct Backing *backing_unref(struct Backing *backing) {
    if (!backing || --backing->n_refs)
        return NULL;
    if (backing->count)
        --*backing->count;
    if (backing->fd >= 0)
        close(backing->fd);
    free(backing);
    return NULL;
}

struct Reclaim *reclaim_new(void) {
    return calloc(1, sizeof(struct Reclaim));
}

void reclaim_add(struct Pool *pool, struct Reclaim *reclaim, struct Backing *backing, uint64_t offset, uint64_t bytes,
                 uint64_t resident_bytes) {
    backing->n_refs++;
    reclaim->backing = backing;
    reclaim->offset = offset;
    reclaim->bytes = bytes;
    reclaim->resident_bytes = resident_bytes;
    reclaim->next = pool->reclaims;
    pool->reclaims = reclaim;
    pool->n_reclaims++;
}

struct Reclaim *reclaim_steal(struct Pool *pool) {
    struct Reclaim *reclaim = pool->reclaims;

    pool->reclaims = NULL;
    pool->n_reclaims = 0;
    return reclaim;
}

struct Reclaim *reclaim_steal_few(struct Pool *pool, uint64_t resident_bytes_max) {
    struct Reclaim *few = NULL, *reclaim;

    while ((reclaim = pool->reclaims) && reclaim->resident_bytes <= resident_bytes_max) {
        resident_bytes_max -= reclaim->resident_bytes;
        pool->reclaims = reclaim->next;
        pool->n_reclaims--;
        reclaim->next = few;
        few = reclaim;
    }
    return few;
}

void reclaim_run(struct Reclaim *reclaim) {
    for (; reclaim; reclaim = reclaim->next)
        if (reclaim->closes) {
            /* It is the only one that refers to this backing. */
            close(reclaim->backing->fd);
            reclaim->backing->fd = -1;
        } else
            reclaim->result = memfd_punch(reclaim->backing->fd, reclaim->offset, reclaim->bytes);
}

struct Reclaim *reclaim_finish(struct Reclaim *reclaim) {
    while (reclaim) {
        struct Reclaim *next = reclaim->next;
        struct Slab *slab = reclaim->backing->slab;

        if (slab && reclaim->is_slot)
            grant_cleaned(slab, reclaim->slot, reclaim->result);
        backing_unref(reclaim->backing);
        free(reclaim);
        reclaim = next;
    }
    return NULL;
}
