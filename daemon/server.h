/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

/* The daemon as a whole: one loop, the pool, two listeners, and who is connected to them.
 *
 * It sleeps unless somebody says something, waits for slots (then it looks again soon), or is to be watched (watch.h).
 * SIGTERM and SIGINT end it: nothing more is granted, answers that wait for room are given a moment, and what is
 * granted is left as it is, since processes are using it. SIGHUP reads the configuration again. */

#include "daemon/config.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/pool.h"
#include "daemon/watch.h"
#include "shared/features.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct Admin;
struct Session;

/* Since start. */
struct ServerCounters {
    uint64_t accepted; /* connections */
    uint64_t refused;  /* requests and connections */
    uint64_t cut_off;  /* connections, for breaking the protocol */
};

struct Server {
    uv_loop_t loop;
    struct Config config; /* as it was asked for; without the quotas, which the pool has */
    int argc; /* for reading the configuration again */
    char **argv;
    struct Pool pool;
    struct Features features;
    struct ServerCounters counters;
    struct Listener tenants, admins;
    struct Session *session_list;
    unsigned n_deferred; /* sessions with a Want that waits for reclaims, */
    unsigned n_stalled;  /* and with an answer that waits for the kernel to have room */
    struct Admin *admin_list;
    unsigned n_admins;
    uv_signal_t signals[3];
    struct Watch watch;
    uv_timer_t reclaim;  /* while memory is to be given back, but not at once */
    uv_timer_t rescan;   /* while anyone waits for slots */
    uint64_t rescan_ms, n_waits;
    uv_timer_t stop_deadline;
    uv_prepare_t prepare;
    uint64_t started_ns;
    uint64_t fds_max;
    bool stopping;
    bool reload_failed; /* the last one: an older configuration is in force */
    struct Notify notify;
};

/* Listen with this configuration, whose quotas are stolen. 0, or a positive ErrorCode or negative errno with `error`,
 * and nothing is left behind. argc and argv must stay. */
int server_open(struct Server *server, struct Config *config, int argc, char **argv, struct Error *error);

/* Serve until a signal ends it, and close everything. */
void server_run(struct Server *server);

/* Requests and connections refused since start, those included for which there was no descriptor. */
uint64_t server_count_refused(const struct Server *server);

/* A descriptor may have become free. */
void server_resume_listeners(struct Server *server);

/* Tell the service manager how many clients and slots there are. */
void server_tell_status(struct Server *server);

#endif
