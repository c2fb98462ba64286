/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef BURST_WATCH_H
#define BURST_WATCH_H

/* What wasmpoolctl says of who holds how many memories while workers run. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WATCH_PIDS_MAX 16

/* `list` is made in pages, between which slots move: its numbers may add up to more than there are. `status` is of one
 * moment. */
struct Sample {
    uint32_t granted[WATCH_PIDS_MAX], busy[WATCH_PIDS_MAX]; /* memories, as listed */
    uint32_t listed;                                        /* the sum of `granted` */
    uint32_t memories, instances;                           /* granted, by status */
    uint32_t most;                                          /* memories, granted at any one time so far, by status */
    uint64_t resident_bytes;                                /* by status */
};

struct Watch {
    const char *ctl, *runtime_dir, *errors; /* wasmpoolctl, where the daemon is, where its complaints go */
    pid_t pids[WATCH_PIDS_MAX];
    unsigned n_pids;
};

/* Look once. False when the daemon did not answer. */
bool watch_look(const struct Watch *watch, struct Sample *samplep);

#endif
