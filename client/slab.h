/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SLAB_H
#define CLIENT_SLAB_H

/* A slab as its client has it: the mapping, and what the client knows of each slot.
 *
 * Where a slot is, as far as this process knows:
 *
 *    AWAY --demand_collect: it was granted--> filed in a lane --lane_take--> HELD --lane_put--> filed in a lane
 *     ^  ^                                          |                         |
 *     |  +---- lane_take: it was revoked -----------+                         |
 *     +------- shelf_lose: it was recalled -----------------------------------+
 *
 * Only what is filed can be taken, under its lane's lock, and a slab is unmapped when none of its slots is filed or
 * held: nobody has a slot of an unmapped slab. Its record is kept and used again, for the sake of a thread that gave
 * back the last slot but one and has yet to say so. */

#include "client/mapping.h"
#include "shared/lease.h"

#include <stdatomic.h>

struct Connection;
struct Overlay;
struct Shelf;

/* Numbers of slots in this process: the slab's number and the slot's index. (Wasmtime: the unstriped slot number) */
#define SLOT_BITS 12 /* SHAPE_SLOTS_MAX */

/* Values of Slot.where besides the number of a lane. */
#define SLOT_HELD 0xfe /* by a thread: its word is BUSY */
#define SLOT_AWAY 0xff /* not granted; or granted, and not collected yet */

/* What a free slot's bytes are. */
enum Provenance {
    PROVENANCE_EMPTY,   /* no pages */
    PROVENANCE_CLEAN,   /* as its image, or zero, and resident */
    PROVENANCE_UNKNOWN, /* being reset; or that failed, and the slot is retired */
};

/* What the client knows of a slot. Plain fields belong to whoever holds it, or holds its lane's lock. Pairs of cache
 * lines are fetched together: two threads' slots are never in one. */
struct Slot {
    _Alignas(128) struct Slot *next;    /* among the cold ones of its lane, or the warm ones by age */
    struct Slot *previous;
    struct Slab *slab;
    uint64_t generation;                /* when it was last taken */
    _Atomic uint8_t where;              /* number of the lane, SLOT_HELD or SLOT_AWAY */
    _Atomic uint8_t provenance;         /* enum Provenance; metrics read it, too */
    bool warm;                          /* counted in the pool's n_warm */
    bool marked;                        /* when it is taken, more should be asked for: see demand_hint */
    uint32_t handle_bytes;
    void *handle;                       /* instances: the handle's block, kept for the next one: see handle.h */
    uint64_t image_id, image_end;       /* which image its bytes are while it is free, and up to where; 0: zero */
    struct Slot *next_alike, *previous_alike; /* of the warm ones of its lane, those with like images */
    uint64_t accessible;                /* bytes: of memories by mprotect, of tables in use */
    const struct Image *image;          /* the image that it is taken with; NULL: none */
    const struct wasmpool_module *module; /* whose image that is, if the slot keeps it; NULL: an instance does */
    union {
        uint64_t initial;               /* bytes of a memory when it was taken */
        const struct wasmpool_vmcontext *vmctx; /* that a table's elements point into, with its image; never followed */
    };
    struct Planner *planner;            /* how it is to be reset; NULL: without tracking. As long as the image */
    struct Track *track;                /* NULL: nothing is known of what was written */
};

static_assert(sizeof(struct Slot) == 128, "two cache lines");

/* What a slab's owner was told last of those who wait. */
struct Announcement {
    uint32_t target, news, epoch; /* words of the lease table's header */
};

struct Slab {
    struct Shelf *shelf;
    struct Connection *connection;
    struct Slab *next;                     /* of its shelf */
    struct Slab *next_roomy;               /* of those with room: see demand.h */
    struct Slab *next_returned;            /* of those that recalled slots have come back to: see pool_slot_returned */
    _Atomic bool has_returned;
    uint32_t number;                       /* of this process */
    uint32_t id, target;                   /* of the daemon: see SlabOpened */
    uint32_t first_entry;                  /* of the connection's table */
    int fd;                                /* to punch with; -1: instances */
    struct Shape shape;
    struct Mapping mapping;
    bool spare;                            /* unmapped: see pool_unmap_slab */
    struct Overlay *_Atomic overlays;      /* of its slots, by index: see overlay.h; NULL: none has one */
    uint32_t most;                         /* slots that it has had when the owner would grant no more of it */
    struct Announcement announced;         /* see remote_wait_for */
    _Atomic bool roomy;                    /* on the shelf's list of those with room */
    _Atomic uint32_t n_granted;            /* slots that are not AWAY */
    struct LeaseEntry *_Atomic entries; /* slot 0's; slot i's is i further */
    uint32_t capacity;
    struct Slot slots[];
};

static_assert(offsetof(struct Slab, slots) % 128 == 0, "no slot is in a pair of cache lines with what all share");

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

static inline uint32_t slot_number(const struct Slot *slot) {
    return slab_slot_number(slot->slab, (uint32_t)(slot - slot->slab->slots));
}

static inline struct LeaseEntry *slot_entry(const struct Slot *slot) {
    return slab_entry(slot->slab, (uint32_t)(slot - slot->slab->slots));
}

/* How many slots are in which state, by the table. */
struct SlabUse {
    uint32_t vacant, idle, busy;
};
struct SlabUse slab_use(const struct Slab *slab);

/* Take back what is idle and recall what is busy: for a table that nobody else owns any more. */
void slab_drain(struct Slab *slab);

#endif
