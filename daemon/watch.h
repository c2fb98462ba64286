/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

/* What the daemon looks at although nobody says anything: how much memory slabs hold, what idle slots should give back
 * of it, sessions of which no event tells, and listeners that had no descriptor left.
 *
 * That happens in ticks, while there is a slab that can be written to, or anything is granted or waits: every second,
 * more often while a worker's cgroup comes close to its limit, and less and less often when nothing changes. Pressure
 * on the host comes by itself where PSI has a trigger. */

#include "daemon/pool.h"

#include <uv.h>

struct Server;

#define WATCH_MS 1000
#define WATCH_MAX_MS GAUGE_PAUSE_MAX_MS /* when nothing changes */

/* What changes when anything does. */
struct WatchPulse {
    uint64_t accepted, grants, n_clients, resident_bytes;
};

struct Watch {
    struct Server *server;
    uv_timer_t tick;
    uint64_t tick_ms;        /* until the next one */
    struct WatchPulse pulse; /* at the last one */
    uv_poll_t psi;           /* on the trigger, */
    int psi_fd;              /* which is -1 where there is none */
    struct TrimCount logged[TRIM_WHY_N];
    uint64_t logged_ms;
};

/* Within a server whose loop and pool are there. What the kernel has no support for is said in the server's features.
 */
void watch_open(struct Watch *watch, struct Server *server);

/* Close its handles. */
void watch_close(struct Watch *watch);

/* Before the loop sleeps: start or stop the ticks, or have the next one sooner. */
void watch_prepare(struct Watch *watch);

#endif
