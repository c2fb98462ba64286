/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "client/reset.h"
#include "client/template.h"

static int purge_slot(struct Taken *taken) {
    pool_forget_warm(taken->slab->shelf->pool, taken->slot);
    return reset_empty(taken);
}

PUBLIC void wasmpool_purge_module(struct wasmpool *pool, const struct wasmpool_module *module) {
    const struct Images *images = atomic_load(&module->template->images);

    if (!*pool->alive || !images)
        return;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < images->count; i++)
        shelf_visit(&pool->memories, images->first_id + i, purge_slot);
    for (uint32_t i = 0; i < images->count && pool->source->release_image; i++)
        if (images->at[i])
            pool->source->release_image(pool, images->at[i]);
    pool_unlock(pool);
}
