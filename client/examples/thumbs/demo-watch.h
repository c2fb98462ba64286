/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_DEMO_WATCH_H
#define THUMBS_DEMO_WATCH_H

/* What `wasmpoolctl list --json` says while workers run: who was seen with busy slots, and which slabs there were. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A set of numbers: pids, inodes. */
struct Numbers {
    uint64_t *at;
    uint32_t count, capacity;
};

bool numbers_have(const struct Numbers *numbers, uint64_t number);
void numbers_add(struct Numbers *numbers, uint64_t number);

struct Watch {
    const char *ctl, *runtime_dir, *errors; /* wasmpoolctl, where the daemon is, where its complaints go */
    uint32_t samples;
    struct Numbers busy_pids;       /* with a busy memory */
    struct Numbers memory_inodes, table_inodes;
    uint32_t busy_most;             /* memories, in one sample */
    uint32_t pids_most;             /* processes with a busy memory, in one sample */
    pid_t busy_pid;                 /* one with a busy memory in the last sample, or 0 */
};

/* Looks once. False when the daemon did not answer. The first look at which at least `show` processes have busy
 * memories is printed (0: none is). */
bool watch_sample(struct Watch *watch, uint32_t show);

/* Does the last state of the daemon name this pid at all? */
bool watch_has_pid(struct Watch *watch, pid_t pid, bool busy_only);

/* From `wasmpoolctl status --json`: slots of all kinds granted or busy now, and the most memories ever granted.
 * False when the daemon did not answer. */
bool watch_status(const struct Watch *watch, uint64_t *heldp, uint64_t *granted_mostp);

void watch_deinit(struct Watch *watch);

#endif
