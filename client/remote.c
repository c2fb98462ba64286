/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/remote.h"

#include "client/pool.h"
#include "shared/memfd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* unix: slabs and grants come from the daemon.
 *
 *   CONNECTED --the channel ends--> ENDED --reach: a daemon answers--> DRAINING --last busy slot released--> unmapped
 *
 * While ENDED everything that was granted stays usable; only new demands fail. With a new connection in its place the
 * old slabs drain: nothing of them is taken any more, and each is unmapped when its last slot comes back. */

static int remote_tell(struct Channel *channel, struct Wasmpool__Packet message) {
    return channel_tell(channel, &message);
}

void remote_ack(struct Channel *channel) {
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;

    remote_tell(channel, (WireMessage)WIRE_MESSAGE(0, ACK, ack, &ack));
}

int remote_check_fd(struct Channel *channel, struct WirePacket *answer, int (*check)(int fd, uint64_t bytes),
                    uint64_t bytes, int *fdp, struct wasmpool_error *error) {
    char what[128];
    int fd = wire_packet_steal_fd(answer), r;

    if (fd < 0)
        return channel_reject(channel, "did not send the file descriptor that belongs to its answer", error);
    r = check(fd, bytes);
    if (!r) {
        *fdp = fd;
        return 0;
    }
    close(fd);
    snprintf(what, sizeof(what), r == MEMFD_E_SIZE ? "sent a memfd whose size is not the agreed %llu bytes"
                                                   : "sent a memfd whose seals do not keep it as it is (size %llu)",
             (unsigned long long)bytes);
    return channel_reject(channel, what, error);
}

static int remote_welcome(struct wasmpool *pool, struct Channel *channel, struct WirePacket *answer,
                          struct wasmpool_error *error) {
    const Wasmpool__Welcome *welcome = answer->message->welcome;
    struct Connection *connection;
    uint32_t entries = welcome->entries;
    int fd, r;

    if (entries < SHELF_PERMIT_SLOTS || entries > LEASE_ENTRIES_MAX)
        return channel_reject(channel, "offers a lease table of no possible size", error);
    r = remote_check_fd(channel, answer, memfd_check, lease_table_bytes(entries), &fd, error);
    if (r)
        return r;
    r = connection_new(&connection, fd, entries, error);
    close(fd);
    if (r)
        return r;
    if (connection->table->header.magic != LEASE_MAGIC || connection->table->header.version != LEASE_VERSION) {
        connection_free(connection);
        return channel_reject(channel, "sent a lease table of another version", error);
    }
    if (!pool->n_connections++) {
        uint64_t reservation = pool->limits.memory_reservation, guard = pool->limits.memory_guard_size,
                 before = pool->limits.guard_before_linear_memory;

        /* The shape of our own slabs is ours to choose, everything else is the daemon's. */
        wire_limits_get(&pool->limits, welcome->limits);
        pool->limits.memory_reservation = reservation;
        pool->limits.memory_guard_size = guard;
        pool->limits.guard_before_linear_memory = before;
    }
    remote_ack(channel);
    connection->channel = channel;
    connection->next = pool->connection;
    pool->connection = connection;
    return 0;
}

static int remote_connect(struct wasmpool *pool, struct wasmpool_error *error) {
    struct WirePacket answer;
    struct Channel *channel;
    int r;

    r = channel_connect(&channel, pool->path, &pool->patience, error);
    if (r)
        return r;
    r = channel_hello(channel, pool->name, 1, &answer, error);
    if (!r) {
        r = remote_welcome(pool, channel, &answer, error);
        wire_packet_deinit(&answer);
    }
    if (r)
        channel_close(channel);
    return r;
}

int remote_result(struct Connection *connection, int r) {
    if (channel_has_ended(connection->channel) && !connection->ended) {
        connection->ended = true;
        lease_wake(connection->table);
    }
    return r;
}

static int remote_reach(struct wasmpool *pool, struct wasmpool_error *error) {
    struct Connection *old = pool->connection;
    int r;

    channel_probe(old->channel);
    remote_result(old, 0);
    if (!old->ended) {
        remote_release_freed_images(old);
        return 0;
    }
    r = remote_connect(pool, error);
    if (r)
        return r;
    old->channel = channel_close(old->channel);
    connection_forget_images(old);
    connection_drain(pool, old);
    return 0;
}

static void remote_close_slab(struct Connection *connection, uint32_t id) {
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;

    close_slab.slab = id;
    remote_tell(connection->channel, (WireMessage)WIRE_MESSAGE(0, CLOSE_SLAB, close_slab, &close_slab));
}

/* Make a slab of the daemon's answer. */
static int remote_slab_opened(struct wasmpool *pool, struct Shelf *shelf, const struct Shape *shape,
                              struct WirePacket *answer, struct wasmpool_error *error) {
    struct Connection *connection = pool->connection;
    const Wasmpool__SlabOpened *opened = answer->message->slab_opened;
    struct Slab *slab;
    int fd = -1, r = 0;

    if (opened->file_bytes != shape->file_bytes || opened->target >= LEASE_SLABS_MAX ||
        opened->first_entry > connection->entries - shape->count)
        return channel_reject(connection->channel, "opened a slab that was not asked for", error);
    if (shape->kind != KIND_INSTANCE) {
        r = remote_check_fd(connection->channel, answer, memfd_check, shape->file_bytes, &fd, error);
        if (r)
            return r;
        remote_ack(connection->channel);
    }
    r = pool_new_slab(pool, shelf, shape, &slab, error);
    if (r && fd >= 0)
        close(fd);
    if (!r) {
        slab->fd = fd;
        slab->id = opened->slab;
        slab->target = opened->target;
        slab->first_entry = opened->first_entry;
        slab->connection = connection;
        r = mapping_init(&slab->mapping, shape, fd, error);
        if (r)
            pool_unmap_slab(pool, slab);
        else
            pool_add_slab(pool, slab);
    }
    if (r)
        remote_close_slab(connection, opened->slab);
    return r;
}

/* Which is tried now, at the latest. */
static void remote_say_tracking(struct wasmpool *pool, Wasmpool__Tracking *tracking) {
    pool_tracker(pool);
    tracking->way = pool->tracker.way;
    tracking->why = (char *)pool->tracker.why;
}

static int remote_open_slab(struct wasmpool *pool, struct Shelf *shelf, uint32_t count, uint32_t ask,
                            struct wasmpool_error *error) {
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;
    WireMessage request = WIRE_MESSAGE(0, OPEN_SLAB, open_slab, &open_slab);
    Wasmpool__Tracking tracking = WASMPOOL__TRACKING__INIT;
    struct Connection *connection = pool->connection;
    struct Shape shape = shelf->shape;
    struct WirePacket answer;
    int r;

    shape.count = count;
    r = shape_finish(&shape, failure(error));
    if (r)
        return r;
    wire_shape_put(&open_slab, &shape);
    open_slab.want = ask;
    if (shape.kind == KIND_MEMORY) {
        remote_say_tracking(pool, &tracking);
        open_slab.tracking = &tracking;
    }
    r = channel_call(connection->channel, &request, shape.kind != KIND_INSTANCE, &answer, error);
    if (r)
        return remote_result(connection, r);
    if (answer.message->body_case == WASMPOOL__PACKET__BODY_SLAB_OPENED)
        r = remote_slab_opened(pool, shelf, &shape, &answer, error);
    else
        r = channel_reject(connection->channel, "answers OpenSlab with something else", error);
    wire_packet_deinit(&answer);
    return remote_result(connection, r);
}

/* Demand for `ask` more slots of a slab than it has. */
static uint32_t remote_level(const struct Slab *slab, uint32_t ask) {
    uint32_t granted = atomic_load(&((struct Slab *)slab)->n_granted), room = slab->shape.count - granted;

    return granted + (ask < room ? ask : room);
}

static int remote_want(struct wasmpool *pool, struct Slab *slab, uint32_t ask, struct wasmpool_error *error) {
    struct wasmpool_error why = {0};
    Wasmpool__Want want = WASMPOOL__WANT__INIT;
    WireMessage request = WIRE_MESSAGE(0, WANT, want, &want);
    struct Connection *connection = pool->connection;
    _Atomic uint32_t *target = &connection->table->header.targets[slab->target];
    struct WirePacket answer;
    int r;

    atomic_store(target, remote_level(slab, ask));
    want.slab = slab->id;
    r = channel_call(connection->channel, &request, 0, &answer, &why);
    if (!r) {
        if (answer.message->body_case != WASMPOOL__PACKET__BODY_GRANTED)
            r = channel_reject(connection->channel, "answers Want with something else", &why);
        wire_packet_deinit(&answer);
    } else {
        /* Nobody waits for it: demand falls back to what there is. */
        atomic_store(target, remote_level(slab, 0));
    }
    if (r && error)
        *error = why;
    return remote_result(connection, r);
}

static int remote_tell_want(struct Slab *slab, uint32_t target) {
    struct Connection *connection = slab->connection;
    Wasmpool__Want want = WASMPOOL__WANT__INIT;

    atomic_store(&connection->table->header.targets[slab->target], target);
    want.slab = slab->id;
    return remote_result(connection, remote_tell(connection->channel, (WireMessage)WIRE_MESSAGE(0, WANT, want, &want)));
}

static void remote_hint(struct wasmpool *pool, struct Slab *slab, uint32_t ask) {
    (void)pool;
    remote_tell_want(slab, remote_level(slab, ask));
}

/* Once for each level; and again when something has come, after which the daemon may have let the slab go, and to a
 * daemon that begins anew. */
static int remote_wait_for(struct wasmpool *pool, struct Slab *slab, uint32_t n, struct wasmpool_error *error) {
    const struct LeaseHeader *header = &slab->connection->table->header;
    struct Announcement now = {.target = remote_level(slab, n) | LEASE_TARGET_WAIT,
                               .news = atomic_load(&((struct LeaseHeader *)header)->futex),
                               .epoch = atomic_load(&((struct LeaseHeader *)header)->epoch)};
    struct Announcement *before = &slab->announced;

    if (now.target == before->target && now.news == before->news && now.epoch == before->epoch)
        return ERROR_LIMIT;
    if (remote_tell_want(slab, now.target))
        return error_set(failure(error), ERROR_UNAVAILABLE, "the daemon at %s has gone", pool->path);
    *before = now;
    return ERROR_LIMIT;
}

static void remote_wait_over(struct wasmpool *pool, struct Slab *slab, uint32_t n) {
    (void)pool;
    slab->announced.target = remote_level(slab, n) | (n ? LEASE_TARGET_WAIT : 0);
    atomic_store(&slab->connection->table->header.targets[slab->target], slab->announced.target);
}

static void remote_returned(struct wasmpool *pool, struct Slab *slab) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;

    (void)pool;
    if (slab->connection->draining) {
        if (!slab_use(slab).busy)
            pool_unmap_slab(pool, slab);
    } else if (!slab->connection->ended) {
        remote_tell(slab->connection->channel, (WireMessage)WIRE_MESSAGE(0, KICK, kick, &kick));
        remote_result(slab->connection, 0);
    }
}

static void remote_close(struct wasmpool *pool) {
    Wasmpool__Goodbye goodbye = WASMPOOL__GOODBYE__INIT;

    if (!pool->connection->ended)
        remote_tell(pool->connection->channel, (WireMessage)WIRE_MESSAGE(0, GOODBYE, goodbye, &goodbye));
}

static const struct Source REMOTE = {
    .reach = remote_reach,
    .open_slab = remote_open_slab,
    .want = remote_want,
    .hint = remote_hint,
    .wait_for = remote_wait_for,
    .wait_over = remote_wait_over,
    .returned = remote_returned,
    .share_image = remote_share_image,
    .release_image = remote_release_image,
    .close = remote_close,
};

int remote_open(struct wasmpool *pool, struct wasmpool_error *error) {
    pool->source = &REMOTE;
    return remote_connect(pool, error);
}
