/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "client/reset.h"
#include "client/template.h"

static int purge_slot(struct Taken *taken, const void *data) {
    const struct Images *images = data;
    uint64_t id = taken->slot->image_id;

    if (id < images->first_id || id - images->first_id >= images->count)
        return 0;
    pool_forget_warm(taken->slab->shelf->pool, taken->slot);
    return reset_empty(taken);
}

PUBLIC void wasmpool_purge_module(struct wasmpool *pool, const struct wasmpool_module *module) {
    const struct Images *images = atomic_load(&module->template->images);

    if (!*pool->alive || !images)
        return;
    pthread_mutex_lock(&pool->lock);
    shelf_visit(&pool->memories, purge_slot, images);
    pthread_mutex_unlock(&pool->lock);
}
