/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/image.h"

#include "daemon/image-room.h"
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

void image_free(struct Image *image) {
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

static int client_admit_image_use(const struct Client *client, struct Error *error) {
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
        r = client_admit_image_use(client, error);
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

/* Is it the image that had to go before it was filled? Whoever filled it has heard of that, one way or the other. */
static bool client_settle_overdue(struct Client *client, uint32_t id) {
    if (!id || id != client->overdue_image)
        return false;
    client->overdue_image = 0;
    return true;
}

int image_release(struct Client *client, uint32_t id, struct Error *error) {
    struct ImageUse **place = &client->image_uses;

    if (client->filling && client->filling->id == id && client->filling->state == IMAGE_FILLING) {
        image_free(client->filling);
        return 0;
    }
    if (client_settle_overdue(client, id))
        return 0;
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

/* -------------------------------------------------------------------------------------------------- filling */

static int image_check_bytes(const struct Pool *pool, uint64_t bytes, struct Error *error) {
    if (!bytes || bytes % HASH_PAGE_BYTES)
        return error_set(error, ERROR_INVALID, "an image of %" PRIu64 " bytes: they are whole pages of %" PRIu64, bytes,
                         HASH_PAGE_BYTES);
    if (bytes > pool->limits.max_memory_size)
        return error_limit(error, ERROR_INVALID, "max_memory_size", pool->limits.max_memory_size, 0, bytes,
                           "an image is larger than a memory may be");
    return 0;
}

static int client_admit_image(const struct Client *client, struct Error *error) {
    if (client->filling || client->overdue_image)
        return error_limit(error, ERROR_LIMIT, "images_filling", 1, 1, 1, "this connection fills one already");
    if (!quota_room(client->quota.fds_max, client->n_fds))
        return error_limit(error, ERROR_LIMIT, "fds_max of the connection", client->quota.fds_max, client->n_fds, 1,
                           "no file descriptor is left for an image");
    return client_admit_image_use(client, error);
}

static int image_admit(struct Client *client, uint64_t bytes, struct Error *error) {
    int r = image_check_bytes(client->pool, bytes, error);

    if (!r)
        r = client_admit_image(client, error);
    return r ? r : images_make_room(client->user, bytes, error);
}

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

    if (client_settle_overdue(client, id))
        return error_set(error, ERROR_LIMIT, "filling image %" PRIu32 " took too long: others needed the room", id);
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
