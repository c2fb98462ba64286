/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* bench-capacity EXPERIMENT [MODULES]: run it once. Whatever happens, and also when it hangs or is told to end, no
 * process and no directory of it stays behind. */

static const struct Experiment *const EXPERIMENTS[] = {
    &EXPERIMENT_RECALL, &EXPERIMENT_STOPPED, &EXPERIMENT_BURST, &EXPERIMENT_SLOTS, &EXPERIMENT_IDLE, &EXPERIMENT_TRIM,
    &EXPERIMENT_COLD,
};
#define EXPERIMENTS_N (sizeof(EXPERIMENTS) / sizeof(EXPERIMENTS[0]))

const char *experiment_modules;

void experiment_print(const char *key, double value, double floor, double bound) {
    printf("%s %.9g %.9g %.9g\n", key, value, floor, bound);
}

void experiment_skip(const char *format, ...) {
    va_list arguments;

    printf("skip ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* ------------------------------------------------------------------------------------------------ times */

void times_add(struct Times *times, uint64_t start_ns) {
    uint64_t now_ns = experiment_now_ns();

    if (times->n < TIMES_MAX)
        times->ns[times->n++] = (double)(now_ns - start_ns);
}

static int times_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double times_quantile(struct Times *times, double part) {
    unsigned place = (unsigned)(part * times->n);

    host_demand(times->n, "nothing was timed");
    qsort(times->ns, times->n, sizeof(times->ns[0]), times_compare);
    return times->ns[place < times->n ? place : times->n - 1];
}

/* ------------------------------------------------------------------------------------------------ echo */

#define ECHO_BYTES 64 /* of the order of a Want and its answer */
#define ECHO_TIMEOUT_MS 5000

static void echo_answer(void *argument) {
    int fd = *(const int *)argument;
    char packet[ECHO_BYTES];
    ssize_t n;

    while ((n = recv(fd, packet, sizeof(packet), 0)) > 0)
        if (send(fd, packet, (size_t)n, MSG_NOSIGNAL) != n)
            break;
}

void echo_open(struct Echo *echo) {
    int fds[2];

    host_demand(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), "socketpair: %s", strerror(errno));
    echo->pid = host_fork(echo_answer, &fds[1]);
    echo->fd = fds[0];
    close(fds[1]);
}

void echo_trip(struct Echo *echo) {
    struct pollfd poll_fd = {.fd = echo->fd, .events = POLLIN};
    char packet[ECHO_BYTES] = {0};

    /* As whoever does not wait for ever for an answer. */
    host_demand(send(echo->fd, packet, sizeof(packet), MSG_NOSIGNAL) == sizeof(packet) &&
                    poll(&poll_fd, 1, ECHO_TIMEOUT_MS) == 1 &&
                    recv(echo->fd, packet, sizeof(packet), 0) == sizeof(packet),
                "round trip: %s", strerror(errno));
}

void echo_close(struct Echo *echo) {
    /* The child has an end of its own open too: it is not told by end-of-file. */
    kill(echo->pid, SIGKILL);
    host_join(echo->pid);
    close(echo->fd);
}

/* ------------------------------------------------------------------------------------------------ processors */

static cpu_set_t pin_allowed; /* as it was at first */

bool experiment_pin(pid_t pid, unsigned n) {
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &pin_allowed) && !n--) {
            CPU_SET(cpu, &one);
            return !sched_setaffinity(pid, sizeof(one), &one);
        }
    return false;
}

void experiment_unpin(void) {
    sched_setaffinity(0, sizeof(pin_allowed), &pin_allowed);
}

/* ------------------------------------------------------------------------------------------------ memory */

uint64_t experiment_bytes_of(pid_t pid, const char *file, const char *field) {
    unsigned long long kilobytes = 0;
    size_t length = strlen(field);
    char path[64], line[256];
    bool found = false;
    FILE *stream;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    stream = fopen(path, "re");
    host_demand(stream, "%s: %s", path, strerror(errno));
    while (!found && fgets(line, sizeof(line), stream))
        found = !strncmp(line, field, length) && sscanf(line + length, ": %llu kB", &kilobytes) == 1;
    fclose(stream);
    host_demand(found, "%s has no %s", path, field);
    return kilobytes * 1024;
}

/* ------------------------------------------------------------------------------------------------ running */

static sigset_t guard_signals;

/* Threads and children have them blocked: this thread takes them. exit() ends daemons and removes their directories;
 * children end with their parent. */
static void *guard_wait(void *argument) {
    const struct Experiment *experiment = argument;
    struct timespec timeout = {.tv_sec = experiment->seconds_max};
    int number = sigtimedwait(&guard_signals, NULL, &timeout);

    if (number < 0)
        fprintf(stderr, "bench-capacity: %s: does not end\n", experiment->name);
    exit(1);
}

static void guard_unblock(void) {
    sigprocmask(SIG_UNBLOCK, &guard_signals, NULL);
}

static void guard_start(const struct Experiment *experiment) {
    pthread_t thread;

    sigemptyset(&guard_signals);
    sigaddset(&guard_signals, SIGINT);
    sigaddset(&guard_signals, SIGTERM);
    sigaddset(&guard_signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &guard_signals, NULL);
    private_daemon_prepare = guard_unblock;
    host_demand(!pthread_create(&thread, NULL, guard_wait, (void *)experiment), "a thread cannot be started");
    pthread_detach(thread);
}

static void experiment_fail(const char *message) {
    fprintf(stderr, "bench-capacity: %s\n", message);
    exit(1);
}

static void usage(FILE *stream) {
    fprintf(stream, "usage: bench-capacity EXPERIMENT [MODULES]\n"
                    "Prints lines of a key, a value, its floor and its bound. MODULES is where the binaries\n"
                    "lie, which the last of the experiments needs:\n");
    for (size_t i = 0; i < EXPERIMENTS_N; i++)
        fprintf(stream, "  %-8s %s\n", EXPERIMENTS[i]->name, EXPERIMENTS[i]->meaning);
}

int main(int argc, char **argv) {
    for (size_t i = 0; (argc == 2 || argc == 3) && i < EXPERIMENTS_N; i++)
        if (!strcmp(argv[1], EXPERIMENTS[i]->name)) {
            experiment_modules = argv[2];
            host_set_fail(experiment_fail);
            sched_getaffinity(0, sizeof(pin_allowed), &pin_allowed);
            guard_start(EXPERIMENTS[i]);
            EXPERIMENTS[i]->run();
            return fflush(stdout) ? 1 : 0;
        }
    usage(stderr);
    return 2;
}
