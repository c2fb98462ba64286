/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_FIGURES_H
#define TESTS_BENCH_FIGURES_H

/* What must hold, with the figures that show whether it does. */

#include "tests/bench/capacity.h"
#include "tests/bench/peers.h"
#include "tests/bench/reading.h"
#include "tests/bench/reset.h"
#include "tests/bench/series.h"
#include "tests/bench/steady.h"
#include "tests/bench/gallery.h"

/* Failed: it could not be measured, or what does not depend on time is not as it must be. */
enum Outcome { FIGURE_OK, FIGURE_MISSED, FIGURE_SKIPPED, FIGURE_FAILED };
#define FIGURE_OUTCOMES_N 4

struct Figure {
    enum Outcome outcome;
    double value, bound;
    char text[320];
};

#define FIGURES_MAX 80

struct Figures {
    struct Figure at[FIGURES_MAX];
    unsigned n;
};

/* One more; the text as with printf. */
__attribute__((format(printf, 5, 6)))
void figures_add(struct Figures *figures, enum Outcome outcome, double value, double bound, const char *format, ...);

/* From what was timed. */
void figures_add_timed(struct Figures *figures, const struct Series *series);

/* Of memories that are given back, and of warm cycles. */
void figures_add_reset(struct Figures *figures, const struct Reset *reset);
void figures_add_steady(struct Figures *figures, const struct Steady *steady);

/* Of whole instances beside Wasmtime's. */
void figures_add_peers(struct Figures *figures, const struct Peers *peers);

/* Of reading binaries: rates and memory. */
void figures_add_reading(struct Figures *figures, const struct Reading *reading);

/* Of capacity that moves: what has a bound. */
void figures_add_capacity(struct Figures *figures, const struct Capacity *capacity);

/* Of wasmpool-thumbs from its start to its end. */
void figures_add_gallery(struct Figures *figures, const struct Gallery *gallery);

/* Counted in one run each under strace: round trips, file descriptors and mappings. */
void figures_add_counted(struct Figures *figures, const struct Series *series);

#endif
