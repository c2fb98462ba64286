/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"

Test(pool, has_no_room_when_its_total_was_lowered_below_what_is_granted) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 4, 4);
    pool.limits.total_memories = 2;
    cr_expect_eq(pool_room(&pool, KIND_MEMORY), 0, "%lu", pool_room(&pool, KIND_MEMORY));
    cr_expect_eq(grant_slots(slab, 1), 0);
    cr_expect_eq(slab->n_granted, 4, "nothing that was granted is taken");
    core_pool_deinit(&pool);
}

Test(pool, names_its_totals_as_wasmtime_does) {
    cr_expect_str_eq(pool_total_name(KIND_MEMORY), "total_memories");
    cr_expect_str_eq(pool_total_name(KIND_TABLE), "total_tables");
    cr_expect_str_eq(pool_total_name(KIND_INSTANCE), "total_core_instances");
}

Test(pool, sees_a_charge_that_does_not_add_up) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    core_slab(client, KIND_TABLE, 2, 2);
    cr_assert(pool_is_valid(&pool));
    client->granted[KIND_TABLE]--;
    cr_expect_not(pool_is_valid(&pool));
    client->granted[KIND_TABLE]++;
    core_pool_deinit(&pool);
}

/* A seeded walk over everything that clients do; the books must balance after each step. */
Test(pool, balances_after_every_step_of_a_random_walk) {
    struct Client *clients[3] = {0};
    struct Pool pool;
    struct Error error;
    uint32_t seed = 12345, granted;
    uint64_t generation;

    core_pool_init(&pool);
    for (int step = 0; step < 20000; step++) {
        struct Client **client = &clients[(seed = seed * 1664525 + 1013904223) >> 16 & 1 ? 0 : 1 + (seed >> 20 & 1)];
        struct Slab *slab = *client ? (*client)->slabs : NULL;
        uint32_t slot = slab ? seed >> 8 & 3 : 0;

        if (!*client)
            *client = core_client(&pool, seed >> 24 & 1);
        else if (!slab || (seed >> 26) % 16 == 0) {
            struct Shape shape = core_shape((enum Kind)(1 + (seed >> 9) % 3), 4);

            client_open_slab(*client, &shape, seed >> 12 & 7, &slab, &granted, &error);
        } else
            switch ((seed >> 27) % 8) {
            case 0:
                client_close_slab(*client, slab->id, &error);
                break;
            case 1:
                core_set_target(slab, seed >> 10);
                client_want(*client, slab->id, &granted, &error);
                break;
            case 2:
                lease_take(slab_entry(slab, slot), &generation);
                break;
            case 3:
                lease_release(slab_entry(slab, slot), slab->records[slot].generation);
                client_kick(*client);
                break;
            case 4:
                lease_recall(slab_entry(slab, slot), slab->records[slot].generation);
                break;
            case 5:
                client_disconnect(*client);
                break;
            case 6:
                *client = (seed >> 5) % 4 ? *client : client_free(*client);
                break;
            default:
                atomic_store(&slab_entry(slab, slot)->word, seed); /* a lie */
            }
        cr_assert(pool_is_valid(&pool), "step %d", step);
        for (int kind = 1; kind < KIND_N; kind++)
            cr_assert_leq(pool.granted[kind], CORE_TOTAL, "step %d kind %d: %lu", step, kind, pool.granted[kind]);
        core_reclaim(&pool);
    }
    core_pool_deinit(&pool);
}
