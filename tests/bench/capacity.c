/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/capacity.h"

#include "tests/bench/runner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CAPACITY_GAIN_ROUNDS 120
#define CAPACITY_GAIN_ROUNDS_LEAST 10 /* that nobody interrupted; fewer say too little */
#define CAPACITY_GAIN_ATTEMPTS 5      /* for each repetition: where the machine is busy, wait for it */
#define CAPACITY_GAIN_LEAST 0.95
#define CAPACITY_WARM 1000

static const struct CapacityUnit US = {"us", 1e-3, 1}, MS = {"ms", 1e-6, 2}, NS = {"ns", 1, 0}, BYTES = {"bytes", 1, 0},
                                 MIB = {"MiB", 1. / (1 << 20), 1}, GIB_S = {"GiB/s", 1e9 / (1 << 30), 2},
                                 PERCENT = {"%", 100, 3}, NUMBER = {"", 1, 0}, TIMES = {"x", 1, 2};

const struct CapacityLine CAPACITY_LINES[CAPACITY_LINES_N] = {
    {CAPACITY_RECALL, "recall-50us-p50", "recall, holds of 50 us, p50", &US, "half a hold + round trip", NULL, false},
    {CAPACITY_RECALL, "recall-50us", "recall, holds of 50 us, p95", &US, "hold + round trip", "2 holds + 1 ms", false},
    {CAPACITY_RECALL, "recall-1ms-p50", "recall, holds of 1 ms, p50", &MS, "half a hold + round trip", NULL, false},
    {CAPACITY_RECALL, "recall-1ms", "recall, holds of 1 ms, p95", &MS, "hold + round trip", "2 holds + 1 ms", false},
    {CAPACITY_RECALL, "recall-20ms-p50", "recall, holds of 20 ms, p50", &MS, "half a hold + round trip", NULL, false},
    {CAPACITY_RECALL, "recall-20ms", "recall, holds of 20 ms, p95", &MS, "hold + round trip", "2 holds + 1 ms", false},
    {CAPACITY_STOPPED, "stopped-p50", "want from a stopped process, p50", &US, "round trip + punch of 16 pages", NULL,
     false},
    {CAPACITY_STOPPED, "stopped-p99", "want from a stopped process, p99", &US, "the same, p50", NULL, false},
    {CAPACITY_STOPPED, "stopped-near-p50", "the same on one processor, p50", &US, "the same", "1.5 x the floor", false},
    {CAPACITY_STOPPED, "stopped-near-p99", "the same on one processor, p99", &US, "the same, p50", "4 x the floor",
     false},
    {CAPACITY_STOPPED, "stopped-far-p50", "the same between two, p50", &US, "the same", "1.5 x the floor", false},
    {CAPACITY_STOPPED, "stopped-far-p99", "the same between two, p99", &US, "the same, p50", "4 x the floor", false},
    {CAPACITY_BURST, "burst-allocated", "16 bursts of 200, instances", &NUMBER, NULL, "all", true},
    {CAPACITY_BURST, "burst-peak", "16 bursts of 200, peak", &MIB, "one burst", "1.25 x the floor", false},
    {CAPACITY_BURST, "burst-private", "the same, 16 private pools", &MIB, "one burst", NULL, false},
    {CAPACITY_SLOTS, "slots-cycle", "take and release, 100,000 slots", &NS, "with 100", "1.2 x the floor", false},
    {CAPACITY_SLOTS, "slots-grant", "a grant, 100,000 slots", &NS, "with 100", "1.5 x the floor", false},
    {CAPACITY_SLOTS, "slots-revoke", "a grant by revoking, 100,000 slots", &US, "with 100", "1.5 x the floor", false},
    {CAPACITY_SLOTS, "slots-memory", "daemon's memory for a slot", &BYTES, "its entry", "200 bytes", false},
    {CAPACITY_IDLE, "idle-cpu", "1,000 idle connections, processor", &PERCENT, "no connection", "0.1 %", false},
    {CAPACITY_IDLE, "idle-memory", "memory for a connection", &BYTES, "two pages", "64 KiB", false},
    {CAPACITY_TRIM, "trim-rate", "trim of idle memory of 8 processes", &GIB_S, "plain punches, one thread", NULL, true},
    {CAPACITY_TRIM, "trim-p99", "busy worker meanwhile, p99", &NS, "p99 without", "2 x the floor", false},
    {CAPACITY_COLD, "cold-first", "first instance, shared 1 MiB image", &US, "a slot mapped, 1 MiB copied",
     "1.5 x the floor", false},
    {CAPACITY_COLD, "cold-first-p95", "the same, p95", &US, "the same, p95", NULL, false},
    {CAPACITY_COLD, "cold-next", "6th instance of that image", &US, "the same, 6th slot", NULL, false},
    {CAPACITY_COLD, "cold-last", "64th instance of that image", &US, "the same, 64th slot", "the first instance",
     false},
    {CAPACITY_COLD, "cold-growth", "64th over 6th of that image", &TIMES, "the floor's",
     "the floor's + 1.5 x its quartiles' distance", false},
    {CAPACITY_GAIN, "threads-empty", "two threads, empty modules", &TIMES, "arithmetic", "0.95 x the floor", true},
    {CAPACITY_GAIN, "threads-64k", "two threads, 64 KiB, 1 page", &TIMES, "arithmetic", "0.95 x the floor", true},
    {CAPACITY_GAIN, "processes-empty", "two processes, empty modules", &TIMES, "arithmetic", "0.95 x the floor", true},
    {CAPACITY_GAIN, "processes-64k", "two processes, 64 KiB, 1 page", &TIMES, "arithmetic", "0.95 x the floor", true},
};

static const char *const CAPACITY_NAMES[CAPACITY_EXPERIMENTS_N] = {
    [CAPACITY_RECALL] = "recall", [CAPACITY_STOPPED] = "stopped", [CAPACITY_BURST] = "burst",
    [CAPACITY_SLOTS] = "slots",   [CAPACITY_IDLE] = "idle",       [CAPACITY_TRIM] = "trim",
    [CAPACITY_COLD] = "cold",
};

static void capacity_add(struct Capacity *capacity, const char *key, double value, double floor, double bound) {
    for (unsigned i = 0; i < CAPACITY_LINES_N; i++) {
        struct CapacityCell *cell = &capacity->cells[i];

        if (strcmp(CAPACITY_LINES[i].key, key))
            continue;
        sample_add(&cell->value, value);
        if (!isnan(floor))
            sample_add(&cell->floor, floor);
        if (!isnan(bound))
            sample_add(&cell->over_bound, value / bound);
    }
}

/* ------------------------------------------------------------------------------------------------ experiments */

struct CapacityRun {
    struct Capacity *capacity;
    enum CapacityExperiment experiment;
};

static void capacity_read(void *data, const char *text) {
    struct CapacityRun *run = data;
    struct Capacity *capacity = run->capacity;
    double value, floor, bound;
    char key[64];

    if (!strncmp(text, "skip ", 5))
        snprintf(capacity->skipped[run->experiment], sizeof(capacity->skipped[0]), "%s", text + 5);
    else if (sscanf(text, "%63s %lf %lf %lf", key, &value, &floor, &bound) == 4)
        capacity_add(capacity, key, value, floor, bound);
    else
        capacity->failed[run->experiment] = true;
}

static bool capacity_is_over(const struct Capacity *capacity, enum CapacityExperiment experiment) {
    return capacity->failed[experiment] || *capacity->skipped[experiment];
}

static void capacity_run(struct Capacity *capacity, enum CapacityExperiment experiment) {
    const char *const command[] = {capacity->program, CAPACITY_NAMES[experiment], capacity->modules, NULL};
    struct CapacityRun run = {capacity, experiment};

    if (runner_read(command, capacity_read, &run))
        capacity->failed[experiment] = true;
}

/* ------------------------------------------------------------------------------------------------ gains */

static const struct CapacityGain {
    const char *key, *module;
    unsigned touch;
    bool threads;
} CAPACITY_GAINS[] = {
    {"threads-empty", "empty", 0, true},
    {"threads-64k", "memory64k", 1, true},
    {"processes-empty", "empty", 0, false},
    {"processes-64k", "memory64k", 1, false},
};

/* Returns whether enough of it was left undisturbed. */
static bool capacity_try_gain(struct Capacity *capacity, const struct CapacityGain *gain) {
    struct Task task = {
        .work = "pool",
        .against = "arithmetic",
        .module = gain->module,
        .touch = gain->touch,
        .address = capacity->address,
        .threads = gain->threads,
        .warm = CAPACITY_WARM,
        .rounds = CAPACITY_GAIN_ROUNDS,
    };
    struct Gains gains;
    double floor;

    if (runner_gains(capacity->cycle, &task, &gains)) {
        capacity->failed[CAPACITY_GAIN] = true;
        return true;
    }
    if (gains.rounds < CAPACITY_GAIN_ROUNDS_LEAST)
        return false;
    floor = gains.both[0] / gains.alone[0];
    capacity_add(capacity, gain->key, gains.both[1] / gains.alone[1], floor, CAPACITY_GAIN_LEAST * floor);
    return true;
}

static void capacity_run_gain(struct Capacity *capacity) {
    const char *const why = capacity->one_processor ? "there is one processor only"
                                                    : "others kept the processors busy";

    for (size_t i = 0; i < sizeof(CAPACITY_GAINS) / sizeof(CAPACITY_GAINS[0]); i++) {
        unsigned attempt = 0;

        while (!capacity->one_processor && attempt < CAPACITY_GAIN_ATTEMPTS &&
               !capacity_try_gain(capacity, &CAPACITY_GAINS[i]))
            attempt++;
        if (capacity->one_processor || attempt == CAPACITY_GAIN_ATTEMPTS)
            snprintf(capacity->skipped[CAPACITY_GAIN], sizeof(capacity->skipped[0]), "%s", why);
    }
}

void capacity_repeat(struct Capacity *capacity, unsigned repetitions) {
    for (unsigned i = 0; i < repetitions; i++)
        for (unsigned e = 0; e < CAPACITY_EXPERIMENTS_N; e++) {
            bool is_long = e == CAPACITY_IDLE || e == CAPACITY_TRIM;

            if (capacity_is_over(capacity, e) || (is_long && i >= CAPACITY_LONG_REPETITIONS))
                continue;
            if (e == CAPACITY_GAIN)
                capacity_run_gain(capacity);
            else
                capacity_run(capacity, e);
        }
}
