/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_CHILD_H
#define THUMBS_CHILD_H

/* A child process of the supervisor, a worker or an oracle, and the socket to it.
 *
 *   OFF --child_spawn--> IDLE --child_ask--> ASKED --(REPLY_STARTED)--> BUSY --(final reply)--> IDLE
 *    ^                                         \---------(REPLY_REFUSED)------------------------^
 *    +---- child_reap, from any state, when its socket has come to its end or after child_kill ----+
 *
 * An oracle goes from IDLE to BUSY at once. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/examples/thumbs/job.h"

enum ChildState {
    CHILD_OFF,   /* no process */
    CHILD_IDLE,  /* waits for a job */
    CHILD_ASKED, /* has a job and is to get a sandbox */
    CHILD_BUSY,  /* works on it */
};

struct Child {
    bool oracle;
    enum ChildState state;
    pid_t pid;
    int fd;               /* the supervisor's end */
    uint32_t image;       /* its job when ASKED or BUSY */
    int64_t deadline_ms;  /* when ASKED or BUSY */
    int64_t not_before_ms; /* gets no job earlier: its back-off */
    unsigned backoff_ms;
    uint64_t spawns;
};

/* Forks. `audit_fd` is -1 for none. 0 or a negative errno. */
int child_spawn(struct Child *child, const struct WorkerSettings *settings, int audit_fd);

/* Hands a job to an idle child. 0, or a negative errno: it has died, and is to be reaped. */
int child_ask(struct Child *child, const struct Job *job, int64_t deadline_ms);

/* 1 with a reply, 0 when there is none yet, or a negative errno: it has died or sent what no child sends. */
int child_receive(struct Child *child, struct Reply *reply);

/* Ends it with SIGKILL and waits for that. The child is OFF afterwards; does nothing when it was. */
void child_reap(struct Child *child);

/* Tells it that there are no more jobs. It ends by itself, and its socket with it. */
void child_dismiss(struct Child *child);

#endif
