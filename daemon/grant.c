/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/grant.h"

#include "daemon/user.h"

static void grant_charge(struct Slab *slab, uint32_t slot) {
    struct Client *client = slab->client;
    struct Pool *pool = client->pool;
    enum Kind kind = slab->shape.kind;

    slab->records[slot].granted = 1;
    slab->n_granted++;
    client->granted[kind]++;
    client->user->granted[kind]++;
    pool->granted[kind]++;
    pool->counters.grants++;
    if (pool->granted[kind] > pool->counters.granted_most[kind])
        pool->counters.granted_most[kind] = pool->granted[kind];
}

static void grant_refund(struct Slab *slab, uint32_t slot) {
    struct Client *client = slab->client;
    enum Kind kind = slab->shape.kind;

    slab->records[slot].granted = 0;
    slab->n_granted--;
    client->granted[kind]--;
    client->user->granted[kind]--;
    client->pool->granted[kind]--;
}

/* One slot, in the order record, word. A word that is not VACANT in our generation was written by the client: it gets
 * no more of this slot. */
static bool grant_slot(struct Slab *slab, uint32_t slot) {
    struct SlotRecord *record = &slab->records[slot];

    if (record->granted || record->retired || !slab_slot_is_empty(slab, slot))
        return false;
    grant_charge(slab, slot);
    if (!lease_grant(slab_entry(slab, slot), record->generation))
        return true;
    record->retired = 1;
    grant_refund(slab, slot);
    return false;
}

uint32_t grant_slots(struct Slab *slab, uint32_t ask) {
    const struct Pool *pool = slab->client->pool;
    uint32_t n = 0;

    if (ask > GRANT_BATCH_MAX)
        ask = GRANT_BATCH_MAX;
    for (uint32_t i = 0; i < slab->shape.count && n < ask && pool_room(pool, slab->shape.kind); i++)
        n += grant_slot(slab, i);
    return n;
}

/* A slot that came back, by our edge or the client's. */
static void grant_return(struct Slab *slab, uint32_t slot) {
    slab->records[slot].generation++;
    grant_refund(slab, slot);
    slab_slot_is_empty(slab, slot); /* if not, it will be */
}

uint32_t grant_revoke_idle(struct Slab *slab) {
    uint32_t n = 0;

    for (uint32_t i = 0; slab->n_granted && i < slab->shape.count; i++) {
        struct SlotRecord *record = &slab->records[i];

        if (!record->granted || lease_revoke(slab_entry(slab, i), record->generation))
            continue;
        grant_return(slab, i);
        n++;
    }
    return n;
}

uint32_t grant_collect(struct Slab *slab) {
    uint32_t n = 0;

    for (uint32_t i = 0; slab->n_granted && i < slab->shape.count; i++) {
        struct SlotRecord *record = &slab->records[i];

        if (!record->granted || lease_load(slab_entry(slab, i)) != lease_word(record->generation + 1, LEASE_VACANT))
            continue;
        grant_return(slab, i);
        n++;
    }
    return n;
}

void grant_forget(struct Slab *slab) {
    for (uint32_t i = 0; slab->n_granted && i < slab->shape.count; i++)
        if (slab->records[i].granted)
            grant_refund(slab, i);
}
