/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/planner.h"

#define PLANNER_WEIGHT 8    /* of the past in an average, against 1 of what is new */
#define PLANNER_WHOLE_MIN 64 /* timed resets that WHOLE lasts at first */
#define PLANNER_WHOLE_MAX 65536

/* Written by whoever is first; a torn average would be a race, a lost update is none. */
static uint32_t load(_Atomic uint32_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store(_Atomic uint32_t *value, uint64_t to) {
    atomic_store_explicit(value, to > UINT32_MAX ? UINT32_MAX : (uint32_t)to, memory_order_relaxed);
}

static void average(_Atomic uint32_t *value, uint64_t sample) {
    uint64_t before = load(value);

    store(value, before ? (before * (PLANNER_WEIGHT - 1) + sample) / PLANNER_WEIGHT : sample);
}

/* Of times, some of which are a thousand times too long, for who was interrupted: one counts as twice the average at
 * most, and if the average is one of those the first that is not makes up for it. */
static void average_ns(_Atomic uint32_t *value, uint64_t sample) {
    uint64_t before = load(value);

    if (before > 2 * sample)
        store(value, 2 * sample);
    average(value, before && sample > 2 * before ? 2 * before : sample);
}

void planner_init(struct Planner *planner) {
    *planner = (struct Planner){
        .way = LEASE_RESET_COUNT, .every = PLANNER_EVERY, .whole_next = PLANNER_WHOLE_MIN};
}

/* Where the count is not asked for otherwise, the two times that it is cost less than 1 % of so many scans. */
static uint32_t planner_choose_every(struct Planner *planner) {
    uint64_t count_ns = load(&planner->count_ns), scan_ns = load(&planner->scan_ns), every = PLANNER_EVERY;

    while (every < PLANNER_EVERY_MAX && every * scan_ns < 200 * count_ns)
        every *= 2;
    return (uint32_t)every;
}

/* Changes for a quarter more only, so that two that cost the same do not take turns. */
static enum LeaseReset planner_choose(const struct Planner *planner, enum LeaseReset way) {
    struct Planner *p = (struct Planner *)planner;
    uint64_t count_ns = load(&p->count_ns), scan_ns = load(&p->scan_ns);
    uint64_t with_count = count_ns + scan_ns * (1000 - load(&p->still_permille)) / 1000;

    if (!count_ns || !scan_ns)
        return way;
    if (way == LEASE_RESET_COUNT && with_count > scan_ns + scan_ns / 4)
        return LEASE_RESET_SCAN;
    if (way == LEASE_RESET_SCAN && scan_ns > with_count + with_count / 4)
        return LEASE_RESET_COUNT;
    return way;
}

/* Most are hot: three quarters. */
static bool planner_begins_whole(struct Planner *planner, const struct PlannerSample *sample) {
    if (4 * (uint64_t)sample->hot < 3 * (uint64_t)sample->pages)
        return false;
    store(&planner->whole_left, load(&planner->whole_next));
    if (load(&planner->whole_next) < PLANNER_WHOLE_MAX)
        store(&planner->whole_next, 2 * (uint64_t)load(&planner->whole_next));
    return true;
}

static enum LeaseReset planner_leave_whole(struct Planner *planner) {
    uint32_t left = load(&planner->whole_left);

    store(&planner->whole_left, left ? left - 1 : 0);
    return left > 1 ? LEASE_RESET_WHOLE : LEASE_RESET_COUNT;
}

void planner_learn(struct Planner *planner, const struct PlannerSample *sample) {
    enum LeaseReset way = planner_way(planner);

    if (sample->count_ns)
        average_ns(&planner->count_ns, sample->count_ns);
    if (sample->counted)
        average(&planner->still_permille, sample->still ? 1000 : 1); /* not 0, which is not known */
    if (way == LEASE_RESET_WHOLE)
        way = planner_leave_whole(planner);
    else if (planner_begins_whole(planner, sample))
        way = LEASE_RESET_WHOLE;
    else
        way = planner_choose(planner, way);
    store(&planner->every, planner_choose_every(planner));
    store(&planner->way, way);
}

void planner_learn_scan(struct Planner *planner, uint64_t ns) {
    average_ns(&planner->scan_ns, ns);
}

void planner_learn_growth(struct Planner *planner, uint64_t bytes) {
    if (atomic_load_explicit(&planner->grown_bytes, memory_order_relaxed) < bytes)
        atomic_store_explicit(&planner->grown_bytes, bytes, memory_order_relaxed);
}
