/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/grant.h"

#include "daemon/user.h"

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t grant_room(const struct Slab *slab) {
    const struct Client *client = slab->client;
    const struct User *user = client->user;
    enum Kind kind = slab->shape.kind;
    uint64_t own = quota_room(client->quota.slots_max[kind], client->granted[kind]);

    return least(pool_room(client->pool, kind),
                 least(own, quota_room(user->quota.slots_max[kind], user->granted[kind])));
}

static void grant_charge(struct Slab *slab, uint32_t slot) {
    struct Client *client = slab->client;
    struct Pool *pool = client->pool;
    enum Kind kind = slab->shape.kind;

    slab->records[slot].granted = 1;
    slab->records[slot].fresh = 0;
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
    struct SlotRecord *record = &slab->records[slot];
    enum Kind kind = slab->shape.kind;

    slab->n_recalled -= record->recalled;
    client->recalled[kind] -= record->recalled;
    client->pool->recalled[kind] -= record->recalled;
    record->granted = record->recalled = 0;
    slab->n_granted--;
    client->granted[kind]--;
    client->user->granted[kind]--;
    client->pool->granted[kind]--;
    client->pool->served = false;
}

/* One slot, in the order record, word. A word that is not VACANT in our generation was written by the client: it gets
 * no more of this slot. */
static bool grant_slot(struct Slab *slab, uint32_t slot) {
    struct SlotRecord *record = &slab->records[slot];
    struct LeaseEntry *entry = slab_entry(slab, slot);

    if (record->granted || record->retired || !slab_slot_is_empty(slab, slot))
        return false;
    grant_charge(slab, slot);
    /* Not since then: what was before says nothing of the pages that it has. */
    atomic_store_explicit(&entry->taken_ns, 0, memory_order_relaxed);
    if (!lease_grant(entry, record->generation))
        return true;
    record->retired = 1;
    grant_refund(slab, slot);
    return false;
}

static uint32_t grant_some(struct Slab *slab, uint32_t ask, bool fresh) {
    uint64_t room = grant_room(slab);
    uint32_t n = 0;

    ask = (uint32_t)least(least(ask, GRANT_BATCH_MAX), room);
    for (uint32_t i = 0; i < slab->shape.count && n < ask; i++)
        if (grant_slot(slab, i)) {
            slab->records[i].fresh = fresh;
            n++;
        }
    return n;
}

uint32_t grant_slots(struct Slab *slab, uint32_t ask) {
    return grant_some(slab, ask, false);
}

uint32_t grant_slots_fresh(struct Slab *slab, uint32_t ask) {
    uint32_t n = grant_some(slab, ask, true);

    if (n)
        slab->served_ms = slab->client->pool->now_ms;
    return n;
}

/* A slot that came back, by our edge or the client's. */
static void grant_return(struct Slab *slab, uint32_t slot) {
    slab->records[slot].generation++;
    grant_refund(slab, slot);
    slab_clean_slot(slab, slot);
}

int grant_revoke(struct Slab *slab, uint32_t slot) {
    struct SlotRecord *record = &slab->records[slot];

    if (!record->granted || lease_revoke(slab_entry(slab, slot), record->generation))
        return LEASE_E_LOST;
    grant_return(slab, slot);
    return 0;
}

/* Recorded first: a slot that comes back must be looked for. */
int grant_recall(struct Slab *slab, uint32_t slot) {
    struct SlotRecord *record = &slab->records[slot];
    enum Kind kind = slab->shape.kind;

    if (!record->granted || record->recalled)
        return LEASE_E_LOST;
    record->recalled = 1;
    if (lease_recall(slab_entry(slab, slot), record->generation)) {
        record->recalled = 0;
        return LEASE_E_LOST;
    }
    slab->n_recalled++;
    slab->client->recalled[kind]++;
    slab->client->pool->recalled[kind]++;
    slab->client->pool->counters.recalls++;
    return 0;
}

int grant_trim(struct Slab *slab, uint32_t slot) {
    if (grant_revoke(slab, slot))
        return LEASE_E_LOST;
    slab->records[slot].trimmed = 1;
    if (!slab->records[slot].cleaning)
        grant_cleaned(slab, slot, 0);
    return 0;
}

/* Not where somebody waits for the capacity, nor to a client that is gone. Nobody is woken, since nobody waits: who
 * looks next sees that the futex has moved. */
static void grant_again(struct Slab *slab, uint32_t slot) {
    struct Client *client = slab->client;

    if (client->state != CLIENT_CONNECTED || client->pool->is_awaited[slab->shape.kind] || !grant_room(slab) ||
        !grant_slot(slab, slot))
        return;
    atomic_fetch_add(&client->table->header.futex, 1);
}

void grant_cleaned(struct Slab *slab, uint32_t slot, int result) {
    bool trimmed = slab->records[slot].trimmed;

    slab->records[slot].trimmed = 0;
    slab_slot_cleaned(slab, slot, result);
    slab->client->pool->served = false;
    if (trimmed && !result)
        grant_again(slab, slot);
}

uint32_t grant_revoke_idle(struct Slab *slab) {
    uint32_t n = 0;

    for (uint32_t i = 0; slab->n_granted && i < slab->shape.count; i++)
        n += !grant_revoke(slab, i);
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
