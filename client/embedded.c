/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"

#include "shared/memfd.h"

#include <stdio.h>
#include <unistd.h>

/* embedded: no daemon. The same slabs and the same lease table, made and granted here, within the limits of this
 * process. */

static int embedded_reach(struct wasmpool *pool, struct wasmpool_error *error) {
    (void)pool;
    (void)error;
    return 0;
}

/* Tables of another element size have a shelf of their own: an idle one there must not stand in the way of one here. */
static bool embedded_revoke_idle(struct wasmpool *pool, struct Shelf *shelf) {
    if (!shelf_has_idle(shelf))
        return false;
    for (struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->shape.count; i++) {
            uint64_t word = lease_load(slab_entry(slab, i));

            if (lease_state(word) != LEASE_IDLE || lease_revoke(slab_entry(slab, i), lease_generation(word)))
                continue;
            /* An idle slot is zero already: this only gives its pages back. */
            memfd_punch(slab->fd, shape_slot_offset(&slab->shape, i), slab->shape.slot_bytes);
            pool->granted[slab->shape.kind]--;
            return true;
        }
    return false;
}

static bool embedded_has_room(struct wasmpool *pool, const struct Slab *slab) {
    enum Kind kind = slab->shape.kind;

    if (pool->granted[kind] < pool_total(pool, kind))
        return true;
    if (kind != KIND_TABLE)
        return false;
    return embedded_revoke_idle(pool, &pool->tables[slab->shelf == &pool->tables[0]]);
}

static int embedded_want(struct wasmpool *pool, struct Slab *slab, uint32_t ask, struct wasmpool_error *error) {
    enum Kind kind = slab->shape.kind;
    uint64_t total = pool_total(pool, kind);
    uint32_t n = 0;

    for (uint32_t i = 0; i < slab->shape.count && n < ask; i++) {
        struct LeaseEntry *entry = slab_entry(slab, i);
        uint64_t word = lease_load(entry);

        if (lease_state(word) != LEASE_VACANT)
            continue;
        if (!(n ? pool->granted[kind] < total : embedded_has_room(pool, slab)))
            break;
        lease_grant(entry, lease_generation(word));
        pool->granted[kind]++;
        n++;
    }
    if (n)
        return 0;
    return error_limit(failure(error), ERROR_LIMIT, pool_total_name(kind), total, pool->granted[kind], 1, "exhausted");
}

static int embedded_make_memfd(const struct Shape *shape, int *fdp, struct wasmpool_error *error) {
    char name[32];
    int r;

    if (shape->kind == KIND_INSTANCE) {
        *fdp = -1;
        return 0;
    }
    snprintf(name, sizeof(name), "wasmpool-%s", kind_name(shape->kind));
    r = memfd_new(name, shape->file_bytes, fdp);
    if (r == MEMFD_E_FSIZE)
        return error_limit(failure(error), ERROR_HOST, "RLIMIT_FSIZE", memfd_bytes_max(), 0, shape->file_bytes,
                           "a slab exceeds the size a file may have");
    return r ? failure_errno(error, r, "cannot make a slab") : 0;
}

static int embedded_open_slab(struct wasmpool *pool, struct Shelf *shelf, uint32_t count, uint32_t ask,
                              struct wasmpool_error *error) {
    struct Connection *connection = pool->connection;
    struct Shape shape = shelf->shape;
    struct Slab *slab;
    int r;

    shape.count = count;
    r = shape_finish(&shape, failure(error));
    if (r)
        return r;
    if (connection->next_entry + count > connection->entries)
        return error_limit(failure(error), ERROR_LIMIT, "entries", connection->entries, connection->next_entry, count,
                           "the lease table is full");
    r = pool_new_slab(pool, shelf, &shape, &slab, error);
    if (r)
        return r;
    r = embedded_make_memfd(&shape, &slab->fd, error);
    if (!r)
        r = mapping_init(&slab->mapping, &shape, slab->fd, error);
    if (r) {
        pool_unmap_slab(pool, slab);
        return r;
    }
    slab->connection = connection;
    slab->first_entry = connection->next_entry;
    connection->next_entry += count;
    pool_add_slab(pool, slab);
    embedded_want(pool, slab, ask, NULL);
    return 0;
}

/* Who waits for what is released is served by whoever releases it. */
static void embedded_wait_over(struct wasmpool *pool, struct Slab *slab, uint32_t n) {
    (void)pool;
    (void)slab;
    (void)n;
}

static void embedded_returned(struct wasmpool *pool, struct Slab *slab) {
    (void)pool;
    (void)slab; /* nobody recalls here */
}

static void embedded_close(struct wasmpool *pool) {
    (void)pool;
}

static const struct Source EMBEDDED = {
    .reach = embedded_reach,
    .open_slab = embedded_open_slab,
    .want = embedded_want,
    .wait_for = embedded_want,
    .wait_over = embedded_wait_over,
    .returned = embedded_returned,
    .close = embedded_close,
};

int embedded_open(struct wasmpool *pool, struct wasmpool_error *error) {
    int r = connection_new(&pool->connection, -1, LEASE_ENTRIES_MAX, error);

    if (r)
        return r;
    lease_table_init(pool->connection->table, LEASE_ENTRIES_MAX);
    pool->n_connections = 1;
    pool->source = &EMBEDDED;
    return 0;
}
