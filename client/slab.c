/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/slab.h"

struct SlabUse slab_use(const struct Slab *slab) {
    struct SlabUse use = {0};

    for (uint32_t i = 0; i < slab->shape.count; i++)
        switch (lease_state(lease_load(slab_entry(slab, i)))) {
        case LEASE_IDLE:
            use.idle++;
            break;
        case LEASE_BUSY:
            use.busy++;
            break;
        default:
            use.vacant++;
        }
    return use;
}

static void slot_drain(struct LeaseEntry *entry) {
    for (;;) {
        uint64_t word = lease_load(entry);
        uint64_t generation = lease_generation(word);

        if (lease_state(word) == LEASE_IDLE ? !lease_revoke(entry, generation)
                                            : lease_state(word) != LEASE_BUSY || word & LEASE_RECALL ||
                                                  !lease_recall(entry, generation))
            return;
    }
}

void slab_drain(struct Slab *slab) {
    for (uint32_t i = 0; i < slab->shape.count; i++)
        slot_drain(slab_entry(slab, i));
}
