/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/admin-image.h"

#include "daemon/slab.h"
#include "daemon/user.h"

#include <stdlib.h>
#include <string.h>

/* A client's name for an image that has a row. */
struct ImageName {
    uint32_t id;
    size_t place;
};

struct ImageWalk {
    bool full;
    size_t n_rows;
    const struct Image *images[ADMIN_IMAGE_ROWS_MAX]; /* of the rows */
    Wasmpool__ImageRow *pointers[ADMIN_IMAGE_ROWS_MAX];
    Wasmpool__ImageRow rows[ADMIN_IMAGE_ROWS_MAX];
    size_t n_slots; /* looked at */
    size_t n_names;
    struct ImageName names[ADMIN_IMAGE_ROWS_MAX]; /* of one client, by id */
    Wasmpool__ResetUse resets[ADMIN_IMAGE_ROWS_MAX][LEASE_RESET_N];
    Wasmpool__ResetUse *reset_pointers[ADMIN_IMAGE_ROWS_MAX][LEASE_RESET_N];
};

static int image_compare(const struct Image *image, uid_t uid, const uint8_t *hash) {
    if (image->user->uid != uid)
        return image->user->uid < uid ? -1 : 1;
    return memcmp(image->hash, hash, HASH_BYTES);
}

/* Where the image belongs among those so far. */
static size_t image_walk_find(const struct ImageWalk *walk, const struct Image *image) {
    size_t low = 0, high = walk->n_rows;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (image_compare(walk->images[middle], image->user->uid, image->hash) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The pool's list is by last use: keep those that come first by uid and hash, as many as a page has rows. */
static void image_walk_add(struct ImageWalk *walk, const struct Image *image) {
    size_t place = image_walk_find(walk, image);

    if (walk->n_rows == ADMIN_IMAGE_ROWS_MAX) {
        walk->full = true;
        if (place == ADMIN_IMAGE_ROWS_MAX)
            return;
        walk->n_rows--;
    }
    memmove(&walk->images[place + 1], &walk->images[place], (walk->n_rows - place) * sizeof(walk->images[0]));
    walk->images[place] = image;
    walk->n_rows++;
}

static void image_walk_fill_row(struct ImageWalk *walk, size_t i, uint64_t now_ms) {
    const struct Image *image = walk->images[i];
    Wasmpool__ImageRow *row = &walk->rows[i];

    wasmpool__image_row__init(row);
    row->uid = image->user->uid;
    row->hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)image->hash};
    row->bytes = image->bytes;
    row->resident_bytes = image_resident_bytes(image);
    row->users = image->n_users;
    row->hits = image->n_hits;
    row->idle_ms = now_ms - image->used_ms;
    walk->pointers[i] = row;
}

/* ------------------------------------------------------------------------------------------------ resets */

static int image_name_compare(const void *a, const void *b) {
    const struct ImageName *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Once for each client, since it may have many slots and use many images. */
static void image_walk_name(struct ImageWalk *walk, const struct Client *client) {
    walk->n_names = 0;
    for (const struct ImageUse *use = client->image_uses; use; use = use->next) {
        size_t place = image_walk_find(walk, use->image);

        if (place < walk->n_rows && walk->images[place] == use->image)
            walk->names[walk->n_names++] = (struct ImageName){use->id, place};
    }
    qsort(walk->names, walk->n_names, sizeof(walk->names[0]), image_name_compare);
}

/* What the client says of the slot may be anything. */
static void image_walk_add_slot(struct ImageWalk *walk, struct LeaseEntry *entry) {
    const struct ImageName asked = {.id = atomic_load(&entry->image)};
    const struct ImageName *name =
        bsearch(&asked, walk->names, walk->n_names, sizeof(walk->names[0]), image_name_compare);
    uint32_t reset = atomic_load(&entry->reset), way = lease_reset_way(reset);

    if (!name || way >= LEASE_RESET_N)
        return;
    walk->resets[name->place][way].slots++;
    walk->resets[name->place][way].pages += lease_reset_pages(reset);
    walk->resets[name->place][way].ns += lease_reset_ns(reset);
}

static void image_walk_add_slots(struct ImageWalk *walk, const struct Pool *pool) {
    for (const struct Client *client = pool->clients; client; client = client->next) {
        image_walk_name(walk, client);
        for (const struct Slab *slab = walk->n_names ? client->slabs : NULL; slab; slab = slab->next)
            for (uint32_t i = 0; slab->shape.kind == KIND_MEMORY && i < slab->shape.count; i++)
                if (slab->records[i].granted && walk->n_slots++ < ADMIN_IMAGE_SLOTS_MAX)
                    image_walk_add_slot(walk, slab_entry(slab, i));
    }
}

static void image_walk_fill_resets(struct ImageWalk *walk, const struct Pool *pool) {
    for (size_t i = 0; i < walk->n_rows; i++)
        for (uint32_t way = 0; way < LEASE_RESET_N; way++)
            wasmpool__reset_use__init(&walk->resets[i][way]);
    image_walk_add_slots(walk, pool);
    for (size_t i = 0; i < walk->n_rows; i++) {
        Wasmpool__ImageRow *row = &walk->rows[i];

        row->resets = walk->reset_pointers[i];
        for (uint32_t way = 0; way < LEASE_RESET_N; way++) {
            walk->resets[i][way].way = way;
            if (walk->resets[i][way].slots)
                row->resets[row->n_resets++] = &walk->resets[i][way];
        }
    }
}

/* ------------------------------------------------------------------------------------------------ pages */

static bool image_is_behind(const struct Image *image, const Wasmpool__ListImages *cursor) {
    return cursor->after_hash.len != HASH_BYTES || image_compare(image, cursor->after_uid, cursor->after_hash.data) > 0;
}

bool admin_list_images(struct Admin *admin, const WireMessage *request) {
    Wasmpool__ImagePage page = WASMPOOL__IMAGE_PAGE__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, IMAGE_PAGE, image_page, &page);
    struct ImageWalk *walk = malloc(sizeof(*walk));
    struct Server *server = admin->server;
    bool done;

    if (!walk)
        return false;
    walk->full = false;
    walk->n_rows = walk->n_slots = 0;
    for (const struct Image *image = server->pool.images.oldest; image; image = image->next)
        if (image_is_behind(image, request->list_images))
            image_walk_add(walk, image);
    for (size_t i = 0; i < walk->n_rows; i++)
        image_walk_fill_row(walk, i, uv_now(&server->loop));
    image_walk_fill_resets(walk, &server->pool);
    page.rows = walk->pointers;
    page.n_rows = walk->n_rows;
    page.last = !walk->full;
    done = admin_send(admin, &message);
    free(walk);
    return done;
}
