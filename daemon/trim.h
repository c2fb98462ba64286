/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_TRIM_H
#define DAEMON_TRIM_H

/* Trim: idle slots give their pages back to the kernel, while their clients sleep. A slot is trimmed by grant_trim
 * (revoke, punch off the loop, grant again), never punched while it is idle. How many pages it has is our own look
 * (memfd_resident). For how long it was not used is what the table says of when it was taken last: who lies there keeps
 * or loses none but its own pages, and under pressure it keeps nothing by it.
 *
 * Nothing here counts the pages of more than TRIM_SCAN_MAX slots at a time: what is left to be done is done in the next
 * turns. */

#include "daemon/pool.h"

#define TRIM_SCAN_MAX 4096        /* slots that one call looks at: the loop is held up for some milliseconds at most */
#define TRIM_GLANCE_MAX (1 << 17) /* slots whose age one call of trim_warm reads: 8 MiB of tables at most */
#define TRIM_BATCH_MAX 1024       /* slots that one call of trim_warm trims */

/* Trim slots that have been idle for the pool's idle_trim_ms. Each slab with pages is looked at once in that time, so
 * that idle ones cost little: a slot is trimmed after one to two times of it. Goes on where the last call stopped.
 * `now_ms` is of CLOCK_MONOTONIC, as what the tables say is. Returns how many slots were trimmed. */
uint64_t trim_idle(struct Pool *pool, uint64_t now_ms);

typedef bool (*TrimFilter)(const struct Client *client, const void *data);

struct TrimAsk {
    enum TrimWhy why;
    TrimFilter belongs; /* whose; NULL: everyone's */
    const void *data;   /* for the filter */
    /* How much of what these hold is to go: the most that any of these says. */
    uint64_t bytes;      /* so much, */
    uint64_t keep_bytes; /* what is beyond that; TRIM_KEEP_ALL: nothing */
    bool half;           /* half of it */
};

#define TRIM_KEEP_ALL UINT64_MAX

/* Trim idle slots that have pages, and those with pages that were never granted, until about as much is on its way back
 * as is asked for: the coldest first, by how often the time since they were taken doubles, and of equally cold ones the
 * largest. Half of its looks go to the coldest of TRIM_GLANCE_MAX slots, the others go round. Returns the bytes; fewer
 * than asked for when there are no more, or no more were looked at: the next call goes on where this one stopped. */
uint64_t trim_warm(struct Pool *pool, const struct TrimAsk *ask, uint64_t now_ms);

#endif
