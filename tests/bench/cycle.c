/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/gain.h"
#include "tests/bench/gang.h"
#include "tests/bench/work.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bench-cycle: do one thing over and over, and say how long it took. Prints a line "cycles nanoseconds" for each
 * process; with --watch also "watched timeslices nanoseconds", and how many nanoseconds went by, and with --peak "peak
 * bytes". With --cycles it makes no system call of its own while it measures. */

#define PROCESSES_MAX 64
#define SLICE_NS 1000000 /* shorter than the scheduler's own */

static const struct Work *const WORKS[] = {
    &WORK_POOL,          &WORK_STOCK,     &WORK_ZERO,      &WORK_CAS,      &WORK_CLOCK,         &WORK_ARITHMETIC,
    &WORK_ROUNDTRIP_NEAR,
    &WORK_ROUNDTRIP_FAR, &WORK_READ,      &WORK_READ_FILE, &WORK_INSTANCE, &WORK_COPY_TEMPLATE, &WORK_COPY_TABLE,
    &WORK_COPY_PAGES,
};
#define WORKS_N (sizeof(WORKS) / sizeof(WORKS[0]))

struct Cycle {
    const struct Work *work, *against;
    struct WorkOptions options;
    uint64_t warm, cycles, ms, hold;
    uint32_t processes, rounds;
    int watch; /* pid; 0: nobody */
    bool pin, peak, threads;
};

struct CycleResult {
    uint64_t cycles, ns;
};

/* Shared by the processes of one measurement. */
struct CycleBoard {
    const struct Cycle *cycle;
    pthread_barrier_t start;
    struct CycleResult results[PROCESSES_MAX];
};

/* ------------------------------------------------------------------------------------------------ measuring */

static struct CycleResult run_cycles(const struct Cycle *cycle, void *state) {
    uint64_t start = work_now_ns();

    cycle->work->run(state, cycle->cycles);
    return (struct CycleResult){cycle->cycles, work_now_ns() - start};
}

/* By time, in slices. One in which somebody else took the processor away says nothing about a cycle, and on a machine
 * that others use it would be most of what is measured: it does not count, and the time is extended until enough do. */
static struct CycleResult run_ms(const struct Cycle *cycle, void *state) {
    uint64_t start = work_now_ns(), now = start, batch = 1, all = 0, ns = cycle->ms * 1000000;
    struct CycleResult result = {0};

    while (now - start < ns || (result.ns < ns / 5 && now - start < ns * 10)) {
        uint64_t begin = now, n = 0;
        long interruptions = work_interruptions();

        while (now - begin < SLICE_NS) {
            uint64_t before = now;

            cycle->work->run(state, batch);
            n += batch;
            now = work_now_ns();
            if (now - before < WORK_BATCH_NS / 2)
                batch *= 2;
        }
        all += n;
        if (cycle->work->waits || work_interruptions() == interruptions) {
            result.cycles += n;
            result.ns += now - begin;
        }
    }
    return result.cycles ? result : (struct CycleResult){all, now - start};
}

/* How long the watched process's main thread has run, and how many times. */
static struct CycleResult watch(int pid) {
    unsigned long long ran, waited, slices;
    char path[64];
    FILE *file;
    int n;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
    file = fopen(path, "re");
    if (!file)
        work_fail(path, strerror(errno));
    n = fscanf(file, "%llu %llu %llu", &ran, &waited, &slices);
    fclose(file);
    if (n != 3)
        work_fail(path, "is not readable");
    return (struct CycleResult){slices, ran};
}

static void measure(const struct Cycle *cycle, struct CycleBoard *board, uint32_t self) {
    struct CycleResult before = {0}, after;
    uint64_t start;
    void *state;

    if (cycle->pin)
        work_pin(self);
    state = cycle->work->open(&cycle->options);
    if (cycle->hold) {
        cycle->work->hold(state, cycle->hold);
        cycle->work->close(state);
        return;
    }
    cycle->work->run(state, cycle->warm);
    if (board)
        pthread_barrier_wait(&board->start);
    if (cycle->watch)
        before = watch(cycle->watch);
    start = work_now_ns();
    after = cycle->ms ? run_ms(cycle, state) : run_cycles(cycle, state);
    if (board)
        board->results[self] = after;
    else
        printf("%llu %llu\n", (unsigned long long)after.cycles, (unsigned long long)after.ns);
    if (cycle->watch) {
        after = watch(cycle->watch);
        printf("watched %llu %llu %llu\n", (unsigned long long)(after.cycles - before.cycles),
               (unsigned long long)(after.ns - before.ns), (unsigned long long)(work_now_ns() - start));
    }
    cycle->work->close(state);
    if (cycle->peak)
        printf("peak %llu\n", (unsigned long long)work_peak_bytes());
}

/* ------------------------------------------------------------------------------------------------ processes */

static void measure_member(void *argument, unsigned self) {
    struct CycleBoard *board = argument;

    measure(board->cycle, board, self);
}

static int measure_processes(const struct Cycle *cycle) {
    struct CycleBoard *board = gang_share(sizeof(*board));

    board->cycle = cycle;
    gang_barrier_init(&board->start, cycle->processes);
    if (gang_run(cycle->processes, measure_member, board))
        return 1;
    for (uint32_t i = 0; i < cycle->processes; i++)
        printf("%llu %llu\n", (unsigned long long)board->results[i].cycles, (unsigned long long)board->results[i].ns);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ options */

static const struct option OPTIONS[] = {
    {"work", required_argument, NULL, 'w'},    {"module", required_argument, NULL, 'm'},
    {"address", required_argument, NULL, 'a'}, {"touch", required_argument, NULL, 't'},
    {"warm", required_argument, NULL, 'W'},    {"cycles", required_argument, NULL, 'c'},
    {"ms", required_argument, NULL, 'T'},      {"hold", required_argument, NULL, 'H'},
    {"watch", required_argument, NULL, 'P'},   {"processes", required_argument, NULL, 'p'},
    {"pin", no_argument, NULL, 'n'},           {"against", required_argument, NULL, 'A'},
    {"rounds", required_argument, NULL, 'r'},  {"file", required_argument, NULL, 'f'},
    {"peak", no_argument, NULL, 'k'},          {"threads", no_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

static void usage(void) {
    printf("usage: bench-cycle [OPTION...]\n"
           "  --work W       what to do, see below (pool)\n"
           "  --module M     empty, memory64k, memory1m or table1000 (empty)\n"
           "  --file F       a WebAssembly binary, for the works that read one\n"
           "  --touch N      host pages that each cycle writes to, at most %d (0)\n"
           "  --address A    of the library's allocator ($WASMPOOL_ADDRESS, else embedded:)\n"
           "  --warm N       cycles before the clock runs (1000)\n"
           "  --cycles N     cycles (10000)\n"
           "  --ms N         or as many as fit into so many milliseconds\n"
           "  --hold N       measure nothing: have N instances at one time, once\n"
           "  --processes N  side by side, started together (1)\n"
           "  --pin          process i on processor i\n"
           "  --watch PID    also how often and how long that process ran meanwhile\n"
           "  --peak         also the most memory that was resident\n"
           "  --against W    instead: what a second process gains, beside that work; a line for each round\n"
           "  --rounds N     so many (20)\n"
           "  --threads      of a second thread with the same allocator, not of a process\n"
           "works:\n",
           WORK_TOUCH_MAX);
    for (size_t i = 0; i < WORKS_N; i++)
        printf("  %-14s %s\n", WORKS[i]->name, WORKS[i]->meaning);
}

static const struct Work *find_work(const char *name) {
    for (size_t i = 0; i < WORKS_N; i++)
        if (!strcmp(WORKS[i]->name, name))
            return WORKS[i];
    work_fail(name, "is not a work");
}

static uint64_t number(const char *text, uint64_t most) {
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value > most)
        work_fail(text, "is not a number in range");
    return value;
}

static void set_option(struct Cycle *cycle, int option, const char *value) {
    switch (option) {
    case 'w':
        cycle->work = find_work(value);
        break;
    case 'm':
        cycle->options.module = work_module(value);
        if (!cycle->options.module)
            work_fail(value, "is not a module");
        break;
    case 'a':
        cycle->options.address = value;
        break;
    case 't':
        cycle->options.touch = (uint32_t)number(value, WORK_TOUCH_MAX);
        break;
    case 'W':
        cycle->warm = number(value, UINT64_MAX);
        break;
    case 'c':
        cycle->cycles = number(value, UINT64_MAX);
        break;
    case 'T':
        cycle->ms = number(value, 3600000);
        break;
    case 'H':
        cycle->hold = number(value, 1000000);
        break;
    case 'P':
        cycle->watch = (int)number(value, INT32_MAX);
        break;
    case 'p':
        cycle->processes = (uint32_t)number(value, PROCESSES_MAX);
        break;
    case 'A':
        cycle->against = find_work(value);
        break;
    case 'r':
        cycle->rounds = (uint32_t)number(value, 1000);
        break;
    case 'f':
        cycle->options.file = value;
        break;
    case 'n':
        cycle->pin = true;
        break;
    case 'd':
        cycle->threads = cycle->options.shared = true;
        break;
    case 'k':
        cycle->peak = true;
        break;
    case 'h':
        usage();
        exit(0);
    default:
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct Cycle cycle = {
        .work = &WORK_POOL,
        .options.module = work_module("empty"),
        .warm = 1000,
        .cycles = 10000,
        .processes = 1,
        .rounds = 20,
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1)
        set_option(&cycle, option, optarg);
    if (optind < argc)
        work_fail(argv[optind], "is not an option");
    if (cycle.hold && !cycle.work->hold)
        work_fail("--hold", "means nothing for this work");
    if (cycle.against)
        return gain_run(&(struct Gain){{cycle.against, cycle.work}, cycle.options, cycle.warm, cycle.rounds,
                                       cycle.threads});
    if (cycle.processes > 1)
        return measure_processes(&cycle);
    measure(&cycle, NULL, 0);
    return fflush(stdout) ? 1 : 0;
}
