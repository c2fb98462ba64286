/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"
#include "tests/bench/runner.h"

#include <limits.h>

/* What must hold of memories that are given back, and of warm cycles. */

#define RESET_MOST 1.25
#define TAIL_MOST 3
#define GAIN_LEAST 0.95
#define SILENT_CYCLES 2000

/* ------------------------------------------------------------------------------------------------ reset */

static void figures_add_reset_of(struct Figures *figures, const struct Reset *reset, bool data) {
    unsigned n = 0, within = 0, worst_size = 0, worst_hot = 0;
    double worst = 0;

    for (unsigned i = 0; i < RESET_SIZES_N; i++)
        for (unsigned h = 0; h < RESET_HOT_N; h++) {
            const struct Sample *over = &reset->cells[i][h].over_floor;

            if (RESET_SIZES[i].data != data || !over->n)
                continue;
            n++;
            within += sample_median(over) <= RESET_MOST;
            if (sample_median(over) <= worst)
                continue;
            worst = sample_median(over);
            worst_size = i;
            worst_hot = h;
        }
    figures_add(figures, worst <= RESET_MOST ? FIGURE_OK : FIGURE_MISSED, worst, RESET_MOST,
                "daemon: giving back a memory of %s costs at most %.2f of the cheaper of all of it and getrusage and "
                "the hot pages (%s, %u hot), must be at most %.2f; so it is in %u of %u rows",
                data ? "data" : "zeroes", worst, RESET_SIZES[worst_size].title, RESET_HOT[worst_hot], RESET_MOST,
                within, n);
}

/* System calls of a whole run. */
static int silent_calls(const struct Reset *reset, uint64_t cycles, unsigned *callsp) {
    char file[PATH_MAX], line[4096];
    struct Task task = {
        .work = "reset", .file = file, .address = reset->address, .touch = 4, .stride = 16384, .cycles = cycles};
    unsigned calls = 0;
    FILE *trace;
    int r;

    snprintf(file, sizeof(file), "%s/zero64k.wasm", reset->modules);
    /* The daemon's answer is waited for once or twice, as it happens. */
    r = runner_trace(reset->program, &task, "trace=!poll,ppoll,recvmsg,futex", &trace);
    if (r)
        return r;
    rewind(trace);
    while (fgets(line, sizeof(line), trace))
        calls++;
    fclose(trace);
    *callsp = calls;
    return 0;
}

static void figures_add_silence(struct Figures *figures, const struct Reset *reset) {
    unsigned few, more;
    char reason[256];

    if (!runner_can_trace(reason, sizeof(reason)))
        figures_add(figures, FIGURE_SKIPPED, 0, 0, "system calls of giving back 64 KiB: %s", reason);
    else if (silent_calls(reset, SILENT_CYCLES, &few) || silent_calls(reset, 2 * SILENT_CYCLES, &more))
        figures_add(figures, FIGURE_FAILED, 0, 0, "system calls of giving back 64 KiB: the run failed");
    else
        figures_add(figures, few == more ? FIGURE_OK : FIGURE_FAILED, (double)more - few, 0,
                    "daemon: giving back 64 KiB makes no system call: %u in a run of %d cycles, %u in one of %d", few,
                    SILENT_CYCLES, more, 2 * SILENT_CYCLES);
}

void figures_add_reset(struct Figures *figures, const struct Reset *reset) {
    figures_add_reset_of(figures, reset, false);
    figures_add_reset_of(figures, reset, true);
    figures_add_silence(figures, reset);
}

/* ------------------------------------------------------------------------------------------------ steady */

static void figures_add_tail(struct Figures *figures, const struct Steady *steady, enum SteadyColumn column,
                             const char *name) {
    const struct SteadyCell *worst = &steady->cells[0];
    double ratio;

    for (unsigned i = 1; i < STEADY_ROWS_N; i++)
        if (sample_median(&steady->cells[i].own_tail[column]) > sample_median(&worst->own_tail[column]))
            worst = &steady->cells[i];
    ratio = sample_median(&worst->own_tail[column]);
    figures_add(figures, ratio <= TAIL_MOST ? FIGURE_OK : FIGURE_MISSED, ratio, TAIL_MOST,
                "%s: p99 of warm cycles is at most %.2f (%.2f..%.2f) of p50, less what a memset loop's is over its own "
                "p50 (%s; as they are: %.2f, a memset loop's %.2f), must be at most %d",
                name, ratio, sample_quantile(&worst->own_tail[column], 0.25),
                sample_quantile(&worst->own_tail[column], 0.75), STEADY_ROWS[worst - steady->cells].title,
                sample_median(&worst->tail[column]), sample_median(&worst->tail[STEADY_MEMSET]), TAIL_MOST);
}

static void figures_add_gain(struct Figures *figures, const struct Steady *steady, enum SteadyPair pair,
                             const char *name) {
    const struct SteadyCell *cells = steady->cells;
    unsigned worst = STEADY_ROWS_N;
    double ratio;

    for (unsigned i = 0; i < STEADY_ROWS_N; i++)
        if (cells[i].gain_ratio[pair].n &&
            (worst == STEADY_ROWS_N ||
             sample_median(&cells[i].gain_ratio[pair]) < sample_median(&cells[worst].gain_ratio[pair])))
            worst = i;
    if (worst == STEADY_ROWS_N) {
        figures_add(figures, FIGURE_SKIPPED, 0, GAIN_LEAST, "warm cycles on %s: %s", name,
                    steady->one_processor ? "there is one processor only" : "others kept the processors busy");
        return;
    }
    ratio = sample_median(&cells[worst].gain_ratio[pair]);
    figures_add(figures, ratio >= GAIN_LEAST ? FIGURE_OK : FIGURE_MISSED, ratio, GAIN_LEAST,
                "daemon: %s do at least %.2f x of one's warm cycles (%s), a memset loop %.2f x, one getrusage and writing "
                "the pages %.2f x: %.2f (%.2f..%.2f) of the memset loop's, must be at least %.2f",
                name, sample_median(&cells[worst].gain_cycle[pair]), STEADY_ROWS[worst].title,
                sample_median(&cells[worst].gain_memset[pair]), sample_median(&cells[worst].gain_floor[pair]), ratio,
                sample_quantile(&cells[worst].gain_ratio[pair], 0.25),
                sample_quantile(&cells[worst].gain_ratio[pair], 0.75), GAIN_LEAST);
}

void figures_add_steady(struct Figures *figures, const struct Steady *steady) {
    figures_add_tail(figures, steady, STEADY_EMBEDDED, "embedded");
    figures_add_tail(figures, steady, STEADY_DAEMON, "daemon");
    figures_add_gain(figures, steady, STEADY_THREADS, "two threads");
    figures_add_gain(figures, steady, STEADY_PROCESSES, "two processes");
}
