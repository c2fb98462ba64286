/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/want.h"

#include "daemon/coldest.h"
#include "daemon/due.h"
#include "daemon/futile.h"
#include "daemon/grant.h"
#include "daemon/user.h"

#include <stdio.h>
#include <string.h>

/* How long who waited has to wake up to what it was granted, and take it, before it is somebody else's turn: a
 * processor that many want is had within some scheduling periods. */
#define WANT_FRESH_MS 100
#define WANT_TRIES_MAX 64 /* a slot that is taken and released all the time is neither idle nor busy for long */

static const enum Kind want_kinds[] = {KIND_MEMORY, KIND_TABLE, KIND_INSTANCE};

uint32_t want_unmet(const struct Slab *slab, bool *waitsp) {
    uint32_t target = atomic_load(&slab->client->table->header.targets[slab->target]);

    if (waitsp)
        *waitsp = target & LEASE_TARGET_WAIT;
    target &= LEASE_TARGET_SLOTS;
    if (target > slab->shape.count)
        target = slab->shape.count;
    return target > slab->n_granted ? target - slab->n_granted : 0;
}

/* ------------------------------------------------------------------------------------------------ refusals */

static int want_refuse(const struct Client *client, const char *limit, uint64_t bound, uint64_t use, uint64_t ask,
                       struct Error *error) {
    char what[128];

    snprintf(what, sizeof(what), "connection %lu (pid %d, %s) is refused", client->id, (int)client->identity.pid,
             client->identity.command);
    return error_limit(error, ERROR_LIMIT, limit, bound, use, ask, what);
}

/* Has the user more than its share, by weight, of what all may have? Only then it is refused for others' sake: one that
 * fills its slabs whatever it was granted shuts out itself. */
static bool want_is_above_share(const struct User *user) {
    const struct Pool *pool = user->pool;
    uint64_t weights = 0;

    for (const struct User *other = pool->users; other; other = other->next)
        weights += other->quota.weight;
    return user->resident_bytes >= pool->bounds.resident_bytes_max / weights * user->quota.weight;
}

int want_check_bytes(const struct Client *client, uint64_t ask, struct Error *error) {
    const struct Pool *pool = client->pool;
    const struct User *user = client->user;

    if (!quota_room(pool->bounds.resident_bytes_max, pool->resident_bytes) && want_is_above_share(user))
        return want_refuse(client, "resident_bytes_max", pool->bounds.resident_bytes_max, pool->resident_bytes, ask,
                           error);
    if (!quota_room(user->quota.resident_bytes_max, user->resident_bytes))
        return want_refuse(client, "resident_bytes_max of the user", user->quota.resident_bytes_max,
                           user->resident_bytes, ask, error);
    if (!quota_room(client->quota.resident_bytes_max, client->resident_bytes))
        return want_refuse(client, "resident_bytes_max of the connection", client->quota.resident_bytes_max,
                           client->resident_bytes, ask, error);
    return 0;
}

/* That so many slots may come to. */
static uint64_t want_bytes(const struct Slab *slab, uint32_t slots) {
    uint64_t bytes;

    return __builtin_mul_overflow(slab->shape.slot_bytes, slots, &bytes) ? UINT64_MAX : bytes;
}

static const char *want_quota_name(enum Kind kind, bool of_user) {
    switch (kind) {
    case KIND_MEMORY:
        return of_user ? "memories_max of the user" : "memories_max of the connection";
    case KIND_TABLE:
        return of_user ? "tables_max of the user" : "tables_max of the connection";
    case KIND_INSTANCE:
        return of_user ? "instances_max of the user" : "instances_max of the connection";
    }
    return "slots_max";
}

/* Whose bound is it that leaves the slab no room? The closest to the client. */
enum WantScope { WANT_SCOPE_CLIENT, WANT_SCOPE_USER, WANT_SCOPE_POOL };

static enum WantScope want_scope(const struct Slab *slab) {
    const struct Client *client = slab->client;
    const struct User *user = client->user;
    enum Kind kind = slab->shape.kind;

    if (!quota_room(client->quota.slots_max[kind], client->granted[kind]))
        return WANT_SCOPE_CLIENT;
    if (!quota_room(user->quota.slots_max[kind], user->granted[kind]))
        return WANT_SCOPE_USER;
    return WANT_SCOPE_POOL;
}

static int want_exhausted(const struct Slab *slab, uint32_t ask, struct Error *error) {
    const struct Client *client = slab->client;
    const struct User *user = client->user;
    const struct Pool *pool = client->pool;
    enum Kind kind = slab->shape.kind;

    /* There is room, but none of its slots can be granted: they are retired, or being emptied. */
    if (grant_room(slab))
        return want_refuse(client, "slots", slab->shape.count, slab->n_granted, ask, error);
    switch (want_scope(slab)) {
    case WANT_SCOPE_CLIENT:
        return want_refuse(client, want_quota_name(kind, false), client->quota.slots_max[kind], client->granted[kind],
                           ask, error);
    case WANT_SCOPE_USER:
        return want_refuse(client, want_quota_name(kind, true), user->quota.slots_max[kind], user->granted[kind], ask,
                           error);
    default:
        return want_refuse(client, pool_total_name(kind), pool_total(pool, kind), pool->granted[kind], ask, error);
    }
}

/* What there is goes to those that wait. */
static int want_refuse_turn(const struct Slab *slab, struct Error *error) {
    const struct Pool *pool = slab->client->pool;
    enum Kind kind = slab->shape.kind;

    return want_refuse(slab->client, pool_total_name(kind), pool_total(pool, kind), pool->granted[kind], 1, error);
}

/* ------------------------------------------------------------------------------------------------ taking back */

/* A client that wants slots of a shape has no use for losing others of that shape. */
static bool want_is_of_other_shape(const struct Slab *slab, const void *data) {
    const struct Slab *wanting = data;

    return slab->client != wanting->client || slab->shape.stride != wanting->shape.stride ||
           slab->shape.element_size != wanting->shape.element_size;
}

/* And what was granted to who waits is not taken back before he has woken up to it: not at all within his share, and
 * beyond it, as the only slot is while somebody without any waits, for some time. Else several that wait rob each other
 * of it, and none is ever served. */
static bool want_may_lose(const struct ColdestSlot *slot, const struct Slab *wanting, bool within_share) {
    const struct Slab *slab = slot->slab;
    bool waits;

    if (slab->client == wanting->client)
        return true;
    want_unmet(slab, &waits);
    if (!waits)
        return true;
    return !within_share &&
           (!slab->records[slot->slot].fresh || slab->client->pool->now_ms - slab->served_ms >= WANT_FRESH_MS);
}

static bool want_is_in_scope(const struct Slab *slab, const struct Client *client, enum WantScope scope) {
    switch (scope) {
    case WANT_SCOPE_CLIENT:
        return client == slab->client;
    case WANT_SCOPE_USER:
        return client->user == slab->client->user;
    default:
        return true;
    }
}

static struct Coldest *want_look_at(struct Coldest *coldest, const struct Client *client, const struct Slab *wanting) {
    coldest_find(coldest, client, wanting->shape.kind, LEASE_IDLE, want_is_of_other_shape, wanting);
    return coldest;
}

/* Idle slots beyond their clients' shares, while they are taken back. What is remembered of a client serves all but its
 * own wants, which not every slot does. */
struct WantTaking {
    struct Slab *wanting;
    enum WantScope scope;
    uint64_t number;
    struct Coldest own;
};

static struct Coldest *want_coldest(struct WantTaking *taking, struct Client *client) {
    return client == taking->wanting->client ? &taking->own : &client->coldest[taking->wanting->shape.kind];
}

/* The client's coldest one. False: it has none. */
static bool want_peek(struct WantTaking *taking, struct Client *client, struct ColdestSlot *slotp) {
    enum Kind kind = taking->wanting->shape.kind;
    struct Coldest *coldest = want_coldest(taking, client);

    if (client->done_with == taking->number || !client->granted[kind] || !due_excess(client, kind) ||
        !want_is_in_scope(taking->wanting, client, taking->scope))
        return false;
    if (coldest_peek(coldest, LEASE_IDLE, slotp))
        return true;
    if (client->looked_at != taking->number)
        want_look_at(coldest, client, taking->wanting);
    client->looked_at = taking->number;
    return coldest_peek(coldest, LEASE_IDLE, slotp);
}

/* The coldest of all. False: there is none. */
static bool want_find_coldest(struct WantTaking *taking, struct ColdestSlot *slotp) {
    struct ColdestSlot slot;
    bool found = false;

    for (struct Client *client = taking->wanting->client->pool->clients; client; client = client->next)
        if (want_peek(taking, client, &slot) && (!found || slot.taken_ns < slotp->taken_ns)) {
            *slotp = slot;
            found = true;
        }
    return found;
}

static void want_revoke_excess(struct Slab *slab, uint32_t need, enum WantScope scope) {
    struct Pool *pool = slab->client->pool;
    struct WantTaking taking = {.wanting = slab, .scope = scope, .number = ++pool->n_takings};
    struct ColdestSlot slot;

    for (int i = 0; i < GRANT_BATCH_MAX + WANT_TRIES_MAX && grant_room(slab) < need; i++) {
        if (!want_find_coldest(&taking, &slot))
            return;
        coldest_steal(want_coldest(&taking, slot.slab->client), LEASE_IDLE, &slot);
        if (!want_may_lose(&slot, slab, false))
            slot.slab->client->done_with = taking.number;
        else
            pool->counters.revokes += !grant_revoke(slot.slab, slot.slot);
    }
}

/* Of what is within a share at most half. */
static void want_revoke_within(struct Client *client, const struct Slab *wanting, uint64_t most) {
    struct Coldest coldest;
    struct ColdestSlot slot;
    uint32_t n = 0;

    if (!client->granted[wanting->shape.kind])
        return;
    want_look_at(&coldest, client, wanting);
    if (most > (coldest.n_seen + 1) / 2)
        most = (coldest.n_seen + 1) / 2;
    while (n < most && n < GRANT_BATCH_MAX && coldest_steal(&coldest, LEASE_IDLE, &slot))
        n += want_may_lose(&slot, wanting, true) && !grant_revoke(slot.slab, slot.slot);
    client->pool->counters.revokes += n;
}

/* Revoke idle slots until the slab has room for `need`: first of those that have more than they are due, the coldest of
 * all, then of anyone. Of what is within somebody's share at most half is taken at a time: whoever has a few in reserve
 * is not left without any, to ask for them back at once. */
static void want_revoke(struct Slab *slab, uint32_t need) {
    enum WantScope scope = want_scope(slab);

    want_revoke_excess(slab, need, scope);
    for (struct Client *client = slab->client->pool->clients; client && grant_room(slab) < need; client = client->next)
        if (want_is_in_scope(slab, client, scope))
            want_revoke_within(client, slab, need - grant_room(slab));
}

/* One slot is as good as another; the one that was taken first is likely to be released first. */
static uint32_t want_recall_of(struct Client *client, const struct Slab *wanting, uint64_t most) {
    struct Coldest coldest;
    struct ColdestSlot slot;
    uint32_t n = 0;

    coldest_find(&coldest, client, wanting->shape.kind, LEASE_BUSY, want_is_of_other_shape, wanting);
    while (n < most && n < GRANT_BATCH_MAX && coldest_steal(&coldest, LEASE_BUSY, &slot))
        for (int tries = 0; tries < WANT_TRIES_MAX; tries++)
            if (!grant_recall(slot.slab, slot.slot) || !grant_revoke(slot.slab, slot.slot)) {
                n++;
                break;
            }
    return n;
}

/* Of how many slots each may be asked this time: those that it has beyond what it is due, and unless `again` has not
 * been asked for before. */
static void want_count_recallable(struct Pool *pool, enum Kind kind, bool again) {
    for (struct Client *client = pool->clients; client; client = client->next) {
        uint64_t excess = due_excess(client, kind), asked = again ? 0 : client->recalled[kind];

        client->recallable = excess - (asked < excess ? asked : excess);
    }
}

/* Ask others for `need` busy slots. Whoever has none that can be asked for is not looked at again this time. */
static void want_recall(struct Slab *wanting, uint64_t need) {
    for (struct Client *client = wanting->client->pool->clients; client && need; client = client->next) {
        uint64_t most = need < client->recallable ? need : client->recallable;
        uint32_t n = most ? want_recall_of(client, wanting, most) : 0;

        client->recallable = n ? client->recallable - n : 0;
        need -= n;
    }
}

/* For all slabs of a client that waits at once. */
static void want_recall_for(struct Slab *slab) {
    struct Client *client = slab->client;
    enum Kind kind = slab->shape.kind;

    if (client->recalled_for == client->pool->n_serves || want_check_bytes(client, 0, NULL))
        return;
    client->recalled_for = client->pool->n_serves;
    want_recall(slab, due_deficit(client, kind));
}

/* ------------------------------------------------------------------------------------------------ at once */

/* Others wait: without waiting nobody has more than what it is due. */
uint32_t want_meet(struct Slab *slab, uint32_t ask, struct Error *error) {
    struct Pool *pool = slab->client->pool;
    enum Kind kind = slab->shape.kind;
    uint32_t n;

    if (want_check_bytes(slab->client, want_bytes(slab, ask), error))
        return 0;
    if (ask > GRANT_BATCH_MAX)
        ask = GRANT_BATCH_MAX;
    if (grant_room(slab) < ask || pool->is_awaited[kind])
        due_compute(pool, kind, slab, ask);
    if (pool->is_awaited[kind] && ask > due_deficit(slab->client, kind))
        ask = (uint32_t)due_deficit(slab->client, kind);
    if (!ask) {
        want_refuse_turn(slab, error);
        return 0;
    }
    if (grant_room(slab) < ask)
        want_revoke(slab, ask);
    n = grant_slots(slab, ask);
    if (!n)
        want_exhausted(slab, ask, error);
    return n;
}

/* ------------------------------------------------------------------------------------------------ in turn */

void want_wait(struct Slab *slab) {
    struct Pool *pool = slab->client->pool;

    pool->served = false;
    if (slab->ticket)
        return;
    slab->ticket = ++pool->next_ticket;
    pool->counters.waits++;
    slab->previous_want = pool->last_want;
    if (pool->last_want)
        pool->last_want->next_want = slab;
    else
        pool->wants = slab;
    pool->last_want = slab;
    pool->is_awaited[slab->shape.kind] |= want_scope(slab) == WANT_SCOPE_POOL;
}

void want_forget(struct Slab *slab) {
    struct Pool *pool = slab->client->pool;

    if (!slab->ticket)
        return;
    if (slab->next_want)
        slab->next_want->previous_want = slab->previous_want;
    else
        pool->last_want = slab->previous_want;
    if (slab->previous_want)
        slab->previous_want->next_want = slab->next_want;
    else
        pool->wants = slab->next_want;
    slab->next_want = slab->previous_want = NULL;
    slab->ticket = 0;
    if (!pool->wants)
        memset(pool->is_awaited, 0, sizeof(pool->is_awaited));
}

void want_wake(struct Client *client) {
    if (client->woken)
        return;
    client->woken = true;
    client->pool->n_woken++;
}

/* What has come back, and who does not wait any more. */
static void want_look(struct Pool *pool, enum Kind kind) {
    struct Slab *next;

    for (struct Client *client = pool->clients; client; client = client->next)
        for (struct Slab *slab = client->slabs; slab && client->recalled[kind]; slab = slab->next)
            if (slab->n_recalled && slab->shape.kind == kind)
                grant_collect(slab);
    for (struct Slab *slab = pool->wants; slab; slab = next) {
        bool waits;

        next = slab->next_want;
        if (slab->shape.kind == kind && (!want_unmet(slab, &waits) || !waits))
            want_forget(slab);
    }
}

static struct Futile *want_futile(struct Slab *slab) {
    switch (want_scope(slab)) {
    case WANT_SCOPE_CLIENT:
        return &slab->client->futile;
    case WANT_SCOPE_USER:
        return &slab->client->user->futile;
    default:
        return &slab->client->pool->futile;
    }
}

/* Unless that was tried in vain. */
static void want_revoke_once(struct Slab *slab, uint32_t need) {
    struct Pool *pool = slab->client->pool;
    struct Futile *futile = want_futile(slab);
    uint64_t before = pool->counters.revokes;

    if (futile_is(futile, pool->n_serves, slab))
        return;
    want_revoke(slab, need);
    if (pool->counters.revokes == before)
        futile_note(futile, pool->n_serves, slab);
}

static void want_give(struct Slab *slab, uint64_t most) {
    uint32_t need = want_unmet(slab, NULL), n;

    if (need > most)
        need = (uint32_t)most;
    if (!need || want_check_bytes(slab->client, 0, NULL))
        return;
    if (grant_room(slab) < need)
        want_revoke_once(slab, need);
    n = grant_slots_fresh(slab, need);
    if (n)
        want_wake(slab->client);
    if (n == GRANT_BATCH_MAX)
        slab->client->pool->served = false; /* more in the next turn */
}

static void want_serve_kind(struct Pool *pool, enum Kind kind, bool again) {
    pool->n_serves++;
    want_look(pool, kind);
    due_compute(pool, kind, NULL, 0);
    for (struct Slab *slab = pool->wants; slab; slab = slab->next_want)
        if (slab->shape.kind == kind)
            want_give(slab, due_deficit(slab->client, kind));
    for (struct Slab *slab = pool->wants; slab; slab = slab->next_want)
        if (slab->shape.kind == kind)
            want_give(slab, GRANT_BATCH_MAX);
    want_count_recallable(pool, kind, again);
    pool->is_awaited[kind] = false;
    for (struct Slab *slab = pool->wants; slab; slab = slab->next_want)
        if (slab->shape.kind == kind && want_unmet(slab, NULL)) {
            want_recall_for(slab);
            pool->is_awaited[kind] |=
                want_scope(slab) == WANT_SCOPE_POOL && !want_check_bytes(slab->client, 0, NULL);
        }
    want_look(pool, kind);
}

void want_serve(struct Pool *pool, bool again) {
    pool->served = true;
    for (size_t i = 0; pool->wants && i < sizeof(want_kinds) / sizeof(want_kinds[0]); i++)
        want_serve_kind(pool, want_kinds[i], again);
}
