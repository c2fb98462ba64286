/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/pool.h"

#include "daemon/client.h"
#include "daemon/slab.h"
#include "daemon/user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void pool_init(struct Pool *pool, const struct Limits *limits, const struct PoolBounds *bounds) {
    *pool = (struct Pool){.limits = *limits, .bounds = *bounds, .next_client_id = 1};
    quotas_init(&pool->quotas);
}

void pool_deinit(struct Pool *pool) {
    assert(!pool->clients && !pool->users && !pool->wants && !pool->n_woken);
    assert(!pool->gauges.n && !pool->reclaims && !pool->n_backings && !pool->images.n_open);
    quotas_deinit(&pool->quotas);
    gauges_deinit(&pool->gauges);
    free(pool->shares);
    pool->shares = NULL;
}

void pool_apply_quotas(struct Pool *pool) {
    for (struct User *user = pool->users; user; user = user->next)
        user->quota = *quotas_find(&pool->quotas, user->uid);
    for (struct Client *client = pool->clients; client; client = client->next)
        client->quota = *quotas_find_client(&pool->quotas, client->id);
    pool->served = false;
}

int pool_reserve_share(struct Pool *pool) {
    size_t n = pool->n_shares ? 2 * pool->n_shares : 16;
    struct Share *shares;

    /* Of users there is one already for a client that is about to come; those with images alone are beyond the clients.
     */
    if (pool->n_clients < pool->n_shares && pool->n_users <= pool->n_shares)
        return 0;
    shares = realloc(pool->shares, n * sizeof(*shares));
    if (!shares)
        return -ENOMEM;
    pool->shares = shares;
    pool->n_shares = n;
    return 0;
}

uint64_t pool_total(const struct Pool *pool, enum Kind kind) {
    switch (kind) {
    case KIND_MEMORY:
        return pool->limits.total_memories;
    case KIND_TABLE:
        return pool->limits.total_tables;
    case KIND_INSTANCE:
        return pool->limits.total_core_instances;
    }
    return 0;
}

const char *pool_total_name(enum Kind kind) {
    switch (kind) {
    case KIND_MEMORY:
        return "total_memories";
    case KIND_TABLE:
        return "total_tables";
    case KIND_INSTANCE:
        return "total_core_instances";
    }
    return "total";
}

uint64_t pool_room(const struct Pool *pool, enum Kind kind) {
    uint64_t total = pool_total(pool, kind);

    /* A reload may have lowered the total below what is granted. */
    return total > pool->granted[kind] ? total - pool->granted[kind] : 0;
}

struct Client *pool_find_client(const struct Pool *pool, uint64_t id) {
    for (struct Client *client = pool->clients; client; client = client->next)
        if (client->id == id)
            return client;
    return NULL;
}

void pool_measure(struct Pool *pool) {
    for (struct Client *client = pool->clients; client; client = client->next)
        client_measure(client);
}

static bool pool_kind_is_valid(const struct Pool *pool, enum Kind kind) {
    uint64_t by_clients = 0, by_users = 0, by_slots = 0;

    for (const struct User *user = pool->users; user; user = user->next)
        by_users += user->granted[kind];
    for (const struct Client *client = pool->clients; client; client = client->next) {
        by_clients += client->granted[kind];
        for (const struct Slab *slab = client->slabs; slab; slab = slab->next)
            for (uint32_t i = 0; slab->shape.kind == kind && i < slab->shape.count; i++)
                by_slots += slab->records[i].granted;
    }
    return by_clients == pool->granted[kind] && by_users == pool->granted[kind] && by_slots == pool->granted[kind];
}

bool pool_is_valid(const struct Pool *pool) {
    uint64_t n_clients = 0, n_disconnected = 0;

    for (const struct Client *client = pool->clients; client; client = client->next) {
        n_clients++;
        n_disconnected += client->state == CLIENT_DISCONNECTED;
    }
    return n_clients == pool->n_clients && n_disconnected == pool->n_disconnected && images_are_valid(pool) &&
           pool_kind_is_valid(pool, KIND_MEMORY) && pool_kind_is_valid(pool, KIND_TABLE) &&
           pool_kind_is_valid(pool, KIND_INSTANCE);
}
