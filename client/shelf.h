/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SHELF_H
#define CLIENT_SHELF_H

/* A shelf: all slots of one shape that this process has, over all their slabs, and a stack of the idle ones. Last in,
 * first out: the slot that was used last is the one whose pages and page tables are warm.
 *
 * Taking and releasing is a pop or push and one edge of the slot's word; neither makes a system call. Only an empty
 * stack leads to the slow path, under the pool's lock: collect what has been granted since, else ask the source. */

#include "client/slab.h"

struct wasmpool;

#define SHELF_SLAB_SLOTS 64       /* of a memory or table slab: one fd and one mapping serve them all */
#define SHELF_PERMIT_SLOTS 256    /* of an instance slab, which costs entries only */
#define SHELF_ASK_MAX 16          /* a shelf that runs dry asks for as many as it has, but never more */

struct Shelf {
    struct wasmpool *pool;
    struct Shape shape;  /* of the next slab */
    struct Slab *slabs;  /* under the pool's lock */
    _Alignas(64) _Atomic uint64_t top; /* of the idle stack: tag << 32 | slot number. Each pop changes the tag, so that
                                          a stack that looks the same is the same */
};

/* A slot that was taken. */
struct Taken {
    struct Slab *slab;
    struct Slot *slot;
    struct LeaseEntry *entry;
    uint32_t index;
};

void shelf_init(struct Shelf *shelf, struct wasmpool *pool, const struct Shape *shape);

/* Take an idle slot, asking the source when there is none; it has no contents that matter. Errors: the source's. */
int shelf_take(struct Shelf *shelf, struct Taken *taken, struct wasmpool_error *error);

/* Put a taken slot back; it must have been reset. */
void shelf_release(struct Taken *taken);

/* What is taken and cannot be used again is never released: it stays charged until the connection ends. */
void shelf_retire(struct Taken *taken);

/* Recover what belongs to the number of a taken slot. Returns false when there is no such slot. */
bool shelf_find(struct wasmpool *pool, uint32_t number, struct Taken *taken);

/* Take off the stack what is not idle any more. With the pool's lock held. */
void shelf_sweep(struct Shelf *shelf);

/* Take each idle slot in turn, give it to the function, and put it back; a slot that the function fails for is retired.
 * With the pool's lock held, so that nobody asks for more because the stack looks empty meanwhile. */
void shelf_visit(struct Shelf *shelf, int (*visit)(struct Taken *taken, const void *data), const void *data);

/* Put what has been granted since on the stack. With the pool's lock held. Returns how many. */
uint32_t shelf_collect(struct Shelf *shelf);

#endif
