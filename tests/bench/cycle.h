/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_CYCLE_H
#define TESTS_BENCH_CYCLE_H

/* What bench-cycle is asked to do. */

#include "tests/bench/work.h"

#define CYCLE_PROCESSES_MAX 64

struct Cycle {
    const struct Work *work, *against;
    struct WorkOptions options;
    uint64_t warm, cycles, ms, hold;
    uint32_t processes, rounds;
    int watch; /* pid; 0: nobody */
    bool pin, peak, threads, wait, part, quantiles;
};

/* From the command line. Ends the process with a message when that makes no sense, and after --help. */
void cycle_parse(struct Cycle *cycle, int argc, char **argv);

#endif
