/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_CAPACITY_H
#define TESTS_BENCH_CAPACITY_H

/* Capacity that moves between processes: what bench-capacity's experiments measure, and what a second thread or process
 * gains. Each quantity has its floor, measured in the same run, and most have a bound. */

#include "tests/bench/sample.h"

#include <stdbool.h>

enum CapacityExperiment {
    CAPACITY_RECALL,
    CAPACITY_STOPPED,
    CAPACITY_BURST,
    CAPACITY_SLOTS,
    CAPACITY_IDLE,
    CAPACITY_TRIM,
    CAPACITY_COLD,
    CAPACITY_GAIN, /* bench-cycle's */
    CAPACITY_EXPERIMENTS_N,
};

struct CapacityUnit {
    const char *name;
    double scale; /* from what the experiment prints */
    int digits;
};

struct CapacityLine {
    enum CapacityExperiment experiment;
    const char *key, *title;
    const struct CapacityUnit *unit;
    const char *floor, *bound; /* what they are, for people; NULL: there is none */
    bool at_least;             /* the bound is one from below */
};

#define CAPACITY_LONG_REPETITIONS 3 /* of idle and trim */

#define CAPACITY_LINES_N 32
extern const struct CapacityLine CAPACITY_LINES[CAPACITY_LINES_N];

/* In the experiment's units. */
struct CapacityCell {
    struct Sample value, floor;
    struct Sample over_bound; /* within one repetition: the value over the bound */
};

struct Capacity {
    const char *program, *cycle, *address; /* bench-capacity, bench-cycle; of the daemon for the gains */
    const char *modules;                   /* where the binaries lie */
    bool one_processor;                    /* nothing to gain */
    struct CapacityCell cells[CAPACITY_LINES_N];
    bool failed[CAPACITY_EXPERIMENTS_N];
    char skipped[CAPACITY_EXPERIMENTS_N][128]; /* why; empty: it was not */
};

/* So many repetitions; of those that take long fewer. What fails is noted, and not repeated. */
void capacity_repeat(struct Capacity *capacity, unsigned repetitions);

#endif
