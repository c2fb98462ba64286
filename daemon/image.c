/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/image.h"

#include "daemon/reclaim.h"
#include "daemon/user.h"
#include "shared/memfd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BLOCK_BYTES 512 /* of st_blocks: stat(2) */

/* -------------------------------------------------------------------------------------------------- lists */

static void image_link(struct Image *image) {
    struct Images *images = &image->pool->images;

    image->next = NULL;
    image->previous = images->newest;
    *(images->newest ? &images->newest->next : &images->oldest) = image;
    images->newest = image;
}

static void image_unlink(struct Image *image) {
    struct Images *images = &image->pool->images;

    *(image->previous ? &image->previous->next : &images->oldest) = image->next;
    *(image->next ? &image->next->previous : &images->newest) = image->previous;
}

static void image_unlink_of_user(struct Image *image) {
    struct Image **place = &image->user->images;

    while (*place != image)
        place = &(*place)->next_of_user;
    *place = image->next_of_user;
}

static void image_unqueue(struct Image *image) {
    struct Image **place = &image->pool->images.waiting;

    while (*place != image)
        place = &(*place)->next;
    *place = image->next;
}

/* Its last user has left: it is the last to go. */
static void image_touch(struct Image *image) {
    image_unlink(image);
    image_link(image);
}

static struct Image *image_lookup(const struct User *user, const uint8_t *hash, uint64_t bytes) {
    struct Image *image = user->images;

    while (image && (image->bytes != bytes || memcmp(image->hash, hash, HASH_BYTES)))
        image = image->next_of_user;
    return image;
}

/* -------------------------------------------------------------------------------------------------- charges */

static void image_charge(struct Image *image, int64_t n) {
    struct Images *images = &image->pool->images;

    images->n += (uint64_t)n;
    images->bytes += (uint64_t)n * image->bytes;
    image->user->n_images += (uint64_t)n;
    image->user->image_bytes += (uint64_t)n * image->bytes;
    image->user->n_fds += (uint64_t)n;
}

static void image_charge_client(struct Image *image, int64_t n) {
    image->client->n_images += (uint64_t)n;
    image->client->n_fds += (uint64_t)n;
}

/* Its client fills it no more, whatever becomes of it. */
static void image_part(struct Image *image) {
    image_charge_client(image, -1);
    image->client->filling = NULL;
    image->client = NULL;
}

uint64_t image_resident_bytes(const struct Image *image) {
    struct stat st;

    return fstat(image->backing->fd, &st) ? 0 : (uint64_t)st.st_blocks * IMAGE_BLOCK_BYTES;
}

static void image_free(struct Image *image) {
    struct User *user = image->user;

    if (image->client)
        image_part(image);
    if (image->state == IMAGE_SEALED) {
        image_unlink(image);
        image_unlink_of_user(image);
    } else if (image->state == IMAGE_WAITING)
        image_unqueue(image);
    image_charge(image, -1);
    image->reclaim->closes = true;
    reclaim_add(image->pool, image->reclaim, image->backing, 0, image->bytes, image_resident_bytes(image));
    backing_unref(image->backing);
    free(image->use);
    free(image);
    user_settle(user);
}

/* -------------------------------------------------------------------------------------------------- users */

static struct ImageUse *use_find(const struct Client *client, const struct Image *image) {
    struct ImageUse *use = client->image_uses;

    while (use && use->image != image)
        use = use->next;
    return use;
}

static void use_begin(struct ImageUse *use, struct Client *client, struct Image *image, uint32_t id) {
    *use = (struct ImageUse){.next = client->image_uses, .image = image, .id = id};
    client->image_uses = use;
    client->n_images++;
    image->n_users++;
}

static void use_end(struct Client *client, struct ImageUse **place) {
    struct ImageUse *use = *place;

    *place = use->next;
    client->n_images--;
    if (!--use->image->n_users)
        image_touch(use->image);
    free(use);
}

static int client_admit_image(const struct Client *client, struct Error *error) {
    if (!quota_room(client->quota.images_max, client->n_images))
        return error_limit(error, ERROR_LIMIT, "images_max of the connection", client->quota.images_max,
                           client->n_images, 1, "this connection uses too many images");
    if (client->n_image_ids == UINT32_MAX)
        return error_limit(error, ERROR_LIMIT, "image_ids", UINT32_MAX, client->n_image_ids, 1,
                           "this connection has asked for too many images: connect anew");
    return 0;
}

static void image_hit(struct Image *image, uint64_t now_ms) {
    image->n_hits++;
    image->used_ms = now_ms;
}

int image_find(struct Client *client, const uint8_t hash[static HASH_BYTES], uint64_t bytes, uint64_t now_ms,
               const struct ImageUse **usep, struct Error *error) {
    struct Image *image = image_lookup(client->user, hash, bytes);
    struct ImageUse *use = image ? use_find(client, image) : NULL;
    int r;

    if (image && !use) {
        r = client_admit_image(client, error);
        use = r ? NULL : malloc(sizeof(*use));
        if (!use)
            return r ? r : error_set(error, -ENOMEM, "the daemon is out of memory");
        use_begin(use, client, image, ++client->n_image_ids);
    }
    if (image) {
        use->n++;
        image_hit(image, now_ms);
    }
    *usep = use;
    return 0;
}

int image_release(struct Client *client, uint32_t id, struct Error *error) {
    struct ImageUse **place = &client->image_uses;

    if (client->filling && client->filling->id == id && client->filling->state == IMAGE_FILLING) {
        image_free(client->filling);
        return 0;
    }
    if (id && id == client->overdue_image) {
        client->overdue_image = 0;
        return 0;
    }
    while (*place && (*place)->id != id)
        place = &(*place)->next;
    if (!*place)
        return error_set(error, ERROR_PROTOCOL, "there is no image %" PRIu32 " to release", id);
    if (!--(*place)->n)
        use_end(client, place);
    return 0;
}

void images_leave(struct Client *client) {
    if (client->filling && client->filling->state == IMAGE_SEALING)
        image_part(client->filling); /* the rest is image_finish's */
    else if (client->filling)
        image_free(client->filling);
    while (client->image_uses)
        use_end(client, &client->image_uses);
}

/* -------------------------------------------------------------------------------------------------- room */

bool images_evict(struct Pool *pool, const struct User *user) {
    struct Image *image = pool->images.oldest;

    while (image && (image->n_users || (user && image->user != user)))
        image = image->next;
    if (!image)
        return false;
    image_free(image);
    return true;
}

static uint64_t images_used_bytes(const struct Images *images) {
    uint64_t bytes = images->bytes;

    for (const struct Image *image = images->oldest; image; image = image->next)
        bytes -= image->n_users ? 0 : image->bytes;
    return bytes;
}

static void image_drop_overdue(struct Client *client) {
    struct Image *image = client->filling;

    if (!image || image->state != IMAGE_FILLING ||
        client->pool->now_ms - image->used_ms < IMAGE_FILL_MS + image->bytes / IMAGE_FILL_BYTES_PER_MS)
        return;
    client->overdue_image = image->id;
    image_free(image);
}

/* Whoever has an image made and does not fill it keeps its bytes from others for some time only. */
static void images_drop_overdue(struct Pool *pool) {
    for (struct Client *client = pool->clients; client; client = client->next)
        image_drop_overdue(client);
}

/* Nobody's images go only where that makes room enough. */
static int images_make_room(struct Pool *pool, uint64_t ask, struct Error *error) {
    uint64_t max = pool->bounds.image_bytes_max, used;

    if (pool->images.bytes > max - (ask < max ? ask : max))
        images_drop_overdue(pool);
    used = images_used_bytes(&pool->images);
    if (ask > max || used > max - ask)
        return error_limit(error, ERROR_LIMIT, "image_bytes_max", max, used, ask, "no room for another image");
    while (pool->images.bytes > max - ask)
        images_evict(pool, NULL);
    return 0;
}

void images_fit(struct Pool *pool) {
    while ((pool->images.bytes > pool->bounds.image_bytes_max || pool->images.n > pool->bounds.images_max) &&
           images_evict(pool, NULL))
        ;
}

static uint64_t image_bytes_bound(const struct User *user) {
    return user->quota.image_bytes_max ? user->quota.image_bytes_max
                                       : user->pool->bounds.image_bytes_max / IMAGE_USER_PART;
}

static int user_admit_image_bytes(struct User *user, uint64_t ask, struct Error *error) {
    uint64_t bound = image_bytes_bound(user);

    while (ask > bound || user->image_bytes > bound - ask)
        if (ask > bound || !images_evict(user->pool, user))
            return error_limit(error, ERROR_LIMIT, "image_bytes_max of the user", bound, user->image_bytes, ask,
                               "this user's images have too many bytes");
    return 0;
}

static int user_admit_image(struct User *user, struct Error *error) {
    const struct Quota *quota = &user->quota;

    while (!quota_room(quota->images_max, user->n_images))
        if (!images_evict(user->pool, user))
            return error_limit(error, ERROR_LIMIT, "images_max of the user", quota->images_max, user->n_images, 1,
                               "this user has too many images");
    while (!quota_room(quota->fds_max, user->n_fds))
        if (!images_evict(user->pool, user))
            return error_limit(error, ERROR_LIMIT, "fds_max of the user", quota->fds_max, user->n_fds, 1,
                               "no file descriptor is left for an image");
    return 0;
}

static int pool_admit_image(struct Pool *pool, struct Error *error) {
    const struct Images *images = &pool->images;
    uint64_t max = pool->bounds.images_max;

    while (images->n >= max)
        if (!images_evict(pool, NULL))
            return error_limit(error, ERROR_LIMIT, "images_max", max, images->n, 1, "there are too many images");
    if (images->n_open >= max + IMAGES_CLOSING_MAX)
        return error_limit(error, ERROR_LIMIT, "images_max", max, images->n_open, 1,
                           "too many images are about to be closed");
    return 0;
}

static int image_check_bytes(const struct Pool *pool, uint64_t bytes, struct Error *error) {
    if (!bytes || bytes % HASH_PAGE_BYTES)
        return error_set(error, ERROR_INVALID, "an image of %" PRIu64 " bytes: they are whole pages of %" PRIu64, bytes,
                         HASH_PAGE_BYTES);
    if (bytes > pool->limits.max_memory_size)
        return error_limit(error, ERROR_INVALID, "max_memory_size", pool->limits.max_memory_size, 0, bytes,
                           "an image is larger than a memory may be");
    if (bytes > pool->bounds.image_bytes_max)
        return error_limit(error, ERROR_LIMIT, "image_bytes_max", pool->bounds.image_bytes_max, pool->images.bytes,
                           bytes, "no room for another image");
    return 0;
}

static int image_admit(struct Client *client, uint64_t bytes, struct Error *error) {
    int r = image_check_bytes(client->pool, bytes, error);

    if (!r && client->filling)
        r = error_limit(error, ERROR_LIMIT, "images_filling", 1, 1, 1, "this connection fills one already");
    if (!r)
        r = client_admit_image(client, error);
    if (!r && !quota_room(client->quota.fds_max, client->n_fds))
        r = error_limit(error, ERROR_LIMIT, "fds_max of the connection", client->quota.fds_max, client->n_fds, 1,
                        "no file descriptor is left for an image");
    if (!r)
        r = user_admit_image(client->user, error);
    if (!r)
        r = user_admit_image_bytes(client->user, bytes, error);
    if (!r)
        r = pool_admit_image(client->pool, error);
    return r ? r : images_make_room(client->pool, bytes, error);
}

/* -------------------------------------------------------------------------------------------------- filling */

static int image_make_memfd(uint64_t bytes, int *fdp, struct Error *error) {
    int r = memfd_new_open("wasmpool-image", bytes, fdp);

    if (r == MEMFD_E_FSIZE)
        return error_limit(error, ERROR_HOST, "RLIMIT_FSIZE", memfd_bytes_max(), 0, bytes,
                           "an image exceeds the size that the daemon's files may have");
    if (r == -EMFILE || r == -ENFILE)
        return error_limit(error, ERROR_LIMIT, "fds", (uint64_t)sysconf(_SC_OPEN_MAX), (uint64_t)sysconf(_SC_OPEN_MAX),
                           1, "the daemon has no file descriptor left for an image");
    return r ? error_set(error, ERROR_HOST, "cannot make an image: %s", strerror(-r)) : 0;
}

/* What it is made of, or nothing of it. The fd is consumed on success only. */
static struct Image *image_new(int fd) {
    struct Image *image = calloc(1, sizeof(*image));

    if (!image)
        return NULL;
    image->use = malloc(sizeof(*image->use));
    image->reclaim = reclaim_new();
    image->backing = image->use && image->reclaim ? backing_new(fd) : NULL;
    if (image->backing)
        return image;
    free(image->use);
    free(image->reclaim);
    free(image);
    return NULL;
}

int image_create(struct Client *client, uint64_t bytes, struct Image **imagep, struct Error *error) {
    struct Image *image;
    int fd, r = image_admit(client, bytes, error);

    if (!r)
        r = image_make_memfd(bytes, &fd, error);
    if (r)
        return r;
    image = image_new(fd);
    if (!image) {
        close(fd);
        return error_set(error, -ENOMEM, "the daemon is out of memory");
    }
    image->pool = client->pool;
    image->user = client->user;
    image->client = client;
    image->bytes = bytes;
    image->used_ms = client->pool->now_ms;
    image->id = ++client->n_image_ids;
    image->backing->count = &client->pool->images.n_open;
    client->pool->images.n_open++;
    client->filling = image;
    image_charge(image, 1);
    image_charge_client(image, 1);
    *imagep = image;
    return 0;
}

/* -------------------------------------------------------------------------------------------------- sealing */

int image_seal(struct Client *client, uint32_t id, const uint8_t hash[static HASH_BYTES], struct Error *error) {
    struct Image *image = client->filling, **place = &client->pool->images.waiting;

    if (!image || image->id != id || image->state != IMAGE_FILLING)
        return error_set(error, ERROR_PROTOCOL, "there is no image %" PRIu32 " to seal", id);
    memcpy(image->hash, hash, HASH_BYTES);
    image->state = IMAGE_WAITING;
    while (*place)
        place = &(*place)->next;
    *place = image;
    image->next = NULL;
    return 0;
}

struct Image *images_next(struct Pool *pool) {
    struct Image *image = pool->images.waiting;

    if (pool->images.n_sealing == IMAGES_SEALING_MAX)
        return NULL;
    while (image && image->user->is_sealing)
        image = image->next;
    if (!image)
        return NULL;
    image_unqueue(image);
    image->state = IMAGE_SEALING;
    image->user->is_sealing = true;
    pool->images.n_sealing++;
    return image;
}

void image_run(struct Image *image) {
    int fd = image->backing->fd;

    image->result = memfd_freeze(fd);
    if (!image->result)
        image->result = memfd_check_frozen(fd, image->bytes);
    if (!image->result)
        image->result = hash_file(fd, image->bytes, image->digest);
}

static int image_judge(const struct Image *image, struct Error *error) {
    char said[HASH_TEXT_BYTES], found[HASH_TEXT_BYTES];

    if (image->result == MEMFD_E_BUSY)
        return error_set(error, ERROR_BUSY, "the image is still mapped writable, or its pages are pinned");
    if (image->result > 0)
        return error_set(error, ERROR_INVALID, "the image was sealed by its client, and cannot be frozen");
    if (image->result)
        return error_set(error, ERROR_HOST, "cannot seal or read an image: %s", strerror(-image->result));
    if (!memcmp(image->hash, image->digest, HASH_BYTES))
        return 0;
    return error_set(error, ERROR_INVALID, "the image's hash is %.16s..., not %.16s...",
                     hash_format(found, image->digest), hash_format(said, image->hash));
}

/* Its client uses it, or the same one that was there before. */
static const struct ImageUse *image_settle(struct Image *image, struct Image *kept) {
    struct Client *client = image->client;
    struct ImageUse *use = use_find(client, kept);

    if (!use) {
        use = image->use;
        image->use = NULL;
        use_begin(use, client, kept, image->id);
    }
    use->n++;
    image_part(image);
    return use;
}

static void image_enter(struct Image *image, uint64_t now_ms) {
    image->state = IMAGE_SEALED;
    image->used_ms = now_ms;
    image_link(image);
    image->next_of_user = image->user->images;
    image->user->images = image;
}

int image_finish(struct Image *image, uint64_t now_ms, const struct ImageUse **usep, struct Error *error) {
    struct Image *kept = image_lookup(image->user, image->hash, image->bytes);
    int r = image->client ? image_judge(image, error) : ERROR_UNAVAILABLE;

    assert(image->state == IMAGE_SEALING);
    image->pool->images.n_sealing--;
    image->user->is_sealing = false;
    if (r) {
        image_free(image);
        return r;
    }
    if (kept) {
        image_hit(kept, now_ms);
        *usep = image_settle(image, kept);
        image_free(image);
    } else {
        image_enter(image, now_ms);
        *usep = image_settle(image, image);
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------- all of them */

void images_deinit(struct Pool *pool) {
    while (images_evict(pool, NULL))
        ;
    assert(!pool->images.n && !pool->images.bytes && !pool->images.waiting && !pool->images.n_sealing);
}

static bool image_is_valid(const struct Image *image) {
    return image->state == IMAGE_SEALED && !image->client && (image->next ? image->next->previous == image
                                                                          : image->pool->images.newest == image);
}

bool images_are_valid(const struct Pool *pool) {
    uint64_t n = 0, by_users = 0, bytes = 0, users = 0, uses = 0;

    for (const struct Image *image = pool->images.oldest; image; image = image->next) {
        if (!image_is_valid(image))
            return false;
        n++;
        bytes += image->bytes;
        users += image->n_users;
    }
    for (const struct Client *client = pool->clients; client; client = client->next) {
        for (const struct ImageUse *use = client->image_uses; use; use = use->next)
            uses++;
        n += client->filling != NULL;
        bytes += client->filling ? client->filling->bytes : 0;
    }
    for (const struct User *user = pool->users; user; user = user->next)
        by_users += user->n_images;
    /* Those that are sealed for a client that has gone are the driver's. */
    return users == uses && by_users == pool->images.n && n <= pool->images.n &&
           pool->images.n <= n + pool->images.n_sealing && bytes <= pool->images.bytes &&
           pool->images.n <= pool->images.n_open;
}
