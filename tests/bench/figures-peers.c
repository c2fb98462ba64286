/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"
#include "tests/bench/versus.h"

#include <math.h>
#include <stdio.h>

/* What must hold beside Wasmtime's best. */

#define TOTAL_FEW_MOST 0.5
#define TOTAL_MANY_MOST 0.85
#define DIFFERENCE_MEAN_MOST 0.4
#define DIFFERENCE_MOST 0.7
#define LARGE_MOST 0.35
#define MEMORY_MOST 1.05

/* Of the rows with few touched pages, or of those with many. */
struct Worst {
    double ratio;
    unsigned row, n, within; /* the worst one; how many there are, and meet the bound */
    unsigned beyond;         /* how many cannot meet it, whoever resets them: their floor does not */
};

static bool peer_row_is_few(unsigned row) {
    return PEER_ROWS[row].touch <= PEER_TOUCH_FEW;
}

static void worst_add(struct Worst *worst, unsigned row, double ratio, double bound) {
    worst->n++;
    worst->within += ratio <= bound;
    if (ratio <= worst->ratio)
        return;
    worst->ratio = ratio;
    worst->row = row;
}

/* ------------------------------------------------------------------------------------------------ totals */

static void figures_add_totals(struct Figures *figures, const struct Peers *peers, enum PeerMode mode,
                               enum PeerColumn column, bool few) {
    double bound = few ? TOTAL_FEW_MOST : TOTAL_MANY_MOST;
    struct Worst worst = {0};
    char beyond[64] = "";

    for (unsigned row = 0; row < PEER_ROWS_N; row++)
        if (peer_row_is_few(row) == few) {
            worst_add(&worst, row, versus_row(peers, mode, row, column).total, bound);
            worst.beyond += versus_floor(peers, row) > bound;
        }
    if (worst.beyond)
        snprintf(beyond, sizeof(beyond), "; the dirty pages alone cost more in %u", worst.beyond);
    figures_add(figures, worst.ratio <= bound ? FIGURE_OK : FIGURE_MISSED, worst.ratio, bound,
                "%s, %s, %s: at most %.2f of Wasmtime's best (%s), must be at most %.2f; so it is in %u of %u rows%s",
                PEER_WAYS[column].title, PEER_MODE_NAMES[mode], few ? "up to 16 pages" : "64 pages", worst.ratio,
                PEER_ROWS[worst.row].title, bound, worst.within, worst.n, beyond);
}

/* ------------------------------------------------------------------------------------------------ differences */

static void figures_add_differences(struct Figures *figures, const struct Peers *peers, enum PeerColumn column) {
    struct Worst worst = {0};
    double logarithms = 0, mean;

    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        double ratio = versus_row(peers, PEER_ONE, row, column).difference;

        if (isnan(ratio) || !peer_row_is_few(row))
            continue;
        worst_add(&worst, row, ratio, DIFFERENCE_MOST);
        logarithms += log(ratio);
    }
    mean = exp(logarithms / worst.n);
    figures_add(figures, mean <= DIFFERENCE_MEAN_MOST ? FIGURE_OK : FIGURE_MISSED, mean, DIFFERENCE_MEAN_MOST,
                "%s: more than an empty module, up to 16 pages: geometric mean %.2f of Wasmtime's best, must be at "
                "most %.2f",
                PEER_WAYS[column].title, mean, DIFFERENCE_MEAN_MOST);
    figures_add(figures, worst.ratio <= DIFFERENCE_MOST ? FIGURE_OK : FIGURE_MISSED, worst.ratio, DIFFERENCE_MOST,
                "%s: the same, each row: at most %.2f (%s), must be at most %.2f; so it is in %u of %u rows",
                PEER_WAYS[column].title, worst.ratio, PEER_ROWS[worst.row].title, DIFFERENCE_MOST, worst.within,
                worst.n);
}

static void figures_add_large(struct Figures *figures, const struct Peers *peers, enum PeerColumn column) {
    struct Versus versus = versus_row(peers, PEER_ONE, PEER_ROW_LARGE, column);
    double worse = fmax(versus.total, versus.difference);

    figures_add(figures, worse <= LARGE_MOST ? FIGURE_OK : FIGURE_MISSED, worse, LARGE_MOST,
                "%s: 4 pages of a large memory: %.2f of Wasmtime's best, %.2f of what it costs more than an empty "
                "module, must be at most %.2f",
                PEER_WAYS[column].title, versus.total, versus.difference, LARGE_MOST);
}

/* ------------------------------------------------------------------------------------------------ memory */

static void figures_add_memory(struct Figures *figures, const struct Peers *peers, enum PeerColumn column) {
    unsigned fleet = PEER_FLEETS_N - 1;
    enum PeerColumn best = peers_best_memory(peers, fleet);
    double ratio = versus_memory(peers, fleet, column);

    figures_add(figures, ratio <= MEMORY_MOST ? FIGURE_OK : FIGURE_MISSED, ratio, MEMORY_MOST,
                "%s: %u processes with %d instances each take %.1f MiB of Pss for them, %.3f of Wasmtime's %.1f MiB, "
                "must be at most %.2f",
                PEER_WAYS[column].title, PEER_FLEETS[fleet], PEER_HELD,
                sample_median(&peers->memory[fleet][column].growth) / (1 << 20), ratio,
                sample_median(&peers->memory[fleet][best].growth) / (1 << 20), MEMORY_MOST);
}

void figures_add_peers(struct Figures *figures, const struct Peers *peers) {
    for (unsigned column = PEER_EMBEDDED; column <= PEER_DAEMON; column++) {
        figures_add_totals(figures, peers, PEER_ONE, column, true);
        figures_add_totals(figures, peers, PEER_ONE, column, false);
        figures_add_differences(figures, peers, column);
        figures_add_large(figures, peers, column);
        figures_add_memory(figures, peers, column);
    }
    for (unsigned mode = PEER_ONE + 1; mode < PEER_MODES_N && !peers->one_processor; mode++) {
        figures_add_totals(figures, peers, mode, PEER_DAEMON, true);
        figures_add_totals(figures, peers, mode, PEER_DAEMON, false);
    }
}
