/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/coldest.h"

#include "daemon/slab.h"

#include <stdlib.h>

/* While they are gathered: a heap with the warmest at its top, which a colder one replaces. */

static void coldest_swap(struct ColdestSlot *a, struct ColdestSlot *b) {
    struct ColdestSlot c = *a;

    *a = *b;
    *b = c;
}

static void coldest_rise(struct Coldest *coldest) {
    struct ColdestSlot *slots = coldest->slots;
    uint32_t i = coldest->n - 1;

    for (; i && slots[(i - 1) / 2].taken_ns < slots[i].taken_ns; i = (i - 1) / 2)
        coldest_swap(&slots[i], &slots[(i - 1) / 2]);
}

static void coldest_sink(struct Coldest *coldest) {
    struct ColdestSlot *slots = coldest->slots;

    for (uint32_t i = 0, child = 1; child < coldest->n; i = child, child = 2 * i + 1) {
        if (child + 1 < coldest->n && slots[child + 1].taken_ns > slots[child].taken_ns)
            child++;
        if (slots[i].taken_ns >= slots[child].taken_ns)
            return;
        coldest_swap(&slots[i], &slots[child]);
    }
}

static void coldest_add(struct Coldest *coldest, const struct ColdestSlot *slot) {
    coldest->n_seen++;
    if (coldest->n < COLDEST_MAX) {
        coldest->slots[coldest->n++] = *slot;
        coldest_rise(coldest);
    } else if (slot->taken_ns < coldest->slots[0].taken_ns) {
        coldest->slots[0] = *slot;
        coldest_sink(coldest);
    }
}

static int coldest_compare(const void *a, const void *b) {
    const struct ColdestSlot *x = a, *y = b;

    if (x->taken_ns != y->taken_ns)
        return x->taken_ns > y->taken_ns ? -1 : 1;
    if (x->slab != y->slab)
        return x->slab->id > y->slab->id ? -1 : 1;
    return x->slot > y->slot ? -1 : 1;
}

static uint64_t coldest_taken_ns(const struct Slab *slab, uint32_t slot) {
    return atomic_load_explicit(&slab_entry(slab, slot)->taken_ns, memory_order_relaxed);
}

static bool coldest_is(const struct Slab *slab, uint32_t slot, enum LeaseState state) {
    const struct SlotRecord *record = &slab->records[slot];

    return record->granted && !record->recalled && lease_state(lease_load(slab_entry(slab, slot))) == state;
}

static void coldest_look(struct Coldest *coldest, struct Slab *slab, enum LeaseState state) {
    for (uint32_t i = 0, seen = 0; seen < slab->n_granted; i++) {
        seen += slab->records[i].granted;
        if (coldest_is(slab, i, state))
            coldest_add(coldest, &(struct ColdestSlot){slab, i, coldest_taken_ns(slab, i)});
    }
}

void coldest_find(struct Coldest *coldest, const struct Client *client, enum Kind kind, enum LeaseState state,
                  ColdestFilter belongs, const void *data) {
    coldest->n = coldest->n_seen = 0;
    for (struct Slab *slab = client->slabs; slab; slab = slab->next)
        if (slab->shape.kind == kind && belongs(slab, data))
            coldest_look(coldest, slab, state);
    qsort(coldest->slots, coldest->n, sizeof(coldest->slots[0]), coldest_compare);
}

bool coldest_peek(struct Coldest *coldest, enum LeaseState state, struct ColdestSlot *slotp) {
    for (; coldest->n; coldest->n--, coldest->n_seen--) {
        const struct ColdestSlot *slot = &coldest->slots[coldest->n - 1];

        if (coldest_is(slot->slab, slot->slot, state) && coldest_taken_ns(slot->slab, slot->slot) == slot->taken_ns) {
            *slotp = *slot;
            return true;
        }
    }
    return false;
}

bool coldest_steal(struct Coldest *coldest, enum LeaseState state, struct ColdestSlot *slotp) {
    bool found = coldest_peek(coldest, state, slotp);

    coldest->n -= found;
    coldest->n_seen -= found;
    return found;
}
