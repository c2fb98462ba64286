/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_RUNNER_H
#define TESTS_BENCH_RUNNER_H

/* Run bench-cycle or what speaks as it does, each measurement in a fresh process: no variant leaves its heap, mappings
 * or faults to the next. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What to run: bench-cycle's options of the same names. */
struct Task {
    const char *work, *module, *file, *address, *against;
    unsigned touch, processes, rounds, ms; /* ms: 0 means `cycles` */
    uint64_t stride, warm, cycles, hold;
    bool peak, threads, part, quantiles;
};

struct Rate {
    double ns;         /* a cycle of one process, the mean of all processes */
    double per_us;     /* cycles of all processes together */
    double peak_bytes; /* resident, if that was asked for */
    double p50, p99;   /* nanoseconds of single cycles, if that was asked for */
};

/* 0, or a negative errno; the program has said why then. */
int runner_measure(const char *program, const struct Task *task, struct Rate *ratep);

/* How long a command takes from its start to its end, its output thrown away. 0 or a negative errno. */
int runner_time(const char *const *command, double *nsp);
int runner_time_task(const char *program, const struct Task *task, double *nsp);

/* The same, and what the command and all whom it has waited for took: processor time, page faults without a disk. */
struct Use {
    double ns, cpu_ns, faults;
};
int runner_use(const char *const *command, struct Use *usep);

/* Run a command and hand over each line that it prints, without its end. 0 or a negative errno. */
int runner_read(const char *const *command, void (*line)(void *data, const char *text), void *data);

/* bench-cycle --against: cycles a microsecond of the work `against` and of the task's own, by one process or thread,
 * and by two together; each the mean of the rounds that nobody interrupted. */
struct Gains {
    unsigned rounds;
    double alone[2], both[2];
};
int runner_gains(const char *program, const struct Task *task, struct Gains *gainsp);

/* A task that holds instances, with --wait: it says "opened" and then "held", and each time waits for an answer. */
struct Holder {
    pid_t pid;
    FILE *says; /* NULL: not started */
    int answers;
};
/* 0 or a negative errno: it is not running then. */
int runner_hold(const char *program, const struct Task *task, struct Holder *holder);
int runner_hold_read(struct Holder *holder, const char *word);
int runner_hold_answer(struct Holder *holder);
/* Let it end, and wait for it. Does nothing with one that was not started. */
int runner_hold_end(struct Holder *holder);

/* Run it under strace and read what the listed calls did. The caller closes the file. */
int runner_trace(const char *program, const struct Task *task, const char *calls, FILE **tracep);

/* Can strace trace here? If not, `reason` says why not. */
bool runner_can_trace(char *reason, size_t bytes);

#endif
