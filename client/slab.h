/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SLAB_H
#define CLIENT_SLAB_H

/* A slab as its client has it: the mapping, and what the client knows of each slot.
 *
 * A slab's record is never freed before its pool is closed, and that of an unmapped slab is used again only when no
 * idle stack and no thread has a number of its slots any more: a thread that took one off the stack and was stopped
 * there must find a word that says VACANT, not freed memory and not another slot. */

#include "client/mapping.h"
#include "shared/lease.h"

#include <stdatomic.h>

struct Connection;
struct Shelf;

/* Numbers of slots in this process: the slab's number and the slot's index. (Wasmtime: the unstriped slot number) */
#define SLOT_BITS 12 /* SHAPE_SLOTS_MAX */
#define SLOT_NONE UINT32_MAX

/* What a free slot's bytes are. */
enum Provenance {
    PROVENANCE_EMPTY,   /* no pages */
    PROVENANCE_CLEAN,   /* as its image, or zero, and resident */
    PROVENANCE_UNKNOWN, /* being reset; or that failed, and the slot is retired */
};

/* What the client knows of a slot. Plain fields belong to whoever has taken it: the edges of its word order them. */
struct Slot {
    _Alignas(64) _Atomic uint32_t next; /* below it on the idle stack */
    _Atomic bool known; /* on the idle stack, or in a thread's hands: not to be put there again. Clearing
                           it is the last touch of whoever had it */
    _Atomic uint8_t provenance;         /* enum Provenance; metrics read it, too */
    bool warm;                          /* counted in the pool's n_warm */
    uint64_t generation;                /* when it was last taken */
    uint64_t accessible;                /* bytes: of memories by mprotect, of tables in use */
    uint64_t image_id, image_end;       /* which image its bytes are while it is free, and up to where; 0: zero */
    const struct Image *image;          /* the image that it is taken with; NULL: none */
    const struct wasmpool_module *module; /* whose image that is, if the slot keeps it; NULL: an instance does */
    void *handle;                       /* instances: the handle's block, kept for the next one */
    size_t handle_bytes;
};

struct Slab {
    struct Shelf *shelf;
    struct Connection *connection;
    struct Slab *next;                     /* of its shelf */
    uint32_t number;                       /* of this process */
    uint32_t id, target;                   /* of the daemon: see SlabOpened */
    uint32_t first_entry;                  /* of the connection's table */
    int fd;                                /* to punch with; -1: instances */
    struct Shape shape;
    struct Mapping mapping;
    bool spare;                            /* unmapped: see pool_unmap_slab */
    bool full;                             /* the daemon will grant no more of it: see remote_want */
    struct LeaseEntry *_Atomic entries; /* slot 0's; slot i's is i further */
    uint32_t capacity;
    struct Slot slots[];
};

static inline struct LeaseEntry *slab_entry(const struct Slab *slab, uint32_t index) {
    return atomic_load_explicit(&((struct Slab *)slab)->entries, memory_order_acquire) + index;
}

static inline uint32_t slab_slot_number(const struct Slab *slab, uint32_t index) {
    return slab->number << SLOT_BITS | index;
}

static inline uint32_t slot_index(uint32_t number) {
    return number & ((UINT32_C(1) << SLOT_BITS) - 1);
}

static inline uint8_t *slab_slot_base(const struct Slab *slab, uint32_t index) {
    return mapping_slot(&slab->mapping, &slab->shape, index);
}

/* How many slots are in which state, by the table. */
struct SlabUse {
    uint32_t vacant, idle, busy;
};
struct SlabUse slab_use(const struct Slab *slab);

/* Take back what is idle and recall what is busy: for a table that nobody else owns any more. */
void slab_drain(struct Slab *slab);

#endif
