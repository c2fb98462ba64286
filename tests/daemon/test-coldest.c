/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/coldest.h"

#include "tests/daemon/core.h"

TestSuite(coldest, .timeout = 30);

#define SLOTS 300

static struct Pool pool;
static struct Slab *slab;
static struct Coldest coldest;

static void open_pool(void) {
    core_pool_init(&pool);
    pool.limits.total_memories = SLOTS;
    slab = core_slab(core_client(&pool, 1), KIND_MEMORY, SLOTS, GRANT_BATCH_MAX);
    while (slab->n_granted < SLOTS)
        grant_slots(slab, GRANT_BATCH_MAX);
    /* In no order: 7 has no common divisor with SLOTS. */
    for (uint32_t i = 0; i < SLOTS; i++)
        atomic_store(&slab_entry(slab, i)->taken_ns, 1000 + i * 7 % SLOTS);
}

static bool any(const struct Slab *one, const void *data) {
    (void)one;
    (void)data;
    return true;
}

static void find(enum LeaseState state) {
    coldest_find(&coldest, slab->client, KIND_MEMORY, state, any, NULL);
}

Test(coldest, are_stolen_in_the_order_in_which_they_were_taken) {
    struct ColdestSlot slot;

    open_pool();
    find(LEASE_IDLE);
    expect_eq(coldest.n_seen, SLOTS);
    for (uint64_t i = 0; i < COLDEST_MAX; i++) {
        cr_assert(coldest_steal(&coldest, LEASE_IDLE, &slot), "%lu of %d", i, COLDEST_MAX);
        expect_eq(slot.taken_ns, 1000 + i);
        expect_eq(slot.slot * 7 % SLOTS, i);
    }
    expect_eq(coldest.n_seen, SLOTS - COLDEST_MAX);
    cr_expect_not(coldest_steal(&coldest, LEASE_IDLE, &slot));
    core_pool_deinit(&pool);
}

Test(coldest, leave_out_what_was_used_since) {
    struct ColdestSlot slot;
    uint64_t generation;

    open_pool();
    find(LEASE_IDLE);
    cr_assert(coldest_steal(&coldest, LEASE_IDLE, &slot));
    for (uint32_t i = 0; i < SLOTS; i++)
        switch (i * 7 % SLOTS) {
        case 1: /* busy */
            cr_assert_eq(lease_take(slab_entry(slab, i), &generation), 0);
            break;
        case 2: /* taken and released */
            atomic_store(&slab_entry(slab, i)->taken_ns, 5000);
            break;
        case 3: /* not granted any more */
            cr_assert_eq(grant_revoke(slab, i), 0);
            break;
        }
    cr_assert(coldest_steal(&coldest, LEASE_IDLE, &slot));
    expect_eq(slot.taken_ns, 1004);
    core_pool_deinit(&pool);
}

Test(coldest, tell_idle_from_busy_and_from_recalled) {
    struct ColdestSlot slot;
    uint64_t generation;

    open_pool();
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(lease_take(slab_entry(slab, i), &generation), 0);
    cr_assert_eq(grant_recall(slab, 1), 0);
    find(LEASE_BUSY);
    expect_eq(coldest.n_seen, 2);
    cr_assert(coldest_steal(&coldest, LEASE_BUSY, &slot));
    expect_eq(slot.slot, 0);
    cr_assert(coldest_steal(&coldest, LEASE_BUSY, &slot));
    expect_eq(slot.slot, 2);
    cr_expect_not(coldest_steal(&coldest, LEASE_BUSY, &slot));
    core_pool_deinit(&pool);
}

Test(coldest, of_a_slab_that_was_closed_are_forgotten) {
    struct Client *client;
    struct Slab *wanting;
    struct Error error = {0};

    open_pool();
    client = slab->client;
    wanting = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);
    core_set_target(wanting, 1);
    expect_eq(want_meet(wanting, 1, &error), 1);
    cr_expect(client->coldest[KIND_MEMORY].n, "some are remembered");
    expect_eq(client_close_slab(client, slab->id, &error), 0);
    expect_eq(client->coldest[KIND_MEMORY].n, 0);
    expect_eq(client->coldest[KIND_MEMORY].n_seen, 0);
    core_pool_deinit(&pool);
}
