/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_DAEMON_CORE_H
#define TESTS_DAEMON_CORE_H

/* What the tests of the daemon's core share: a pool with small totals and clients that take what they are granted, all
 * in this process, without socket, loop or clock. */

#include "daemon/client.h"
#include "daemon/grant.h"
#include "daemon/pool.h"
#include "daemon/reclaim.h"
#include "daemon/slab.h"
#include "daemon/user.h"
#include "daemon/want.h"
#include "tests/support/test.h"

#include <string.h>

#define CORE_TOTAL 6

static inline void core_pool_init(struct Pool *pool) {
    static const struct PoolBounds bounds = {.connections_max = 4,
                                             .connections_per_user_max = 3,
                                             .slabs_per_client_max = 8,
                                             .slabs_max = 12,
                                             .images_max = 8,
                                             .image_bytes_max = 1 << 20};
    struct Limits limits;

    limits_init(&limits);
    limits.total_memories = limits.total_tables = limits.total_core_instances = CORE_TOTAL;
    pool_init(pool, &limits, &bounds);
    pool->quotas.user.images_max = 1 << 20; /* or else half of the pool's */
    pool->quotas.user.image_bytes_max = 1 << 30;
}

static inline struct Client *core_client(struct Pool *pool, uid_t uid) {
    struct ClientIdentity identity = {.pid = 1, .uid = uid, .command = "test"};
    struct Client *client = NULL;
    struct Error error = {0};

    cr_assert_eq(client_new(&client, pool, &identity, &error), 0, "%s", error.message);
    cr_assert_eq(client_open_table(client, &error), 0, "%s", error.message);
    return client;
}

static inline struct Shape core_shape(enum Kind kind, uint32_t count) {
    return (struct Shape){.kind = kind,
                          .reservation = 1 << 20,
                          .guard = 1 << 16,
                          .elements = 100,
                          .element_size = 8,
                          .count = count};
}

static inline struct Slab *core_slab(struct Client *client, enum Kind kind, uint32_t count, uint32_t want) {
    struct Shape shape = core_shape(kind, count);
    struct Error error = {0};
    struct Slab *slab = NULL;
    uint32_t granted;

    cr_assert_eq(client_open_slab(client, &shape, want, &slab, &granted, &error), 0, "%s", error.message);
    return slab;
}

/* What a client would do. */
static inline uint64_t core_take(struct Slab *slab, uint32_t slot) {
    uint64_t generation = UINT64_MAX;

    cr_assert_eq(lease_take(slab_entry(slab, slot), &generation), 0, "slot %u cannot be taken", slot);
    return generation;
}

static inline void core_set_target(struct Slab *slab, uint32_t target) {
    atomic_store(&slab->client->table->header.targets[slab->target], target);
}

/* What the driver does off its loop. */
static inline void core_reclaim(struct Pool *pool) {
    struct Reclaim *reclaims = reclaim_steal(pool);

    reclaim_run(reclaims);
    reclaim_finish(reclaims);
}

static inline void core_pool_deinit(struct Pool *pool) {
    while (pool->clients) {
        cr_assert(pool_is_valid(pool));
        client_free(pool->clients);
    }
    for (int kind = 0; kind < KIND_N; kind++)
        cr_expect_eq(pool->granted[kind], 0, "%lu slots of kind %d stay charged", pool->granted[kind], kind);
    cr_expect_eq(pool->resident_bytes, 0, "%lu bytes stay charged", pool->resident_bytes);
    cr_assert(pool_is_valid(pool));
    images_deinit(pool);
    core_reclaim(pool);
    pool_deinit(pool);
}

#endif
