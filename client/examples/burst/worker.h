/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef BURST_WORKER_H
#define BURST_WORKER_H

/* A worker process of the demonstration, as its driver has it: it does one order at a time, and answers each. Between
 * orders it sleeps, or it is stopped; how long it was on a processor meanwhile can be asked of the kernel. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BURST_WASM_PAGES 17
#define BURST_TOUCHED_PAGES 16 /* host pages of each instance that are written */
#define BURST_INSTANCES_MAX 200

enum OrderKind {
    ORDER_OPEN,    /* the allocator */
    ORDER_BURST,   /* hold so many instances */
    ORDER_RELEASE, /* all of them */
    ORDER_GREED,   /* hold as many as one can get of so many, giving some back all the time, until the next order */
};

struct Order {
    enum OrderKind kind;
    uint32_t instances;
};

struct Answer {
    int result;     /* of the allocator: the first that was not 0, but for greed, which is refused all the time */
    uint32_t held;  /* instances, now */
    uint32_t dirty; /* pages that were not empty when they were to be written for the first time */
    uint32_t us;    /* that it took */
    char message[256];
};

struct Worker {
    pid_t pid;
    int socket;
    bool stopped;
};

/* Fork one. 0 or a negative errno. It dies with its parent. */
int worker_start(struct Worker *worker, unsigned number, const char *address);
/* SIGKILL, which ends stopped ones too. Does nothing when there is none. */
void worker_end(struct Worker *worker);
/* It was told nothing more, and ended with status 0 in time. */
bool worker_leave(struct Worker *worker);

bool worker_order(struct Worker *worker, enum OrderKind kind, uint32_t instances);
/* 1: *answerp is there; 0: not yet; or a negative errno. Waits `ms` at most. */
int worker_answer(struct Worker *worker, struct Answer *answerp, int ms);

/* SIGSTOP and SIGCONT. Return when it has stopped, and when it sleeps again: from then on it does not run. */
bool worker_stop(struct Worker *worker);
bool worker_continue(struct Worker *worker);
/* Is it stopped, by the kernel's word? */
bool worker_is_stopped(const struct Worker *worker);
/* How long it was on a processor, in all its life. False where the kernel does not count. */
bool worker_ran_ns(const struct Worker *worker, uint64_t *nsp);

#endif
