/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/demo-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 5
#define TERM_MS 5000

int64_t process_now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void process_pause_ms(unsigned ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL); /* a signal may end it early: then the caller looks early */
}

static void redirect(const char *path, int to) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(127);
    if (fd != to)
        close(fd);
}

static _Noreturn void become(const char *const *argv, const struct ProcessFiles *files, int input, pid_t parent) {
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || dup2(input >= 0 ? input : null, STDIN_FILENO) < 0)
        _exit(127);
    if (files->output)
        redirect(files->output, STDOUT_FILENO);
    if (files->errors)
        redirect(files->errors, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    execv(argv[0], (char *const *)argv);
    perror(argv[0]);
    _exit(127);
}

int process_start(struct Process *process, const char *const *argv, const struct ProcessFiles *files) {
    pid_t parent = getpid();
    int pipes[2] = {-1, -1}, r;

    if (files->input && pipe2(pipes, O_CLOEXEC))
        return -errno;
    fflush(stdout);
    *process = (struct Process){.pid = fork(), .input = pipes[1]};
    if (process->pid == 0)
        become(argv, files, pipes[0], parent);
    r = process->pid < 0 ? -errno : 0;
    if (pipes[0] >= 0)
        close(pipes[0]);
    if (r) {
        if (pipes[1] >= 0)
            close(pipes[1]);
        *process = (struct Process){.input = -1};
    }
    return r;
}

void process_close_input(struct Process *process) {
    if (process->pid && process->input >= 0) {
        close(process->input);
        process->input = -1;
    }
}

bool process_ended(struct Process *process) {
    if (!process->pid || process->ended)
        return true;
    if (waitpid(process->pid, &process->status, WNOHANG) != process->pid)
        return false;
    process->ended = true;
    process_close_input(process);
    return true;
}

bool process_wait(struct Process *process, unsigned ms) {
    int64_t deadline = process_now_ms() + ms;

    while (!process_ended(process)) {
        if (process_now_ms() > deadline)
            return false;
        process_pause_ms(POLL_MS);
    }
    return true;
}

void process_kill(struct Process *process) {
    if (process_ended(process))
        return;
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
        ;
    process->ended = true;
    process_close_input(process);
}

void process_stop(struct Process *process) {
    if (process_ended(process))
        return;
    kill(process->pid, SIGTERM);
    process_wait(process, TERM_MS);
    process_kill(process);
}

bool process_succeeded(const struct Process *process) {
    return process->ended && WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0;
}

static char *read_all(int fd) {
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);

    while (text) {
        ssize_t n = read(fd, text + size, capacity - size - 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size += (size_t)n;
        if (size + 1 == capacity) {
            char *more = realloc(text, capacity *= 2);

            if (!more)
                free(text);
            text = more;
        }
    }
    if (text)
        text[size] = '\0';
    return text;
}

char *process_capture(const char *const *argv, const char *errors) {
    struct Process process = {.input = -1};
    pid_t parent = getpid();
    int pipes[2];
    char *text;

    if (pipe2(pipes, O_CLOEXEC))
        return NULL;
    fflush(stdout);
    process.pid = fork();
    if (process.pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) < 0)
            _exit(127);
        become(argv, &(struct ProcessFiles){.errors = errors}, -1, parent);
    }
    close(pipes[1]);
    text = process.pid > 0 ? read_all(pipes[0]) : NULL;
    close(pipes[0]);
    if (process.pid > 0) {
        while (waitpid(process.pid, &process.status, 0) < 0 && errno == EINTR)
            ;
        process.ended = true;
    }
    if (process_succeeded(&process))
        return text;
    free(text);
    return NULL;
}
