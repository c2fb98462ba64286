/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_GAIN_H
#define TESTS_BENCH_GAIN_H

/* What a second process or thread gains, of two works in comparison. */

#include "tests/bench/work.h"

struct Gain {
    const struct Work *works[2];
    struct WorkOptions options;
    uint64_t warm;
    unsigned rounds;
    bool threads; /* of one process, with one allocator; otherwise processes */
};

/* Print a line for each round: cycles a microsecond of the first and second work by one process or thread, and of
 * both by two together. Rounds that somebody interrupted are left out. 0, or 1 when a process failed. */
int gain_run(const struct Gain *gain);

#endif
