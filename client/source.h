/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SOURCE_H
#define CLIENT_SOURCE_H

/* Where slabs and grants come from: the one thing in which the embedded allocator and a daemon's client differ. All
 * hooks are called with the pool's lock held. */

#include "client/slab.h"
#include "shared/hash.h"

struct Image;
struct ImageUse;
struct wasmpool;

struct Source {
    /* Make sure that there is a connection to ask, as far as can be seen without asking. */
    int (*reach)(struct wasmpool *pool, struct wasmpool_error *error);
    /* A new slab of the shelf's shape but with `count` slots, up to `ask` of them granted, on its shelf. */
    int (*open_slab)(struct wasmpool *pool, struct Shelf *shelf, uint32_t count, uint32_t ask,
                     struct wasmpool_error *error);
    /* Up to `ask` more slots of a slab. 0: at least one was granted; LIMIT: none, and which limit it is. */
    int (*want)(struct wasmpool *pool, struct Slab *slab, uint32_t ask, struct wasmpool_error *error);
    /* The same in advance: nobody waits for an answer. NULL: no use in it. */
    void (*hint)(struct wasmpool *pool, struct Slab *slab, uint32_t ask);
    /* `n` wait for slots of the slab. 0: at least one was granted; LIMIT: not yet, and lease_wake will tell. */
    int (*wait_for)(struct wasmpool *pool, struct Slab *slab, uint32_t n, struct wasmpool_error *error);
    /* Only `n` are left of them. */
    void (*wait_over)(struct wasmpool *pool, struct Slab *slab, uint32_t n);
    /* A recalled slot has come back. */
    void (*returned)(struct wasmpool *pool, struct Slab *slab);
    /* Put bytes that all processes of the user share in place of the image's own. False: they stay. NULL: nobody to
     * share with. */
    bool (*share_image)(struct wasmpool *pool, struct Image *image, const uint8_t hash[static HASH_BYTES]);
    /* This process does not need it any more, whatever it has mapped of it. NULL as above. */
    void (*release_image)(struct wasmpool *pool, const struct Image *image);
    /* The pool is closing: nothing is mapped any more. */
    void (*close)(struct wasmpool *pool);
};

/* A lease table and the slabs behind it. Kept until the pool is closed, for the sake of late readers of its table. */
struct Connection {
    struct Connection *next;
    struct Channel *channel; /* NULL: embedded */
    struct LeaseTable *table;
    uint64_t table_bytes;
    uint32_t entries;
    uint32_t next_entry; /* embedded: the first that no slab has */
    uint32_t n_slabs;
    struct ImageUse *image_uses; /* list */
    bool ended;          /* its channel has: what is granted stays usable until another takes its place */
    bool draining;       /* another has taken its place: its slots are not taken any more, only released */
};

/* embedded: this process makes slabs and grants them itself, within its own limits. */
int embedded_open(struct wasmpool *pool, struct wasmpool_error *error);
/* unix: the daemon does. */
int remote_open(struct wasmpool *pool, struct wasmpool_error *error);

/* Map a lease table: of a memfd, or private if fd is -1. */
int connection_new(struct Connection **connectionp, int fd, uint32_t entries, struct wasmpool_error *error);
struct Connection *connection_free(struct Connection *connection);

/* The daemon behind it knows of no images of ours any more. */
void connection_forget_images(struct Connection *connection);

/* Play the owner of a table whose owner has gone: idle slots are taken back, busy ones recalled, slabs without any
 * busy one unmapped. */
void connection_drain(struct wasmpool *pool, struct Connection *connection);

/* Nothing of the table is used any more: its words read VACANT for ever, to whoever comes late, and its memory goes. */
void connection_blank(struct Connection *connection);

#endif
