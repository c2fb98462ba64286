/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SLOT_H
#define CLIENT_SLOT_H

/* What a client says of a slot that it has taken, for those who inspect. */

#include "shared/lease.h"

/* It was taken now, with so many bytes in use; `label` is LEASE_LABEL_BYTES long and padded. */
void slot_announce(struct LeaseEntry *entry, uint64_t bytes, const char *label);
/* Which image it has, of the connection's; 0: none. And how it was reset. */
static inline void slot_announce_image(struct LeaseEntry *entry, uint32_t image) {
    atomic_store_explicit(&entry->image, image, memory_order_relaxed);
}

static inline void slot_announce_reset(struct LeaseEntry *entry, enum LeaseReset way, uint64_t pages, uint64_t ns) {
    atomic_store_explicit(&entry->reset, lease_reset_word(way, pages, ns), memory_order_relaxed);
}

/* Its image lies over it, see overlay.h: the pages that were written are this process' own. */
static inline void slot_announce_private(struct LeaseEntry *entry, bool is_private) {
    if (is_private)
        atomic_fetch_or(&entry->flags, LEASE_FLAG_PRIVATE);
    else
        atomic_fetch_and(&entry->flags, ~LEASE_FLAG_PRIVATE);
}

/* It has so many bytes in use now. */
void slot_announce_bytes(struct LeaseEntry *entry, uint64_t bytes);

#endif
