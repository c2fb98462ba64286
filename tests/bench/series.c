/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/series.h"

#include "tests/bench/runner.h"

#include <string.h>

#define SERIES_MS 25
#define SERIES_GAIN_ROUNDS 120
#define SERIES_GAIN_ROUNDS_LEAST 10 /* that nobody interrupted; fewer say too little */
#define SERIES_WARM 1000
#define SERIES_STOCK_CYCLES 10000 /* the stock runtime leaks address space: 8 GiB for each memory */

const struct Row ROWS[ROWS_N] = {
    [ROW_EMPTY] = {"empty", "empty", 0, false},
    {"table of 1000 elements", "table1000", 0, true},
    [ROW_MEMORY_64K] = {"memory of 64 KiB, untouched", "memory64k", 0, true},
    {"memory of 64 KiB, 1 page", "memory64k", 1, false},
    {"memory of 64 KiB, 4 pages", "memory64k", 4, false},
    {"memory of 64 KiB, 16 pages", "memory64k", 16, false},
    {"memory of 1 MiB, untouched", "memory1m", 0, true},
    {"memory of 1 MiB, 1 page", "memory1m", 1, false},
    {"memory of 1 MiB, 4 pages", "memory1m", 4, false},
    {"memory of 1 MiB, 16 pages", "memory1m", 16, false},
};

const struct Floor FLOORS[FLOORS_N] = {
    {"cas", "compare-and-swap"},
    {"clock", "clock read"},
    {"roundtrip-near", "round trip, one processor"},
    {"roundtrip-far", "round trip, two processors"},
};

const char *const COLUMN_NAMES[COLUMNS_N] = {"embedded", "daemon", "stock wasm2c", "zeroing it all"};

static struct Task series_task(const struct Series *series, const struct Row *row, enum Column column) {
    struct Task task = {
        .work = column == COLUMN_STOCK ? "stock" : column == COLUMN_ZERO ? "zero" : "pool",
        .module = row->module,
        .touch = row->touch,
        .warm = SERIES_WARM,
        .ms = SERIES_MS,
    };

    if (column == COLUMN_EMBEDDED)
        task.address = "embedded:";
    if (column == COLUMN_DAEMON)
        task.address = series->address;
    if (column == COLUMN_STOCK) {
        task.warm = 10;
        task.ms = 0;
        task.cycles = SERIES_STOCK_CYCLES;
    }
    return task;
}

static int series_measure(const struct Series *series, const struct Task *task, struct Sample *sample) {
    struct Rate rate;
    int r = runner_measure(series->program, task, &rate);

    if (!r)
        sample_add(sample, rate.ns);
    return r;
}

static int series_repeat_row(struct Series *series, unsigned index, bool backwards) {
    const struct Row *row = &ROWS[index];

    for (unsigned i = 0; i < COLUMNS_N; i++) {
        enum Column column = backwards ? COLUMNS_N - 1 - i : i;
        struct Task task = series_task(series, row, column);
        int r;

        if (column == COLUMN_ZERO && !row->zeroed)
            continue;
        r = series_measure(series, &task, &series->cells[index][column]);
        if (r)
            return r;
    }
    return 0;
}

static int series_repeat_floors(struct Series *series) {
    for (unsigned i = 0; i < FLOORS_N; i++) {
        struct Task task = {.work = FLOORS[i].work, .warm = 100, .ms = SERIES_MS};
        int r;

        if (series->one_processor && !strcmp(FLOORS[i].work, "roundtrip-far"))
            continue;
        r = series_measure(series, &task, &series->floors[i]);
        if (r)
            return r;
    }
    return 0;
}

int series_repeat(struct Series *series, unsigned repetition) {
    const struct Sample *cells = series->cells[ROW_MEMORY_64K];
    bool backwards = repetition % 2;
    int r = series_repeat_floors(series);

    for (unsigned i = 0; i < ROWS_N && !r; i++)
        r = series_repeat_row(series, backwards ? ROWS_N - 1 - i : i, backwards);
    if (r)
        return r;
    for (unsigned i = COLUMN_EMBEDDED; i <= COLUMN_DAEMON; i++)
        sample_add(&series->over_bound[i],
                   cells[i].at[repetition] / (1.5 * cells[COLUMN_ZERO].at[repetition] + 300));
    return 0;
}

int series_repeat_gain(struct Series *series) {
    struct Task task = series_task(series, &ROWS[ROW_MEMORY_64K], COLUMN_DAEMON);
    struct Gains gains;
    double zero, cycle;
    int r;

    task.against = "zero";
    task.rounds = SERIES_GAIN_ROUNDS;
    r = runner_gains(series->program, &task, &gains);
    if (r || gains.rounds < SERIES_GAIN_ROUNDS_LEAST)
        return r;
    zero = gains.both[0] / gains.alone[0];
    cycle = gains.both[1] / gains.alone[1];
    sample_add(&series->gain_zero, zero);
    sample_add(&series->gain_cycle, cycle);
    sample_add(&series->gain_ratio, cycle / zero);
    return 0;
}
