/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_EXPERIMENT_H
#define TESTS_BENCH_EXPERIMENT_H

/* What bench-capacity can try: daemons and processes of its own, once through, and a line for each quantity that was
 * measured. Where a process runs is for the
 * scheduler to say, as it is in a fleet, unless a round trip is the measure: its cost depends on nothing as much. */

#include "tests/support/host.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* What cannot be gone on from ends in host_fail. */
struct Experiment {
    const char *name, *meaning;
    unsigned seconds_max; /* after which it has hung; ten times what it takes */
    void (*run)(void);
};

extern const struct Experiment EXPERIMENT_RECALL, EXPERIMENT_STOPPED, EXPERIMENT_BURST, EXPERIMENT_SLOTS,
    EXPERIMENT_IDLE, EXPERIMENT_TRIM, EXPERIMENT_COLD;

extern const char *experiment_modules; /* where the bench's binaries lie; NULL: nobody said */

/* A line "key value floor bound": all in one unit, which is the reader's to know. The floor is what nothing built of
 * the same steps can do without, as it was just now; NAN: there is none. */
void experiment_print(const char *key, double value, double floor, double bound);
/* A line "skip why": this machine is not one for it. */
void experiment_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline uint64_t experiment_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void experiment_spin(uint64_t ns) {
    uint64_t until = experiment_now_ns() + ns;

    while (experiment_now_ns() < until)
        continue;
}

/* How long something took, each time. */
#define TIMES_MAX 4096

struct Times {
    unsigned n;
    double ns[TIMES_MAX];
};

void times_add(struct Times *times, uint64_t start_ns);
/* The value below which that part of them lies, 0 to 1. Sorts them. */
double times_quantile(struct Times *times, double part);

/* A process that sends back what it gets: 64 bytes, SOCK_SEQPACKET. */
struct Echo {
    int fd;
    pid_t pid;
};

void echo_open(struct Echo *echo);
void echo_trip(struct Echo *echo);
void echo_close(struct Echo *echo);

/* Keep a process that has one thread yet, and what comes of it (0: this thread), on the n-th of the processors that
 * this program was started on. Returns false when there are not so many. */
bool experiment_pin(pid_t pid, unsigned n);
void experiment_unpin(void);

/* Bytes that "Rss" or "Pss" of /proc/PID/smaps_rollup, or "RssShmem" of /proc/PID/status, says. */
uint64_t experiment_bytes_of(pid_t pid, const char *file, const char *field);

#endif
