/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/instances.h"

#include "tests/bench/runner.h"

#include <limits.h>
#include <stdbool.h>

#define INSTANCES_MS 25
#define INSTANCES_WARM 1000

const struct InstanceRow INSTANCE_ROWS[INSTANCES_N] = {
    {"empty", "empty", 0, 1 << PART_TEMPLATE},
    {"100 globals", "globals100", 0, 1 << PART_TEMPLATE},
    {"table of 1000, 200 elements", "table1000init", 0, 1 << PART_TEMPLATE | 1 << PART_TABLE},
    {"17 pages, 430 bytes of data", "data430", 0, 1 << PART_TEMPLATE | 1 << PART_PAGES},
    {"the same, 4 pages touched", "data430", 4, 1 << PART_TEMPLATE | 1 << PART_PAGES},
};

static const char *const INSTANCE_ADDRESSES[INSTANCE_COLUMNS_N] = {[INSTANCE_EMBEDDED] = "embedded:"};
static const char *const INSTANCE_PARTS[PARTS_N] = {"copy-template", "copy-table", "copy-pages"};

static int instances_measure(const struct Instances *instances, const struct InstanceRow *row, const char *work,
                             const char *address, struct Sample *sample) {
    char file[PATH_MAX];
    struct Task task = {
        .work = work,
        .file = file,
        .address = address,
        .touch = row->touch,
        .warm = INSTANCES_WARM,
        .ms = INSTANCES_MS,
    };
    struct Rate rate;
    int r;

    snprintf(file, sizeof(file), "%s/%s.wasm", instances->modules, row->module);
    r = runner_measure(instances->program, &task, &rate);
    if (!r)
        sample_add(sample, rate.ns);
    return r;
}

static int instances_repeat_floor(struct Instances *instances, const struct InstanceRow *row, struct InstanceCell *cell,
                                  unsigned repetition) {
    double sum = 0;

    for (unsigned i = 0; i < PARTS_N; i++) {
        int r;

        if (!(row->parts & 1 << i))
            continue;
        r = instances_measure(instances, row, INSTANCE_PARTS[i], NULL, &cell->parts[i]);
        if (r)
            return r;
        sum += cell->parts[i].at[repetition];
    }
    sample_add(&cell->floor, sum);
    return 0;
}

static int instances_repeat_row(struct Instances *instances, unsigned index, unsigned repetition) {
    const struct InstanceRow *row = &INSTANCE_ROWS[index];
    struct InstanceCell *cell = &instances->cells[index];
    bool backwards = repetition % 2;
    int r = instances_repeat_floor(instances, row, cell, repetition);

    for (unsigned i = 0; i < INSTANCE_COLUMNS_N && !r; i++) {
        unsigned column = backwards ? INSTANCE_COLUMNS_N - 1 - i : i;
        const char *address = INSTANCE_ADDRESSES[column] ? INSTANCE_ADDRESSES[column] : instances->address;

        r = instances_measure(instances, row, "instance", address, &cell->cost[column]);
        if (!r)
            sample_add(&cell->ratio[column], cell->cost[column].at[repetition] / cell->floor.at[repetition]);
    }
    return r;
}

int instances_repeat(struct Instances *instances, unsigned repetition) {
    int r = 0;

    for (unsigned i = 0; i < INSTANCES_N && !r; i++)
        r = instances_repeat_row(instances, repetition % 2 ? INSTANCES_N - 1 - i : i, repetition);
    return r;
}
