/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"
#include "tests/bench/report.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bench: measure, print, and end with status 1 when something that must hold does not. The daemon's address comes from
 * with-daemon, in BENCH_ADDRESS. */

#define REPETITIONS 15
#define CAPACITY_REPETITIONS 5
#define GAIN_REPETITIONS_LEAST 7 /* where the machine is busy, wait for them: */
#define GAIN_ATTEMPTS_MOST 75    /* half a second each */

struct Bench {
    const char *json;
    unsigned repetitions;
    bool cycles, moves; /* which parts */
    struct Series series;
    struct Instances instances;
    struct Reading reading;
    struct Capacity capacity;
    struct Figures figures;
};

static bool one_processor(void) {
    cpu_set_t set;

    return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2;
}

static void parse(struct Bench *bench, int argc, char **argv) {
    static const struct option options[] = {
        {"cycle", required_argument, NULL, 'c'},
        {"modules", required_argument, NULL, 'm'},
        {"capacity", required_argument, NULL, 'C'},
        {"only", required_argument, NULL, 'o'},
        {"json", required_argument, NULL, 'j'},
        {"repetitions", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    int option, n;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'c':
            bench->series.program = optarg;
            break;
        case 'm':
            bench->instances.modules = bench->reading.modules = optarg;
            break;
        case 'C':
            bench->capacity.program = optarg;
            break;
        case 'o':
            bench->cycles = !strcmp(optarg, "cycles");
            bench->moves = !strcmp(optarg, "capacity");
            break;
        case 'j':
            bench->json = optarg;
            break;
        case 'r':
            n = atoi(optarg);
            bench->repetitions = n < 1 ? 1 : n > SAMPLE_MAX ? SAMPLE_MAX : (unsigned)n;
            break;
        default:
            exit(2);
        }
    bench->series.address = getenv("BENCH_ADDRESS");
    if (!bench->series.program || !bench->series.address || !bench->instances.modules || !bench->capacity.program ||
        !(bench->cycles || bench->moves)) {
        fprintf(stderr, "usage: with-daemon DAEMON -- bench --cycle BENCH-CYCLE --modules DIRECTORY "
                        "--capacity BENCH-CAPACITY [--only cycles|capacity] [--json FILE] [--repetitions N]\n");
        exit(2);
    }
    bench->instances.program = bench->reading.program = bench->series.program;
    bench->instances.address = bench->capacity.address = bench->series.address;
    bench->capacity.cycle = bench->series.program;
    bench->series.one_processor = bench->capacity.one_processor = one_processor();
}

static int repeat(struct Bench *bench) {
    unsigned attempts = 0, enough;
    int r = 0;

    for (unsigned i = 0; i < bench->repetitions && !r; i++) {
        r = series_repeat(&bench->series, i);
        if (!r)
            r = instances_repeat(&bench->instances, i);
        if (!r)
            r = reading_repeat(&bench->reading);
        if (!r && !bench->series.one_processor)
            r = series_repeat_gain(&bench->series);
    }
    enough = bench->repetitions < GAIN_REPETITIONS_LEAST ? bench->repetitions : GAIN_REPETITIONS_LEAST;
    while (!r && !bench->series.one_processor && bench->series.gain_ratio.n < enough && attempts++ < GAIN_ATTEMPTS_MOST)
        r = series_repeat_gain(&bench->series);
    return r;
}

static int measure(struct Bench *bench) {
    unsigned repetitions = bench->repetitions < CAPACITY_REPETITIONS ? bench->repetitions : CAPACITY_REPETITIONS;
    int r;

    if (bench->cycles) {
        r = repeat(bench);
        if (r)
            return r;
        figures_add_timed(&bench->figures, &bench->series);
        figures_add_reading(&bench->figures, &bench->reading);
        figures_add_counted(&bench->figures, &bench->series);
    }
    if (bench->moves) {
        capacity_repeat(&bench->capacity, repetitions);
        figures_add_capacity(&bench->figures, &bench->capacity);
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct Bench bench = {.repetitions = REPETITIONS, .cycles = true, .moves = true};
    struct Report report = {
        .series = &bench.series,
        .instances = &bench.instances,
        .reading = &bench.reading,
        .capacity = &bench.capacity,
        .figures = &bench.figures,
    };
    int r, missed = 0;

    parse(&bench, argc, argv);
    r = measure(&bench);
    if (r) {
        fprintf(stderr, "bench: a measurement failed: %s\n", strerror(-r));
        return 2;
    }
    report.cycles = bench.cycles;
    report.moves = bench.moves;
    report_text(&report);
    if (bench.json) {
        r = report_json(&report, bench.json);
        if (r) {
            fprintf(stderr, "bench: %s: %s\n", bench.json, strerror(-r));
            return 2;
        }
    }
    for (unsigned i = 0; i < bench.figures.n; i++)
        missed += bench.figures.at[i].outcome == FIGURE_MISSED || bench.figures.at[i].outcome == FIGURE_FAILED;
    return missed ? 1 : 0;
}
