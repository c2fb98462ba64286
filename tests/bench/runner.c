/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNNER_ARGUMENTS_MAX 40
#define RUNNER_NUMBER_BYTES 24

extern char **environ;

struct Arguments {
    char *at[RUNNER_ARGUMENTS_MAX];
    char numbers[RUNNER_ARGUMENTS_MAX][RUNNER_NUMBER_BYTES];
    unsigned n;
};

static void arguments_add(struct Arguments *arguments, const char *argument) {
    arguments->at[arguments->n++] = (char *)argument;
}

static void arguments_add_number(struct Arguments *arguments, const char *option, uint64_t number) {
    char *text = arguments->numbers[arguments->n];

    snprintf(text, RUNNER_NUMBER_BYTES, "%llu", (unsigned long long)number);
    arguments_add(arguments, option);
    arguments_add(arguments, text);
}

static void arguments_add_task(struct Arguments *arguments, const char *program, const struct Task *task) {
    const char *const texts[] = {"--work",    task->work,    "--module",  task->module, "--file", task->file,
                                 "--address", task->address, "--against", task->against};

    arguments_add(arguments, program);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i += 2)
        if (texts[i + 1]) {
            arguments_add(arguments, texts[i]);
            arguments_add(arguments, texts[i + 1]);
        }
    if (task->peak)
        arguments_add(arguments, "--peak");
    if (task->threads)
        arguments_add(arguments, "--threads");
    if (task->part)
        arguments_add(arguments, "--part");
    if (task->quantiles)
        arguments_add(arguments, "--quantiles");
    arguments_add_number(arguments, "--touch", task->touch);
    if (task->stride)
        arguments_add_number(arguments, "--stride", task->stride);
    arguments_add_number(arguments, "--warm", task->warm);
    arguments_add_number(arguments, "--processes", task->processes ? task->processes : 1);
    if (task->rounds)
        arguments_add_number(arguments, "--rounds", task->rounds);
    else if (task->hold)
        arguments_add_number(arguments, "--hold", task->hold);
    else if (task->ms)
        arguments_add_number(arguments, "--ms", task->ms);
    else
        arguments_add_number(arguments, "--cycles", task->cycles);
}

/* Start a program; what it writes to `output` (1 or 2) comes through *filep, and it reads from `input`, -1: from where
 * this program does. */
static int runner_start_reading(struct Arguments *arguments, int input, int output, pid_t *pidp, FILE **filep) {
    posix_spawn_file_actions_t actions;
    int fds[2], r;

    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], output);
    if (input >= 0)
        posix_spawn_file_actions_adddup2(&actions, input, 0);
    r = posix_spawnp(pidp, arguments->at[0], &actions, NULL, arguments->at, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (!r)
        *filep = fdopen(fds[0], "r");
    if (r || !*filep)
        close(fds[0]);
    if (r)
        fprintf(stderr, "bench: %s: %s\n", arguments->at[0], strerror(r));
    return -r;
}

static int runner_start(struct Arguments *arguments, int output, pid_t *pidp, FILE **filep) {
    return runner_start_reading(arguments, -1, output, pidp, filep);
}

/* 0 when it ended well. `usage` may be NULL. */
static int runner_wait_usage(pid_t pid, struct rusage *usage) {
    int status;

    while (wait4(pid, &status, 0, usage) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

static int runner_wait(pid_t pid) {
    return runner_wait_usage(pid, NULL);
}

int runner_measure(const char *program, const struct Task *task, struct Rate *ratep) {
    struct Arguments arguments = {.n = 0};
    unsigned long long cycles, ns, peak = 0;
    struct Rate rate = {0};
    unsigned lines = 0;
    FILE *file = NULL;
    pid_t pid;
    int r;

    arguments_add_task(&arguments, program, task);
    r = runner_start(&arguments, 1, &pid, &file);
    if (r)
        return r;
    while (file && fscanf(file, "%llu %llu", &cycles, &ns) == 2 && cycles && ns) {
        rate.ns += (double)ns / (double)cycles;
        rate.per_us += (double)cycles * 1e3 / (double)ns;
        lines++;
    }
    if (file && task->quantiles && fscanf(file, " quantiles %lf %lf", &rate.p50, &rate.p99) != 2)
        lines = 0;
    if (file && task->peak && fscanf(file, " peak %llu", &peak) != 1)
        lines = 0;
    if (file)
        fclose(file);
    r = runner_wait(pid);
    if (r)
        return r;
    if (lines != (task->processes ? task->processes : 1))
        return -EPROTO;
    rate.ns /= lines;
    rate.peak_bytes = (double)peak;
    *ratep = rate;
    return 0;
}

static double runner_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double runner_timeval_ns(struct timeval time) {
    return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

static int runner_use_arguments(struct Arguments *arguments, struct Use *usep) {
    double start = runner_now_ns();
    struct rusage usage;
    char output[256];
    FILE *file = NULL;
    pid_t pid;
    int r = runner_start(arguments, 1, &pid, &file);

    if (r)
        return r;
    while (file && fgets(output, sizeof(output), file))
        continue;
    if (file)
        fclose(file);
    r = runner_wait_usage(pid, &usage);
    if (!r)
        *usep = (struct Use){
            .ns = runner_now_ns() - start,
            .cpu_ns = runner_timeval_ns(usage.ru_utime) + runner_timeval_ns(usage.ru_stime),
            .faults = (double)usage.ru_minflt,
        };
    return r;
}

int runner_use(const char *const *command, struct Use *usep) {
    struct Arguments arguments = {.n = 0};

    for (; *command; command++)
        arguments_add(&arguments, *command);
    return runner_use_arguments(&arguments, usep);
}

int runner_time(const char *const *command, double *nsp) {
    struct Use use;
    int r = runner_use(command, &use);

    if (!r)
        *nsp = use.ns;
    return r;
}

int runner_time_task(const char *program, const struct Task *task, double *nsp) {
    struct Arguments arguments = {.n = 0};
    struct Use use;
    int r;

    arguments_add_task(&arguments, program, task);
    r = runner_use_arguments(&arguments, &use);
    if (!r)
        *nsp = use.ns;
    return r;
}

int runner_read(const char *const *command, void (*line)(void *data, const char *text), void *data) {
    struct Arguments arguments = {.n = 0};
    char output[256];
    FILE *file = NULL;
    pid_t pid;
    int r;

    for (; *command; command++)
        arguments_add(&arguments, *command);
    r = runner_start(&arguments, 1, &pid, &file);
    if (r)
        return r;
    while (file && fgets(output, sizeof(output), file)) {
        output[strcspn(output, "\n")] = 0;
        line(data, output);
    }
    if (file)
        fclose(file);
    return runner_wait(pid);
}

int runner_gains(const char *program, const struct Task *task, struct Gains *gainsp) {
    struct Arguments arguments = {.n = 0};
    struct Gains gains = {0};
    FILE *file = NULL;
    double at[4];
    pid_t pid;
    int r;

    arguments_add_task(&arguments, program, task);
    r = runner_start(&arguments, 1, &pid, &file);
    if (r)
        return r;
    while (file && fscanf(file, "%lf %lf %lf %lf", &at[0], &at[1], &at[2], &at[3]) == 4) {
        for (unsigned i = 0; i < 2; i++) {
            gains.alone[i] += at[i];
            gains.both[i] += at[i + 2];
        }
        gains.rounds++;
    }
    if (file)
        fclose(file);
    r = runner_wait(pid);
    if (r)
        return r;
    for (unsigned i = 0; i < 2 && gains.rounds; i++) {
        gains.alone[i] /= gains.rounds;
        gains.both[i] /= gains.rounds;
    }
    *gainsp = gains;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ holding */

int runner_hold(const char *program, const struct Task *task, struct Holder *holder) {
    struct Arguments arguments = {.n = 0};
    struct Holder started = {.answers = -1};
    int fds[2], r;

    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    arguments_add_task(&arguments, program, task);
    arguments_add(&arguments, "--wait");
    r = runner_start_reading(&arguments, fds[0], 1, &started.pid, &started.says);
    close(fds[0]);
    if (r) {
        close(fds[1]);
        return r;
    }
    started.answers = fds[1];
    *holder = started;
    return 0;
}

int runner_hold_read(struct Holder *holder, const char *word) {
    char line[64];

    if (!fgets(line, sizeof(line), holder->says))
        return -EPROTO;
    line[strcspn(line, "\n")] = 0;
    return strcmp(line, word) ? -EPROTO : 0;
}

int runner_hold_answer(struct Holder *holder) {
    return write(holder->answers, "\n", 1) == 1 ? 0 : -EPIPE;
}

int runner_hold_end(struct Holder *holder) {
    if (!holder->says)
        return 0;
    close(holder->answers);
    fclose(holder->says);
    holder->says = NULL;
    return runner_wait(holder->pid);
}

/* ------------------------------------------------------------------------------------------------ tracing */

/* strace's arguments up to the program's. The trace goes to an open file that has no name to be removed. */
static void arguments_add_strace(struct Arguments *arguments, const char *path) {
    arguments_add(arguments, "strace");
    arguments_add(arguments, "-qq");
    arguments_add(arguments, "-o");
    arguments_add(arguments, path);
}

int runner_trace(const char *program, const struct Task *task, const char *calls, FILE **tracep) {
    struct Arguments arguments = {.n = 0};
    char path[64], line[256];
    FILE *trace = tmpfile(), *file = NULL;
    pid_t pid;
    int r;

    if (!trace)
        return -errno;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fileno(trace));
    arguments_add_strace(&arguments, path);
    arguments_add(&arguments, "-e");
    arguments_add(&arguments, calls);
    arguments_add_task(&arguments, program, task);
    r = runner_start(&arguments, 1, &pid, &file);
    if (!r) {
        while (file && fgets(line, sizeof(line), file))
            continue;
        if (file)
            fclose(file);
        r = runner_wait(pid);
    }
    if (r) {
        fclose(trace);
        return r;
    }
    *tracep = trace;
    return 0;
}

bool runner_can_trace(char *reason, size_t bytes) {
    struct Arguments arguments = {.n = 0};
    char line[512];
    FILE *file = NULL;
    pid_t pid;

    arguments_add_strace(&arguments, "/dev/null");
    arguments_add(&arguments, "true");
    snprintf(reason, bytes, "strace does not work");
    if (runner_start(&arguments, 2, &pid, &file))
        return false;
    if (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(reason, bytes, "%s", line);
    }
    while (file && fgets(line, sizeof(line), file))
        continue;
    if (file)
        fclose(file);
    return !runner_wait(pid);
}
