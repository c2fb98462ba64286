/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/client.h"

#include "daemon/grant.h"
#include "daemon/reclaim.h"
#include "daemon/slab.h"
#include "daemon/user.h"
#include "shared/memfd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENT_TABLE_BYTES lease_table_bytes(LEASE_ENTRIES_MAX)

/* ------------------------------------------------------------------------------------------------ life */

static int client_admit(const struct Pool *pool, const struct User *user, struct Error *error) {
    const struct PoolBounds *bounds = &pool->bounds;

    if (pool->n_clients >= bounds->connections_max)
        return error_limit(error, ERROR_LIMIT, "connections_max", bounds->connections_max, pool->n_clients, 1,
                           "too many connections");
    if (user->n_clients > bounds->connections_per_user_max) /* with this one's reference */
        return error_limit(error, ERROR_LIMIT, "connections_per_user_max", bounds->connections_per_user_max,
                           user->n_clients - 1, 1, "this user has too many connections");
    return 0;
}

int client_new(struct Client **clientp, struct Pool *pool, const struct ClientIdentity *identity, struct Error *error) {
    struct Client *client, **link;
    struct User *user;
    int r = user_ref(&user, pool, identity->uid);

    if (r)
        return error_set(error, r, "the daemon is out of memory");
    r = client_admit(pool, user, error);
    client = r ? NULL : calloc(1, sizeof(*client));
    if (!client) {
        user_unref(user);
        return r ? r : error_set(error, -ENOMEM, "the daemon is out of memory");
    }
    client->pool = pool;
    client->user = user;
    client->id = pool->next_client_id++;
    client->identity = *identity;
    client->table_fd = -1;
    for (link = &pool->clients; *link; link = &(*link)->next)
        ;
    *link = client;
    pool->n_clients++;
    *clientp = client;
    return 0;
}

static void client_drop_slab(struct Client *client, struct Slab *slab) {
    struct Slab **link;
    enum Kind kind = slab->shape.kind;

    for (link = &client->slabs; *link != slab; link = &(*link)->next)
        ;
    *link = slab->next;
    grant_forget(slab);
    client->n_slabs--;
    client->pool->slabs[kind]--;
    client->user->slabs[kind]--;
    client->resident_bytes -= slab->resident_bytes;
    client->pool->resident_bytes -= slab->resident_bytes;
    slab_free(slab);
}

struct Client *client_free(struct Client *client) {
    struct Client **link;

    if (!client)
        return NULL;
    while (client->slabs)
        client_drop_slab(client, client->slabs);
    for (link = &client->pool->clients; *link != client; link = &(*link)->next)
        ;
    *link = client->next;
    client->pool->n_clients--;
    client->pool->n_disconnected -= client->state == CLIENT_DISCONNECTED;
    user_unref(client->user);
    if (client->table)
        munmap(client->table, CLIENT_TABLE_BYTES);
    if (client->table_fd >= 0)
        close(client->table_fd);
    free(client->entry_owners);
    free(client);
    return NULL;
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

static int client_admit_slab(const struct Client *client, struct Error *error) {
    const struct Pool *pool = client->pool;
    const struct PoolBounds *bounds = &pool->bounds;

    if (!client->table)
        return error_set(error, ERROR_PROTOCOL, "a slab was asked for before there was a lease table");
    if (client->n_slabs >= bounds->slabs_per_client_max)
        return error_limit(error, ERROR_LIMIT, "slabs_per_client_max", bounds->slabs_per_client_max, client->n_slabs, 1,
                           "this client has too many slabs");
    if (pool->n_backings >= bounds->slabs_max)
        return error_limit(error, ERROR_LIMIT, "slabs_max", bounds->slabs_max, pool->n_backings, 1,
                           "there are too many slabs");
    if (bounds->resident_bytes_max && pool->resident_bytes >= bounds->resident_bytes_max)
        return error_limit(error, ERROR_LIMIT, "resident_bytes_max", bounds->resident_bytes_max, pool->resident_bytes,
                           0, "the pool's memory is in use");
    return 0;
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

    while (client->target_owners[i] == UINT32_MAX)
        i++;
    return i * 32 + (uint32_t)__builtin_ctz(~client->target_owners[i]);
}

/* A slab's entries start VACANT in generation 0, whatever a slab before it has left there. Those that no slab ever had
 * are not touched: they would cost us pages. If the client has written there, the slots are lost to it. */
static void client_clear_entries(struct Client *client, uint32_t first, uint32_t count) {
    uint32_t end = first + count;

    for (uint32_t i = first; i < end && i < client->entries_used; i++) {
        struct LeaseEntry *entry = &client->table->entries[i];

        atomic_store(&entry->flags, 0);
        memset(entry->label, 0, sizeof(entry->label));
        atomic_store(&entry->word, lease_word(0, LEASE_VACANT));
    }
    if (client->entries_used < end)
        client->entries_used = end;
}

static void client_add_slab(struct Client *client, struct Slab *slab, uint32_t first) {
    struct Slab **link;
    enum Kind kind = slab->shape.kind;

    slab->client = client;
    slab->id = ++client->next_slab_id;
    slab->target = client_find_target(client);
    slab->first_entry = first;
    client->target_owners[slab->target / 32] |= UINT32_C(1) << slab->target % 32;
    client_own_entries(client, first, slab->shape.count, true);
    client_clear_entries(client, first, slab->shape.count);
    for (link = &client->slabs; *link; link = &(*link)->next)
        ;
    *link = slab;
    client->n_slabs++;
    if (slab->backing) {
        slab->backing->pool = client->pool;
        client->pool->n_backings++;
    }
    client->pool->slabs[kind]++;
    client->user->slabs[kind]++;
}

int client_open_slab(struct Client *client, const struct Shape *asked, uint32_t want, struct Slab **slabp,
                     uint32_t *grantedp, struct Error *error) {
    struct Shape shape = *asked;
    struct Slab *slab;
    uint32_t first = 0;
    int r = client_admit_slab(client, error);

    if (!r)
        r = shape_finish(&shape, error);
    if (!r)
        r = client_find_entries(client, shape.count, &first, error);
    if (!r)
        r = slab_new(&slab, &shape, error);
    if (r)
        return r;
    client_add_slab(client, slab, first);
    atomic_store(&client->table->header.targets[slab->target], want);
    *slabp = slab;
    *grantedp = client->state == CLIENT_CONNECTED ? grant_slots(slab, want) : 0;
    return 0;
}

struct Slab *client_find_slab(const struct Client *client, uint32_t slab_id) {
    struct Slab *slab = client->slabs;

    while (slab && slab->id != slab_id)
        slab = slab->next;
    return slab;
}

int client_close_slab(struct Client *client, uint32_t slab_id, struct Error *error) {
    struct Slab *slab = client_find_slab(client, slab_id);

    if (!slab)
        return error_set(error, ERROR_PROTOCOL, "there is no slab %u to close", slab_id);
    client->target_owners[slab->target / 32] &= ~(UINT32_C(1) << slab->target % 32);
    client_own_entries(client, slab->first_entry, slab->shape.count, false);
    client_drop_slab(client, slab);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ grants */

int client_want(struct Client *client, uint32_t slab_id, uint32_t *grantedp, struct Error *error) {
    struct Slab *slab = client_find_slab(client, slab_id);
    struct Pool *pool = client->pool;
    uint32_t target, n;
    enum Kind kind;

    if (!slab)
        return error_set(error, ERROR_PROTOCOL, "there is no slab %u to want slots of", slab_id);
    kind = slab->shape.kind;
    grant_collect(slab);
    client_measure(client);
    if (pool->bounds.resident_bytes_max && pool->resident_bytes >= pool->bounds.resident_bytes_max)
        return error_limit(error, ERROR_LIMIT, "resident_bytes_max", pool->bounds.resident_bytes_max,
                           pool->resident_bytes, 0, "the pool's memory is in use");
    target = atomic_load(&client->table->header.targets[slab->target]); /* hostile: only ever compared */
    if (target <= slab->n_granted)
        return error_limit(error, ERROR_LIMIT, "target", target, slab->n_granted, 0, "no more slots are wanted");
    n = grant_slots(slab, target - slab->n_granted);
    if (n) {
        *grantedp = n;
        return 0;
    }
    if (pool_room(pool, kind))
        return error_limit(error, ERROR_LIMIT, "slots", slab->shape.count, slab->n_granted, 1, "the slab is full");
    return error_limit(error, ERROR_LIMIT, pool_total_name(kind), pool_total(pool, kind), pool->granted[kind],
                       target - slab->n_granted, "exhausted");
}

void client_kick(struct Client *client) {
    for (struct Slab *slab = client->slabs; slab; slab = slab->next)
        grant_collect(slab);
}

void client_disconnect(struct Client *client) {
    if (client->state == CLIENT_DISCONNECTED)
        return;
    client->state = CLIENT_DISCONNECTED;
    client->pool->n_disconnected++;
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
