/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "client/reset.h"
#include "client/template.h"

static int purge_slot(struct Taken *taken) {
    pool_forget_warm(taken->slab->shelf->pool, taken->slot);
    return reset_empty(taken);
}

/* With the pool's lock held. */
static void purge_memories(struct wasmpool *pool, const struct Images *images) {
    for (uint32_t i = 0; i < images->count; i++)
        shelf_visit(&pool->memories, images->first_id + i, purge_slot);
    for (uint32_t i = 0; i < images->count && pool->source->release_image; i++)
        if (images->at[i])
            pool->source->release_image(pool, images->at[i]);
}

/* The same. Only functions make an image. */
static void purge_tables(struct wasmpool *pool, const struct TableImages *images) {
    for (uint32_t i = 0; i < images->count; i++)
        shelf_visit(pool->table_shelves[WASMPOOL_FUNCREF], images->first_id + i, purge_slot);
}

PUBLIC void wasmpool_purge_module(struct wasmpool *pool, const struct wasmpool_module *module) {
    const struct Images *images = atomic_load(&module->template->images);
    const struct TableImages *table_images = module->template->table_images;

    if (!*pool->alive || (!images && !table_images))
        return;
    pthread_mutex_lock(&pool->lock);
    if (images)
        purge_memories(pool, images);
    if (table_images)
        purge_tables(pool, table_images);
    pool_unlock(pool);
}
