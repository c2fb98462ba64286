/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/trim.h"
#include "tests/daemon/core.h"

#define TRIM_MS 1000
#define PAGE 4096

static struct Pool pool;

/* In a pool that is empty before and after. */
#define TrimTest(SENTENCE)                                                                                             \
    static void SENTENCE(void);                                                                                        \
    Test(trim, SENTENCE) {                                                                                             \
        core_pool_init(&pool);                                                                                         \
        pool.bounds.idle_trim_ms = TRIM_MS;                                                                            \
        SENTENCE();                                                                                                    \
        core_pool_deinit(&pool);                                                                                       \
    }                                                                                                                  \
    static void SENTENCE(void)

static void fill(struct Slab *slab, uint32_t slot, unsigned pages) {
    static const char byte = 1;

    for (unsigned i = 0; i < pages; i++)
        cr_assert_eq(pwrite(slab->fd, &byte, 1, (off_t)(shape_slot_offset(&slab->shape, slot) + i * PAGE)), 1);
    pool_measure(&pool);
}

static void set_taken(struct Slab *slab, uint32_t slot, uint64_t taken_ms) {
    atomic_store(&slab_entry(slab, slot)->taken_ns, taken_ms * 1000000);
}

static uint64_t generation_of(const struct Slab *slab, uint32_t slot) {
    return lease_generation(lease_load(slab_entry(slab, slot)));
}

static struct Slab *slab_of(uid_t uid, uint32_t slots) {
    return core_slab(core_client(&pool, uid), KIND_MEMORY, 4, slots);
}

/* ------------------------------------------------------------------------------------------------ idle */

TrimTest(gives_back_the_pages_of_a_slot_that_is_not_used) {
    struct Slab *slab = slab_of(1, 2);

    fill(slab, 0, 3);
    expect_eq(trim_idle(&pool, 5000), 0);
    expect_eq(trim_idle(&pool, 5000 + TRIM_MS - 1), 0);
    expect_eq(trim_idle(&pool, 5000 + TRIM_MS), 1);
    core_reclaim(&pool);
    pool_measure(&pool);
    expect_eq(pool.resident_bytes, 0);
    expect_eq(lease_load(slab_entry(slab, 0)), lease_word(1, LEASE_IDLE));
    expect_eq(slab->n_granted, 2);
    expect_eq(pool.counters.trims[TRIM_IDLE].slots, 1);
    expect_eq(pool.counters.trims[TRIM_IDLE].bytes, 3 * PAGE);
}

TrimTest(looks_for_idle_slots_once_in_the_time_that_they_have) {
    struct Slab *slab = slab_of(1, 1);

    fill(slab, 0, 1);
    trim_idle(&pool, 5000);
    cr_expect_not(slab->records[0].seen_idle == 0);
    slab->records[0].seen_idle = 0;
    trim_idle(&pool, 5000 + TRIM_MS - 1);
    expect_eq(slab->records[0].seen_idle, 0);
    trim_idle(&pool, 5000 + TRIM_MS);
    expect_eq(slab->records[0].seen_idle, 1);
}

TrimTest(leaves_a_slot_without_pages_as_it_is) {
    struct Slab *slab = slab_of(1, 2);

    fill(slab, 0, 1);
    trim_idle(&pool, 5000);
    expect_eq(trim_idle(&pool, 9000), 1);
    expect_eq(generation_of(slab, 1), 0);
    core_reclaim(&pool);
}

TrimTest(leaves_a_slot_that_was_used_meanwhile) {
    struct Slab *slab = slab_of(1, 1);

    fill(slab, 0, 1);
    trim_idle(&pool, 5000);
    set_taken(slab, 0, 5500);
    expect_eq(trim_idle(&pool, 5000 + TRIM_MS), 0);
    expect_eq(trim_idle(&pool, 5000 + 2 * TRIM_MS - 1), 0);
    expect_eq(trim_idle(&pool, 5000 + 2 * TRIM_MS), 1);
    core_reclaim(&pool);
}

TrimTest(leaves_a_busy_slot) {
    struct Slab *slab = slab_of(1, 1);
    uint64_t generation = core_take(slab, 0);

    fill(slab, 0, 1);
    trim_idle(&pool, 5000);
    expect_eq(trim_idle(&pool, 9000), 0);
    lease_release(slab_entry(slab, 0), generation);
    expect_eq(trim_idle(&pool, 9000 + TRIM_MS), 0);
    expect_eq(trim_idle(&pool, 9000 + 2 * TRIM_MS), 1);
    core_reclaim(&pool);
}

TrimTest(never_comes_where_it_is_not_wanted) {
    struct Slab *slab = slab_of(1, 1);

    pool.bounds.idle_trim_ms = 0;
    fill(slab, 0, 1);
    trim_idle(&pool, 5000);
    expect_eq(trim_idle(&pool, 5000 + (UINT64_C(1) << 32)), 0);
}

TrimTest(gets_round_to_every_slab) {
    enum { CLIENTS = 3 };
    struct Slab *slabs[CLIENTS];

    for (uint32_t i = 0; i < CLIENTS; i++) {
        slabs[i] = slab_of(i, 2);
        fill(slabs[i], 0, 1);
    }
    trim_idle(&pool, 5000);
    expect_eq(trim_idle(&pool, 9000), CLIENTS);
    core_reclaim(&pool);
    for (uint32_t i = 0; i < CLIENTS; i++)
        expect_eq(generation_of(slabs[i], 0), 1);
}

/* ------------------------------------------------------------------------------------------------ pressure */

static uint64_t trim_bytes(uint64_t bytes) {
    return trim_warm(&pool, &(struct TrimAsk){.why = TRIM_HOST, .bytes = bytes, .keep_bytes = TRIM_KEEP_ALL}, 100000);
}

TrimTest(under_pressure_takes_the_coldest_first) {
    struct Slab *slab = slab_of(1, 3);

    for (uint32_t i = 0; i < 3; i++)
        fill(slab, i, 1);
    set_taken(slab, 0, 90000);
    set_taken(slab, 1, 1000);
    set_taken(slab, 2, 99000);
    expect_eq(trim_bytes(PAGE), PAGE);
    expect_eq(generation_of(slab, 1), 1);
    expect_eq(generation_of(slab, 0) + generation_of(slab, 2), 0);
    core_reclaim(&pool);
}

TrimTest(under_pressure_takes_the_largest_of_equally_cold_ones) {
    struct Slab *slab = slab_of(1, 3);

    for (uint32_t i = 0; i < 3; i++) {
        fill(slab, i, i == 1 ? 5 : 1);
        set_taken(slab, i, 50000 + i);
    }
    expect_eq(trim_bytes(1), 5 * PAGE);
    expect_eq(generation_of(slab, 1), 1);
    expect_eq(pool.counters.trims[TRIM_HOST].slots, 1);
    core_reclaim(&pool);
}

TrimTest(under_pressure_believes_no_time_to_come) {
    struct Slab *slab = slab_of(1, 2);

    fill(slab, 0, 1);
    fill(slab, 1, 1);
    set_taken(slab, 0, 1000);
    atomic_store(&slab_entry(slab, 1)->taken_ns, UINT64_MAX);
    trim_bytes(1);
    expect_eq(generation_of(slab, 1), 1);
    expect_eq(generation_of(slab, 0), 0);
    core_reclaim(&pool);
}

static bool is_of_user_2(const struct Client *client, const void *data) {
    (void)data;
    return client->user->uid == 2;
}

TrimTest(under_pressure_takes_from_those_it_is_about) {
    struct Slab *one = slab_of(1, 1), *two = slab_of(2, 1);

    fill(one, 0, 1);
    fill(two, 0, 1);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.belongs = is_of_user_2, .bytes = UINT64_MAX}, 1000), PAGE);
    expect_eq(generation_of(one, 0), 0);
    expect_eq(generation_of(two, 0), 1);
    core_reclaim(&pool);
}

TrimTest(under_pressure_gives_back_half_or_what_is_beyond_what_may_be_kept) {
    struct Slab *slab = slab_of(1, 4);

    for (uint32_t i = 0; i < 4; i++)
        fill(slab, i, 2);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.keep_bytes = 8 * PAGE}, 1000), 0);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.keep_bytes = 7 * PAGE}, 1000), 2 * PAGE);
    core_reclaim(&pool);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.half = true, .keep_bytes = TRIM_KEEP_ALL}, 1000), 4 * PAGE);
    core_reclaim(&pool);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.keep_bytes = 0}, 1000), 2 * PAGE);
    core_reclaim(&pool);
    pool_measure(&pool);
    expect_eq(pool.resident_bytes, 0);
}

/* How much there is is looked at then: the gauge may be late. */
TrimTest(under_pressure_sees_what_has_just_been_written) {
    struct Slab *slab = slab_of(1, 1);

    cr_assert_eq(pwrite(slab->fd, "x", 1, 0), 1);
    expect_eq(slab->resident_bytes, 0);
    expect_eq(trim_bytes(1), PAGE);
    core_reclaim(&pool);
}

/* Nobody has a right to what lies in a slot that was not granted; whoever writes there does not keep it. */
TrimTest(under_pressure_takes_what_was_written_without_a_grant_first) {
    struct Slab *slab = slab_of(1, 1);

    fill(slab, 0, 2);
    fill(slab, 1, 3);
    set_taken(slab, 0, 1);
    expect_eq(trim_warm(&pool, &(struct TrimAsk){.why = TRIM_BUDGET, .bytes = 1, .keep_bytes = TRIM_KEEP_ALL}, 100000),
              3 * PAGE);
    core_reclaim(&pool);
    pool_measure(&pool);
    expect_eq(pool.resident_bytes, 2 * PAGE);
    expect_eq(slab->n_granted, 1);
    expect_eq(lease_load(slab_entry(slab, 1)), lease_word(0, LEASE_VACANT));
    /* And it can be granted as ever. */
    expect_eq(grant_slots(slab, 3), 3);
}

/* However many slots there are, in one call no more are looked at than the loop can wait for; the next goes on. */
TrimTest(under_pressure_looks_at_so_many_slots_in_a_call) {
    struct Slab *slabs[3];
    uint64_t bytes = 0;

    pool.limits.total_tables = 3 * TRIM_SCAN_MAX;
    for (uid_t i = 0; i < 3; i++) {
        slabs[i] = core_slab(core_client(&pool, i), KIND_TABLE, SHAPE_SLOTS_MAX, 0);
        for (uint32_t n = 0; n < SHAPE_SLOTS_MAX;)
            n += grant_slots(slabs[i], SHAPE_SLOTS_MAX);
        fill(slabs[i], SHAPE_SLOTS_MAX - 1, 1);
    }
    for (int i = 0; i < 3; i++) {
        uint64_t trimmed =
            trim_warm(&pool, &(struct TrimAsk){.why = TRIM_HOST, .bytes = 10 * PAGE, .keep_bytes = TRIM_KEEP_ALL}, 1000);

        expect_eq(trimmed, PAGE);
        bytes += trimmed;
        core_reclaim(&pool);
    }
    expect_eq(bytes, 3 * PAGE);
}

static uint32_t turned;

/* All of its slots granted, and taken last at that time. */
static struct Slab *granted_slab_of(uid_t uid, uint32_t slots, uint64_t taken_ms) {
    struct Slab *slab = core_slab(core_client(&pool, uid), KIND_TABLE, slots, 0);

    for (uint32_t n = 0; n < slots;)
        n += grant_slots(slab, slots);
    for (uint32_t i = 0; i < slots; i++)
        set_taken(slab, i, taken_ms);
    return slab;
}

/* However many others come before them. */
TrimTest(under_pressure_finds_the_coldest_of_all) {
    enum { COLD = 16 };
    struct Slab *slabs[3];

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX + COLD;
    for (uid_t i = 0; i < 3; i++) {
        slabs[i] = granted_slab_of(i, i < 2 ? SHAPE_SLOTS_MAX : COLD, i < 2 ? 99990 : 1000);
        for (uint32_t slot = 0; slot < slabs[i]->shape.count; slot++)
            fill(slabs[i], slot, 1);
    }
    expect_eq(trim_bytes(COLD * PAGE), COLD * PAGE);
    for (uint32_t i = 0; i < COLD; i++)
        expect_eq(generation_of(slabs[2], i), 1);
    core_reclaim(&pool);
}

/* Slots that are looked at for nothing: idle, and without pages. The slab has one, in a busy slot, or none would be. */
static void waste_looks(uint32_t looks) {
    struct Slab *slab = granted_slab_of(1, looks + 1, 1);

    fill(slab, looks, 1);
    core_take(slab, looks);
}

/* Some that are cold and empty cost the others no more than half of the looks, and what is left goes on inside the slab
 * where it stopped, to its end, and round to its beginning. */
TrimTest(under_pressure_goes_on_in_the_middle_of_a_slab) {
    struct Slab *slab;

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX;
    waste_looks(TRIM_SCAN_MAX / 2 - 48);
    slab = granted_slab_of(2, SHAPE_SLOTS_MAX, 99990);
    fill(slab, SHAPE_SLOTS_MAX - 1, 1);
    expect_eq(trim_bytes(2 * PAGE), 0);
    fill(slab, 0, 1);
    expect_eq(trim_bytes(2 * PAGE), 2 * PAGE);
    expect_eq(generation_of(slab, 0), 1);
    expect_eq(generation_of(slab, SHAPE_SLOTS_MAX - 1), 1);
    core_reclaim(&pool);
}

/* More than half of the looks are worth: the other half goes round all the same, and comes to every slot. */
TrimTest(under_pressure_is_not_kept_busy_with_cold_slots_that_are_empty) {
    uint64_t bytes = 0;
    struct Slab *slab;

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX;
    waste_looks(SHAPE_SLOTS_MAX - 1);
    slab = granted_slab_of(2, SHAPE_SLOTS_MAX, 99990);
    fill(slab, SHAPE_SLOTS_MAX - 1, 1);
    for (int i = 0; i < 3; i++)
        bytes += trim_bytes(PAGE);
    expect_eq(bytes, PAGE);
    expect_eq(generation_of(slab, SHAPE_SLOTS_MAX - 1), 1);
    core_reclaim(&pool);
}

/* As many as half of the looks do not suffice for: still no hotter one goes for them. */
TrimTest(under_pressure_takes_some_of_the_coldest_where_they_are_many) {
    struct Slab *hot, *cold;

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX;
    hot = granted_slab_of(1, SHAPE_SLOTS_MAX, 99990);
    cold = granted_slab_of(2, TRIM_SCAN_MAX / 2 + 1, 1000);
    for (uint32_t i = 0; i < hot->shape.count; i++)
        fill(hot, i, 1);
    for (uint32_t i = 0; i < cold->shape.count; i++)
        fill(cold, i, 1);
    expect_eq(trim_bytes(16 * PAGE), 16 * PAGE);
    for (uint32_t i = 0; i < hot->shape.count; i++)
        cr_assert_eq(generation_of(hot, i), 0, "slot %u was trimmed, which is hot", i);
    core_reclaim(&pool);
}

/* They have no pages, and are not said to be colder than others that have. */
TrimTest(under_pressure_does_not_look_for_slots_that_were_not_taken_since_they_were_granted) {
    struct Slab *slab;

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX;
    slab = granted_slab_of(1, SHAPE_SLOTS_MAX, 0);
    fill(slab, 0, 1);
    core_take(slab, 0);
    slab = granted_slab_of(2, SHAPE_SLOTS_MAX, 99990);
    for (uint32_t i = 0; i < slab->shape.count; i++)
        fill(slab, i, 1);
    set_taken(slab, 4000, 1000);
    expect_eq(trim_bytes(PAGE), PAGE);
    expect_eq(generation_of(slab, 4000), 1);
    core_reclaim(&pool);
}

/* Between the glance and the looks its owner says that all of its slots are cold. */
static bool turn_cold(const struct Client *client, const void *data) {
    const struct Slab *slab = data;

    (void)client;
    if (++turned > pool.gauges.n)
        for (uint32_t i = 0; i < slab->shape.count; i++)
            set_taken((struct Slab *)slab, i, 1);
    return true;
}

TrimTest(under_pressure_is_not_kept_busy_by_who_changes_its_mind) {
    struct Slab *liar, *slab;
    uint64_t bytes = 0;

    pool.limits.total_tables = 2 * SHAPE_SLOTS_MAX;
    liar = granted_slab_of(1, SHAPE_SLOTS_MAX, 200000);
    fill(liar, 0, 1);
    core_take(liar, 0);
    slab = granted_slab_of(2, 16, 1000);
    for (uint32_t i = 0; i < 16; i++)
        fill(slab, i, 1);
    for (int i = 0; i < 4; i++) {
        const struct TrimAsk ask = {
            .why = TRIM_HOST, .bytes = 16 * PAGE, .keep_bytes = TRIM_KEEP_ALL, .belongs = turn_cold, .data = liar};

        turned = 0;
        for (uint32_t s = 0; s < liar->shape.count; s++)
            set_taken(liar, s, 200000);
        bytes += trim_warm(&pool, &ask, 100000);
    }
    expect_eq(bytes, 16 * PAGE);
    core_reclaim(&pool);
}
