/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_FOOTPRINT_H
#define TESTS_BENCH_FOOTPRINT_H

/* What instances cost in memory while they are there, as the kernel counts it for their processes. */

#include "tests/bench/runner.h"

#define FOOTPRINT_PROCESSES_MAX 8

enum FootprintQuantity { FOOTPRINT_PSS, FOOTPRINT_PAGE_TABLES, FOOTPRINT_VM_SIZE, FOOTPRINT_QUANTITIES_N };

/* Bytes, of all processes together: with an allocator but before the first instance, and with all of them. */
struct Footprint {
    double before[FOOTPRINT_QUANTITIES_N], held[FOOTPRINT_QUANTITIES_N];
};

/* Have so many processes hold what the task says. What a daemon has is counted with them; 0: there is none. 0 or a
 * negative errno. */
int footprint_measure(const char *program, const struct Task *task, unsigned processes, pid_t daemon,
                      struct Footprint *footprintp);

#endif
