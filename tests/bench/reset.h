/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_RESET_H
#define TESTS_BENCH_RESET_H

/* What it costs to make a memory what it was at first, when the same pages are written to each time: the library's
 * deallocate_memories, beside what that costs who knows which pages those are, or knows nothing and does it all. */

#include "tests/bench/sample.h"

#include <stdbool.h>

#define RESET_SIZES_N 10
extern const struct ResetSize {
    const char *title, *module;
    unsigned wasm_pages;
    bool data; /* its pages hold data, otherwise zero */
} RESET_SIZES[RESET_SIZES_N];

#define RESET_HOT_N 4
extern const unsigned RESET_HOT[RESET_HOT_N]; /* pages, evenly spread */

/* Up to here it must be done without a system call: nobody may ask the kernel which pages they are. */
#define RESET_SILENT_WASM_PAGES 1

/* Nanoseconds, one value for each repetition. */
struct ResetCell {
    struct Sample cost, gate, oracle; /* the library; getrusage and the hot pages; the hot pages */
    struct Sample over_floor;         /* within one repetition: the cost over the cheaper of gate and all */
};

struct Reset {
    const char *program, *address; /* bench-cycle; of the daemon */
    const char *modules;           /* where the binaries lie */
    struct Sample all[RESET_SIZES_N];
    struct ResetCell cells[RESET_SIZES_N][RESET_HOT_N]; /* empty where there are not as many pages */
};

/* One repetition, in the opposite order each other time. 0 or a negative errno. */
int reset_repeat(struct Reset *reset, unsigned repetition);

#endif
