/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "tests/bench/capacity.h"
#include "tests/bench/figures.h"
#include "tests/bench/instances.h"
#include "tests/bench/peers.h"
#include "tests/bench/reading.h"
#include "tests/bench/reset.h"
#include "tests/bench/series.h"
#include "tests/bench/steady.h"
#include "tests/bench/gallery.h"

struct Report {
    const struct Series *series;
    const struct Instances *instances;
    const struct Reset *reset;
    const struct Steady *steady;
    const struct Peers *peers;
    const struct Reading *reading;
    const struct Capacity *capacity;
    const struct Gallery *gallery;
    const struct Figures *figures;
    bool cycles, versus, moves, whole; /* what was measured: all but the following, peers, capacity, thumbs */
};

/* For people, on standard output. */
void report_text(const struct Report *report);

/* For programs. 0 or a negative errno. */
int report_json(const struct Report *report, const char *path);

#endif
