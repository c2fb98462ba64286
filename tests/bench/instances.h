/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_INSTANCES_H
#define TESTS_BENCH_INSTANCES_H

/* Whole instances of binaries: allocate, initialize and deallocate, beside the sum of the copies that nobody can do
 * without. */

#include "tests/bench/sample.h"

#define INSTANCES_N 5
extern const struct InstanceRow {
    const char *title, *module;
    unsigned touch;
    unsigned parts; /* which copies there are: a bit for each enum InstancePart */
} INSTANCE_ROWS[INSTANCES_N];

enum InstanceColumn { INSTANCE_EMBEDDED, INSTANCE_DAEMON, INSTANCE_COLUMNS_N };
enum InstancePart { PART_TEMPLATE, PART_TABLE, PART_PAGES, PARTS_N };

/* Nanoseconds a cycle, one value for each repetition. */
struct InstanceCell {
    struct Sample cost[INSTANCE_COLUMNS_N];
    struct Sample parts[PARTS_N], floor;     /* the sum of the parts */
    struct Sample ratio[INSTANCE_COLUMNS_N]; /* within one repetition: the cost over the floor */
};

struct Instances {
    const char *program, *address; /* bench-cycle; of the daemon */
    const char *modules;           /* where the binaries lie */
    struct InstanceCell cells[INSTANCES_N];
};

/* One repetition, in the opposite order each other time. 0 or a negative errno. */
int instances_repeat(struct Instances *instances, unsigned repetition);

#endif
