/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/quota.h"
#include "tests/support/test.h"

#define UID 1000
#define OTHER 2000

static void demand(struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const char *name, const char *value) {
    struct Error error = {0};
    int r = quotas_set(quotas, scope, id, name, value, &error);

    cr_assert(!r, "%s=%s: %d, %s", name, value, r, error.message);
}

static void refuses(enum QuotaScope scope, uint64_t id, const char *name, const char *value, const char *part) {
    struct Error error = {0};
    struct Quotas quotas, before;

    quotas_init(&quotas);
    before = quotas;
    expect_eq(quotas_set(&quotas, scope, id, name, value, &error), ERROR_INVALID);
    expect_says(error.message, part);
    cr_assert(!memcmp(&quotas, &before, sizeof(quotas)), "what was refused has changed something");
    quotas_deinit(&quotas);
}

Test(quota, of_nobody_is_bounded_by_default) {
    struct Quota quota;

    quota_init(&quota);
    expect_eq(quota.weight, 1);
    expect_eq(quota.fds_max, 0);
    cr_assert(quota_bound(quota.slots_max[KIND_MEMORY]) == UINT64_MAX);
    expect_eq(quota_room(3, 5), 0);
    expect_eq(quota_room(5, 3), 2);
}

Test(quota, that_is_lowered_for_all_reaches_whom_it_was_not_said_otherwise) {
    struct Quotas quotas;

    quotas_init(&quotas);
    demand(&quotas, QUOTA_USERS, 0, "memories_max", "10");
    demand(&quotas, QUOTA_USER, UID, "weight", "3");
    expect_eq(quotas_find(&quotas, UID)->weight, 3);
    expect_eq(quotas_find(&quotas, UID)->slots_max[KIND_MEMORY], 10);
    demand(&quotas, QUOTA_USERS, 0, "memories_max", "20");
    demand(&quotas, QUOTA_USERS, 0, "weight", "7");
    expect_eq(quotas_find(&quotas, UID)->weight, 3);
    expect_eq(quotas_find(&quotas, UID)->slots_max[KIND_MEMORY], 20);
    expect_eq(quotas_find(&quotas, OTHER)->weight, 7);
    expect_eq(quotas_find(&quotas, OTHER)->slots_max[KIND_MEMORY], 20);
    quotas_deinit(&quotas);
}

Test(quota, that_equals_the_one_of_all_is_an_override_all_the_same) {
    struct Quotas quotas;

    quotas_init(&quotas);
    demand(&quotas, QUOTA_USER, UID, "weight", "1");
    demand(&quotas, QUOTA_USERS, 0, "weight", "5");
    expect_eq(quotas_find(&quotas, UID)->weight, 1);
    expect_eq(quotas_overrides(&quotas, QUOTA_USER, UID, &QUOTA_INFOS[0]), true);
    expect_eq(quotas_overrides(&quotas, QUOTA_USER, UID, &QUOTA_INFOS[1]), false);
    expect_eq(quotas_overrides(&quotas, QUOTA_USER, OTHER, &QUOTA_INFOS[0]), false);
    quotas_deinit(&quotas);
}

Test(quota, of_a_uid_and_of_a_connection_of_that_number_are_two) {
    struct Quotas quotas;

    quotas_init(&quotas);
    demand(&quotas, QUOTA_CLIENT, UID, "fds_max", "4");
    demand(&quotas, QUOTA_CLIENTS, 0, "tables_max", "2K");
    expect_eq(quotas_find(&quotas, UID)->fds_max, 0);
    expect_eq(quotas_find(&quotas, UID)->slots_max[KIND_TABLE], 0);
    expect_eq(quotas_find_client(&quotas, UID)->fds_max, 4);
    expect_eq(quotas_find_client(&quotas, UID)->slots_max[KIND_TABLE], 2048);
    expect_eq(quotas_find_client(&quotas, OTHER)->fds_max, 0);
    quotas_deinit(&quotas);
}

Test(quota, refusal_names_the_value_and_the_range) {
    refuses(QUOTA_USERS, 0, "weight", "0", "weight: 0 is not between 1 and 1000");
    refuses(QUOTA_USER, UID, "weight", "1001", "weight: 1001 is not between 1 and 1000");
    refuses(QUOTA_USERS, 0, "fds_max", "many", "fds_max: 'many' is not a number between 0 and 16777216");
    refuses(QUOTA_USERS, 0, "fds_max", "-1", "'-1' is not a number");
    refuses(QUOTA_USERS, 0, "memories_max", "99999999999999999999", "is not a number between 0 and 1048576");
    refuses(QUOTA_USERS, 0, "total_memories", "1", "there is no quota called 'total_memories'");
    refuses(QUOTA_CLIENTS, 0, "weight", "1", "weight is a quota of users");
    refuses(QUOTA_CLIENT, 7, "connections_max", "1", "connections_max is a quota of users");
    refuses(QUOTA_USER, UINT32_MAX, "weight", "1", "4294967295 is no uid");
}

Test(quota, overrides_are_bounded_and_kept_in_order) {
    struct Error error = {0};
    struct Quotas quotas;
    uint64_t last = 0, n = 0;

    quotas_init(&quotas);
    for (uint64_t i = 0; i < QUOTA_OVERRIDES_MAX; i++)
        demand(&quotas, QUOTA_USER, 1 + i * 389 % QUOTA_OVERRIDES_MAX, "weight", "2"); /* each once */
    expect_eq(quotas_set(&quotas, QUOTA_USER, 99999, "weight", "2", &error), ERROR_LIMIT);
    expect_eq(error.bound, QUOTA_OVERRIDES_MAX);
    demand(&quotas, QUOTA_USER, 5, "weight", "3"); /* there is one already */
    demand(&quotas, QUOTA_CLIENT, 5, "fds_max", "3");
    for (const struct QuotaOverride *override = quotas.user_overrides; override; override = override->next, n++) {
        cr_assert(override->id > last, "%lu comes behind %lu", override->id, last);
        last = override->id;
    }
    expect_eq(n, QUOTA_OVERRIDES_MAX);
    quotas_deinit(&quotas);
}

Test(quota, is_handed_over_whole) {
    struct Quotas quotas, stolen;

    quotas_init(&quotas);
    demand(&quotas, QUOTA_USER, UID, "weight", "3");
    demand(&quotas, QUOTA_CLIENTS, 0, "fds_max", "9");
    stolen = quotas_steal(&quotas);
    expect_eq(quotas_find(&stolen, UID)->weight, 3);
    expect_eq(stolen.client.fds_max, 9);
    expect_eq(quotas_find(&quotas, UID)->weight, 1);
    expect_eq(quotas.client.fds_max, 0);
    quotas_deinit(&stolen);
    quotas_deinit(&quotas);
}

static bool is_even(uint64_t connection, const void *unused) {
    (void)unused;
    return connection % 2 == 0;
}

Test(quota, of_connections_that_ended_is_dropped) {
    struct Quotas quotas;

    quotas_init(&quotas);
    for (uint64_t i = 1; i <= 5; i++)
        demand(&quotas, QUOTA_CLIENT, i, "fds_max", "9");
    demand(&quotas, QUOTA_USER, 1, "fds_max", "8");
    quotas_prune_clients(&quotas, is_even, NULL);
    for (uint64_t i = 1; i <= 5; i++)
        expect_eq(quotas_find_client(&quotas, i)->fds_max, i % 2 ? 0 : 9);
    expect_eq(quotas_find(&quotas, 1)->fds_max, 8);
    quotas_deinit(&quotas);
}
