/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/admin-limit.h"

#include "daemon/answer.h"
#include "daemon/change.h"

#include <stdlib.h>

#define POOL WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL
#define USERS WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USERS
#define USER WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER
#define CLIENTS WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENTS
#define CLIENT WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT

/* -------------------------------------------------------------------------------------------------- set */

bool admin_set_limit(struct Admin *admin, const WireMessage *request) {
    Wasmpool__LimitSet set = WASMPOOL__LIMIT_SET__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, LIMIT_SET, limit_set, &set);
    struct Answer answer;
    struct Error error = {0};
    int r = 0;

    if (!admin->changed)
        r = change_set(admin->server, request->set_limit, &admin->changed_from, &admin->changed_to, &error);
    if (r) {
        admin->server->counters.refused++;
        answer_failure(&answer, request->id, r, &error);
        return admin_send(admin, &answer.message);
    }
    admin->changed = true;
    set.from = admin->changed_from;
    set.to = admin->changed_to;
    return admin_send(admin, &message);
}

/* -------------------------------------------------------------------------------------------------- list */

struct LimitWalk {
    Wasmpool__LimitScope after_scope;
    uint64_t after_id;
    size_t after_rank; /* of its name, in that scope */
    bool full;
    size_t n_rows;
    Wasmpool__LimitRow *pointers[ADMIN_LIMIT_ROWS_MAX];
    Wasmpool__LimitRow rows[ADMIN_LIMIT_ROWS_MAX];
};

/* Where a name stands in its scope; one that is not known, behind all others. */
static size_t limit_rank(Wasmpool__LimitScope scope, const char *name) {
    const struct NumberInfo *bound = number_find(CONFIG_NUMBER_INFOS, CONFIG_NUMBER_INFOS_N, name);
    const struct NumberInfo *quota = number_find(QUOTA_INFOS, QUOTA_INFOS_N, name);
    const struct LimitInfo *limit = limits_find(name);

    if (scope == POOL && limit)
        return (size_t)(limit - LIMIT_INFOS);
    if (scope == POOL && bound)
        return LIMIT_INFOS_N + (size_t)(bound - CONFIG_NUMBER_INFOS);
    return scope != POOL && quota ? (size_t)(quota - QUOTA_INFOS) : SIZE_MAX;
}

static bool walk_is_behind(const struct LimitWalk *walk, Wasmpool__LimitScope scope, uint64_t id, size_t rank) {
    if (scope != walk->after_scope)
        return scope > walk->after_scope;
    if (id != walk->after_id)
        return id > walk->after_id;
    return rank > walk->after_rank;
}

static void walk_put(struct LimitWalk *walk, Wasmpool__LimitScope scope, uint64_t id, size_t rank, const char *name,
                     uint64_t value) {
    Wasmpool__LimitRow *row = &walk->rows[walk->n_rows];

    if (walk->full || !walk_is_behind(walk, scope, id, rank))
        return;
    walk->full = walk->n_rows == ADMIN_LIMIT_ROWS_MAX;
    if (walk->full)
        return;
    wasmpool__limit_row__init(row);
    row->scope = scope;
    row->id = id;
    row->name = (char *)name;
    row->value = value;
    walk->pointers[walk->n_rows++] = row;
}

static void walk_pool(struct LimitWalk *walk, const struct Server *server) {
    struct Config in_force = server->config;

    in_force.bounds = server->pool.bounds;
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        walk_put(walk, POOL, 0, i, LIMIT_INFOS[i].name, limits_get(&server->pool.limits, &LIMIT_INFOS[i]));
    for (size_t i = 0; i < CONFIG_NUMBER_INFOS_N; i++)
        walk_put(walk, POOL, 0, LIMIT_INFOS_N + i, CONFIG_NUMBER_INFOS[i].name,
                 number_get(&CONFIG_NUMBER_INFOS[i], &in_force));
}

static void walk_all(struct LimitWalk *walk, Wasmpool__LimitScope scope, const struct Quota *quota) {
    for (size_t i = 0; i < QUOTA_INFOS_N; i++)
        if (scope == USERS || quota_is_of_clients(&QUOTA_INFOS[i]))
            walk_put(walk, scope, 0, i, QUOTA_INFOS[i].name, number_get(&QUOTA_INFOS[i], quota));
}

static void walk_overrides(struct LimitWalk *walk, Wasmpool__LimitScope scope, const struct QuotaOverride *override) {
    for (; override && !walk->full; override = override->next)
        for (size_t i = 0; i < QUOTA_INFOS_N; i++)
            if (override->names & UINT32_C(1) << i)
                walk_put(walk, scope, override->id, i, QUOTA_INFOS[i].name,
                         number_get(&QUOTA_INFOS[i], &override->quota));
}

bool admin_list_limits(struct Admin *admin, const WireMessage *request) {
    const struct Quotas *quotas = &admin->server->pool.quotas;
    const Wasmpool__ListLimits *cursor = request->list_limits;
    Wasmpool__LimitPage page = WASMPOOL__LIMIT_PAGE__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, LIMIT_PAGE, limit_page, &page);
    struct LimitWalk *walk = malloc(sizeof(*walk));
    bool done;

    if (!walk)
        return false;
    walk->after_scope = cursor->after_scope;
    walk->after_id = cursor->after_id;
    walk->after_rank = limit_rank(cursor->after_scope, cursor->after_name);
    walk->full = false;
    walk->n_rows = 0;
    walk_pool(walk, admin->server);
    walk_all(walk, USERS, &quotas->user);
    walk_overrides(walk, USER, quotas->user_overrides);
    walk_all(walk, CLIENTS, &quotas->client);
    walk_overrides(walk, CLIENT, quotas->client_overrides);
    page.rows = walk->pointers;
    page.n_rows = walk->n_rows;
    page.last = !walk->full;
    done = admin_send(admin, &message);
    free(walk);
    return done;
}
