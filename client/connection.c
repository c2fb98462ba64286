/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/channel.h"
#include "client/demand.h"
#include "client/image.h"
#include "client/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void connection_advise(void *table, uint64_t bytes) {
    madvise(table, bytes, MADV_DONTFORK);
    madvise(table, bytes, MADV_DONTDUMP);
}

int connection_new(struct Connection **connectionp, int fd, uint32_t entries, struct wasmpool_error *error) {
    uint64_t bytes = lease_table_bytes(entries);
    struct Connection *connection = calloc(1, sizeof(*connection));
    void *table;

    if (!connection)
        return failure_errno(error, -ENOMEM, "a connection");
    table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED,
                 fd, 0);
    if (table == MAP_FAILED) {
        free(connection);
        return error_limit(failure(error), ERROR_HOST, "address space", UINT64_C(1) << 47, 0, bytes,
                           "cannot map the lease table");
    }
    connection_advise(table, bytes);
    *connection = (struct Connection){.table = table, .table_bytes = bytes, .entries = entries};
    *connectionp = connection;
    return 0;
}

void connection_forget_images(struct Connection *connection) {
    while (connection->image_uses) {
        struct ImageUse *use = connection->image_uses;

        connection->image_uses = use->next;
        image_use_unref(use);
    }
}

struct Connection *connection_free(struct Connection *connection) {
    if (!connection)
        return NULL;
    connection_forget_images(connection);
    channel_close(connection->channel);
    munmap(connection->table, connection->table_bytes);
    free(connection);
    return NULL;
}

static void connection_drain_shelf(struct wasmpool *pool, struct Shelf *shelf, struct Connection *connection) {
    struct Slab *next;

    for (struct Slab *slab = shelf->slabs; slab; slab = next) {
        next = slab->next;
        if (slab->connection != connection)
            continue;
        slab_drain(slab);
        demand_remove_slab(slab);
        shelf_forget_slab(slab);
        if (!slab_use(slab).busy)
            pool_unmap_slab(pool, slab);
    }
}

void connection_drain(struct wasmpool *pool, struct Connection *connection) {
    connection->draining = true;
    if (!connection->n_slabs)
        connection_blank(connection);
    connection_drain_shelf(pool, &pool->instances, connection);
    connection_drain_shelf(pool, &pool->memories, connection);
    connection_drain_shelf(pool, &pool->tables[0], connection);
    connection_drain_shelf(pool, &pool->tables[1], connection);
}

void connection_blank(struct Connection *connection) {
    void *table = mmap(connection->table, connection->table_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    /* Where there is no memory for that, the old table stays: all its words are VACANT by now. */
    if (table != MAP_FAILED)
        connection_advise(table, connection->table_bytes);
}
