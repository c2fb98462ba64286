/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_QUOTA_H
#define DAEMON_QUOTA_H

/* Quotas: what one user (a uid) and one connection may have at most, and how much weight a user's wants have when the
 * pool runs short. Defaults for everyone, and overrides for single uids; changed by a reload and by administration. A
 * quota that is lowered below what is in use refuses what is new and takes nothing back. */

#include "daemon/share.h"
#include "shared/error.h"
#include "shared/lease.h"

#include <stdbool.h>
#include <sys/types.h>

/* X(name, field, default, least, most, is it one of connections too?, meaning); 0 as a maximum: no bound but the pool's
 */
#define QUOTAS(X)                                                                                                      \
    X(weight, weight, 1, 1, SHARE_WEIGHT_MAX, false, "share of a pool that runs short, beside other users'")           \
    X(memories_max, slots_max[KIND_MEMORY], 0, 0, 1 << 20, true, "memories granted at one time")                       \
    X(tables_max, slots_max[KIND_TABLE], 0, 0, 1 << 20, true, "tables granted at one time")                            \
    X(instances_max, slots_max[KIND_INSTANCE], 0, 0, 1 << 20, true, "instances granted at one time")                   \
    X(resident_bytes_max, resident_bytes_max, 0, 0, UINT64_MAX, true, "bytes above which nothing new is granted")      \
    X(connections_max, connections_max, 0, 0, 1 << 20, false, "connections; 0: connections_per_user_max")              \
    X(fds_max, fds_max, 0, 0, 1 << 24, true, "file descriptors that the daemon holds: 3 for a connection, 1 for a slab")

struct Quota {
    uint64_t weight;
    uint64_t slots_max[KIND_N];
    uint64_t resident_bytes_max;
    uint64_t connections_max;
    uint64_t fds_max;
};

struct QuotaOverride {
    struct QuotaOverride *next;
    uid_t uid;
    struct Quota quota; /* whole: what is not overridden is the default of when it was made */
};

struct Quotas {
    struct Quota user, client; /* defaults: of each uid, and of each connection */
    struct QuotaOverride *overrides;
};

void quota_init(struct Quota *quota);

/* What has no bound is UINT64_MAX. */
static inline uint64_t quota_bound(uint64_t max) {
    return max ? max : UINT64_MAX;
}

/* How many more a bound allows for; none if use is beyond it. */
static inline uint64_t quota_room(uint64_t max, uint64_t use) {
    uint64_t bound = quota_bound(max);

    return bound > use ? bound - use : 0;
}

void quotas_init(struct Quotas *quotas);
void quotas_deinit(struct Quotas *quotas);

/* The quota of a uid: its override or the default. Lives until `quotas` is changed. */
const struct Quota *quotas_find(const struct Quotas *quotas, uid_t uid);

#endif
