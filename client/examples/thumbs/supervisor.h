/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_SUPERVISOR_H
#define THUMBS_SUPERVISOR_H

/* The supervisor hands images to its workers, one at a time each, and decides what their replies, deaths and
 * silences mean. It never opens the pool itself: a pool belongs to the process that opened it. */

#include "client/examples/thumbs/child.h"
#include "client/examples/thumbs/images.h"
#include "client/examples/thumbs/report.h"
#include "client/examples/thumbs/settings.h"

struct Supervisor {
    const struct Settings *settings;
    struct Images *images;
    struct Report *report;
    struct Child *children; /* workers, then oracles */
    uint32_t children_n;
    struct Queue work, verify; /* images that wait for a worker, for an oracle */
    uint32_t pending;          /* images without an outcome or verdict */
    int signal_fd, audit_fd;   /* -1 when not open */
    int64_t progress_ms;       /* when a worker last got a sandbox or finished */
    int signal;                /* that ends the run, or 0 */
    bool failed;
};

/* Forks nobody yet; blocks the signals that end a run. 0 or a negative errno. */
int supervisor_init(struct Supervisor *supervisor, const struct Settings *settings, struct Images *images,
                    struct Report *report);

/* Until every image has its outcome: 0. 1 when the pool is unusable (said on the standard error), or ended by a signal
 * (supervisor->signal). */
int supervisor_run(struct Supervisor *supervisor);

/* Waits for the end of the standard input, or for a signal. */
void supervisor_hold(struct Supervisor *supervisor);

/* Ends all children, and leaves nothing of theirs behind. Safe on a half-initialised one. */
void supervisor_deinit(struct Supervisor *supervisor);

#endif
