/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/change.h"

#include "daemon/client.h"
#include "daemon/image-room.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <string.h>

/* -------------------------------------------------------------------------------------------------- logged */

static void log_limits(const struct Limits *before, const struct Limits *after) {
    for (size_t i = 0; i < LIMIT_INFOS_N; i++) {
        uint64_t old = limits_get(before, &LIMIT_INFOS[i]), new = limits_get(after, &LIMIT_INFOS[i]);

        if (old != new)
            log_event(LOG_LEVEL_NOTICE, "limit-changed", "name=%s from=%lu to=%lu", LIMIT_INFOS[i].name, old, new);
    }
}

static void log_bounds(const struct Config *before, const struct Config *after) {
    for (size_t i = 0; i < CONFIG_NUMBER_INFOS_N; i++) {
        uint64_t old = number_get(&CONFIG_NUMBER_INFOS[i], before), new = number_get(&CONFIG_NUMBER_INFOS[i], after);

        if (old != new)
            log_event(LOG_LEVEL_NOTICE, "bound-changed", "name=%s from=%lu to=%lu", CONFIG_NUMBER_INFOS[i].name, old,
                      new);
    }
}

static void log_quota(enum QuotaScope scope, uint64_t id, const struct NumberInfo *info, uint64_t old, uint64_t new) {
    static const char *const of[] = {
        [QUOTA_USERS] = "users", [QUOTA_USER] = "user", [QUOTA_CLIENTS] = "clients", [QUOTA_CLIENT] = "client"};

    if (old == new)
        return;
    if (scope == QUOTA_USER || scope == QUOTA_CLIENT)
        log_event(LOG_LEVEL_NOTICE, "quota-changed", "of=%s id=%lu name=%s from=%lu to=%lu", of[scope], id, info->name,
                  old, new);
    else
        log_event(LOG_LEVEL_NOTICE, "quota-changed", "of=%s name=%s from=%lu to=%lu", of[scope], info->name, old, new);
}

/* What one has only because all have it is not said again for each. */
static void log_quotas_at(const struct Quotas *before, const struct Quotas *after, enum QuotaScope scope, uint64_t id) {
    bool of_one = scope == QUOTA_USER || scope == QUOTA_CLIENT;

    for (size_t i = 0; i < QUOTA_INFOS_N; i++) {
        const struct NumberInfo *info = &QUOTA_INFOS[i];

        if (!of_one || quotas_overrides(before, scope, id, info) || quotas_overrides(after, scope, id, info))
            log_quota(scope, id, info, number_get(info, quotas_at(before, scope, id)),
                      number_get(info, quotas_at(after, scope, id)));
    }
}

/* Both lists are in order: each id that is in either, once. */
static void log_overrides(const struct Quotas *before, const struct Quotas *after, enum QuotaScope scope,
                          const struct QuotaOverride *old, const struct QuotaOverride *new) {
    while (old || new) {
        uint64_t id = !new || (old && old->id < new->id) ? old->id : new->id;

        log_quotas_at(before, after, scope, id);
        if (old && old->id == id)
            old = old->next;
        if (new &&new->id == id)
            new = new->next;
    }
}

static void log_quotas(const struct Quotas *before, const struct Quotas *after) {
    log_quotas_at(before, after, QUOTA_USERS, 0);
    log_quotas_at(before, after, QUOTA_CLIENTS, 0);
    log_overrides(before, after, QUOTA_USER, before->user_overrides, after->user_overrides);
    log_overrides(before, after, QUOTA_CLIENT, before->client_overrides, after->client_overrides);
}

/* -------------------------------------------------------------------------------------------------- reload */

/* The configuration keeps the bounds that were asked for: what the descriptors allow of them is the pool's. */
static void change_put(struct Server *server, const struct Config *config) {
    struct Config before = server->config, after = *config;

    before.bounds = server->pool.bounds;
    config_fit_fds(&after, server->fds_max);
    log_limits(&server->pool.limits, &config->limits);
    log_bounds(&before, &after);
    server->pool.limits = config->limits;
    server->pool.bounds = after.bounds;
    server->pool.served = false; /* there may be room now for who waits */
    images_fit(&server->pool);
    server->config = *config;
}

void change_reload(struct Server *server, struct Config *config) {
    struct Quotas quotas = quotas_steal(&config->quotas);

    log_quotas(&server->pool.quotas, &quotas);
    quotas_deinit(&server->pool.quotas);
    server->pool.quotas = quotas;
    change_put(server, config);
    pool_apply_quotas(&server->pool);
}

/* -------------------------------------------------------------------------------------------------- one value */

/* Of the limits, totals are the daemon's own business. The others are the clients', who were told them once. */
static int set_limit(struct Config *config, const char *name, const char *value, struct Error *error) {
    if (strcmp(name, "total_memories") && strcmp(name, "total_tables") && strcmp(name, "total_core_instances"))
        return error_set(
            error, ERROR_INVALID,
            "%s is told to clients when they connect: set it in the configuration and reload (SIGHUP), for "
            "connections from then on",
            name);
    return limits_set(&config->limits, name, value, error);
}

/* Bounds that the descriptors do not allow for are refused here: somebody is there to be told. */
static int set_bound(struct Server *server, struct Config *config, const struct NumberInfo *info, const char *value,
                     struct Error *error) {
    struct Config fitted;
    uint64_t number;
    int r = number_parse(info, value, &number, error);

    if (r)
        return r;
    number_put(info, config, number);
    fitted = *config;
    config_fit_fds(&fitted, server->fds_max);
    if (number_get(info, &fitted) < number)
        return error_set(error, ERROR_INVALID,
                         "%s: %" PRIu64 " is more than RLIMIT_NOFILE allows for, which is %" PRIu64
                         ": at most %" PRIu64,
                         info->name, number, server->fds_max, number_get(info, &fitted));
    return 0;
}

static uint64_t pool_number(const struct Server *server, const char *name) {
    const struct LimitInfo *limit = limits_find(name);
    struct Config in_force = server->config;

    if (limit)
        return limits_get(&server->pool.limits, limit);
    in_force.bounds = server->pool.bounds;
    return number_get(number_find(CONFIG_NUMBER_INFOS, CONFIG_NUMBER_INFOS_N, name), &in_force);
}

static int set_of_pool(struct Server *server, const char *name, const char *value, uint64_t *fromp, uint64_t *top,
                       struct Error *error) {
    const struct NumberInfo *bound = number_find(CONFIG_NUMBER_INFOS, CONFIG_NUMBER_INFOS_N, name);
    struct Config config = server->config;
    uint64_t from;
    int r;

    if (limits_find(name))
        r = set_limit(&config, name, value, error);
    else if (bound)
        r = set_bound(server, &config, bound, value, error);
    else
        r = error_set(error, ERROR_INVALID,
                      "the pool has no limit called '%.64s'%s; wasmpoolctl limit shows those there are", name,
                      number_find(QUOTA_INFOS, QUOTA_INFOS_N, name) ? ", which is a quota of users or clients" : "");
    if (!r)
        r = config_check(&config, error);
    if (r)
        return r;
    from = pool_number(server, name);
    change_put(server, &config);
    *fromp = from;
    *top = pool_number(server, name);
    return 0;
}

static bool connection_lives(uint64_t connection, const void *data) {
    return pool_find_client(data, connection);
}

static int set_quota(struct Server *server, enum QuotaScope scope, uint64_t id, const char *name, const char *value,
                     uint64_t *fromp, uint64_t *top, struct Error *error) {
    const struct NumberInfo *info = number_find(QUOTA_INFOS, QUOTA_INFOS_N, name);
    struct Quotas *quotas = &server->pool.quotas;
    uint64_t from = info ? number_get(info, quotas_at(quotas, scope, id)) : 0;
    int r;

    if (scope == QUOTA_CLIENT && !connection_lives(id, &server->pool))
        return error_set(error, ERROR_INVALID, "there is no connection %" PRIu64 "; wasmpoolctl clients lists them",
                         id);
    quotas_prune_clients(quotas, connection_lives, &server->pool);
    r = quotas_set(quotas, scope, id, name, value, error);
    if (r)
        return r;
    pool_apply_quotas(&server->pool);
    *fromp = from;
    *top = number_get(info, quotas_at(quotas, scope, id));
    log_quota(scope, id, info, *fromp, *top);
    return 0;
}

int change_set(struct Server *server, const Wasmpool__SetLimit *asked, uint64_t *fromp, uint64_t *top,
               struct Error *error) {
    switch (asked->scope) {
    case WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL:
        return set_of_pool(server, asked->name, asked->value, fromp, top, error);
    case WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USERS:
        return set_quota(server, QUOTA_USERS, 0, asked->name, asked->value, fromp, top, error);
    case WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER:
        return set_quota(server, QUOTA_USER, asked->id, asked->name, asked->value, fromp, top, error);
    case WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENTS:
        return set_quota(server, QUOTA_CLIENTS, 0, asked->name, asked->value, fromp, top, error);
    case WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT:
        return set_quota(server, QUOTA_CLIENT, asked->id, asked->name, asked->value, fromp, top, error);
    default:
        return error_set(error, ERROR_INVALID, "a limit is the pool's, of users, one user, clients or one client");
    }
}
