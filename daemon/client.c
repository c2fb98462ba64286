/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/client.h"

#include "daemon/grant.h"
#include "daemon/image-room.h"
#include "daemon/reclaim.h"
#include "daemon/slab.h"
#include "daemon/user.h"
#include "daemon/want.h"
#include "shared/memfd.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENT_TABLE_BYTES lease_table_bytes(LEASE_ENTRIES_MAX)

/* ------------------------------------------------------------------------------------------------ life */

/* What nobody uses makes room for what is asked for. */
static bool user_make_fd_room(struct User *user, uint64_t n) {
    while (quota_room(user->quota.fds_max, user->n_fds) < n)
        if (!images_evict(user->pool, user))
            return false;
    return true;
}

static int client_admit(const struct Pool *pool, struct User *user, struct Error *error) {
    const struct PoolBounds *bounds = &pool->bounds;
    const struct Quota *quota = &user->quota;
    uint64_t per_user = quota->connections_max ? quota->connections_max : bounds->connections_per_user_max;
    const char *limit = quota->connections_max ? "connections_max of the user" : "connections_per_user_max";

    if (pool->n_clients >= bounds->connections_max)
        return error_limit(error, ERROR_LIMIT, "connections_max", bounds->connections_max, pool->n_clients, 1,
                           "too many connections");
    if (user->n_clients > per_user) /* with this one's reference */
        return error_limit(error, ERROR_LIMIT, limit, per_user, user->n_clients - 1, 1,
                           "this user has too many connections");
    if (!user_make_fd_room(user, CLIENT_FDS))
        return error_limit(error, ERROR_LIMIT, "fds_max of the user", quota->fds_max, user->n_fds, CLIENT_FDS,
                           "this user has too many file descriptors");
    return 0;
}

static void client_link(struct Client *client) {
    struct Client **link;

    for (link = &client->pool->clients; *link; link = &(*link)->next)
        ;
    *link = client;
    for (link = &client->user->clients; *link; link = &(*link)->next_of_user)
        ;
    *link = client;
    client->pool->n_clients++;
}

static void client_unlink(struct Client *client) {
    struct Client **link;

    for (link = &client->pool->clients; *link != client; link = &(*link)->next)
        ;
    *link = client->next;
    for (link = &client->user->clients; *link != client; link = &(*link)->next_of_user)
        ;
    *link = client->next_of_user;
    client->pool->n_clients--;
}

static void client_charge_fds(struct Client *client, int64_t n) {
    client->n_fds += (uint64_t)n;
    client->user->n_fds += (uint64_t)n;
}

int client_new(struct Client **clientp, struct Pool *pool, const struct ClientIdentity *identity, struct Error *error) {
    struct Client *client;
    struct User *user;
    int r = user_ref(&user, pool, identity->uid);

    if (r)
        return error_set(error, r, "the daemon is out of memory");
    r = client_admit(pool, user, error);
    client = r || pool_reserve_share(pool) ? NULL : calloc(1, sizeof(*client));
    if (!client) {
        user_unref(user);
        return r ? r : error_set(error, -ENOMEM, "the daemon is out of memory");
    }
    client->pool = pool;
    client->user = user;
    client->id = pool->next_client_id++;
    client->identity = *identity;
    client->quota = pool->quotas.client;
    client->table_fd = -1;
    client_link(client);
    client_charge_fds(client, CLIENT_FDS);
    *clientp = client;
    return 0;
}

static void client_drop_slab(struct Client *client, struct Slab *slab) {
    struct Slab **link;
    enum Kind kind = slab->shape.kind;

    for (link = &client->slabs; *link != slab; link = &(*link)->next)
        ;
    *link = slab->next;
    want_forget(slab);
    grant_forget(slab);
    client->coldest[kind].n = client->coldest[kind].n_seen = 0;
    client->by_target[slab->target] = NULL;
    client->n_slabs--;
    if (slab->fd >= 0)
        client_charge_fds(client, -1);
    gauge_remove(&client->pool->gauges, slab);
    client->pool->slabs[kind]--;
    client->user->slabs[kind]--;
    cgroup_charge(client->cgroup, -slab->resident_bytes);
    client->resident_bytes -= slab->resident_bytes;
    client->user->resident_bytes -= slab->resident_bytes;
    client->pool->resident_bytes -= slab->resident_bytes;
    slab_free(slab);
}

struct Client *client_free(struct Client *client) {
    if (!client)
        return NULL;
    while (client->slabs)
        client_drop_slab(client, client->slabs);
    images_leave(client);
    client_unlink(client);
    client_charge_fds(client, -CLIENT_FDS);
    client->pool->n_woken -= client->woken;
    client->pool->n_disconnected -= client->state == CLIENT_DISCONNECTED;
    cgroup_unref(&client->pool->cgroups, client->cgroup);
    user_unref(client->user);
    if (client->table)
        munmap(client->table, CLIENT_TABLE_BYTES);
    if (client->table_fd >= 0)
        close(client->table_fd);
    free(client->entry_owners);
    free(client);
    return NULL;
}

/* Pages stay charged where they were touched; those to come count for more. */
void client_follow_cgroup(struct Client *client) {
    struct Cgroup *before = client->cgroup;
    char file[40];

    snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)client->identity.pid);
    client->cgroup = cgroup_ref(&client->pool->cgroups, file);
    cgroup_charge(client->cgroup, client->resident_bytes);
    cgroup_charge(before, -client->resident_bytes);
    cgroup_unref(&client->pool->cgroups, before);
}

int client_open_table(struct Client *client, struct Error *error) {
    void *table;
    int r;

    assert(client->table_fd < 0);
    r = memfd_new("wasmpool-lease", CLIENT_TABLE_BYTES, &client->table_fd);
    if (r == MEMFD_E_FSIZE)
        return error_limit(error, ERROR_HOST, "RLIMIT_FSIZE", memfd_bytes_max(), 0, CLIENT_TABLE_BYTES,
                           "a lease table exceeds the size that the daemon's files may have");
    if (r)
        return error_set(error, ERROR_HOST, "cannot make a lease table: %s", strerror(-r));
    client->entry_owners = calloc(LEASE_ENTRIES_MAX / 32, sizeof(uint32_t));
    if (!client->entry_owners)
        return error_set(error, -ENOMEM, "the daemon is out of memory");
    table = mmap(NULL, CLIENT_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, client->table_fd, 0);
    if (table == MAP_FAILED)
        return error_set(error, ERROR_HOST, "the daemon cannot map a lease table: %s", strerror(errno));
    madvise(table, CLIENT_TABLE_BYTES, MADV_DONTDUMP);
    client->table = table;
    lease_table_init(client->table, LEASE_ENTRIES_MAX);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ slabs */

static int client_admit_fd(const char *limit, uint64_t max, uint64_t use, struct Error *error) {
    if (quota_room(max, use))
        return 0;
    return error_limit(error, ERROR_LIMIT, limit, max, use, 1, "no file descriptor is left for a slab");
}

static int client_admit_slab(const struct Client *client, enum Kind kind, struct Error *error) {
    const struct Pool *pool = client->pool;
    const struct PoolBounds *bounds = &pool->bounds;
    int r;

    if (!client->table)
        return error_set(error, ERROR_PROTOCOL, "a slab was asked for before there was a lease table");
    if (client->n_slabs >= bounds->slabs_per_client_max)
        return error_limit(error, ERROR_LIMIT, "slabs_per_client_max", bounds->slabs_per_client_max, client->n_slabs, 1,
                           "this client has too many slabs");
    if (pool->n_backings >= bounds->slabs_max)
        return error_limit(error, ERROR_LIMIT, "slabs_max", bounds->slabs_max, pool->n_backings, 1,
                           "there are too many slabs");
    if (client->n_opened >= SLAB_OPENED_MAX)
        return error_limit(error, ERROR_LIMIT, "slabs_opened", SLAB_OPENED_MAX, client->n_opened, 1,
                           "this client has opened too many slabs: connect anew");
    r = kind == KIND_INSTANCE ? 0 : client_admit_fd("fds_max of the connection", client->quota.fds_max, client->n_fds,
                                                    error);
    if (!r && kind != KIND_INSTANCE && !user_make_fd_room(client->user, 1))
        r = client_admit_fd("fds_max of the user", client->user->quota.fds_max, client->user->n_fds, error);
    return r ? r : want_check_bytes(client, 0, error);
}

static bool client_entry_is_owned(const struct Client *client, uint32_t entry) {
    return client->entry_owners[entry / 32] >> entry % 32 & 1;
}

static void client_own_entries(struct Client *client, uint32_t first, uint32_t count, bool own) {
    for (uint32_t i = first; i < first + count; i++)
        if (own)
            client->entry_owners[i / 32] |= UINT32_C(1) << i % 32;
        else
            client->entry_owners[i / 32] &= ~(UINT32_C(1) << i % 32);
}

/* The first run of free entries that is long enough. */
static int client_find_entries(const struct Client *client, uint32_t count, uint32_t *firstp, struct Error *error) {
    uint32_t run = 0;

    for (uint32_t i = 0; i < LEASE_ENTRIES_MAX; i++) {
        run = client_entry_is_owned(client, i) ? 0 : run + 1;
        if (run == count) {
            *firstp = i + 1 - count;
            return 0;
        }
    }
    return error_limit(error, ERROR_LIMIT, "entries", LEASE_ENTRIES_MAX, LEASE_ENTRIES_MAX - run, count,
                       "the lease table is full");
}

/* The least index that no slab of the client has for its target word; there are as many as there may be slabs. */
static uint32_t client_find_target(const struct Client *client) {
    uint32_t i = 0;

    while (client->by_target[i])
        i++;
    return i;
}

/* A slab's entries start VACANT in generation 0, whatever a slab before it has left there. Those that no slab ever had
 * are not touched: they would cost us pages. If the client has written there, the slots are lost to it. */
static void client_clear_entries(struct Client *client, uint32_t first, uint32_t count) {
    uint32_t end = first + count;

    for (uint32_t i = first; i < end && i < client->entries_used; i++) {
        struct LeaseEntry *entry = &client->table->entries[i];

        atomic_store(&entry->flags, 0);
        memset(entry->label, 0, sizeof(entry->label));
        atomic_store(&entry->image, 0);
        atomic_store(&entry->reset, 0);
        entry->reserved = 0; /* in a trace another slot begins, see tests/model/trace.h */
        atomic_store(&entry->word, lease_word(0, LEASE_VACANT));
    }
    if (client->entries_used < end)
        client->entries_used = end;
}

static void client_add_slab(struct Client *client, struct Slab *slab, uint32_t first) {
    struct Slab **link;
    enum Kind kind = slab->shape.kind;

    slab->client = client;
    slab->target = client_find_target(client);
    slab->id = ++client->n_opened << SLAB_TARGET_BITS | slab->target;
    slab->first_entry = first;
    slab->entries = &client->table->entries[first];
    client->by_target[slab->target] = slab;
    client_own_entries(client, first, slab->shape.count, true);
    client_clear_entries(client, first, slab->shape.count);
    for (link = &client->slabs; *link; link = &(*link)->next)
        ;
    *link = slab;
    client->n_slabs++;
    if (slab->fd >= 0)
        client_charge_fds(client, 1);
    if (slab->backing) {
        slab->backing->count = &client->pool->n_backings;
        client->pool->n_backings++;
    }
    gauge_add(&client->pool->gauges, slab);
    client->pool->slabs[kind]++;
    client->user->slabs[kind]++;
}

int client_open_slab(struct Client *client, const struct Shape *asked, uint32_t want, struct Slab **slabp,
                     uint32_t *grantedp, struct Error *error) {
    struct Shape shape = *asked;
    struct Slab *slab;
    uint32_t first = 0;
    int r = client_admit_slab(client, shape.kind, error);

    if (!r)
        r = shape_finish(&shape, error);
    if (!r)
        r = client_find_entries(client, shape.count, &first, error);
    if (!r && gauge_reserve(&client->pool->gauges))
        r = error_set(error, -ENOMEM, "the daemon is out of memory");
    if (!r)
        r = slab_new(&slab, &shape, error);
    if (r)
        return r;
    client_add_slab(client, slab, first);
    atomic_store(&client->table->header.targets[slab->target], want);
    *slabp = slab;
    *grantedp = client->state == CLIENT_CONNECTED ? want_meet(slab, want & LEASE_TARGET_SLOTS, NULL) : 0;
    return 0;
}

struct Slab *client_find_slab(const struct Client *client, uint32_t slab_id) {
    uint32_t target = slab_id & ((UINT32_C(1) << SLAB_TARGET_BITS) - 1);
    struct Slab *slab = target < LEASE_SLABS_MAX ? client->by_target[target] : NULL;

    return slab && slab->id == slab_id ? slab : NULL;
}

int client_close_slab(struct Client *client, uint32_t slab_id, struct Error *error) {
    struct Slab *slab = client_find_slab(client, slab_id);

    if (!slab)
        return error_set(error, ERROR_PROTOCOL, "there is no slab %u to close", slab_id);
    client_own_entries(client, slab->first_entry, slab->shape.count, false);
    client_drop_slab(client, slab);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ grants */

/* What a slab holds now counts where somebody has said how much that may be; elsewhere its gauge is soon enough. */
static void client_weigh(const struct Client *client, struct Slab *slab) {
    if (client->pool->bounds.resident_bytes_max || client->user->quota.resident_bytes_max ||
        client->quota.resident_bytes_max)
        slab_measure(slab);
}

int client_want(struct Client *client, uint32_t slab_id, uint32_t *grantedp, struct Error *error) {
    struct Slab *slab = client_find_slab(client, slab_id);
    uint32_t ask, n;

    if (!slab)
        return error_set(error, ERROR_PROTOCOL, "there is no slab %u to want slots of", slab_id);
    grant_collect(slab);
    client_weigh(client, slab);
    ask = want_unmet(slab, NULL);
    if (slab->n_granted == slab->shape.count)
        return error_limit(error, ERROR_LIMIT, "slots", slab->shape.count, slab->n_granted, 1, "the slab is full");
    if (!ask)
        return error_limit(error, ERROR_LIMIT, "target", slab->n_granted, slab->n_granted, 0,
                           "no more slots are wanted");
    n = want_meet(slab, ask, error);
    if (!n)
        return slab->n_cleaning && grant_room(slab) ? CLIENT_E_CLEANING : ERROR_LIMIT;
    *grantedp = n;
    return 0;
}

int client_want_quietly(struct Client *client, uint32_t slab_id, struct Error *error) {
    struct Slab *slab = client_find_slab(client, slab_id);
    uint32_t ask;
    bool waits;

    if (!slab)
        return error_set(error, ERROR_PROTOCOL, "there is no slab %u to want slots of", slab_id);
    grant_collect(slab);
    client_weigh(client, slab);
    ask = want_unmet(slab, &waits);
    if (ask && waits)
        want_wait(slab);
    else if (ask && !client->pool->is_awaited[slab->shape.kind] && !want_check_bytes(client, 0, NULL) &&
             grant_slots(slab, ask))
        want_wake(client);
    return 0;
}

void client_kick(struct Client *client) {
    for (struct Slab *slab = client->slabs; slab; slab = slab->next)
        if (slab->n_recalled)
            grant_collect(slab);
}

void client_disconnect(struct Client *client) {
    if (client->state == CLIENT_DISCONNECTED)
        return;
    client->state = CLIENT_DISCONNECTED;
    client->pool->n_disconnected++;
    for (struct Slab *slab = client->slabs; slab; slab = slab->next)
        want_forget(slab);
    images_leave(client);
    client_sweep(client);
}

void client_sweep(struct Client *client) {
    if (client->state != CLIENT_DISCONNECTED)
        return;
    for (struct Slab *slab = client->slabs; slab; slab = slab->next) {
        grant_revoke_idle(slab);
        grant_collect(slab);
    }
    client_measure(client);
}

bool client_is_spent(const struct Client *client) {
    return client->state == CLIENT_DISCONNECTED && !client->granted[KIND_MEMORY] && !client->granted[KIND_TABLE] &&
           !client->granted[KIND_INSTANCE];
}

uint64_t client_count_busy(const struct Client *client, enum Kind kind) {
    uint64_t n = 0;

    for (const struct Slab *slab = client->slabs; slab; slab = slab->next)
        if (slab->shape.kind == kind)
            n += slab_count_busy(slab);
    return n;
}

void client_measure(struct Client *client) {
    for (struct Slab *slab = client->slabs; slab; slab = slab->next)
        slab_measure(slab);
}
