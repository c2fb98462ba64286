/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/gain.h"

#include "tests/bench/gang.h"

#include <stdio.h>
#include <time.h>

/* A round is four slices: each work by one process, then each by both, so that what a neighbour on the machine does for
 * longer falls on all four alike. The processes keep step by the clock, and take turns at being the one.
 *
 * Slices are shorter than the scheduler's own. Where somebody else wants the processor too, the scheduler lets a
 * process that has slept go first and interrupts it later, which would favour some slices: a round in which a process
 * was interrupted is left out. One in which it waits of its own accord, for the other one or for the daemon, is not. */

#define GAIN_SLICE_NS 1000000
#define GAIN_LEAD_NS 1000000 /* from the last barrier to the first slice */
#define GAIN_ROUNDS_MAX 1000

struct GainBoard {
    const struct Gain *gain;
    pthread_barrier_t barrier;
    uint64_t start_ns;
    double per_us[2][GAIN_ROUNDS_MAX][4]; /* by process; 0: was interrupted, or slept through the slice */
};

/* How many cycles last long enough for a look at the clock not to count. */
static uint64_t gain_batch(const struct Work *work, void *state, uint64_t warm) {
    uint64_t batch = 1;

    work->run(state, warm);
    for (;;) {
        uint64_t start = work_now_ns();

        work->run(state, batch);
        if (work_now_ns() - start >= WORK_BATCH_NS / 2)
            return batch;
        batch *= 2;
    }
}

static double gain_slice(const struct Work *work, void *state, uint64_t batch, uint64_t begin) {
    struct timespec at = {.tv_sec = (time_t)(begin / 1000000000), .tv_nsec = (long)(begin % 1000000000)};
    uint64_t start, now, n = 0;
    long interruptions;

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL))
        continue;
    interruptions = work_interruptions();
    for (now = start = work_now_ns(); now < begin + GAIN_SLICE_NS; now = work_now_ns()) {
        work->run(state, batch);
        n += batch;
    }
    return n && work_interruptions() == interruptions ? (double)n * 1e3 / (double)(now - start) : 0;
}

static void gain_member(void *argument, unsigned self) {
    struct GainBoard *board = argument;
    const struct Gain *gain = board->gain;
    uint64_t batches[2];
    void *states[2];

    work_pin(self);
    for (unsigned i = 0; i < 2; i++) {
        states[i] = gain->works[i]->open(&gain->options);
        batches[i] = gain_batch(gain->works[i], states[i], gain->warm);
    }
    pthread_barrier_wait(&board->barrier);
    if (!self)
        board->start_ns = work_now_ns() + GAIN_LEAD_NS;
    pthread_barrier_wait(&board->barrier);
    for (unsigned slice = 0; slice < gain->rounds * 4; slice++) {
        unsigned round = slice / 4, phase = slice % 4, which = phase % 2;

        if (phase < 2 && round % 2 != self)
            continue;
        board->per_us[self][round][phase] = gain_slice(gain->works[which], states[which], batches[which],
                                                       board->start_ns + (uint64_t)slice * GAIN_SLICE_NS);
    }
    for (unsigned i = 0; i < 2; i++)
        gain->works[i]->close(states[i]);
}

static void *gain_second_thread(void *board) {
    gain_member(board, 1);
    return NULL;
}

static int gain_run_threads(struct GainBoard *board) {
    pthread_t second;

    work_pin(0);
    if (pthread_create(&second, NULL, gain_second_thread, board))
        return 1;
    gain_member(board, 0);
    return pthread_join(second, NULL);
}

static bool gain_is_whole(const struct GainBoard *board, unsigned round) {
    for (unsigned phase = 0; phase < 4; phase++)
        for (unsigned self = 0; self < 2; self++)
            if ((phase >= 2 || round % 2 == self) && board->per_us[self][round][phase] == 0)
                return false;
    return true;
}

int gain_run(const struct Gain *gain) {
    struct GainBoard *board = gang_share(sizeof(*board));

    if (gain->rounds > GAIN_ROUNDS_MAX)
        work_fail("--rounds", "are too many");
    board->gain = gain;
    gang_barrier_init(&board->barrier, 2);
    if (gain->threads ? gain_run_threads(board) : gang_run(2, gain_member, board))
        return 1;
    for (unsigned round = 0; round < gain->rounds; round++) {
        if (!gain_is_whole(board, round))
            continue;
        for (unsigned phase = 0; phase < 4; phase++)
            printf("%.9f%c", board->per_us[0][round][phase] + board->per_us[1][round][phase], phase < 3 ? ' ' : '\n');
    }
    return 0;
}
