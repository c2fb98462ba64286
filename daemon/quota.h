/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_QUOTA_H
#define DAEMON_QUOTA_H

/* Quotas: what one user (a uid) and one connection may have at most, and how much weight a user's wants have when the
 * pool runs short. There is one for all users and one for all connections, and overrides for single ones, which name
 * what is theirs: all else follows what holds for all. Changed by a reload, which replaces everything, and by
 * administration. A quota that is lowered below what is in use refuses what is new and takes nothing back. */

#include "daemon/number.h"
#include "daemon/share.h"
#include "shared/error.h"
#include "shared/lease.h"

#include <stdbool.h>
#include <sys/types.h>

/* X(name, field, default, least, most, is it one of connections too?, meaning); 0 as a maximum: the pool's alone */
#define QUOTAS(X)                                                                                                      \
    X(weight, weight, 1, 1, SHARE_WEIGHT_MAX, false, "share of a pool that runs short, beside other users'")           \
    X(memories_max, slots_max[KIND_MEMORY], 0, 0, 1 << 20, true, "memories granted at one time")                       \
    X(tables_max, slots_max[KIND_TABLE], 0, 0, 1 << 20, true, "tables granted at one time")                            \
    X(instances_max, slots_max[KIND_INSTANCE], 0, 0, 1 << 20, true, "instances granted at one time")                   \
    X(resident_bytes_max, resident_bytes_max, 0, 0, UINT64_MAX, true, "bytes above which nothing new is granted")      \
    X(connections_max, connections_max, 0, 0, 1 << 20, false, "connections; 0: connections_per_user_max")              \
    X(fds_max, fds_max, 0, 0, 1 << 24, true,                                                                           \
      "file descriptors that the daemon holds: 3 for a connection, 1 for a slab or image")                             \
    X(images_max, images_max, 0, 0, 1 << 20, true,                                                                     \
      "images that a user has (0: half of the pool's), or that a connection uses")                                     \
    X(image_bytes_max, image_bytes_max, 0, 0, UINT64_C(1) << 62, false, "bytes of images; 0: half of the pool's")

/* Single users, and single connections, that have quotas of their own: each look for one walks the list. */
#define QUOTA_OVERRIDES_MAX 1024

struct Quota {
    uint64_t weight;
    uint64_t slots_max[KIND_N];
    uint64_t resident_bytes_max;
    uint64_t connections_max;
    uint64_t fds_max;
    uint64_t images_max;      /* of users, 0: see IMAGE_USER_PART */
    uint64_t image_bytes_max; /* the same, and not of connections */
};

enum QuotaScope { QUOTA_USERS, QUOTA_USER, QUOTA_CLIENTS, QUOTA_CLIENT };

struct QuotaOverride {
    struct QuotaOverride *next;
    uint64_t id;        /* a uid, or a connection */
    uint32_t names;     /* bit i: QUOTA_INFOS[i] is its own */
    struct Quota quota; /* whole: what is not its own is as for all */
};

struct Quotas {
    struct Quota user, client;                               /* of every uid, and of every connection */
    struct QuotaOverride *user_overrides, *client_overrides; /* in the order of their ids */
};

extern const struct NumberInfo QUOTA_INFOS[];
extern const size_t QUOTA_INFOS_N;

/* Does it bound connections too, or users alone? */
bool quota_is_of_clients(const struct NumberInfo *info);

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

/* Hand all of it over; what is left is as after quotas_init. */
struct Quotas quotas_steal(struct Quotas *quotas);

/* Set one quota of a scope: `id` is the uid or the connection where it is of one. 0, or ERROR_INVALID (the message says
 * what would be right), ERROR_LIMIT (QUOTA_OVERRIDES_MAX) or -ENOMEM, and nothing has changed. */
int quotas_set(struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const char *name, const char *value,
               struct Error *error);

/* The quota of a uid or of a connection: its override, or what holds for all. Lives until `quotas` is changed. */
const struct Quota *quotas_find(const struct Quotas *quotas, uid_t uid);
const struct Quota *quotas_find_client(const struct Quotas *quotas, uint64_t connection);

/* The same by scope; `id` counts for nothing where it is of all. */
const struct Quota *quotas_at(const struct Quotas *quotas, enum QuotaScope scope, uint64_t id);

/* Is there an override of `id` (QUOTA_USER, QUOTA_CLIENT) that names it as its own? */
bool quotas_overrides(const struct Quotas *quotas, enum QuotaScope scope, uint64_t id, const struct NumberInfo *info);

/* Connections that have ended: drop the overrides of those for which `lives` is false. */
void quotas_prune_clients(struct Quotas *quotas, bool (*lives)(uint64_t connection, const void *data),
                          const void *data);

#endif
