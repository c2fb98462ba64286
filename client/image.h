/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_IMAGE_H
#define CLIENT_IMAGE_H

/* The initial contents of a module's memories, made once from its active data segments, and read-only from then on. Its
 * bytes are this process's own at first; with a daemon they are shared by all processes of a user, see sharing.h.
 * Pages that are zero are not part of an image: leading and trailing ones are trimmed, those between are holes. Whether
 * a module can have images is decided as Wasmtime decides it (wasmtime-environ: try_static_init). */

#include "client/module.h"
#include "shared/hash.h"

#include <stdatomic.h>

struct Connection;

/* That a connection of ours uses an image of the daemon's. The connection and the image have a reference each:
 * whichever goes first leaves it to the other, and the daemon is told when there is an occasion. */
struct ImageUse {
    struct ImageUse *next; /* of its connection */
    const struct Connection *connection; /* to be told apart from others only */
    uint32_t id;           /* of that */
    _Atomic uint32_t n_refs;
};

/* Offsets in the memory, and sizes, are multiples of a host page. */
struct ImageExtent {
    uint64_t from, to;
};

struct Image {
    uint64_t id;    /* of this process, never 0 and never used again */
    uint64_t end;   /* of the last extent */
    uint8_t *bytes; /* of the memory from `origin` on: a mapping of `mapped` bytes */
    uint64_t origin, mapped;
    struct ImageUse *use; /* NULL: the bytes are our own */
    bool is_named;
    uint8_t name[HASH_BYTES]; /* if so: see image_name */
    bool has_file;
    int file; /* if so: the sealed memfd that the bytes are a mapping of, to be mapped over slots: see overlay.h */
    uint32_t n_extents;
    struct ImageExtent extents[];
};

/* A module's images, by defined memory; NULL for those that begin as zero. */
struct Images {
    uint64_t first_id; /* image i's is first_id + i */
    uint32_t count;
    struct Image *at[];
};

/* Are all active data segments of the module constant, in bounds of defined memories, and dense enough? */
bool images_are_possible(const struct wasmpool_module *module);

/* Make them. 0, or -ENOMEM. */
int images_new(const struct wasmpool_module *module, struct Images **imagesp, struct wasmpool_error *error);
struct Images *images_free(struct Images *images);

/* For who shares it. Its name, by what is in it: the contents of a file of `end` bytes, with what is zero as holes. */
void image_name(struct Image *image);
/* Write them to such a file, which is all holes. 0 or a negative errno. */
int image_fill(const struct Image *image, int fd);
/* Map what this image has of such a file; NULL: it cannot be. */
uint8_t *image_map(const struct Image *image, int fd);
/* Have these bytes in place of the old ones, which go, and the use's second reference. */
void image_adopt(struct Image *image, uint8_t *bytes, struct ImageUse *use);
/* Keep the file that its bytes are mapped from; consumes it. And let it go, if there is one. */
void image_keep_file(struct Image *image, int fd);
void image_drop_file(struct Image *image);
/* Have the bytes in a sealed memfd of our own, which is kept. Without one for want of anything it stays as it is. */
void image_move_to_file(struct Image *image);
/* How much of it is not a hole. */
uint64_t image_filled_bytes(const struct Image *image);

/* With two references. NULL when out of memory. */
struct ImageUse *image_use_new(const struct Connection *connection, uint32_t id);
/* Returns `use` as long as there is another reference, else NULL. NULL is fine. */
struct ImageUse *image_use_unref(struct ImageUse *use);
/* For its connection: has the image gone? */
static inline bool image_use_is_freed(struct ImageUse *use) {
    return atomic_load(&use->n_refs) == 1;
}

/* From a place in a memory, what its image, which may be NULL, has up to `to`: bytes to copy, or nothing but zero. */
struct ImagePiece {
    uint64_t to;
    const uint8_t *source; /* NULL: zero */
};

/* The piece that begins at `from`, and ends at `to` at the latest. `*nextp` is the extent to begin at, 0 at first;
 * calls with rising `from` share it. */
struct ImagePiece image_find(const struct Image *image, uint64_t from, uint64_t to, uint32_t *nextp);

/* Write what the memory at `base` has in [from, to) by its image, which may be NULL: zero where the image has nothing,
 * or with `is_hole` not even that, as the memory is known to be zero there. `*nextp` is the extent to begin at, 0 at
 * first; calls with rising `from` share it. */
void image_restore(const struct Image *image, uint8_t *base, uint64_t from, uint64_t to, bool is_hole, uint32_t *nextp);

/* The same for a memory's first bytes, a multiple of a host page, without holes, by writing only what differs. */
void image_mend(const struct Image *image, uint8_t *base, uint64_t bytes);

/* Write all of the image over a memory that is zero; `image` may be NULL. */
void image_copy(const struct Image *image, uint8_t *base);

#endif
