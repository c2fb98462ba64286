/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_PRESSURE_H
#define DAEMON_PRESSURE_H

/* Pressure: who runs short of memory that idle slots could give back. Three look at different walls, and none sees the
 * others':
 *
 *   the pool's budget      resident_bytes_max: down to budget_low_percent of it when there is more than budget_high_percent
 *   the host               PSI: half of what idle slots hold, each time that tasks have waited for stall_percent of the time
 *   each worker's cgroup   its lower limit of memory.max and memory.high: idle slots with pages never hold more than
 *                          warm_share_percent of it, so that so much is left for all else at any time; and when what it
 *                          uses goes above budget_high_percent of it, or its own tasks wait, as above
 *
 * A cgroup is looked at more often the more it changes and the closer it is to its limit. Clients are not asked, and
 * none wakes. */

#include "daemon/pool.h"

#define PRESSURE_NEAR_MS 200       /* from one look at a cgroup to the next: near its limit and changing, */
#define PRESSURE_NEAR_MAX_MS 1000  /* near and not changing, */
#define PRESSURE_NONE_MS 8000      /* without a limit, at first, */
#define PRESSURE_PAUSE_MAX_MS 64000 /* and far from it, as long as its clients hold what they held */

/* Look at the budget, and at the cgroups whose turn it is. Returns for how long nothing needs to be looked at. */
uint64_t pressure_look(struct Pool *pool, uint64_t now_ms);

/* The host is short of memory: what PSI's trigger says. */
void pressure_relieve_host(struct Pool *pool, uint64_t now_ms);

/* The same where there is no trigger, by PSI's total at this time. */
void pressure_look_at_host(struct Pool *pool, uint64_t stalled_us, uint64_t now_ms);

#endif
