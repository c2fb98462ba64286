/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

Test(client, beyond_connections_max_is_refused_by_name) {
    struct ClientIdentity identity = {.uid = 9};
    struct Client *client;
    struct Error error;
    struct Pool pool;

    core_pool_init(&pool);
    for (uid_t uid = 0; uid < 4; uid++)
        core_client(&pool, uid);
    cr_expect_eq(client_new(&client, &pool, &identity, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "connections_max");
    cr_expect(error.bound == 4 && error.use == 4, "bound %lu use %lu", error.bound, error.use);
    cr_expect_eq(pool.n_users, 4, "%lu users: the refused one stayed", pool.n_users);
    core_pool_deinit(&pool);
}

Test(client, one_user_does_not_shut_out_the_others) {
    struct ClientIdentity identity = {.uid = 7};
    struct Client *client;
    struct Error error;
    struct Pool pool;

    core_pool_init(&pool);
    for (int i = 0; i < 3; i++)
        core_client(&pool, 7);
    cr_expect_eq(client_new(&client, &pool, &identity, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "connections_per_user_max");
    cr_expect(error.bound == 3 && error.use == 3, "bound %lu use %lu", error.bound, error.use);
    core_client(&pool, 8);
    core_pool_deinit(&pool);
}

Test(client, is_found_by_an_id_that_is_never_used_twice) {
    struct Pool pool;
    struct Client *first;
    uint64_t id;

    core_pool_init(&pool);
    first = core_client(&pool, 0);
    id = first->id;
    cr_expect_eq(pool_find_client(&pool, id), first);
    client_free(first);
    cr_expect_null(pool_find_client(&pool, id));
    cr_expect_neq(core_client(&pool, 0)->id, id);
    core_pool_deinit(&pool);
}

Test(client, opens_a_slab_with_its_first_slots_granted) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 4, 2);
    cr_expect_eq(slab->n_granted, 2, "%u", slab->n_granted);
    cr_expect_eq(pool.granted[KIND_MEMORY], 2);
    core_take(slab, 0);
    core_take(slab, 1);
    cr_expect_eq(lease_state(lease_load(slab_entry(slab, 2))), LEASE_VACANT);
    core_pool_deinit(&pool);
}

Test(client, gives_entries_of_a_closed_slab_to_the_next_one_vacant) {
    struct Pool pool;
    struct Client *client;
    struct Slab *first, *second;
    struct Error error;
    uint32_t entry, target;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    first = core_slab(client, KIND_TABLE, 4, 4);
    entry = first->first_entry;
    target = first->target;
    core_take(first, 1);
    cr_assert_eq(client_close_slab(client, first->id, &error), 0);
    cr_expect_eq(pool.granted[KIND_TABLE], 0, "%lu", pool.granted[KIND_TABLE]);
    second = core_slab(client, KIND_TABLE, 4, 0);
    cr_expect(second->first_entry == entry && second->target == target);
    for (uint32_t i = 0; i < 4; i++)
        cr_expect_eq(lease_load(slab_entry(second, i)), 0, "entry %u is %#lx", i, lease_load(slab_entry(second, i)));
    core_pool_deinit(&pool);
}

Test(client, closing_an_unknown_slab_is_a_violation) {
    struct Pool pool;
    struct Error error;

    core_pool_init(&pool);
    cr_expect_eq(client_close_slab(core_client(&pool, 0), 77, &error), ERROR_PROTOCOL);
    cr_expect(strstr(error.message, "77"), "%s", error.message);
    core_pool_deinit(&pool);
}

Test(client, too_many_slabs_are_refused_by_name) {
    struct Shape shape = core_shape(KIND_MEMORY, 1);
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    struct Error error;
    uint32_t granted;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    for (int i = 0; i < 8; i++)
        core_slab(client, KIND_MEMORY, 1, 0);
    cr_expect_eq(client_open_slab(client, &shape, 0, &slab, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "slabs_per_client_max");
    client = core_client(&pool, 1);
    for (int i = 0; i < 4; i++)
        core_slab(client, KIND_TABLE, 1, 0);
    cr_expect_eq(client_open_slab(client, &shape, 0, &slab, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "slabs_max");
    core_pool_deinit(&pool);
}

Test(client, a_full_table_of_entries_is_a_limit) {
    struct Shape shape = core_shape(KIND_INSTANCE, SHAPE_SLOTS_MAX);
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    struct Error error;
    uint32_t granted;

    core_pool_init(&pool);
    pool.bounds.slabs_per_client_max = LEASE_SLABS_MAX;
    client = core_client(&pool, 0);
    for (int i = 0; i < LEASE_ENTRIES_MAX / SHAPE_SLOTS_MAX; i++)
        core_slab(client, KIND_INSTANCE, SHAPE_SLOTS_MAX, 0);
    cr_expect_eq(client_open_slab(client, &shape, 0, &slab, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "entries");
    core_pool_deinit(&pool);
}

Test(client, impossible_shapes_are_invalid_and_cost_nothing) {
    struct Shape shapes[] = {
        core_shape((enum Kind)9, 1),          core_shape(KIND_MEMORY, 0),
        core_shape(KIND_MEMORY, UINT32_MAX),  core_shape(KIND_MEMORY, 1),
        core_shape(KIND_MEMORY, 1),           core_shape(KIND_TABLE, 1),
        core_shape(KIND_TABLE, 1),            core_shape(KIND_TABLE, 4096),
    };
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    struct Error error;
    uint32_t granted;

    shapes[3].reservation = UINT64_MAX & ~UINT64_C(4095);
    shapes[4].guard = UINT64_MAX & ~UINT64_C(4095);
    shapes[5].elements = UINT64_MAX;
    shapes[6].element_size = 7;
    shapes[7].elements = UINT64_C(1) << 50;
    core_pool_init(&pool);
    client = core_client(&pool, 0);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        cr_expect_eq(client_open_slab(client, &shapes[i], 1, &slab, &granted, &error), ERROR_INVALID, "shape %zu: %s",
                     i, error.message);
    cr_expect_eq(client->n_slabs, 0);
    core_pool_deinit(&pool);
}

Test(client, want_grants_up_to_the_target_and_then_names_the_total) {
    struct Pool pool;
    struct Client *client, *other;
    struct Slab *slab, *taken;
    struct Error error;
    uint32_t granted = 0;

    core_pool_init(&pool);
    other = core_client(&pool, 1);
    taken = core_slab(other, KIND_MEMORY, 4, 4);
    for (uint32_t i = 0; i < 4; i++)
        core_take(taken, i);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 8, 0);
    core_set_target(slab, 8);
    cr_expect_eq(client_want(client, slab->id, &granted, &error), 0, "%s", error.message);
    cr_expect_eq(granted, CORE_TOTAL - 4, "%u", granted);
    cr_expect_eq(client_want(client, slab->id, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "total_memories");
    cr_expect(error.bound == CORE_TOTAL && error.use == CORE_TOTAL && error.ask == 6, "%s", error.message);
    client_close_slab(other, taken->id, &error);
    cr_expect_eq(client_want(client, slab->id, &granted, &error), 0, "%s", error.message);
    cr_expect_eq(granted, 4, "%u", granted);
    core_pool_deinit(&pool);
}

Test(client, want_repeated_changes_nothing) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    struct Error error;
    uint32_t granted;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_TABLE, 4, 2);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(client_want(client, slab->id, &granted, &error), ERROR_LIMIT);
    cr_expect_eq(slab->n_granted, 2, "%u", slab->n_granted);
    core_pool_deinit(&pool);
}

/* One that fills what it was granted and what it was not shuts out nobody else. */
Test(client, resident_bytes_max_refuses_who_has_more_than_its_share) {
    struct Pool pool;
    struct Client *greedy, *other;
    struct Slab *slab, *another;
    struct Error error = {0};
    uint32_t granted = 0;

    core_pool_init(&pool);
    pool.bounds.resident_bytes_max = 16384;
    greedy = core_client(&pool, 1);
    other = core_client(&pool, 2);
    slab = core_slab(greedy, KIND_MEMORY, 4, 1);
    another = core_slab(other, KIND_MEMORY, 4, 0);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pwrite(slab->fd, "x", 1, (off_t)shape_slot_offset(&slab->shape, 2) + i * 4096), 1);
    pool_measure(&pool);
    cr_assert_gt(pool.resident_bytes, pool.bounds.resident_bytes_max);
    core_set_target(slab, 2);
    expect_eq(client_want(greedy, slab->id, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "resident_bytes_max");
    cr_expect_gt(error.ask, 0);
    core_set_target(another, 1);
    expect_eq(client_want(other, another->id, &granted, &error), 0);
    expect_eq(granted, 1);
    core_pool_deinit(&pool);
}

Test(client, resident_bytes_max_refuses_wants_and_slabs) {
    struct Shape shape = core_shape(KIND_MEMORY, 1);
    struct Pool pool;
    struct Client *client;
    struct Slab *slab, *another;
    struct Error error;
    uint32_t granted;

    core_pool_init(&pool);
    pool.bounds.resident_bytes_max = 8192;
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 4, 1);
    cr_assert_eq(pwrite(slab->fd, "x", 1, 0), 1);
    cr_assert_eq(pwrite(slab->fd, "x", 1, 65536), 1);
    core_set_target(slab, 2);
    cr_expect_eq(client_want(client, slab->id, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "resident_bytes_max");
    cr_expect_eq(error.use, 8192, "%lu", error.use);
    cr_expect_eq(client_open_slab(client, &shape, 0, &another, &granted, &error), ERROR_LIMIT);
    core_pool_deinit(&pool);
}

Test(client, disconnected_loses_its_idle_slots_and_keeps_its_busy_ones) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    uint64_t generation;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 4, 3);
    generation = core_take(slab, 1);
    cr_assert_eq(pwrite(slab->fd, "busy", 4, (off_t)shape_slot_offset(&slab->shape, 1)), 4);
    cr_assert_eq(pwrite(slab->fd, "idle", 4, (off_t)shape_slot_offset(&slab->shape, 2)), 4);
    client_disconnect(client);
    client_disconnect(client);
    cr_expect_eq(pool.n_disconnected, 1, "%lu", pool.n_disconnected);
    cr_expect_eq(pool.granted[KIND_MEMORY], 1, "%lu", pool.granted[KIND_MEMORY]);
    core_reclaim(&pool);
    cr_expect_eq(lseek(slab->fd, (off_t)shape_slot_offset(&slab->shape, 1), SEEK_DATA),
                 (off_t)shape_slot_offset(&slab->shape, 1), "the busy slot was punched");
    cr_expect_eq(lseek(slab->fd, (off_t)shape_slot_offset(&slab->shape, 2), SEEK_DATA), -1, "the idle slot was not");
    cr_expect_eq(lease_release(slab_entry(slab, 1), generation), 0);
    client_sweep(client);
    cr_expect_eq(pool.granted[KIND_MEMORY], 0, "%lu", pool.granted[KIND_MEMORY]);
    core_pool_deinit(&pool);
}

Test(client, disconnected_is_spent_when_nothing_of_it_is_granted) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    uint64_t generation;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_TABLE, 2, 2);
    cr_expect_not(client_is_spent(client), "it is connected");
    generation = core_take(slab, 0);
    client_disconnect(client);
    cr_expect_not(client_is_spent(client), "it has a busy table");
    cr_assert_eq(lease_release(slab_entry(slab, 0), generation), 0);
    client_sweep(client);
    cr_expect(client_is_spent(client));
    core_pool_deinit(&pool);
}

Test(client, a_closed_slabs_fd_counts_until_it_is_punched) {
    struct Shape shape = core_shape(KIND_MEMORY, 1);
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    struct Error error;
    uint32_t granted;

    core_pool_init(&pool);
    pool.bounds.slabs_max = 1;
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 1, 0);
    client_close_slab(client, slab->id, &error);
    cr_expect_eq(client_open_slab(client, &shape, 0, &slab, &granted, &error), ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "slabs_max");
    core_reclaim(&pool);
    cr_expect_eq(client_open_slab(client, &shape, 0, &slab, &granted, &error), 0, "%s", error.message);
    core_pool_deinit(&pool);
}

Test(client, kick_uncharges_a_recalled_slot_that_came_back) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    uint64_t generation;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 2, 1);
    generation = core_take(slab, 0);
    cr_assert_eq(grant_recall(slab, 0), 0);
    client_kick(client);
    cr_expect_eq(pool.granted[KIND_MEMORY], 1, "a busy slot was uncharged");
    cr_assert_eq(lease_release(slab_entry(slab, 0), generation), LEASE_E_RECALLED);
    client_kick(client);
    cr_expect_eq(pool.granted[KIND_MEMORY], 0, "%lu", pool.granted[KIND_MEMORY]);
    core_pool_deinit(&pool);
}

Test(client, dead_has_its_slabs_punched_even_if_a_child_still_maps_them) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;
    char *stray;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 1, 1);
    stray = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, slab->fd, 0);
    cr_assert_neq(stray, MAP_FAILED);
    strcpy(stray, "a secret");
    client_free(client);
    cr_assert_not_null(pool.reclaims);
    core_reclaim(&pool);
    cr_expect_eq(stray[0], 0, "the stray mapping still reads '%s'", stray);
    munmap(stray, 4096);
    core_pool_deinit(&pool);
}
