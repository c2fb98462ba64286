/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

const struct NumberInfo QUOTA_INFOS[] = {
#define QUOTA_INFO(name, field, standard, least, most, of_clients, meaning)                                            \
    {#name, standard, least, most, meaning, offsetof(struct Quota, field)},
    QUOTAS(QUOTA_INFO)
#undef QUOTA_INFO
};
const size_t QUOTA_INFOS_N = sizeof(QUOTA_INFOS) / sizeof(QUOTA_INFOS[0]);

static const bool quotas_of_clients[] = {
#define QUOTA_OF_CLIENTS(name, field, standard, least, most, of_clients, meaning) of_clients,
    QUOTAS(QUOTA_OF_CLIENTS)
#undef QUOTA_OF_CLIENTS
};

static_assert(sizeof(QUOTA_INFOS) / sizeof(QUOTA_INFOS[0]) <= 32, "QuotaOverride.names has a bit for each");

bool quota_is_of_clients(const struct NumberInfo *info) {
    return quotas_of_clients[info - QUOTA_INFOS];
}

static uint32_t quota_bit(const struct NumberInfo *info) {
    return UINT32_C(1) << (info - QUOTA_INFOS);
}

void quota_init(struct Quota *quota) {
    for (size_t i = 0; i < QUOTA_INFOS_N; i++)
        number_put(&QUOTA_INFOS[i], quota, QUOTA_INFOS[i].standard);
}

/* -------------------------------------------------------------------------------------------------- overrides */

static void overrides_free(struct QuotaOverride *override) {
    while (override) {
        struct QuotaOverride *next = override->next;

        free(override);
        override = next;
    }
}

static struct QuotaOverride *overrides_find(struct QuotaOverride *override, uint64_t id) {
    while (override && override->id < id)
        override = override->next;
    return override && override->id == id ? override : NULL;
}

static int overrides_add(struct QuotaOverride **overrides, uint64_t id, const struct Quota *standard,
                         struct QuotaOverride **overridep, struct Error *error) {
    struct QuotaOverride **place = overrides, *override;
    uint64_t n = 0;

    for (override = *overrides; override; override = override->next)
        n++;
    if (n >= QUOTA_OVERRIDES_MAX)
        return error_limit(error, ERROR_LIMIT, "overrides of quotas", QUOTA_OVERRIDES_MAX, n, 1,
                           "too many have quotas of their own");
    override = malloc(sizeof(*override));
    if (!override)
        return error_set(error, -ENOMEM, "the daemon is out of memory");
    while (*place && (*place)->id < id)
        place = &(*place)->next;
    *override = (struct QuotaOverride){.next = *place, .id = id, .quota = *standard};
    *place = override;
    *overridep = override;
    return 0;
}

/* What is not an override's own is as for all. */
static void overrides_follow(struct QuotaOverride *override, const struct NumberInfo *info, uint64_t number) {
    for (; override; override = override->next)
        if (!(override->names & quota_bit(info)))
            number_put(info, &override->quota, number);
}

/* -------------------------------------------------------------------------------------------------- all of them */

void quotas_init(struct Quotas *quotas) {
    *quotas = (struct Quotas){0};
    quota_init(&quotas->user);
    quota_init(&quotas->client);
}

void quotas_deinit(struct Quotas *quotas) {
    overrides_free(quotas->user_overrides);
    overrides_free(quotas->client_overrides);
    quotas_init(quotas);
}

struct Quotas quotas_steal(struct Quotas *quotas) {
    struct Quotas stolen = *quotas;

    quotas_init(quotas);
    return stolen;
}

/* The two halves are alike. */
static bool scope_is_of_users(enum QuotaScope scope) {
    return scope == QUOTA_USERS || scope == QUOTA_USER;
}

static bool scope_is_of_one(enum QuotaScope scope) {
    return scope == QUOTA_USER || scope == QUOTA_CLIENT;
}

static struct Quota *quotas_standard(const struct Quotas *quotas, enum QuotaScope scope) {
    return (struct Quota *)(scope_is_of_users(scope) ? &quotas->user : &quotas->client);
}

static struct QuotaOverride **quotas_list(const struct Quotas *quotas, enum QuotaScope scope) {
    return (struct QuotaOverride **)(scope_is_of_users(scope) ? &quotas->user_overrides : &quotas->client_overrides);
}

static int quotas_set_one(struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const struct NumberInfo *info,
                          uint64_t number, struct Error *error) {
    struct QuotaOverride **overrides = quotas_list(quotas, scope), *override = overrides_find(*overrides, id);
    int r = 0;

    /* As a uid, (uid_t)-1 means nobody in every call of the kernel. */
    if (scope == QUOTA_USER && id >= UINT32_MAX)
        return error_set(error, ERROR_INVALID, "%" PRIu64 " is no uid: they lie between 0 and %" PRIu32, id,
                         UINT32_MAX - 1);
    if (!override)
        r = overrides_add(overrides, id, quotas_standard(quotas, scope), &override, error);
    if (r)
        return r;
    override->names |= quota_bit(info);
    number_put(info, &override->quota, number);
    return 0;
}

int quotas_set(struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const char *name, const char *value,
               struct Error *error) {
    const struct NumberInfo *info = number_find(QUOTA_INFOS, QUOTA_INFOS_N, name);
    uint64_t number;
    int r;

    if (!info)
        return error_set(error, ERROR_INVALID, "there is no quota called '%.64s'", name);
    if (!scope_is_of_users(scope) && !quota_is_of_clients(info))
        return error_set(error, ERROR_INVALID, "%s is a quota of users, not of single connections", name);
    r = number_parse(info, value, &number, error);
    if (r)
        return r;
    if (scope_is_of_one(scope))
        return quotas_set_one(quotas, scope, id, info, number, error);
    number_put(info, quotas_standard(quotas, scope), number);
    overrides_follow(*quotas_list(quotas, scope), info, number);
    return 0;
}

const struct Quota *quotas_at(const struct Quotas *quotas, enum QuotaScope scope, uint64_t id) {
    const struct QuotaOverride *override = NULL;

    if (scope_is_of_one(scope))
        override = overrides_find(*quotas_list(quotas, scope), id);
    return override ? &override->quota : quotas_standard(quotas, scope);
}

const struct Quota *quotas_find(const struct Quotas *quotas, uid_t uid) {
    return quotas_at(quotas, QUOTA_USER, uid);
}

const struct Quota *quotas_find_client(const struct Quotas *quotas, uint64_t connection) {
    return quotas_at(quotas, QUOTA_CLIENT, connection);
}

bool quotas_overrides(const struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const struct NumberInfo *info) {
    const struct QuotaOverride *override = overrides_find(*quotas_list(quotas, scope), id);

    return override && override->names & quota_bit(info);
}

void quotas_prune_clients(struct Quotas *quotas, bool (*lives)(uint64_t connection, const void *data),
                          const void *data) {
    struct QuotaOverride **place = &quotas->client_overrides;

    while (*place) {
        struct QuotaOverride *override = *place;

        if (lives(override->id, data)) {
            place = &override->next;
            continue;
        }
        *place = override->next;
        free(override);
    }
}
