/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/trim.h"

#include "daemon/grant.h"
#include "shared/memfd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_EXTENTS_MAX 64 /* of a slot, where the kernel cannot count its pages in one call */
#define TRIM_NS_PER_MS UINT64_C(1000000)
#define TRIM_AGES 65 /* see trim_age */

static uint64_t trim_slot_bytes(const struct Slab *slab, uint32_t slot) {
    uint64_t bytes = 0;
    bool whole;

    if (memfd_resident(slab->fd, shape_slot_offset(&slab->shape, slot), slab->shape.stride, TRIM_EXTENTS_MAX, &bytes,
                       &whole))
        return 0;
    return bytes;
}

static bool trim_is_idle(const struct Slab *slab, uint32_t slot) {
    return slab->records[slot].granted && lease_state(lease_load(slab_entry(slab, slot))) == LEASE_IDLE;
}

static uint64_t trim_taken_ms(const struct Slab *slab, uint32_t slot) {
    return atomic_load_explicit(&slab_entry(slab, slot)->taken_ns, memory_order_relaxed) / TRIM_NS_PER_MS;
}

/* ------------------------------------------------------------------------------------------------ idle */

/* A slot is idle since we saw it so first, if it was not taken in between. Both times wrap, after 49 days. */
static bool trim_is_overdue(struct Slab *slab, uint32_t slot, uint64_t idle_ms, uint64_t now_ms) {
    struct SlotRecord *record = &slab->records[slot];
    uint32_t taken_ms = (uint32_t)trim_taken_ms(slab, slot), now = (uint32_t)now_ms;

    if (!trim_is_idle(slab, slot) || !record->seen_idle || record->seen_taken_ms != taken_ms) {
        record->seen_idle = trim_is_idle(slab, slot);
        record->seen_taken_ms = taken_ms;
        record->seen_ms = now;
        return false;
    }
    return now - record->seen_ms >= idle_ms;
}

/* Of a slab where nothing is to be done its record and its entries are looked at, and no page besides. */
static uint64_t trim_idle_slab(struct Slab *slab, struct Pool *pool, uint64_t now_ms) {
    uint64_t n = 0;

    for (uint32_t i = 0; i < slab->shape.count; i++) {
        uint64_t bytes;

        if (!trim_is_overdue(slab, i, pool->bounds.idle_trim_ms, now_ms))
            continue;
        bytes = trim_slot_bytes(slab, i);
        if (!bytes || grant_trim(slab, i))
            continue;
        slab->records[i].seen_idle = 0;
        pool->counters.trims[TRIM_IDLE].slots++;
        pool->counters.trims[TRIM_IDLE].bytes += bytes;
        n++;
    }
    return n;
}

uint64_t trim_idle(struct Pool *pool, uint64_t now_ms) {
    struct Gauges *gauges = &pool->gauges;
    uint64_t pause_ms = pool->bounds.idle_trim_ms, n = 0;

    if (!pool->bounds.idle_trim_ms)
        return 0;
    for (uint32_t seen = 0, scanned = 0; seen < gauges->n && scanned < TRIM_SCAN_MAX; seen++) {
        struct Gauge *gauge = &gauges->all[pool->trim_cursor++ % gauges->n];

        if (!gauge->resident_bytes || (gauge->looked_ms && now_ms - gauge->looked_ms < pause_ms))
            continue;
        gauge->looked_ms = now_ms;
        scanned += gauge->slab->shape.count;
        n += trim_idle_slab(gauge->slab, pool, now_ms);
    }
    return n;
}

/* ------------------------------------------------------------------------------------------------ pressure */

struct TrimCandidate {
    struct Slab *slab;
    uint32_t slot;
    unsigned age; /* how often the time since it was taken doubles; UINT32_MAX: none, see trim_slot_age */
    uint64_t bytes;
};

/* In the order in which one call of trim_warm goes through the slots, from the pool's cursor on: of slab `slab` of those,
 * slot `slot`. */
struct TrimPlace {
    uint32_t slab, slot;
};

/* One call of trim_warm. It reads of each slot how old it is (a glance: no call of the kernel), and counts the pages of
 * few (a look). Half of the looks go to the coldest: to ages that they suffice for, and to a part of the next one. The
 * rest, and what of the half is left, go round at the pool's cursor. So the coldest of all are found however many
 * others there are, and a client that says that its empty slots are cold, or its full ones hot, puts nobody's pages out
 * of reach. */
struct TrimScan {
    struct Pool *pool;
    const struct TrimAsk *ask;
    uint64_t now_ms;
    uint32_t first, n_slabs; /* gauges glanced at: so many, from the cursor on */
    uint32_t ages[TRIM_AGES];
    unsigned cold;         /* this old and older, up to TRIM_AGES, are looked at first; then those of the age before, */
    struct TrimPlace part; /* up to here */
    size_t n, n_looks;
    struct TrimCandidate candidates[TRIM_SCAN_MAX];
};

static unsigned trim_age(uint64_t taken_ms, uint64_t now_ms) {
    if (taken_ms > now_ms)
        return UINT32_MAX;
    return 64 - (unsigned)__builtin_clzll((now_ms - taken_ms) | 1);
}

static int candidate_compare(const void *a, const void *b) {
    const struct TrimCandidate *x = a, *y = b;

    if (x->age != y->age)
        return x->age > y->age ? -1 : 1;
    return x->bytes == y->bytes ? 0 : x->bytes > y->bytes ? -1 : 1;
}

/* What may go: an idle slot's pages, and those of a slot that its client has no right to use and wrote to all the
 * same. */
static bool trim_may(const struct Slab *slab, uint32_t slot) {
    const struct SlotRecord *record = &slab->records[slot];

    return record->granted ? trim_is_idle(slab, slot) : !record->cleaning && !record->retired;
}

/* Slots that were never granted, or not taken since, and times to come, are of no age: they go round. */
static unsigned trim_slot_age(const struct TrimScan *scan, const struct Slab *slab, uint32_t slot) {
    uint64_t taken_ms = slab->records[slot].granted ? trim_taken_ms(slab, slot) : 0;

    return taken_ms ? trim_age(taken_ms, scan->now_ms) : UINT32_MAX;
}

static struct Slab *trim_slab(const struct TrimScan *scan, uint32_t i) {
    const struct Gauges *gauges = &scan->pool->gauges;
    struct Slab *slab = gauges->all[((uint64_t)scan->first + i) % gauges->n].slab;

    if (scan->ask->belongs && !scan->ask->belongs(slab->client, scan->ask->data))
        return NULL;
    return slab;
}

static void trim_glance(struct TrimScan *scan) {
    uint32_t n_glances = 0;

    for (; scan->n_slabs < scan->pool->gauges.n && n_glances < TRIM_GLANCE_MAX; scan->n_slabs++) {
        struct Slab *slab = trim_slab(scan, scan->n_slabs);

        if (!slab)
            continue;
        slab_measure(slab);
        n_glances++;
        for (uint32_t i = 0; slab->resident_bytes && i < slab->shape.count; i++, n_glances++) {
            unsigned age = trim_may(slab, i) ? trim_slot_age(scan, slab, i) : UINT32_MAX;

            if (age < TRIM_AGES)
                scan->ages[age]++;
        }
    }
}

static unsigned trim_cold(const struct TrimScan *scan) {
    unsigned cold = TRIM_AGES;

    for (uint32_t n = 0; cold > 0 && n + scan->ages[cold - 1] <= TRIM_SCAN_MAX / 2; cold--)
        n += scan->ages[cold - 1];
    return cold;
}

enum TrimSweep { TRIM_COLD, TRIM_PART, TRIM_REST };

static bool trim_is_looked_at(const struct TrimScan *scan, enum TrimSweep sweep, const struct Slab *slab,
                              struct TrimPlace place) {
    unsigned age = trim_slot_age(scan, slab, place.slot);
    bool is_cold = age < TRIM_AGES && age >= scan->cold, is_part = scan->cold && age == scan->cold - 1;

    switch (sweep) {
    case TRIM_COLD:
        return is_cold;
    case TRIM_PART:
        return is_part;
    default:
        return !is_cold && !(is_part && (place.slab < scan->part.slab ||
                                         (place.slab == scan->part.slab && place.slot < scan->part.slot)));
    }
}

static void trim_look(struct TrimScan *scan, struct Slab *slab, uint32_t slot) {
    uint64_t bytes = trim_slot_bytes(slab, slot);

    scan->n_looks++;
    if (bytes)
        scan->candidates[scan->n++] = (struct TrimCandidate){slab, slot, trim_slot_age(scan, slab, slot), bytes};
}

/* Look at slots until there were `most` looks. Begins with the first slab's from the cursor on, and ends with those
 * before it. Returns where it stopped. */
static struct TrimPlace trim_sweep(struct TrimScan *scan, enum TrimSweep sweep, size_t most) {
    uint32_t start = scan->pool->warm_slot;
    struct TrimPlace place = {0};

    for (; place.slab <= scan->n_slabs; place.slab++) {
        struct Slab *slab = trim_slab(scan, place.slab % scan->n_slabs);
        bool is_last = place.slab == scan->n_slabs;

        if (!slab || !slab->resident_bytes)
            continue;
        for (place.slot = place.slab ? 0 : start; place.slot < slab->shape.count; place.slot++) {
            if (is_last && place.slot == start)
                break;
            if (!trim_may(slab, place.slot) || !trim_is_looked_at(scan, sweep, slab, place))
                continue;
            if (scan->n_looks == most)
                return place;
            trim_look(scan, slab, place.slot);
        }
    }
    return place;
}

/* A table that changes between glance and look can have more cold slots than were counted: then all go round. */
static void trim_look_at_coldest(struct TrimScan *scan) {
    trim_sweep(scan, TRIM_COLD, TRIM_SCAN_MAX / 2);
    if (scan->n_looks < TRIM_SCAN_MAX / 2) {
        scan->part = trim_sweep(scan, TRIM_PART, TRIM_SCAN_MAX / 2);
    } else {
        scan->cold = TRIM_AGES;
        scan->part = (struct TrimPlace){0};
    }
}

static void trim_look_around(struct TrimScan *scan) {
    struct TrimPlace end = trim_sweep(scan, TRIM_REST, TRIM_SCAN_MAX);
    struct Pool *pool = scan->pool;
    bool is_through = end.slab > scan->n_slabs;

    pool->warm_cursor =
        (uint32_t)(((uint64_t)scan->first + (is_through ? scan->n_slabs : end.slab % scan->n_slabs)) % pool->gauges.n);
    pool->warm_slot = is_through ? 0 : end.slot;
}

static void trim_gather(struct TrimScan *scan) {
    if (!scan->pool->gauges.n)
        return;
    scan->first = scan->pool->warm_cursor % scan->pool->gauges.n;
    trim_glance(scan);
    scan->cold = trim_cold(scan);
    trim_look_at_coldest(scan);
    trim_look_around(scan);
}

/* Only what may still go: a table that changes while it is read can have a slot be found twice. */
static bool trim_candidate(const struct TrimCandidate *candidate) {
    struct Slab *slab = candidate->slab;

    if (!trim_may(slab, candidate->slot))
        return false;
    if (slab->records[candidate->slot].granted)
        return !grant_trim(slab, candidate->slot);
    slab_clean_slot(slab, candidate->slot);
    return slab->records[candidate->slot].cleaning;
}

static uint64_t greater(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t trim_goal(const struct TrimAsk *ask, const struct TrimCandidate *candidates, size_t n) {
    uint64_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += candidates[i].bytes;
    return greater(greater(ask->bytes, ask->half ? all / 2 : 0), all > ask->keep_bytes ? all - ask->keep_bytes : 0);
}

static struct TrimScan *trim_scan_new(struct Pool *pool, const struct TrimAsk *ask, uint64_t now_ms) {
    struct TrimScan *scan = malloc(sizeof(*scan));

    if (!scan)
        return NULL;
    /* Not the candidates: they are many, and written before they are read. */
    memset(scan, 0, offsetof(struct TrimScan, candidates));
    scan->pool = pool;
    scan->ask = ask;
    scan->now_ms = now_ms;
    return scan;
}

uint64_t trim_warm(struct Pool *pool, const struct TrimAsk *ask, uint64_t now_ms) {
    struct TrimScan *scan = trim_scan_new(pool, ask, now_ms);
    struct TrimCount *count = &pool->counters.trims[ask->why];
    uint64_t goal, trimmed = 0;

    if (!scan)
        return 0; /* tried again at the next tick */
    trim_gather(scan);
    goal = trim_goal(ask, scan->candidates, scan->n);
    qsort(scan->candidates, scan->n, sizeof(scan->candidates[0]), candidate_compare);
    for (size_t i = 0; i < scan->n && i < TRIM_BATCH_MAX && trimmed < goal; i++) {
        if (!trim_candidate(&scan->candidates[i]))
            continue;
        trimmed += scan->candidates[i].bytes;
        count->slots++;
        count->bytes += scan->candidates[i].bytes;
    }
    free(scan);
    return trimmed;
}
