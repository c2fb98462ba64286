/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "shared/memfd.h"

#include <errno.h>

/* What may be asked of an allocator: its limits, and what it holds. */

PUBLIC int wasmpool_limit(const struct wasmpool *pool, const char *name, uint64_t *valuep) {
    const struct LimitInfo *info = limits_find(name);

    if (!info)
        return -ENOENT;
    *valuep = limits_get(&pool->limits, info);
    return 0;
}

static void pool_count(const struct Shelf *shelf, uint64_t *busyp, uint64_t *idlep) {
    for (const struct Slab *slab = shelf->slabs; slab; slab = slab->next) {
        struct SlabUse use = slab_use(slab);

        *busyp += use.busy;
        *idlep += use.idle;
    }
}

/* Idle slots with pages, and how much of them. */
static void pool_count_warm(const struct Shelf *shelf, uint64_t *warmp, uint64_t *residentp) {
    for (const struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->shape.count; i++) {
            uint64_t resident;
            bool whole;

            if (slab->slots[i].provenance != PROVENANCE_CLEAN ||
                lease_state(lease_load(slab_entry(slab, i))) != LEASE_IDLE ||
                memfd_resident(slab->fd, shape_slot_offset(&slab->shape, i), slab->shape.slot_bytes, UINT32_MAX,
                               &resident, &whole))
                continue;
            *warmp += resident > 0;
            *residentp += resident;
        }
}

PUBLIC void wasmpool_metrics(struct wasmpool *pool, struct wasmpool_metrics *metrics) {
    *metrics = (struct wasmpool_metrics){0};
    if (!*pool->alive)
        return;
    pthread_mutex_lock(&pool->lock);
    pool_count(&pool->instances, &metrics->core_instances, &metrics->idle_instances);
    pool_count(&pool->memories, &metrics->memories, &metrics->idle_memories);
    pool_count_warm(&pool->memories, &metrics->unused_warm_memories, &metrics->unused_memory_bytes_resident);
    for (int i = 0; i < 2; i++) {
        pool_count(&pool->tables[i], &metrics->tables, &metrics->idle_tables);
        pool_count_warm(&pool->tables[i], &metrics->unused_warm_tables, &metrics->unused_table_bytes_resident);
    }
    metrics->slabs = pool->n_mapped;
    metrics->connections = pool->n_connections;
    metrics->shared_images = pool->n_shared_images;
    metrics->private_images = pool->n_private_images;
    pool_unlock(pool);
}
