/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/sharing.h"

#include "client/overlay.h"
#include "shared/clock.h"

static uint64_t sharing_deadline_ns(const struct Image *image, uint64_t deadline_ns) {
    uint64_t timeout_ms = SHARING_TIMEOUT_MS + image_filled_bytes(image) / SHARING_BYTES_PER_MS;
    uint64_t until_ns = clock_now_ns() + timeout_ms * NS_PER_MS;

    return deadline_ns && deadline_ns < until_ns ? deadline_ns : until_ns;
}

/* Hashed before the lock is taken, which others may want. */
static bool image_share(struct wasmpool *pool, struct Image *image, uint64_t deadline_ns) {
    bool shared;

    image_name(image);
    if (!pool_lock_until(pool, sharing_deadline_ns(image, deadline_ns)))
        return false;
    shared = !pool->source->reach(pool, NULL) && pool->source->share_image(pool, image, image->name);
    pool_unlock(pool);
    return shared;
}

/* Whether its slots will map it is decided here, once. */
static void image_settle_file(const struct wasmpool *pool, struct Image *image) {
    bool suits = overlay_suits(image, pool->memories.keeps_warm ? pool->limits.linear_memory_keep_resident : 0);

    if (suits && !image->has_file)
        image_move_to_file(image);
    if (!suits)
        image_drop_file(image);
}

void images_share(struct wasmpool *pool, struct Images *images, uint64_t deadline_ns) {
    for (uint32_t i = 0; i < images->count; i++) {
        struct Image *image = images->at[i];
        bool shared;

        if (!image || !image->n_extents)
            continue;
        shared = pool->source->share_image && image_share(pool, image, deadline_ns);
        image_settle_file(pool, image);
        atomic_fetch_add(shared ? &pool->n_shared_images : &pool->n_private_images, 1);
    }
}
