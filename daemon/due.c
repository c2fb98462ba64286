/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/due.h"

#include "daemon/share.h"
#include "daemon/user.h"
#include "daemon/want.h"

static uint64_t due_earlier(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

/* What those that wait are short of, and since when their client waits. `asking` asks for `ask` without waiting. */
static void due_count_unmet(struct Pool *pool, enum Kind kind, const struct Slab *asking, uint32_t ask) {
    for (struct Client *client = pool->clients; client; client = client->next) {
        client->unmet[kind] = 0;
        client->ticket[kind] = 0;
    }
    for (const struct Slab *slab = pool->wants; slab; slab = slab->next_want)
        if (slab->shape.kind == kind && slab != asking) {
            slab->client->unmet[kind] += want_unmet(slab, NULL);
            slab->client->ticket[kind] = due_earlier(slab->client->ticket[kind], slab->ticket);
        }
    if (asking) {
        asking->client->unmet[kind] += ask;
        asking->client->ticket[kind] = due_earlier(asking->client->ticket[kind], asking->ticket);
    }
}

static struct Share due_share_of(const struct Client *client, enum Kind kind) {
    uint64_t demand = client->granted[kind] + client->unmet[kind], bound = quota_bound(client->quota.slots_max[kind]);

    return (struct Share){.weight = 1,
                          .demand = demand < bound ? demand : bound,
                          .held = client->granted[kind],
                          .ticket = client->ticket[kind]};
}

static void due_share_user(struct User *user, enum Kind kind) {
    struct Share *shares = user->pool->shares;
    size_t n = 0;

    for (struct Client *client = user->clients; client; client = client->next_of_user)
        shares[n++] = due_share_of(client, kind);
    share_compute(shares, n, user->due[kind]);
    n = 0;
    for (struct Client *client = user->clients; client; client = client->next_of_user)
        client->due[kind] = shares[n++].due;
}

/* Of users by weight, and within each user of its clients. */
static void due_share(struct Pool *pool, enum Kind kind) {
    struct Share *shares = pool->shares;
    size_t n = 0;

    for (struct User *user = pool->users; user; user = user->next) {
        struct Share share = {.weight = user->quota.weight, .held = user->granted[kind]};
        uint64_t bound = quota_bound(user->quota.slots_max[kind]);

        for (struct Client *client = user->clients; client; client = client->next_of_user) {
            share.demand += due_share_of(client, kind).demand;
            share.ticket = due_earlier(share.ticket, client->ticket[kind]);
        }
        share.demand = share.demand < bound ? share.demand : bound;
        shares[n++] = share;
    }
    share_compute(shares, n, pool_total(pool, kind));
    n = 0;
    for (struct User *user = pool->users; user; user = user->next)
        user->due[kind] = shares[n++].due;
    for (struct User *user = pool->users; user; user = user->next)
        due_share_user(user, kind);
}

void due_compute(struct Pool *pool, enum Kind kind, const struct Slab *asking, uint32_t ask) {
    due_count_unmet(pool, kind, asking, ask);
    due_share(pool, kind);
}

uint64_t due_excess(const struct Client *client, enum Kind kind) {
    return client->granted[kind] > client->due[kind] ? client->granted[kind] - client->due[kind] : 0;
}

uint64_t due_deficit(const struct Client *client, enum Kind kind) {
    return client->due[kind] > client->granted[kind] ? client->due[kind] - client->granted[kind] : 0;
}
