/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_STEADY_H
#define TESTS_BENCH_STEADY_H

/* How steady warm cycles of whole instances are, each beside a memset loop's own: single ones, and those of two threads
 * and of two processes. */

#include "tests/bench/sample.h"

#include <stdbool.h>

#define STEADY_ROWS_N 4
extern const struct SteadyRow {
    const char *title, *module;
    unsigned touch;
    unsigned stride; /* bytes */
} STEADY_ROWS[STEADY_ROWS_N];

enum SteadyColumn { STEADY_EMBEDDED, STEADY_DAEMON, STEADY_MEMSET, STEADY_COLUMNS_N };
enum SteadyPair { STEADY_THREADS, STEADY_PROCESSES, STEADY_PAIRS_N };

struct SteadyCell {
    struct Sample p50[STEADY_COLUMNS_N], p99[STEADY_COLUMNS_N]; /* nanoseconds */
    struct Sample tail[STEADY_COLUMNS_N]; /* within one repetition: p99 over p50 */
    /* The same of p99 less what the memset loop's exceeds its own p50 by: what the machine does to some cycles of every
     * program adds as much to all of them, whatever they take. */
    struct Sample own_tail[STEADY_COLUMNS_N];
    /* Cycles a second of two over those of one: the memset loop's, and those through the daemon; and their quotient. A
     * repetition in which others kept the processors busy adds nothing. */
    struct Sample gain_memset[STEADY_PAIRS_N], gain_cycle[STEADY_PAIRS_N], gain_ratio[STEADY_PAIRS_N];
    struct Sample gain_floor[STEADY_PAIRS_N]; /* of one getrusage and writing the touched pages, with nothing around it:
                                                 the call writes what all threads of a process share */
};

struct Steady {
    const char *program, *address, *modules; /* as in struct Reset */
    bool one_processor;                      /* nothing to gain */
    struct SteadyCell cells[STEADY_ROWS_N];
};

/* One repetition. 0 or a negative errno. */
int steady_repeat(struct Steady *steady, unsigned repetition);

#endif
