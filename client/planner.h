/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_PLANNER_H
#define CLIENT_PLANNER_H

/* How the memories of one image are reset, or those without an image of one module: chosen by what resets have cost and
 * found.
 *
 *    COUNT <--> SCAN     whether the process' faults are asked for before the written pages are looked up: worth it where
 *                        they often stand still, unless many threads make the question dear
 *    COUNT, SCAN --> WHOLE --> COUNT   where most pages are hot, all are written without asking anything; after some
 *                        time it is tried again, less and less often
 *
 * One reset in PLANNER_EVERY of each slot (in more, where it costs too much) is timed and told here, and each scan; the
 * others touch nothing that threads share. What is written in turns has no lock: of two that decide at once one is
 * forgotten. */

#include "client/tracker.h"
#include "shared/lease.h"

#include <stdatomic.h>
#include <stdint.h>

#define PLANNER_EVERY 64 /* a power of two, as are the others */
#define PLANNER_EVERY_MAX 65536
/* And with COUNT one in so many looks up the written pages whatever the count says, to know what that costs now: 54 us
 * for 256 MiB of memory, whose resets take 0.4. */
#define PLANNER_LOOK_EVERY 65536

struct Planner {
    _Alignas(64) _Atomic uint32_t way;   /* enum LeaseReset: COUNT, SCAN or WHOLE */
    _Atomic uint32_t every;              /* one reset in so many is timed with SCAN */
    _Atomic uint32_t count_ns, scan_ns;  /* what the question and the scan cost, averages; 0: not known */
    _Atomic uint32_t still_permille;     /* how often the count stood still */
    _Atomic uint32_t whole_left;         /* timed resets until WHOLE is left, */
    _Atomic uint32_t whole_next;         /* and how many it will be the next time */
    _Atomic uint64_t grown_bytes;        /* that any has grown to, of those whose bounds are explicit */
};

/* A reset that was timed. */
struct PlannerSample {
    uint64_t count_ns;          /* that the question took; 0: it was not asked */
    bool counted, still;        /* still: the count had not moved */
    uint32_t hot, pages;        /* hot pages, of so many */
};

void planner_init(struct Planner *planner);
void planner_learn(struct Planner *planner, const struct PlannerSample *sample);
/* A scan took so long; each is told. */
void planner_learn_scan(struct Planner *planner, uint64_t ns);

/* One reset in so many is timed. */
static inline uint32_t planner_every(const struct Planner *planner, enum LeaseReset way) {
    return way == LEASE_RESET_SCAN ? atomic_load_explicit(&((struct Planner *)planner)->every, memory_order_relaxed)
                                   : PLANNER_EVERY;
}

/* How many resets there must be for a scan to cost less than 1 % of them: of hot pages they take 0.4 us or more. */
static inline uint32_t planner_resets_for_scan(const struct Planner *planner) {
    return atomic_load_explicit(&((struct Planner *)planner)->scan_ns, memory_order_relaxed) / 4;
}

void planner_learn_growth(struct Planner *planner, uint64_t bytes);

static inline enum LeaseReset planner_way(const struct Planner *planner) {
    return (enum LeaseReset)atomic_load_explicit(&((struct Planner *)planner)->way, memory_order_relaxed);
}

#endif
