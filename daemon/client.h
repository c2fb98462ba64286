/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

/* A client: one connection of one process, its lease table and its slabs.
 *
 *   CONNECTED --client_disconnect (end-of-file, protocol violation)--> DISCONNECTED
 *       |                                                                  |
 *       +--client_free (process dead, or Goodbye) --> gone <--client_free--+
 *
 * A disconnected client gets no more grants; its idle slots are revoked, its busy ones stay, charged: the process
 * may be using them, and nobody punches a busy slot of a living process. */

#include "daemon/coldest.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "shared/error.h"
#include "shared/shape.h"
#include "shared/tracking.h"
#include "shared/wire.h"

#include <sys/types.h>

struct Slab;

#define CLIENT_FDS 3 /* socket, pidfd, lease table */

/* Beyond the ErrorCodes: the slots that could be granted are being emptied. */
#define CLIENT_E_CLEANING 1000

enum ClientState { CLIENT_CONNECTED, CLIENT_DISCONNECTED };

/* Who it is: from SO_PEERCRED at accept. */
struct ClientIdentity {
    pid_t pid;
    uid_t uid;
    char command[WIRE_NAME_BYTES]; /* of the process, or what it calls itself */
};

/* What its process says of itself. */
struct ClientTracking {
    bool said;
    uint32_t way; /* enum TrackerWay */
    char why[TRACKING_WHY_BYTES];
};

struct Client {
    struct Pool *pool;
    struct User *user;
    struct Client *next, *next_of_user;
    enum ClientState state;
    uint64_t id;
    struct ClientIdentity identity;
    struct ClientTracking tracking;
    int table_fd;
    struct LeaseTable *table; /* shared with the process: every byte may be hostile */
    uint32_t *entry_owners;   /* LEASE_ENTRIES_MAX bits: entries in use by a slab */
    uint32_t entries_used;    /* the first that no slab ever had */
    struct Cgroup *cgroup;    /* of its process; NULL: none that we see */
    struct Slab *slabs;       /* list, in the order of their ids */
    struct Slab *by_target[LEASE_SLABS_MAX];
    uint32_t n_slabs, n_opened;
    struct Quota quota;
    struct Image *filling;    /* the image that it fills, or has sealed; NULL: none */
    uint32_t overdue_image;   /* the last one that was dropped because it took too long; 0: none */
    struct ImageUse *image_uses;
    uint64_t n_images;        /* both together */
    uint32_t n_image_ids;
    uint64_t granted[KIND_N], recalled[KIND_N];
    uint64_t unmet[KIND_N];   /* what its slabs that wait are short of, when shares were computed last */
    uint64_t ticket[KIND_N];  /* the earliest of them; 0: none */
    uint64_t due[KIND_N];     /* its fair share then */
    struct Coldest coldest[KIND_N]; /* idle slots to take back next */
    uint64_t looked_at, done_with; /* in which of the pool's takings: for idle slots, and that it has no more */
    struct Futile futile;
    uint64_t recallable;      /* slots that it may be asked for while those that wait are served */
    uint64_t recalled_for;    /* in which time of serving others were asked for slots for it: once in each */
    uint64_t resident_bytes;
    uint64_t n_fds;
    bool woken;               /* granted something outside of an answer: its driver bumps its table's futex */
};

/* Charge a connection to the pool and its user. Errors: ERROR_LIMIT (connections_max, connections_per_user_max,
 * fds_max), -ENOMEM. */
int client_new(struct Client **clientp, struct Pool *pool, const struct ClientIdentity *identity, struct Error *error);

/* Give everything back: slots are uncharged at once, memfds go to the pool's reclaims. NULL is fine; returns NULL. */
struct Client *client_free(struct Client *client);

/* Make the lease table (at Hello). The fd stays the client's. Errors: negative errno, ERROR_HOST (RLIMIT_FSIZE). */
int client_open_table(struct Client *client, struct Error *error);

/* Find its process' cgroup, in which it may not have been the last time. */
void client_follow_cgroup(struct Client *client);

/* Make a slab, and grant up to `want` of its slots if there are any. Errors: ERROR_INVALID (shape), ERROR_LIMIT
 * (slabs_per_client_max, slabs_max, fds_max, entries, slabs_opened, resident_bytes_max), ERROR_HOST, negative errno. */
int client_open_slab(struct Client *client, const struct Shape *shape, uint32_t want, struct Slab **slabp,
                     uint32_t *grantedp, struct Error *error);

/* The slab's slots are uncharged and its memfd goes to the reclaims. 0, or ERROR_PROTOCOL when there is no such slab.
 */
int client_close_slab(struct Client *client, uint32_t slab_id, struct Error *error);

/* Look at the slab's target, and grant. 0 and *grantedp > 0, CLIENT_E_CLEANING (ask again when reclaims are finished),
 * ERROR_LIMIT naming what is exhausted, or ERROR_PROTOCOL. */
int client_want(struct Client *client, uint32_t slab_id, uint32_t *grantedp, struct Error *error);

/* The same when nobody waits for the answer: what has room is granted, and a slab whose target says so waits its turn.
 * 0 or ERROR_PROTOCOL. */
int client_want_quietly(struct Client *client, uint32_t slab_id, struct Error *error);

/* A recalled slot came back: uncharge what the table says is vacant. */
void client_kick(struct Client *client);

/* The socket has ended and the process lives. Idempotent. */
void client_disconnect(struct Client *client);

/* For a disconnected client: revoke what has become idle since. Cheap; call it now and then. */
void client_sweep(struct Client *client);

/* A disconnected client that has nothing any more: it can be freed, though its process lives. */
bool client_is_spent(const struct Client *client);

/* Slots of a kind that the table says are busy (or recalled), among those that we granted. */
uint64_t client_count_busy(const struct Client *client, enum Kind kind);

struct Slab *client_find_slab(const struct Client *client, uint32_t slab_id);

/* Read st_blocks of its slabs again. */
void client_measure(struct Client *client);

#endif
