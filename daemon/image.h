/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_IMAGE_H
#define DAEMON_IMAGE_H

/* An image: a memfd with the initial contents of a memory, of one uid, found by the hash of what is in it.
 *
 *   image_create --> FILLING --image_seal--> WAITING --images_next--> SEALING --image_finish--> SEALED
 *                       |                       |                        |                         |
 *                       +--release, overdue, end+                        +-- refused, or its       +-- images_evict
 *                       |  of its client        |                        |   client has gone       |
 *                       +-----------------------+----- image_free -------+-------------------------+--> gone
 *
 * Its client writes to it while it is FILLING, and may go on until the seal is there: nothing that is in it counts
 * before. Sealing and hashing take time with what is in it, which is for the client to choose: the driver does that off
 * its loop, for few at a time and for one of each user, so that punches find a thread. While SEALING an image is the
 * driver's, and lives though its client may not.
 *
 * Charged are, from its creation on, the image, its fd and the bytes of its file to its user and to the pool. Its
 * file's bytes and not those that it has: a reader of a hole makes a page of it. Its client is charged the image, as
 * long as it uses it, and the fd while it is not SEALED. */

#include "shared/error.h"
#include "shared/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct Client;
struct Pool;
struct User;

#define IMAGES_SEALING_MAX 2 /* at a time: libuv has four threads, and punches want some of them */

enum ImageState { IMAGE_FILLING, IMAGE_WAITING, IMAGE_SEALING, IMAGE_SEALED };

struct Image {
    struct Pool *pool;
    struct User *user;
    struct Image *next, *previous; /* SEALED: those without users, by how long; WAITING: the queue, by `next` */
    struct Image *next_of_user;    /* SEALED */
    enum ImageState state;
    struct Client *client;   /* who fills it; NULL: has gone, or SEALED */
    uint32_t id;             /* of that client */
    struct ImageUse *use;    /* for that client, made in time so that the end cannot fail */
    uint64_t bytes;
    struct Backing *backing;
    struct Reclaim *reclaim; /* for its memory, when it goes */
    uint8_t hash[HASH_BYTES]; /* as its client says, which is true of one that is SEALED */
    uint64_t n_users, n_hits; /* users: clients, each once */
    uint64_t used_ms;        /* SEALED: made, or found last; before: created */
    int result;              /* of image_run: an outcome of memfd_freeze, or a negative errno */
    uint8_t digest[HASH_BYTES];
};

/* That a client uses an image, as often as it was given it: what it does with each is for itself to know. */
struct ImageUse {
    struct ImageUse *next;
    struct Image *image;
    uint64_t n;
    uint32_t id; /* of this client, never used twice */
};

/* All there are. */
struct Images {
    struct Image *oldest, *newest; /* SEALED */
    struct Image *waiting;         /* the queue */
    unsigned n_sealing;
    uint64_t n, bytes;             /* in whatever state */
    uint64_t n_open;               /* memfds: the same, and those that are being closed */
};

/* The image with this hash, of the client's user, which the client uses once more from now on. *usep is NULL where
 * there is none, and good until it is released. 0, ERROR_LIMIT (images_max of the connection, image_ids), or -ENOMEM.
 */
int image_find(struct Client *client, const uint8_t hash[static HASH_BYTES], uint64_t bytes, uint64_t now_ms,
               const struct ImageUse **usep, struct Error *error);

/* One for the client to fill; it has one at a time. Others are evicted for it where that makes room enough. Errors:
 * ERROR_INVALID (bytes), ERROR_LIMIT (image_bytes_max, images_max, images_filling, fds_max, image_ids, fds),
 * ERROR_HOST, -ENOMEM. */
int image_create(struct Client *client, uint64_t bytes, struct Image **imagep, struct Error *error);

/* It is filled: queue it. ERROR_LIMIT if it took too long and has made room for another, ERROR_PROTOCOL if the client
 * fills no such image. */
int image_seal(struct Client *client, uint32_t id, const uint8_t hash[static HASH_BYTES], struct Error *error);

/* Take the next one to be sealed from the queue, if it is time for one; NULL: not now. */
struct Image *images_next(struct Pool *pool);

/* Seal and hash. Touches nothing but `result` and `digest`: may run in any thread. */
void image_run(struct Image *image);

/* Back on the loop: what becomes of it. Its client, unless that has gone, uses *usep from now on: this image, or the
 * same one that was there before. Else the image is gone, and the error is ERROR_BUSY, ERROR_INVALID or ERROR_HOST. */
int image_finish(struct Image *image, uint64_t now_ms, const struct ImageUse **usep, struct Error *error);

/* The client uses it once less, or gives up filling it. ERROR_PROTOCOL if it does neither. */
int image_release(struct Client *client, uint32_t id, struct Error *error);

/* The client ends: all of them. Idempotent. */
void images_leave(struct Client *client);

/* Drop it, unless image_run may be at it, and refund what it was charged. */
void image_free(struct Image *image);

/* Drop all. There must be no clients any more. */
void images_deinit(struct Pool *pool);

/* st_blocks. */
uint64_t image_resident_bytes(const struct Image *image);

bool images_are_valid(const struct Pool *pool);

#endif
