/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_TRIM_H
#define DAEMON_TRIM_H

/* Trim: idle slots give their pages back to the kernel, while their clients sleep. A slot is trimmed by grant_trim
 * (revoke, punch off the loop, grant again), never punched while it is idle. What is trimmed is decided by our own
 * look at the slots' pages (memfd_resident) and, for how long they were not used, by when the table says they were
 * taken last: who lies there only keeps or loses its own pages, and under pressure what it keeps is charged to it. */

#include "daemon/pool.h"

/* Since start. */
struct TrimCounters {
    uint64_t idle_slots, idle_bytes;         /* not used for idle_trim_ms */
    uint64_t pressure_slots, pressure_bytes; /* for the host, the pool's budget or a cgroup */
};

/* Trim slots that have been idle for the pool's idle_trim_ms. Looks at TRIM_SCAN_MAX slots at most and goes on from
 * there the next time. `now_ms` is of a monotonic clock. Returns how many slots were trimmed. */
uint64_t trim_idle(struct Pool *pool, uint64_t now_ms);

/* Trim idle slots with pages until about `bytes` are on their way back, the coldest and largest first: of all clients,
 * or of those for which `belongs` is true. Returns the bytes. */
uint64_t trim_warm(struct Pool *pool, uint64_t bytes, bool (*belongs)(const struct Client *client, const void *data),
                   const void *data);

#endif
