/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/slot.h"

#include <string.h>
#include <time.h>

#define SLOT_PAGE_SHIFT 12 /* host pages, for display */

/* The coarse clock is read without a system call and without serialising; 4 ms are exact enough for an age. */
static uint64_t slot_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void slot_announce_bytes(struct LeaseEntry *entry, uint64_t bytes) {
    uint64_t pages = (bytes + (UINT64_C(1) << SLOT_PAGE_SHIFT) - 1) >> SLOT_PAGE_SHIFT;

    atomic_store_explicit(&entry->pages, (uint32_t)pages, memory_order_relaxed);
}

void slot_announce(struct LeaseEntry *entry, uint64_t bytes, const char *label) {
    slot_announce_bytes(entry, bytes);
    atomic_store_explicit(&entry->taken_ns, slot_now_ns(), memory_order_relaxed);
    memcpy(entry->label, label, LEASE_LABEL_BYTES);
}
