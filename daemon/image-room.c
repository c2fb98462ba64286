/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/image-room.h"

#include "daemon/user.h"

static bool image_is_overdue(const struct Image *image) {
    return image->state == IMAGE_FILLING &&
           image->pool->now_ms - image->used_ms >= IMAGE_FILL_MS + image->bytes / IMAGE_FILL_BYTES_PER_MS;
}

static bool client_is_overdue(const struct Client *client, const struct User *user) {
    return client->filling && (!user || client->user == user) && image_is_overdue(client->filling);
}

static bool image_is_idle(const struct Image *image, const struct User *user) {
    return !image->n_users && (!user || image->user == user);
}

static void client_drop_overdue(struct Client *client) {
    client->overdue_image = client->filling->id;
    image_free(client->filling);
}

bool images_evict(struct Pool *pool, const struct User *user) {
    struct Image *image = pool->images.oldest;
    struct Client *client = pool->clients;

    while (client && !client_is_overdue(client, user))
        client = client->next;
    if (client) {
        client_drop_overdue(client);
        return true;
    }
    while (image && !image_is_idle(image, user))
        image = image->next;
    if (!image)
        return false;
    image_free(image);
    return true;
}

void images_fit(struct Pool *pool) {
    while ((pool->images.bytes > pool->bounds.image_bytes_max || pool->images.n > pool->bounds.images_max) &&
           images_evict(pool, NULL))
        ;
}

/* Something that another image must fit into. */
struct ImageBound {
    const char *limit, *what;
    const struct User *user; /* whose images make room; NULL: everybody's */
    uint64_t max;
    const uint64_t *use;
    uint64_t ask;
    uint64_t evictable; /* of `use` */
};

enum { IMAGE_BOUNDS_N = 5 };

static bool image_fits(const struct ImageBound *bound, uint64_t use) {
    return bound->ask <= bound->max && use <= bound->max - bound->ask;
}

/* What images_evict would drop in the end. */
static void images_count_evictable(const struct Pool *pool, const struct User *user, uint64_t *np, uint64_t *bytesp) {
    *np = *bytesp = 0;
    for (const struct Client *client = pool->clients; client; client = client->next)
        if (client_is_overdue(client, user)) {
            ++*np;
            *bytesp += client->filling->bytes;
        }
    for (const struct Image *image = pool->images.oldest; image; image = image->next)
        if (image_is_idle(image, user)) {
            ++*np;
            *bytesp += image->bytes;
        }
}

static void image_bounds_init(struct ImageBound bounds[static IMAGE_BOUNDS_N], struct User *user, uint64_t bytes) {
    const struct PoolBounds *most = &user->pool->bounds;
    struct Images *images = &user->pool->images;
    const struct Quota *quota = &user->quota;
    uint64_t n, n_bytes;

    images_count_evictable(user->pool, NULL, &n, &n_bytes);
    bounds[0] = (struct ImageBound){"image_bytes_max", "no room for another image", NULL, most->image_bytes_max,
                                    &images->bytes, bytes, n_bytes};
    bounds[1] = (struct ImageBound){"images_max", "there are too many images", NULL, most->images_max,
                                    &images->n, 1, n};
    images_count_evictable(user->pool, user, &n, &n_bytes);
    bounds[2] = (struct ImageBound){"images_max of the user", "this user has too many images", user,
                                    image_user_bound(quota->images_max, most->images_max), &user->n_images, 1, n};
    bounds[3] = (struct ImageBound){"fds_max of the user", "no file descriptor is left for an image", user,
                                    quota_bound(quota->fds_max), &user->n_fds, 1, n};
    bounds[4] = (struct ImageBound){"image_bytes_max of the user", "this user's images have too many bytes", user,
                                    image_user_bound(quota->image_bytes_max, most->image_bytes_max),
                                    &user->image_bytes, bytes, n_bytes};
}

/* Nobody's images go only where that makes room enough. First the user's own, as far as its own bounds ask for it. */
int images_make_room(struct User *user, uint64_t bytes, struct Error *error) {
    struct ImageBound bounds[IMAGE_BOUNDS_N];
    struct Pool *pool = user->pool;
    uint64_t open_max = pool->bounds.images_max + IMAGES_CLOSING_MAX;

    image_bounds_init(bounds, user, bytes);
    for (int i = 0; i < IMAGE_BOUNDS_N; i++)
        if (!image_fits(&bounds[i], *bounds[i].use - bounds[i].evictable))
            return error_limit(error, ERROR_LIMIT, bounds[i].limit, bounds[i].max, *bounds[i].use - bounds[i].evictable,
                               bounds[i].ask, bounds[i].what);
    if (pool->images.n_open >= open_max)
        return error_limit(error, ERROR_LIMIT, "images_max", open_max, pool->images.n_open, 1,
                           "too many images are about to be closed");
    for (int i = IMAGE_BOUNDS_N; i-- > 0;)
        while (!image_fits(&bounds[i], *bounds[i].use))
            images_evict(pool, bounds[i].user);
    return 0;
}
