/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/cycle.h"

#include "tests/bench/gain.h"
#include "tests/bench/gang.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bench-cycle: do one thing over and over, and say how long it took. Prints a line "cycles nanoseconds" for each
 * process or thread; with --watch also "watched timeslices nanoseconds", and how many nanoseconds went by, with --peak
 * "peak bytes", and with --quantiles "quantiles p50 p99". With --cycles it makes no system call of its own while it
 * measures. */

#define SLICE_NS 1000000 /* shorter than the scheduler's own */
#define QUANTILES_MAX (1 << 17)

struct CycleResult {
    uint64_t cycles, ns;
    uint64_t p50, p99; /* of single cycles, if asked for */
};

/* Shared by the processes or threads of one measurement. */
struct CycleBoard {
    const struct Cycle *cycle;
    pthread_barrier_t start;
    struct CycleResult results[CYCLE_PROCESSES_MAX];
};

struct CycleThread {
    struct CycleBoard *board;
    uint32_t self;
    pthread_t thread;
};

/* ------------------------------------------------------------------------------------------------ measuring */

static struct CycleResult run_cycles(const struct Cycle *cycle, void *state) {
    uint64_t start = work_now_ns();

    if (cycle->part)
        return (struct CycleResult){cycle->cycles, cycle->work->run_part(state, cycle->cycles), 0, 0};
    cycle->work->run(state, cycle->cycles);
    return (struct CycleResult){cycle->cycles, work_now_ns() - start, 0, 0};
}

/* By time, in slices. One in which somebody else took the processor away says nothing about a cycle, and on a machine
 * that others use it would be most of what is measured: it does not count, and the time is extended until enough do. */
static struct CycleResult run_ms(const struct Cycle *cycle, void *state) {
    uint64_t start = work_now_ns(), now = start, batch = 1, counted = 0, ns = cycle->ms * 1000000;
    struct CycleResult all = {0}, result = {0};

    while (now - start < ns || (counted < ns / 5 && now - start < ns * 10)) {
        uint64_t begin = now, n = 0, part = 0;
        long interruptions = work_interruptions();

        while (now - begin < SLICE_NS) {
            uint64_t before = now;

            if (cycle->part)
                part += cycle->work->run_part(state, batch);
            else
                cycle->work->run(state, batch);
            n += batch;
            now = work_now_ns();
            if (now - before < WORK_BATCH_NS / 2)
                batch *= 2;
        }
        all.cycles += n;
        all.ns += cycle->part ? part : now - begin;
        if (cycle->work->waits || work_interruptions() == interruptions) {
            result.cycles += n;
            result.ns += cycle->part ? part : now - begin;
            counted += now - begin;
        }
    }
    return result.cycles ? result : all;
}

static int quantile_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Each cycle by itself, with one look at the clock, in slices as above. */
static struct CycleResult run_singly(const struct Cycle *cycle, void *state) {
    uint64_t *each = work_allocate(QUANTILES_MAX * sizeof(*each)), ns = cycle->ms * 1000000;
    uint64_t start, before, now, sum = 0;
    struct CycleResult result;
    size_t n = 0, slice = 0;

    memset(each, 1, QUANTILES_MAX * sizeof(*each)); /* so that its pages are there */
    before = start = work_now_ns();
    while (n < QUANTILES_MAX && (before - start < ns || (!n && before - start < ns * 10))) {
        uint64_t begin = before;
        long interruptions = work_interruptions();

        for (slice = n; slice < QUANTILES_MAX && before - begin < SLICE_NS; before = now) {
            cycle->work->run(state, 1);
            now = work_now_ns();
            each[slice++] = now - before;
        }
        if (work_interruptions() == interruptions)
            n = slice;
        before = work_now_ns();
    }
    n = n ? n : slice;
    qsort(each, n, sizeof(*each), quantile_compare);
    for (size_t i = 0; i < n; i++)
        sum += each[i];
    result = (struct CycleResult){n, sum, each[n / 2], each[n - 1 - n / 100]};
    free(each);
    return result;
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
    return (struct CycleResult){slices, ran, 0, 0};
}

/* ------------------------------------------------------------------------------------------------ holding */

static void say_and_wait(const char *word) {
    int c;

    puts(word);
    if (fflush(stdout))
        exit(1);
    while ((c = getchar()) != EOF && c != '\n')
        continue;
}

static void say_held(void) {
    say_and_wait("held");
}

static void say_nothing(void) {
}

static void hold(const struct Cycle *cycle, void *state) {
    if (cycle->wait)
        say_and_wait("opened");
    cycle->work->hold(state, cycle->hold, cycle->wait ? say_held : say_nothing);
}

/* ------------------------------------------------------------------------------------------------ one of them */

static void print_result(const struct Cycle *cycle, const struct CycleResult *result) {
    printf("%llu %llu\n", (unsigned long long)result->cycles, (unsigned long long)(result->ns ? result->ns : 1));
    if (cycle->quantiles)
        printf("quantiles %llu %llu\n", (unsigned long long)result->p50, (unsigned long long)result->p99);
}

static struct CycleResult run(const struct Cycle *cycle, void *state) {
    if (cycle->quantiles)
        return run_singly(cycle, state);
    return cycle->ms ? run_ms(cycle, state) : run_cycles(cycle, state);
}

static void measure(const struct Cycle *cycle, struct CycleBoard *board, uint32_t self) {
    struct CycleResult before = {0}, after;
    uint64_t start;
    void *state;

    if (cycle->pin)
        work_pin(self);
    state = cycle->work->open(&cycle->options);
    if (cycle->hold) {
        hold(cycle, state);
        cycle->work->close(state);
        return;
    }
    cycle->work->run(state, cycle->warm);
    if (board)
        pthread_barrier_wait(&board->start);
    if (cycle->watch)
        before = watch(cycle->watch);
    start = work_now_ns();
    after = run(cycle, state);
    if (board)
        board->results[self] = after;
    else
        print_result(cycle, &after);
    if (cycle->watch) {
        after = watch(cycle->watch);
        printf("watched %llu %llu %llu\n", (unsigned long long)(after.cycles - before.cycles),
               (unsigned long long)(after.ns - before.ns), (unsigned long long)(work_now_ns() - start));
    }
    cycle->work->close(state);
    if (cycle->peak)
        printf("peak %llu\n", (unsigned long long)work_peak_bytes());
}

/* ------------------------------------------------------------------------------------------------ several */

static void measure_member(void *argument, unsigned self) {
    struct CycleBoard *board = argument;

    measure(board->cycle, board, self);
}

static void *measure_thread(void *argument) {
    struct CycleThread *thread = argument;

    measure_member(thread->board, thread->self);
    return NULL;
}

static int run_threads(struct CycleBoard *board, uint32_t n) {
    struct CycleThread threads[CYCLE_PROCESSES_MAX];

    for (uint32_t i = 0; i < n; i++) {
        threads[i] = (struct CycleThread){.board = board, .self = i};
        if (pthread_create(&threads[i].thread, NULL, measure_thread, &threads[i]))
            work_fail("pthread_create", "there are no threads");
    }
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i].thread, NULL);
    return 0;
}

static int measure_several(const struct Cycle *cycle) {
    struct CycleBoard *board = gang_share(sizeof(*board));

    board->cycle = cycle;
    gang_barrier_init(&board->start, cycle->processes);
    if (cycle->threads ? run_threads(board, cycle->processes) : gang_run(cycle->processes, measure_member, board))
        return 1;
    for (uint32_t i = 0; i < cycle->processes; i++)
        print_result(cycle, &board->results[i]);
    return 0;
}

int main(int argc, char **argv) {
    struct Cycle cycle;

    cycle_parse(&cycle, argc, argv);
    if (cycle.against)
        return gain_run(&(struct Gain){{cycle.against, cycle.work}, cycle.options, cycle.warm, cycle.rounds,
                                       cycle.threads});
    if (cycle.processes > 1)
        return measure_several(&cycle);
    measure(&cycle, NULL, 0);
    return fflush(stdout) ? 1 : 0;
}
