/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

/* The pool: the totals that all clients share, and everyone who draws on them.
 *
 * The core (pool, user, client, slab, image, gauge, quota, grant, share, want, trim, cgroup, pressure, reclaim) knows
 * no socket, no loop and no clock: it is given arguments and returns outcomes. Whoever drives it has one thread for it.
 * Ownership: Pool > User (by reference) and Client > Slab; User > Image.
 */

#include "daemon/cgroup.h"
#include "daemon/gauge.h"
#include "daemon/image.h"
#include "daemon/quota.h"
#include "shared/lease.h"
#include "shared/limits.h"

#include <stddef.h>
#include <stdint.h>

struct Client;
struct User;
struct Reclaim;

/* Bounds of the daemon itself, beside the limits that clients are told. */
struct PoolBounds {
    uint64_t connections_max;          /* clients at one time, those included whose socket is gone and process alive */
    uint64_t connections_per_user_max; /* the same for one uid, so that no uid shuts out the others */
    uint64_t slabs_per_client_max;     /* at most LEASE_SLABS_MAX */
    uint64_t slabs_max;          /* of memories and tables, over all clients: each holds one fd until it is punched */
    uint64_t images_max;         /* over all clients: each holds one fd */
    uint64_t image_bytes_max;    /* of their files; 0: there are none */
    uint64_t resident_bytes_max; /* st_blocks of all slabs; new slabs and wants are refused above it; 0: no bound */
    uint64_t budget_high_percent, budget_low_percent; /* of resident_bytes_max: idle memory is trimmed from, and to */
    uint64_t idle_trim_ms;       /* how long an idle slot keeps its pages; 0: for ever */
    uint64_t warm_share_percent; /* of a worker's cgroup that idle slots with pages may take */
    uint64_t stall_percent;      /* of the time that tasks may wait for memory */
};

/* Why a slot was trimmed: nobody used it, or one of those of pressure.h. */
enum TrimWhy { TRIM_IDLE, TRIM_BUDGET, TRIM_HOST, TRIM_CGROUP };
#define TRIM_WHY_N 4

struct TrimCount {
    uint64_t slots, bytes;
};

/* Since start. */
struct PoolCounters {
    uint64_t grants;               /* slots granted, */
    uint64_t revokes, recalls;     /* taken back while idle, and asked for while busy, because somebody else wanted */
    uint64_t waits;                /* wants that had to wait */
    struct TrimCount trims[TRIM_WHY_N];
    uint64_t granted_most[KIND_N]; /* the most that were granted at one time */
};

/* How long tasks had waited for memory when PSI was looked at last, where that is done in turns. */
struct HostPressure {
    uint64_t looked_ms; /* 0: never */
    uint64_t stalled_us;
};

/* Looks for idle slots that were in vain: see futile.h. */
#define FUTILE_LOOKS 2

struct FutileLook {
    uint64_t client, stride;
    uint32_t element_size;
};

struct Futile {
    uint64_t serve; /* in which time of serving; 0: none */
    unsigned n;
    struct FutileLook looks[FUTILE_LOOKS];
};

struct Pool {
    struct Limits limits;
    struct PoolBounds bounds;
    struct PoolCounters counters;
    struct Quotas quotas;
    uint64_t granted[KIND_N]; /* idle + busy, by our own record */
    uint64_t recalled[KIND_N]; /* of these, asked for */
    uint64_t slabs[KIND_N];
    uint64_t resident_bytes;
    uint64_t n_clients, n_disconnected, n_users;
    uint64_t next_client_id;
    struct User *users;        /* list */
    struct Client *clients;    /* list, in the order of their ids */
    struct Slab *wants, *last_want; /* list: slabs that wait, by ticket */
    uint64_t next_ticket;
    bool is_awaited[KIND_N];   /* somebody waits for the pool's slots, not for some of its own or its user's quota */
    uint64_t n_takings;        /* times that idle slots beyond a share were taken back */
    uint64_t n_serves;         /* times that those that wait for slots of a kind were served */
    struct Futile futile;      /* of the last one */
    uint64_t now_ms;           /* by the driver's clock, at the last occasion */
    bool served;               /* want_serve has nothing new to look at */
    uint64_t n_woken;          /* clients with `woken` set */
    struct Images images;
    struct Gauges gauges;      /* of slabs that have a memfd */
    uint32_t trim_cursor;      /* the gauge that trim_idle goes on at */
    uint32_t warm_cursor;      /* and trim_warm, */
    uint32_t warm_slot;        /* at which of its slots */
    struct Cgroups cgroups;    /* of the clients' processes */
    struct HostPressure host;
    struct Share *shares;      /* room for a share of each client */
    size_t n_shares;
    struct Reclaim *reclaims;  /* list: memory to be given back, see reclaim.h */
    uint32_t n_reclaims;
    uint64_t n_backings;       /* open memfds of slabs, those included that are still being punched */
};

void pool_init(struct Pool *pool, const struct Limits *limits, const struct PoolBounds *bounds);
/* Every client must be free by then, and images_deinit done. */
void pool_deinit(struct Pool *pool);

/* The bound on granted slots of a kind, and its name. */
uint64_t pool_total(const struct Pool *pool, enum Kind kind);
const char *pool_total_name(enum Kind kind);

/* How many more slots of a kind may be granted now. */
uint64_t pool_room(const struct Pool *pool, enum Kind kind);

/* NULL when there is none. */
struct Client *pool_find_client(const struct Pool *pool, uint64_t id);

/* Read st_blocks of every slab again. One fstat for each. */
void pool_measure(struct Pool *pool);

/* Copy the quotas to those that they are for. After each change of pool->quotas. */
void pool_apply_quotas(struct Pool *pool);

/* Room for one more share. 0 or -ENOMEM. */
int pool_reserve_share(struct Pool *pool);

/* The invariants: what clients and users have adds up to what the pool has, and stays within the totals. */
bool pool_is_valid(const struct Pool *pool);

#endif
