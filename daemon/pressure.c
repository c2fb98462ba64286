/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/pressure.h"

#include "daemon/client.h"
#include "daemon/trim.h"

#define US_PER_MS 1000
#define PRESSURE_CHANGE 64 /* of a limit: less than a 64th of it is no change */

/* Exact, and within 64 bits. */
static uint64_t percent_of(uint64_t bytes, uint64_t percent) {
    return bytes / 100 * percent + bytes % 100 * percent / 100;
}

/* How much more than `high` percent of a bound is used, down to `low` percent. */
static uint64_t pressure_excess(const struct PoolBounds *bounds, uint64_t bound, uint64_t use) {
    if (use <= percent_of(bound, bounds->budget_high_percent))
        return 0;
    return use - percent_of(bound, bounds->budget_low_percent);
}

static bool pressure_stalls(const struct PoolBounds *bounds, uint64_t from_us, uint64_t to_us, uint64_t ms) {
    return to_us > from_us && (to_us - from_us) > ms * US_PER_MS / 100 * bounds->stall_percent;
}

/* ------------------------------------------------------------------------------------------------ host */

void pressure_relieve_host(struct Pool *pool, uint64_t now_ms) {
    trim_warm(pool, &(struct TrimAsk){.why = TRIM_HOST, .half = true, .keep_bytes = TRIM_KEEP_ALL}, now_ms);
}

void pressure_look_at_host(struct Pool *pool, uint64_t stalled_us, uint64_t now_ms) {
    struct HostPressure *host = &pool->host;

    if (host->looked_ms && pressure_stalls(&pool->bounds, host->stalled_us, stalled_us, now_ms - host->looked_ms))
        pressure_relieve_host(pool, now_ms);
    *host = (struct HostPressure){.looked_ms = now_ms, .stalled_us = stalled_us};
}

/* ------------------------------------------------------------------------------------------------ cgroups */

static void pressure_relieve_cgroup(struct Pool *pool, const struct Cgroup *cgroup, const struct CgroupUse *use,
                                    uint64_t now_ms) {
    const struct PoolBounds *bounds = &pool->bounds;
    struct TrimAsk ask = {.why = TRIM_CGROUP, .belongs = cgroup_has, .data = cgroup};

    ask.half = cgroup->looked_ms &&
               pressure_stalls(bounds, cgroup->seen_stalled_us, use->stalled_us, now_ms - cgroup->looked_ms);
    ask.bytes = pressure_excess(bounds, use->limit_bytes, use->working_bytes);
    ask.keep_bytes = percent_of(use->limit_bytes, bounds->warm_share_percent);
    if (ask.half || ask.bytes || use->shmem_bytes > ask.keep_bytes)
        trim_warm(pool, &ask, now_ms);
}

static bool pressure_changes(const struct Cgroup *cgroup, const struct CgroupUse *use) {
    uint64_t before = cgroup->seen_working_bytes, now = use->working_bytes;

    return cgroup->resident_bytes != cgroup->seen_resident_bytes ||
           (now > before ? now - before : before - now) > use->limit_bytes / PRESSURE_CHANGE;
}

/* When to look again: sooner the more there is to see. */
static void pressure_pause(struct Cgroup *cgroup, const struct CgroupUse *use, bool near, uint64_t now_ms) {
    uint64_t most_ms = near ? PRESSURE_NEAR_MAX_MS : PRESSURE_PAUSE_MAX_MS;

    if (use->limit_bytes == UINT64_MAX && cgroup->pause_ms < PRESSURE_NONE_MS)
        cgroup->pause_ms = PRESSURE_NONE_MS;
    else if (near && pressure_changes(cgroup, use))
        cgroup->pause_ms = PRESSURE_NEAR_MS;
    else if (!cgroup->pause_ms || (use->limit_bytes != UINT64_MAX && pressure_changes(cgroup, use)))
        cgroup->pause_ms = PRESSURE_NEAR_MAX_MS;
    else
        cgroup->pause_ms = 2 * cgroup->pause_ms < most_ms ? 2 * cgroup->pause_ms : most_ms;
    cgroup->look_ms = now_ms + cgroup->pause_ms;
}

static void pressure_look_at(struct Pool *pool, struct Cgroup *cgroup, uint64_t now_ms) {
    struct CgroupUse use = {.limit_bytes = UINT64_MAX};
    bool near = false;

    cgroup->limit_bytes = cgroup_read_limit(&pool->cgroups, cgroup);
    if (cgroup->limit_bytes != UINT64_MAX) {
        cgroup_read(&pool->cgroups, cgroup, &use);
        pressure_relieve_cgroup(pool, cgroup, &use, now_ms);
        near = use.shmem_bytes > percent_of(use.limit_bytes, pool->bounds.warm_share_percent) / 2 ||
               use.working_bytes > percent_of(use.limit_bytes, pool->bounds.budget_low_percent);
    }
    pressure_pause(cgroup, &use, near, now_ms);
    cgroup->looked_ms = now_ms;
    cgroup->seen_resident_bytes = cgroup->resident_bytes;
    cgroup->seen_working_bytes = use.working_bytes;
    cgroup->seen_stalled_us = use.stalled_us;
}

static bool pressure_is_due(const struct Cgroup *cgroup, uint64_t now_ms) {
    return now_ms >= cgroup->look_ms ||
           (cgroup->limit_bytes != UINT64_MAX && cgroup->resident_bytes != cgroup->seen_resident_bytes);
}

uint64_t pressure_look(struct Pool *pool, uint64_t now_ms) {
    struct TrimAsk ask = {.why = TRIM_BUDGET, .keep_bytes = TRIM_KEEP_ALL};
    uint64_t next_ms = UINT64_MAX;

    if (pool->bounds.resident_bytes_max)
        ask.bytes = pressure_excess(&pool->bounds, pool->bounds.resident_bytes_max, pool->resident_bytes);
    if (ask.bytes)
        trim_warm(pool, &ask, now_ms);
    for (struct Cgroup *cgroup = pool->cgroups.all; cgroup; cgroup = cgroup->next) {
        /* Its limit was read when it was met first. */
        if (!cgroup->look_ms && cgroup->limit_bytes == UINT64_MAX)
            pressure_pause(cgroup, &(struct CgroupUse){.limit_bytes = UINT64_MAX}, false, now_ms);
        if (cgroup->resident_bytes && pressure_is_due(cgroup, now_ms))
            pressure_look_at(pool, cgroup, now_ms);
        if (cgroup->resident_bytes && cgroup->look_ms < next_ms)
            next_ms = cgroup->look_ms;
    }
    return next_ms == UINT64_MAX ? UINT64_MAX : next_ms - now_ms;
}
