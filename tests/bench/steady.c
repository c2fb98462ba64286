/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/steady.h"

#include "tests/bench/runner.h"

#include <limits.h>
#include <string.h>

#define STEADY_MS 40
#define STEADY_WARM 1000
#define STEADY_GAIN_ROUNDS 60
#define STEADY_GAIN_ROUNDS_LEAST 10 /* that nobody interrupted; fewer say too little */

const struct SteadyRow STEADY_ROWS[STEADY_ROWS_N] = {
    {"64 KiB, 4 pages", "memory64k", 4, 4096},
    {"17 pages and data, 4 pages", "data430", 4, 4096},
    {"1 MiB of data, 4 pages", "image1m", 4, 4096},
    {"64 MiB, 4 pages spread", "zero64m", 4, 16 << 20},
};

static struct Task steady_task(const struct Steady *steady, const struct SteadyRow *row, char file[static PATH_MAX]) {
    snprintf(file, PATH_MAX, "%s/%s.wasm", steady->modules, row->module);
    return (struct Task){
        .work = "instance",
        .module = "memory64k", /* what the memset loop zeroes */
        .file = file,
        .address = steady->address,
        .touch = row->touch,
        .stride = row->stride,
        .warm = STEADY_WARM,
    };
}

static int steady_repeat_tails(struct Steady *steady, const struct SteadyRow *row, struct SteadyCell *cell) {
    char file[PATH_MAX];
    struct Task task = steady_task(steady, row, file);
    double p50[STEADY_COLUMNS_N], p99[STEADY_COLUMNS_N];

    task.ms = STEADY_MS;
    task.quantiles = true;
    for (unsigned column = 0; column < STEADY_COLUMNS_N; column++) {
        struct Rate rate;
        int r;

        task.address = column == STEADY_EMBEDDED ? "embedded:" : steady->address;
        if (column == STEADY_MEMSET)
            task.work = "zero";
        r = runner_measure(steady->program, &task, &rate);
        if (r)
            return r;
        p50[column] = rate.p50;
        p99[column] = rate.p99;
    }
    for (unsigned column = 0; column < STEADY_COLUMNS_N; column++) {
        sample_add(&cell->p50[column], p50[column]);
        sample_add(&cell->p99[column], p99[column]);
        sample_add(&cell->tail[column], p99[column] / p50[column]);
        sample_add(&cell->own_tail[column], (p99[column] - p99[STEADY_MEMSET] + p50[STEADY_MEMSET]) / p50[column]);
    }
    return 0;
}

/* 0 where too few rounds were left alone. */
static int steady_gain(const struct Steady *steady, const struct Task *task, struct Gains *gainsp) {
    int r = runner_gains(steady->program, task, gainsp);

    if (!r && gainsp->rounds < STEADY_GAIN_ROUNDS_LEAST)
        *gainsp = (struct Gains){0};
    return r;
}

static int steady_repeat_gain(struct Steady *steady, const struct SteadyRow *row, enum SteadyPair pair,
                              struct SteadyCell *cell) {
    char file[PATH_MAX];
    struct Task task = steady_task(steady, row, file);
    struct Gains gains;
    double memset_gain, cycle_gain;
    int r;

    task.against = "zero";
    task.rounds = STEADY_GAIN_ROUNDS;
    task.threads = pair == STEADY_THREADS;
    r = steady_gain(steady, &task, &gains);
    if (r || !gains.rounds)
        return r;
    memset_gain = gains.both[0] / gains.alone[0];
    cycle_gain = gains.both[1] / gains.alone[1];
    sample_add(&cell->gain_memset[pair], memset_gain);
    sample_add(&cell->gain_cycle[pair], cycle_gain);
    sample_add(&cell->gain_ratio[pair], cycle_gain / memset_gain);
    task.work = "reset-gate";
    r = steady_gain(steady, &task, &gains);
    if (!r && gains.rounds)
        sample_add(&cell->gain_floor[pair], gains.both[1] / gains.alone[1]);
    return r;
}

int steady_repeat(struct Steady *steady, unsigned repetition) {
    int r = 0;

    for (unsigned i = 0; i < STEADY_ROWS_N && !r; i++) {
        unsigned index = repetition % 2 ? STEADY_ROWS_N - 1 - i : i;

        r = steady_repeat_tails(steady, &STEADY_ROWS[index], &steady->cells[index]);
        for (unsigned pair = 0; pair < STEADY_PAIRS_N && !r && !steady->one_processor; pair++)
            r = steady_repeat_gain(steady, &STEADY_ROWS[index], pair, &steady->cells[index]);
    }
    return r;
}
