/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_DEMO_PROCESS_H
#define THUMBS_DEMO_PROCESS_H

/* The processes that the demonstration starts. Each dies with it, is ended by its pid, and is waited for. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct Process {
    pid_t pid;   /* 0: none */
    int input;   /* the writing end of its standard input, or -1 */
    bool ended;
    int status;  /* of waitpid, when it has ended */
};

/* What it gets besides its arguments. */
struct ProcessFiles {
    const char *output; /* standard output goes to this file; NULL: ours */
    const char *errors; /* standard error */
    bool input;         /* its standard input is a pipe from us; false: empty */
};

/* 0 or a negative errno. argv[0] is the path of the program. */
int process_start(struct Process *process, const char *const *argv, const struct ProcessFiles *files);

/* Has it ended? Does not wait. */
bool process_ended(struct Process *process);

/* Waits for its end until the deadline; false if it still runs. */
bool process_wait(struct Process *process, unsigned ms);

void process_close_input(struct Process *process);

/* Ends it: SIGTERM, and SIGKILL when that takes too long. Does nothing when it has ended or never began. */
void process_stop(struct Process *process);

/* SIGKILL, and waits. */
void process_kill(struct Process *process);

/* Ended by itself with status 0. */
bool process_succeeded(const struct Process *process);

/* Runs a program to its end and gives what it wrote to its standard output; the caller frees it. NULL when it
 * failed. */
char *process_capture(const char *const *argv, const char *errors);

/* A pause between two looks at something that others change. */
void process_pause_ms(unsigned ms);

int64_t process_now_ms(void);

#endif
