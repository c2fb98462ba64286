/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/trim.h"

#include "daemon/grant.h"
#include "shared/memfd.h"

#include <stdlib.h>

#define TRIM_EXTENTS_MAX 64 /* of a slot, where the kernel cannot count its pages in one call */
#define TRIM_NS_PER_MS UINT64_C(1000000)

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
    unsigned age; /* how often the time since it was taken doubles; UINT_MAX if that lies in the future */
    uint64_t bytes;
};

struct TrimGathered {
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

/* What may go: an idle slot's pages, and those of a slot that its client has no right to use and wrote to all the same. */
static bool trim_may(const struct Slab *slab, uint32_t slot) {
    const struct SlotRecord *record = &slab->records[slot];

    return record->granted ? trim_is_idle(slab, slot) : !record->cleaning && !record->retired;
}

static void trim_gather_slab(struct Slab *slab, uint64_t now_ms, struct TrimGathered *gathered) {
    for (uint32_t i = 0; i < slab->shape.count && gathered->n < TRIM_SCAN_MAX; i++) {
        uint64_t bytes;

        if (!trim_may(slab, i))
            continue;
        gathered->n_looks++;
        bytes = trim_slot_bytes(slab, i);
        if (bytes)
            gathered->candidates[gathered->n++] = (struct TrimCandidate){
                .slab = slab,
                .slot = i,
                .age = slab->records[i].granted ? trim_age(trim_taken_ms(slab, i), now_ms) : UINT32_MAX,
                .bytes = bytes};
    }
}

static void trim_gather(struct Pool *pool, uint64_t now_ms, const struct TrimAsk *ask, struct TrimGathered *gathered) {
    struct Gauges *gauges = &pool->gauges;

    for (uint32_t seen = 0; seen < gauges->n && gathered->n_looks < TRIM_SCAN_MAX; seen++) {
        struct Slab *slab = gauges->all[pool->warm_cursor++ % gauges->n].slab;

        if (ask->belongs && !ask->belongs(slab->client, ask->data))
            continue;
        slab_measure(slab);
        if (slab->resident_bytes)
            trim_gather_slab(slab, now_ms, gathered);
    }
}

static bool trim_candidate(const struct TrimCandidate *candidate) {
    if (candidate->slab->records[candidate->slot].granted)
        return !grant_trim(candidate->slab, candidate->slot);
    slab_clean_slot(candidate->slab, candidate->slot);
    return true;
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

uint64_t trim_warm(struct Pool *pool, const struct TrimAsk *ask, uint64_t now_ms) {
    struct TrimGathered *gathered = malloc(sizeof(*gathered));
    struct TrimCount *count = &pool->counters.trims[ask->why];
    uint64_t goal, trimmed = 0;

    if (!gathered)
        return 0; /* tried again at the next tick */
    gathered->n = gathered->n_looks = 0;
    trim_gather(pool, now_ms, ask, gathered);
    goal = trim_goal(ask, gathered->candidates, gathered->n);
    qsort(gathered->candidates, gathered->n, sizeof(gathered->candidates[0]), candidate_compare);
    for (size_t i = 0; i < gathered->n && i < TRIM_BATCH_MAX && trimmed < goal; i++) {
        const struct TrimCandidate *candidate = &gathered->candidates[i];

        if (!trim_candidate(candidate))
            continue;
        trimmed += candidate->bytes;
        count->slots++;
        count->bytes += candidate->bytes;
    }
    free(gathered);
    return trimmed;
}
