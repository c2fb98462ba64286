/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"

#include <unistd.h>

Test(grant, stops_at_the_total) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 64, 64);
    cr_expect_eq(slab->n_granted, CORE_TOTAL, "%u", slab->n_granted);
    cr_expect_eq(grant_slots(slab, 1), 0);
    cr_expect_eq(pool.counters.granted_most[KIND_MEMORY], CORE_TOTAL);
    core_pool_deinit(&pool);
}

Test(grant, goes_in_small_batches) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    pool.limits.total_memories = 1000;
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 64, 64);
    cr_expect_eq(slab->n_granted, GRANT_BATCH_MAX, "%u", slab->n_granted);
    core_pool_deinit(&pool);
}

Test(grant, counts_slots_over_all_strides_of_a_kind) {
    struct Shape wide = core_shape(KIND_MEMORY, 8);
    struct Pool pool;
    struct Client *client;
    struct Slab *narrow, *slab;
    struct Error error;
    uint32_t granted;

    wide.reservation = 8 << 20;
    core_pool_init(&pool);
    client = core_client(&pool, 0);
    narrow = core_slab(client, KIND_MEMORY, 8, 4);
    for (uint32_t i = 0; i < 4; i++)
        core_take(narrow, i);
    cr_assert_eq(client_open_slab(client, &wide, 8, &slab, &granted, &error), 0);
    cr_expect_eq(granted, CORE_TOTAL - 4, "%u", granted);
    core_pool_deinit(&pool);
}

Test(grant, cleans_a_slot_that_has_pages_first) {
    struct Pool pool;
    struct Slab *slab;
    char byte = 1;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 2, 0);
    cr_assert_eq(pwrite(slab->fd, "left over", 9, (off_t)shape_slot_offset(&slab->shape, 0)), 9);
    cr_expect_eq(grant_slots(slab, 1), 1);
    cr_expect_eq(lease_state(lease_load(slab_entry(slab, 0))), LEASE_VACANT, "it was granted with its pages");
    cr_expect_eq(lease_state(lease_load(slab_entry(slab, 1))), LEASE_IDLE);
    core_reclaim(&pool);
    cr_expect_eq(grant_slots(slab, 1), 1);
    cr_assert_eq(pread(slab->fd, &byte, 1, (off_t)shape_slot_offset(&slab->shape, 0)), 1);
    cr_expect_eq(byte, 0, "a granted slot reads %d", byte);
    core_pool_deinit(&pool);
}

Test(grant, never_believes_a_word_that_it_did_not_write) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 2, 0);
    atomic_store(&slab_entry(slab, 0)->word, lease_word(5, LEASE_BUSY));
    cr_expect_eq(grant_slots(slab, 2), 1, "the tampered slot was granted");
    cr_expect(slab->records[0].retired);
    core_take(slab, 1);
    core_pool_deinit(&pool);
}

Test(grant, a_client_that_makes_itself_busy_is_not_counted) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 4, 1);
    for (uint32_t i = 1; i < 4; i++)
        atomic_store(&slab_entry(slab, i)->word, lease_word(0, LEASE_BUSY));
    cr_expect_eq(client_count_busy(client, KIND_MEMORY), 0, "%lu", client_count_busy(client, KIND_MEMORY));
    core_pool_deinit(&pool);
}

Test(grant, revoke_takes_the_idle_and_leaves_the_busy) {
    struct Pool pool;
    struct Slab *slab;
    uint64_t generation;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_TABLE, 4, 4);
    generation = core_take(slab, 2);
    cr_expect_eq(grant_revoke_idle(slab), 3);
    cr_expect_eq(slab->n_granted, 1, "%u", slab->n_granted);
    cr_expect_eq(lease_load(slab_entry(slab, 0)), lease_word(1, LEASE_VACANT));
    cr_expect_eq(lease_load(slab_entry(slab, 2)), lease_word(generation, LEASE_BUSY));
    core_pool_deinit(&pool);
}

Test(grant, a_slot_comes_again_in_a_new_generation) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_TABLE, 1, 1);
    for (uint64_t generation = 0; generation < 5; generation++) {
        cr_expect_eq(lease_load(slab_entry(slab, 0)), lease_word(generation, LEASE_IDLE));
        cr_expect_eq(grant_revoke_idle(slab), 1);
        cr_expect_eq(grant_slots(slab, 1), 1);
    }
    core_pool_deinit(&pool);
}

Test(grant, a_word_of_another_generation_is_not_collected) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_TABLE, 1, 1);
    atomic_store(&slab_entry(slab, 0)->word, lease_word(40, LEASE_VACANT));
    cr_expect_eq(grant_collect(slab), 0);
    cr_expect_eq(slab->n_granted, 1, "a lie was refunded");
    core_pool_deinit(&pool);
}

/* Its pages are gone: how long ago it was taken before says nothing of what is done with it from now on. */
Test(grant, of_a_slot_begins_with_a_slot_that_was_not_taken) {
    struct Client *client;
    struct Slab *slab;
    struct Pool pool;

    core_pool_init(&pool);
    client = core_client(&pool, 1);
    slab = core_slab(client, KIND_MEMORY, 1, 0);
    atomic_store(&slab_entry(slab, 0)->taken_ns, 4711);
    expect_eq(grant_slots(slab, 1), 1);
    expect_eq(atomic_load(&slab_entry(slab, 0)->taken_ns), 0);
    core_pool_deinit(&pool);
}
