/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_SERIES_H
#define TESTS_BENCH_SERIES_H

/* What is measured: a table of modules by runtimes, the machine's floors, and what a second process gains. */

#include "tests/bench/sample.h"

#include <stdbool.h>

enum Column { COLUMN_EMBEDDED, COLUMN_DAEMON, COLUMN_STOCK, COLUMN_ZERO, COLUMNS_N };

struct Row {
    const char *title, *module;
    unsigned touch;
    bool zeroed; /* has bytes, and is measured in the column of zeroing */
};

#define ROWS_N 10
extern const struct Row ROWS[ROWS_N];
#define ROW_EMPTY 0
#define ROW_MEMORY_64K 2

#define FLOORS_N 4
extern const struct Floor {
    const char *work, *title;
} FLOORS[FLOORS_N];

extern const char *const COLUMN_NAMES[COLUMNS_N];

/* Nanoseconds a cycle, one value for each repetition. */
struct Series {
    const char *program, *address; /* bench-cycle; of the daemon */
    struct Sample cells[ROWS_N][COLUMNS_N];
    struct Sample floors[FLOORS_N];
    /* Within one repetition: a 64 KiB cycle over 1.5 x zeroing 64 KiB + 300 ns. */
    struct Sample over_bound[COLUMNS_N];
    /* Cycles a second of two processes over those of one: zeroing 64 KiB, and the 64 KiB cycle through the daemon. */
    struct Sample gain_zero, gain_cycle;
    struct Sample gain_ratio; /* the second over the first */
    bool one_processor;       /* nothing to gain */
};

/* One repetition of everything but the gains, in the opposite order each other time. 0 or a negative errno. */
int series_repeat(struct Series *series, unsigned repetition);
/* A repetition of the gains. One in which the machine was too busy adds nothing. */
int series_repeat_gain(struct Series *series);

#endif
