/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"

Test(user, is_one_for_all_its_clients_and_goes_with_the_last) {
    struct Pool pool;
    struct Client *first, *second;

    core_pool_init(&pool);
    first = core_client(&pool, 5);
    second = core_client(&pool, 5);
    cr_expect_eq(first->user, second->user);
    core_slab(first, KIND_MEMORY, 2, 2);
    core_slab(second, KIND_MEMORY, 2, 1);
    cr_expect_eq(first->user->granted[KIND_MEMORY], 3, "%lu", first->user->granted[KIND_MEMORY]);
    client_free(first);
    cr_expect_eq(second->user->granted[KIND_MEMORY], 1, "%lu", second->user->granted[KIND_MEMORY]);
    client_free(second);
    cr_expect_eq(pool.n_users, 0, "%lu", pool.n_users);
    core_pool_deinit(&pool);
}

Test(user, unref_of_nobody_is_nothing) {
    cr_expect_null(user_unref(NULL));
}
