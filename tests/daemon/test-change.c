/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/change.h"
#include "tests/daemon/core.h"

#define POOL WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL
#define USERS WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USERS
#define USER WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER
#define CLIENTS WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENTS
#define CLIENT WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT

#define FDS_MAX 20048 /* 20000 for connections and slabs */

static struct Server server; /* without loop and sockets */

static void server_init(void) {
    struct Config config;

    log_set_level(LOG_LEVEL_ERROR);
    server = (struct Server){.fds_max = FDS_MAX};
    config_init(&config);
    config_init(&server.config);
    core_pool_init(&server.pool);
    change_reload(&server, &config);
}

static void server_deinit(void) {
    while (server.pool.clients)
        client_free(server.pool.clients);
    core_pool_deinit(&server.pool);
}

static int ask(Wasmpool__LimitScope scope, uint64_t id, const char *name, const char *value, uint64_t *fromp,
               uint64_t *top, struct Error *error) {
    Wasmpool__SetLimit asked = WASMPOOL__SET_LIMIT__INIT;

    asked.scope = scope;
    asked.id = id;
    asked.name = (char *)name;
    asked.value = (char *)value;
    return change_set(&server, &asked, fromp, top, error);
}

static void sets(Wasmpool__LimitScope scope, uint64_t id, const char *name, const char *value, uint64_t from,
                 uint64_t to) {
    uint64_t was = 0, is = 0;
    struct Error error = {0};
    int r = ask(scope, id, name, value, &was, &is, &error);

    cr_assert(!r, "%s=%s: %s", name, value, error.message);
    expect_eq(was, from);
    expect_eq(is, to);
}

static void refuses(Wasmpool__LimitScope scope, uint64_t id, const char *name, const char *value, const char *part) {
    struct Limits limits = server.pool.limits;
    struct PoolBounds bounds = server.pool.bounds;
    struct Quotas quotas = server.pool.quotas;
    struct Error error = {0};
    uint64_t from, to;

    expect_eq(ask(scope, id, name, value, &from, &to, &error), ERROR_INVALID);
    expect_says(error.message, part);
    cr_assert(!memcmp(&limits, &server.pool.limits, sizeof(limits)), "%s: a limit has changed", name);
    cr_assert(!memcmp(&bounds, &server.pool.bounds, sizeof(bounds)), "%s: a bound has changed", name);
    cr_assert(!memcmp(&quotas, &server.pool.quotas, sizeof(quotas)), "%s: a quota has changed", name);
}

Test(change, of_a_total_is_in_force_at_once_and_looked_at_by_who_waits) {
    server_init();
    server.pool.served = true;
    sets(POOL, 0, "total_memories", "7", 1000, 7);
    expect_eq(pool_total(&server.pool, KIND_MEMORY), 7);
    expect_eq(server.pool.served, false);
    sets(POOL, 0, "resident_bytes_max", "4G", 0, 4 * GIB);
    expect_eq(server.pool.bounds.resident_bytes_max, 4 * GIB);
    sets(POOL, 0, "idle_trim_ms", "0", 60000, 0);
    expect_eq(server.pool.bounds.idle_trim_ms, 0);
    server_deinit();
}

Test(change, of_a_bound_derives_the_others_anew) {
    server_init();
    expect_eq(server.pool.bounds.slabs_max, 20000 - 3 * 1024 - 1024);
    sets(POOL, 0, "connections_max", "2000", 1024, 2000);
    expect_eq(server.pool.bounds.slabs_max, 20000 - 3 * 2000 - 1024);
    expect_eq(server.pool.bounds.connections_per_user_max, 1000);
    sets(POOL, 0, "slabs_max", "100", 12976, 100);
    sets(POOL, 0, "connections_max", "1000", 2000, 1000);
    expect_eq(server.pool.bounds.slabs_max, 100);
    sets(POOL, 0, "slabs_max", "0", 100, 15976);
    server_deinit();
}

Test(change, of_a_bound_that_descriptors_do_not_allow_for_is_refused) {
    server_init();
    refuses(POOL, 0, "connections_max", "4000", "connections_max: 4000 is more than RLIMIT_NOFILE allows for");
    refuses(POOL, 0, "slabs_max", "16929", "at most 15904");
    server_deinit();
}

Test(change, that_is_wrong_is_refused_and_changes_nothing) {
    server_init();
    refuses(POOL, 0, "total_memories", "lots", "total_memories: 'lots' is not a number");
    refuses(POOL, 0, "total_memories", "1048577", "is not between 0 and 1048576");
    refuses(POOL, 0, "max_memory_size", "1M", "max_memory_size is told to clients when they connect");
    refuses(POOL, 0, "idle_trim_ms", "", "idle_trim_ms: '' is not a number");
    refuses(POOL, 0, "budget_low_percent", "91", "exceeds the budget_high_percent of 90");
    refuses(POOL, 0, "weight", "1", "which is a quota");
    refuses(POOL, 0, "nonsense", "1", "has no limit called 'nonsense'");
    refuses(POOL, 0, "log_level", "debug", "has no limit called 'log_level'");
    refuses(USERS, 0, "total_memories", "1", "there is no quota called 'total_memories'");
    refuses(USER, UINT64_MAX, "weight", "1", "is no uid");
    refuses(CLIENTS, 0, "weight", "1", "weight is a quota of users");
    refuses(CLIENT, 1, "fds_max", "1", "there is no connection 1");
    refuses(0, 0, "total_memories", "1", "a limit is the pool's");
    refuses(77, 0, "total_memories", "1", "a limit is the pool's");
    server_deinit();
}

Test(change, of_a_quota_reaches_whom_it_is_for) {
    struct Client *mine, *other;

    server_init();
    mine = core_client(&server.pool, 1000);
    other = core_client(&server.pool, 2000);
    sets(USERS, 0, "memories_max", "10", 0, 10);
    sets(USER, 1000, "weight", "3", 1, 3);
    sets(CLIENT, other->id, "fds_max", "9", 0, 9);
    sets(CLIENTS, 0, "fds_max", "20", 0, 20);
    expect_eq(mine->user->quota.weight, 3);
    expect_eq(mine->user->quota.slots_max[KIND_MEMORY], 10);
    expect_eq(other->user->quota.weight, 1);
    expect_eq(mine->quota.fds_max, 20);
    expect_eq(other->quota.fds_max, 9);
    server_deinit();
}

Test(change, of_one_connection_is_forgotten_with_it) {
    struct Client *client;
    uint64_t id;

    server_init();
    id = core_client(&server.pool, 1000)->id;
    sets(CLIENT, id, "fds_max", "9", 0, 9);
    client_free(pool_find_client(&server.pool, id));
    client = core_client(&server.pool, 1000);
    expect_eq(client->quota.fds_max, 0);
    sets(USERS, 0, "fds_max", "100", 0, 100);
    cr_assert(!server.pool.quotas.client_overrides, "an ended connection's quota is kept");
    server_deinit();
}

Test(change, by_a_reload_undoes_what_administration_did) {
    struct Client *client;
    struct Config config;

    server_init();
    client = core_client(&server.pool, 1000);
    sets(POOL, 0, "total_memories", "7", 1000, 7);
    sets(POOL, 0, "connections_max", "2000", 1024, 2000);
    sets(USER, 1000, "weight", "3", 1, 3);
    sets(CLIENT, client->id, "fds_max", "9", 0, 9);
    config_init(&config);
    cr_assert(!config_set(&config, "user", "tables_max", "5", NULL));
    change_reload(&server, &config);
    expect_eq(server.pool.limits.total_memories, 1000);
    expect_eq(server.pool.bounds.connections_max, 1024);
    expect_eq(server.pool.bounds.connections_per_user_max, 512);
    expect_eq(client->user->quota.weight, 1);
    expect_eq(client->user->quota.slots_max[KIND_TABLE], 5);
    expect_eq(client->quota.fds_max, 0);
    server_deinit();
}
