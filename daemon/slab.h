/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SLAB_H
#define DAEMON_SLAB_H

/* A slab: one memfd of one client, and our own record of what is granted of it. Its id says which target word it has in
 * its low bits (SLAB_TARGET_BITS), and above them how many slabs its client had opened: never the same twice. */

#include "daemon/client.h"

#define SLAB_TARGET_BITS 10
#define SLAB_OPENED_MAX (UINT32_MAX >> SLAB_TARGET_BITS) /* slabs that one client may open in its life */

/* The record of a slot. Written before each of our edges: after a crash in between it says more than the table does,
 * never less. */
struct SlotRecord {
    uint64_t generation : 57; /* the one that its word has while VACANT, IDLE or BUSY */
    uint64_t granted : 1;
    uint64_t recalled : 1; /* granted, and asked for */
    uint64_t retired : 1;  /* it could not be emptied, or its word was tampered with: never granted again */
    uint64_t cleaning : 1; /* its pages are being given back: not granted until that is done */
    uint64_t seen_idle : 1;
    uint64_t trimmed : 1;  /* then it is granted again */
    uint64_t fresh : 1;    /* granted to who waited, and not known to have been used: see want_may_lose */
    uint32_t seen_taken_ms, seen_ms; /* see trim_idle */
};

struct Slab {
    struct Client *client;
    struct Slab *next;
    uint32_t id;
    uint32_t first_entry;
    struct LeaseEntry *entries; /* from the first on, in the client's table: every byte may be hostile */
    uint32_t target; /* index of its target word in the table's header */
    struct Shape shape;
    int fd;         /* -1 for instances */
    uint64_t inode; /* 0 for instances */
    struct Backing *backing; /* whose fd it is; NULL for instances */
    struct Reclaim *reclaim; /* for its memory, when it goes */
    uint32_t n_granted, n_recalled, n_cleaning;
    uint64_t ticket;       /* when it began to wait, by the pool's count; 0: it does not */
    uint64_t served_ms;    /* when it was granted slots for which it had waited */
    struct Slab *next_want, *previous_want;
    uint64_t resident_bytes;
    uint32_t gauge; /* its place among the pool's; instances have none */
    struct SlotRecord records[];
};

/* What an inspector sees of one slot. Strings are copied out of the table, and clean. */
struct SlotView {
    const char *state; /* idle, busy, recalled, retired (the client could not reset it), tampered; NULL: not granted */
    uint64_t pages, taken_ns, resident_bytes;
    char label[LEASE_LABEL_BYTES];
    bool copy_on_write; /* it has pages that the slab does not, as the client says */
};

/* The memfd and the record; the client inserts it in its list and charges it. */
int slab_new(struct Slab **slabp, const struct Shape *shape, struct Error *error);
/* Its memory goes to the pool's reclaims, if it has a client. NULL is fine; returns NULL. */
struct Slab *slab_free(struct Slab *slab);

static inline struct LeaseEntry *slab_entry(const struct Slab *slab, uint32_t slot) {
    return &slab->entries[slot];
}

/* Give back the pages of a slot that is nobody's, if it has any. Out of memory it is left for slab_slot_is_empty. */
void slab_clean_slot(struct Slab *slab, uint32_t slot);

/* May the slot be granted now? One that has pages is cleaned first, off the loop, and one that cannot be is retired. */
bool slab_slot_is_empty(struct Slab *slab, uint32_t slot);

/* The pages of a slot that was cleaned are gone; a negative errno: they are not, and it is retired. */
void slab_slot_cleaned(struct Slab *slab, uint32_t slot, int result);

/* Slots that the table says are busy (or recalled), among those that we granted. */
uint32_t slab_count_busy(const struct Slab *slab);

/* Read its st_blocks again. */
void slab_measure(struct Slab *slab);

void slab_view(const struct Slab *slab, uint32_t slot, struct SlotView *view);

#endif
