/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/reset.h"

#include "tests/bench/runner.h"

#include <limits.h>
#include <string.h>

#define RESET_MS 12
#define RESET_WARM 300
#define RESET_WARM_ALL 2 /* each of these may take milliseconds */
#define RESET_HOST_PAGES 16 /* of a wasm page */

const struct ResetSize RESET_SIZES[RESET_SIZES_N] = {
    {"64 KiB of zeroes", "zero64k", 1, false},     {"256 KiB of zeroes", "zero256k", 4, false},
    {"1 MiB of zeroes", "zero1m", 16, false},      {"4 MiB of zeroes", "zero4m", 64, false},
    {"16 MiB of zeroes", "zero16m", 256, false},   {"64 MiB of zeroes", "zero64m", 1024, false},
    {"256 MiB of zeroes", "zero256m", 4096, false}, {"64 KiB of data", "data64k", 1, true},
    {"1 MiB of data", "data1m", 16, true},         {"16 MiB of data", "data16m", 256, true},
};

const unsigned RESET_HOT[RESET_HOT_N] = {1, 4, 16, 64};

static int reset_measure(const struct Reset *reset, const struct ResetSize *size, const char *work, unsigned hot,
                         struct Sample *sample) {
    bool ours = hot && !strcmp(work, "reset"), all = !hot;
    char file[PATH_MAX];
    struct Task task = {
        .work = work,
        .file = file,
        .address = ours ? reset->address : NULL,
        .touch = hot,
        .stride = hot ? (uint64_t)size->wasm_pages * 65536 / hot : 0,
        .warm = all ? RESET_WARM_ALL : RESET_WARM,
        .ms = RESET_MS,
        .part = true,
    };
    struct Rate rate;
    int r;

    snprintf(file, sizeof(file), "%s/%s.wasm", reset->modules, size->module);
    r = runner_measure(reset->program, &task, &rate);
    if (!r)
        sample_add(sample, rate.ns);
    return r;
}

static int reset_repeat_cell(struct Reset *reset, unsigned index, unsigned h, unsigned repetition) {
    const struct ResetSize *size = &RESET_SIZES[index];
    struct ResetCell *cell = &reset->cells[index][h];
    double all = reset->all[index].at[repetition], floor;
    int r = 0;

    if (repetition % 2)
        r = reset_measure(reset, size, "reset", RESET_HOT[h], &cell->cost);
    if (!r)
        r = reset_measure(reset, size, "reset-gate", RESET_HOT[h], &cell->gate);
    if (!r)
        r = reset_measure(reset, size, "reset-oracle", RESET_HOT[h], &cell->oracle);
    if (!r && repetition % 2 == 0)
        r = reset_measure(reset, size, "reset", RESET_HOT[h], &cell->cost);
    if (r)
        return r;
    floor = cell->gate.at[repetition];
    if (all < floor || size->wasm_pages <= RESET_SILENT_WASM_PAGES)
        floor = all;
    sample_add(&cell->over_floor, cell->cost.at[repetition] / floor);
    return 0;
}

int reset_repeat(struct Reset *reset, unsigned repetition) {
    int r = 0;

    for (unsigned i = 0; i < RESET_SIZES_N && !r; i++) {
        unsigned index = repetition % 2 ? RESET_SIZES_N - 1 - i : i;

        r = reset_measure(reset, &RESET_SIZES[index], "reset-all", 0, &reset->all[index]);
        for (unsigned h = 0; h < RESET_HOT_N && !r; h++)
            if (RESET_HOT[h] <= RESET_SIZES[index].wasm_pages * RESET_HOST_PAGES)
                r = reset_repeat_cell(reset, index, h, repetition);
    }
    return r;
}
