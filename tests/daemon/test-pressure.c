/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/pressure.h"
#include "tests/daemon/core.h"
#include "tests/daemon/hierarchy.h"

#define PAGE 4096

static struct Pool pool;
static struct Hierarchy hierarchy;

/* In a pool that is empty before and after; with clients in cgroups /a and /a/b. */
#define PressureTest(SENTENCE)                                                                                         \
    static void SENTENCE(void);                                                                                        \
    Test(pressure, SENTENCE) {                                                                                         \
        core_pool_init(&pool);                                                                                         \
        pool.bounds.budget_high_percent = 90;                                                                          \
        pool.bounds.budget_low_percent = 80;                                                                           \
        pool.bounds.warm_share_percent = 50;                                                                           \
        pool.bounds.stall_percent = 10;                                                                                \
        hierarchy_open(&hierarchy, &pool.cgroups, HIERARCHY_V2);                                                       \
        SENTENCE();                                                                                                    \
        hierarchy_close(&hierarchy);                                                                                   \
        core_reclaim(&pool);                                                                                           \
        core_pool_deinit(&pool);                                                                                       \
    }                                                                                                                  \
    static void SENTENCE(void)

/* Two slots that are idle, with `pages` in each, of a client in that cgroup; NULL: in none. */
static struct Slab *warm(const char *process, unsigned pages) {
    struct Client *client = core_client(&pool, 1);
    struct Slab *slab;

    if (process)
        client->cgroup = hierarchy_ref(&hierarchy, &pool.cgroups, process);
    slab = core_slab(client, KIND_MEMORY, 2, 2);
    for (uint32_t i = 0; i < 2 * pages; i++)
        cr_assert_eq(pwrite(slab->fd, "x", 1, (off_t)(shape_slot_offset(&slab->shape, i % 2) + i / 2 * PAGE)), 1);
    slab_measure(slab);
    return slab;
}

static uint64_t pages_of(struct Slab *slab) {
    core_reclaim(&pool);
    slab_measure(slab);
    return slab->resident_bytes / PAGE;
}

/* A cgroup as it would be with so many pages in all, and in slabs; and its turn has come. */
static void say(const char *name, uint64_t limit, uint64_t used, uint64_t shmem, uint64_t stalled_us) {
    char file[64];

    for (struct Cgroup *cgroup = pool.cgroups.all; cgroup; cgroup = cgroup->next)
        if (cgroup->limit_bytes == UINT64_MAX)
            cgroup->look_ms = 1;
    snprintf(file, sizeof(file), "%s/memory.max", name);
    hierarchy_write(&hierarchy, file, "%lu\n", limit * PAGE);
    snprintf(file, sizeof(file), "%s/memory.current", name);
    hierarchy_write(&hierarchy, file, "%lu\n", used * PAGE);
    snprintf(file, sizeof(file), "%s/memory.stat", name);
    hierarchy_write(&hierarchy, file, "shmem %lu\n", shmem * PAGE);
    snprintf(file, sizeof(file), "%s/memory.pressure", name);
    hierarchy_write(&hierarchy, file, "some avg10=0.00 avg60=0.00 avg300=0.00 total=%lu\n", stalled_us);
}

/* ------------------------------------------------------------------------------------------------ budget */

PressureTest(of_the_budget_trims_from_high_to_low) {
    struct Slab *slabs[2] = {warm(NULL, 10), warm(NULL, 10)};

    pool.bounds.resident_bytes_max = 45 * PAGE;
    pressure_look(&pool, 1000);
    expect_eq(pool.counters.trims[TRIM_BUDGET].slots, 0);
    pool.bounds.resident_bytes_max = 44 * PAGE; /* of which 40 are more than 90 %, and 35 are 80 % */
    expect_eq(pressure_look(&pool, 1000), UINT64_MAX);
    expect_eq(pool.counters.trims[TRIM_BUDGET].slots, 1);
    expect_eq(pages_of(slabs[0]) + pages_of(slabs[1]), 30);
}

/* ------------------------------------------------------------------------------------------------ host */

PressureTest(on_the_host_halves_what_idle_slots_hold) {
    struct Slab *slabs[2] = {warm(NULL, 10), warm("0::/a\n", 10)};

    pressure_relieve_host(&pool, 1000);
    expect_eq(pages_of(slabs[0]) + pages_of(slabs[1]), 20);
    pressure_relieve_host(&pool, 2000);
    expect_eq(pages_of(slabs[0]) + pages_of(slabs[1]), 10);
    expect_eq(pool.counters.trims[TRIM_HOST].slots, 3);
    expect_eq(pool.counters.trims[TRIM_HOST].bytes, 30 * PAGE);
}

PressureTest(on_the_host_is_a_share_of_the_time) {
    struct Slab *slab = warm(NULL, 10);

    pressure_look_at_host(&pool, 5000000, 1000);
    pressure_look_at_host(&pool, 5100000, 2000);
    expect_eq(pool.counters.trims[TRIM_HOST].slots, 0);
    pressure_look_at_host(&pool, 5200001, 3000);
    expect_eq(pool.counters.trims[TRIM_HOST].slots, 1);
    pressure_look_at_host(&pool, 5200001, 4000);
    expect_eq(pool.counters.trims[TRIM_HOST].slots, 1);
    expect_eq(pages_of(slab), 10);
}

/* ------------------------------------------------------------------------------------------------ cgroups */

PressureTest(in_a_cgroup_leaves_idle_slots_their_share_of_its_limit) {
    struct Slab *inside = warm("0::/a/b\n", 10), *outside = warm(NULL, 10);

    say("a/b", 40, 20, 20, 0);
    pressure_look(&pool, 1000);
    expect_eq(pool.counters.trims[TRIM_CGROUP].slots, 0);
    say("a/b", 39, 20, 20, 0);
    pressure_look(&pool, 2000);
    expect_eq(pages_of(inside), 10);
    expect_eq(pages_of(outside), 20);
    expect_eq(pool.counters.trims[TRIM_CGROUP].slots, 1);
}

PressureTest(in_a_cgroup_above_counts_for_those_below) {
    struct Slab *below = warm("0::/a/b\n", 10), *beside = warm("0::/c\n", 10);

    say("a", 20, 20, 20, 0);
    pressure_look(&pool, 1000);
    expect_eq(pages_of(below), 10);
    expect_eq(pages_of(beside), 20);
}

PressureTest(in_a_cgroup_takes_what_is_busy_from_nobody) {
    struct Slab *slab = warm("0::/a\n", 10);

    core_take(slab, 0);
    core_take(slab, 1);
    say("a", 20, 20, 20, 0);
    pressure_look(&pool, 1000);
    expect_eq(pages_of(slab), 20);
    expect_eq(pool.counters.trims[TRIM_CGROUP].slots, 0);
}

PressureTest(in_a_cgroup_begins_where_all_that_it_uses_comes_close_to_its_limit) {
    struct Slab *slab = warm("0::/a\n", 10);

    say("a", 100, 90, 20, 0);
    pressure_look(&pool, 1000);
    expect_eq(pool.counters.trims[TRIM_CGROUP].slots, 0);
    say("a", 100, 91, 20, 0); /* 11 more than 80 % */
    pressure_look(&pool, 2000);
    expect_eq(pages_of(slab), 0);
}

PressureTest(in_a_cgroup_begins_where_its_own_tasks_wait) {
    struct Slab *slab = warm("0::/a\n", 10);

    say("a", 100, 20, 20, 7000000);
    pressure_look(&pool, 1000);
    say("a", 100, 20, 20, 7099999);
    pressure_look(&pool, 2000);
    expect_eq(pool.counters.trims[TRIM_CGROUP].slots, 0);
    say("a", 100, 20, 20, 8000000);
    pressure_look(&pool, 4000);
    expect_eq(pages_of(slab), 10);
}

PressureTest(in_a_cgroup_is_looked_at_often_where_it_is_near_and_changes) {
    struct Slab *slab = warm("0::/a\n", 10);

    say("a", 60, 20, 20, 0);
    expect_eq(pressure_look(&pool, 1000), PRESSURE_NEAR_MS);
    expect_eq(pressure_look(&pool, 1100), PRESSURE_NEAR_MS - 100);
    say("a", 60, 25, 20, 0);
    expect_eq(pressure_look(&pool, 1200), PRESSURE_NEAR_MS);
    for (uint64_t now_ms = 1400; now_ms < 10000; now_ms += 1000)
        pressure_look(&pool, now_ms);
    expect_eq(pressure_look(&pool, 10400), PRESSURE_NEAR_MAX_MS);
    say("a", 10000, 25, 20, 0);
    for (uint64_t now_ms = 11400; now_ms < 211400; now_ms += 1000)
        pressure_look(&pool, now_ms);
    cr_expect_gt(pool.cgroups.all->pause_ms, PRESSURE_NEAR_MAX_MS);
    /* But at once when what its clients hold has changed. */
    say("a", 30, 25, 21, 0);
    cr_assert_eq(pwrite(slab->fd, "x", 1, 20 * PAGE), 1);
    slab_measure(slab);
    pressure_look(&pool, 211500);
    expect_eq(pages_of(slab), 10);
}

PressureTest(without_limits_is_looked_at_seldom) {
    struct Slab *slab = warm("0::/a\n", 10);
    uint64_t now_ms = 1000, pause_ms = 0;

    for (int i = 0; i < 10; i++)
        now_ms += pause_ms = pressure_look(&pool, now_ms);
    expect_eq(pause_ms, PRESSURE_PAUSE_MAX_MS);
    expect_eq(pages_of(slab), 20);
}
