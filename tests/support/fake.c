/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/fake.h"

#include "shared/memfd.h"
#include "tests/support/fake-part.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAKE_ENTRIES 4096
#define FAKE_FDS_MAX 16
#define FAKE_WAIT_S 10

/* An answer that is not sent yet. */
struct FakeKept {
    int socket;
    size_t bytes;
    int fd; /* -1: none */
    uint8_t packet[WIRE_BYTES_MAX];
};

void fake_give_up(const char *what) {
    perror(what);
    abort();
}

void fake_count(struct FakeDaemon *fake, uint64_t *counter) {
    pthread_mutex_lock(&fake->lock);
    ++*counter;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

/* ------------------------------------------------------------------------------------------------ sending */

static void fake_send_raw(int socket, const void *bytes, size_t n, const int *fds, size_t n_fds) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * FAKE_FDS_MAX)];
    } control = {0};
    struct iovec vector = {(void *)bytes, n};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

    if (n_fds) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
    }
    /* The client may be gone already: then nobody minds. */
    sendmsg(socket, &header, MSG_NOSIGNAL);
}

static void fake_forget_kept(struct FakeDaemon *fake) {
    if (fake->kept && fake->kept->fd >= 0)
        close(fake->kept->fd);
    free(fake->kept);
    fake->kept = NULL;
}

static void fake_keep(struct FakeDaemon *fake, int socket, const WireMessage *message, int fd) {
    struct FakeKept *kept = calloc(1, sizeof(*kept));

    kept->socket = socket;
    kept->bytes = wasmpool__packet__pack(message, kept->packet);
    kept->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&fake->lock);
    fake_forget_kept(fake);
    fake->kept = kept;
    pthread_mutex_unlock(&fake->lock);
}

bool fake_daemon_send_late(struct FakeDaemon *fake) {
    struct FakeKept *kept;
    bool found;

    pthread_mutex_lock(&fake->lock);
    kept = fake->kept;
    found = kept;
    if (kept)
        fake_send_raw(kept->socket, kept->packet, kept->bytes, &kept->fd, kept->fd >= 0);
    fake_forget_kept(fake);
    pthread_mutex_unlock(&fake->lock);
    return found;
}

static void fake_send(const WireMessage *message, int socket, const int *fds, size_t n_fds) {
    uint8_t bytes[WIRE_BYTES_MAX];
    size_t n = wasmpool__packet__pack(message, bytes);

    fake_send_raw(socket, bytes, n, fds, n_fds);
}

void fake_send_error(int socket, uint64_t id, const struct Error *error) {
    Wasmpool__Error body = WASMPOOL__ERROR__INIT;
    WireMessage message = WIRE_MESSAGE(id, ERROR, error, &body);

    wire_error_put(&body, error);
    fake_send(&message, socket, NULL, 0);
}

static void fake_send_bytes(int socket, size_t bytes) {
    uint8_t *garbage = malloc(bytes);

    memset(garbage, 0xff, bytes);
    fake_send_raw(socket, garbage, bytes, NULL, 0);
    free(garbage);
}

static void fake_hang_up(struct FakeDaemon *fake, struct FakeConnection *connection) {
    close(connection->socket);
    if (connection->table >= 0)
        close(connection->table);
    connection->socket = connection->table = -1;
    fake_count(fake, &fake->seen.hang_ups);
}

void fake_answer(struct FakeDaemon *fake, struct FakeConnection *connection, int mischief, WireMessage *message,
                 int fd) {
    int fds[FAKE_FDS_MAX] = {fd, fd}, socket = connection->socket, null = -1;
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    WireMessage other = WIRE_MESSAGE(message->id, KICK, kick, &kick);

    switch (mischief) {
    case FAKE_WITHOUT_FD:
        fake_send(message, socket, NULL, 0);
        break;
    case FAKE_TWO_FDS:
        fake_send(message, socket, fds, 2);
        break;
    case FAKE_FD_UNASKED:
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        fake_send(message, socket, &null, 1);
        close(null);
        break;
    case FAKE_MANY_FDS:
        for (int i = 0; i < FAKE_FDS_MAX; i++)
            fds[i] = fd;
        fake_send(message, socket, fds, FAKE_FDS_MAX);
        break;
    case FAKE_OTHER_BODY:
        fake_send(&other, socket, NULL, 0);
        break;
    case FAKE_GARBAGE:
        fake_send_bytes(socket, 100);
        break;
    case FAKE_OVERSIZED:
        fake_send_bytes(socket, WIRE_BYTES_MAX + 1);
        break;
    case FAKE_UNKNOWN_ERROR:
        fake_send_error(socket, message->id, &(struct Error){.code = 4711, .message = "from the future"});
        break;
    case FAKE_REFUSE:
        fake_send_error(socket, message->id, &fake->error);
        break;
    case FAKE_SILENT:
        fake_keep(fake, socket, message, fd);
        break;
    case FAKE_HANG_UP:
        fake_hang_up(fake, connection);
        break;
    default:
        fake_send(message, socket, fds, fd >= 0);
    }
}

int fake_make_fd(const char *name, uint64_t bytes, int seals, int mischief) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int fd = -1, pipe_fds[2];

    if (mischief == FAKE_NOT_A_MEMFD) {
        if (pipe2(pipe_fds, O_CLOEXEC))
            fake_give_up("pipe");
        close(pipe_fds[1]);
        return pipe_fds[0];
    }
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bytes += mischief == FAKE_TOO_LARGE ? page : mischief == FAKE_TOO_SMALL ? -page : 0;
    seals &= mischief == FAKE_WITHOUT_SEALS    ? 0
             : mischief == FAKE_WITHOUT_SHRINK ? ~F_SEAL_SHRINK
             : mischief == FAKE_WITHOUT_SEAL   ? ~F_SEAL_SEAL
             : mischief == FAKE_WITHOUT_WRITE  ? ~F_SEAL_WRITE
                                               : ~0;
    seals |= mischief == FAKE_UNWRITABLE ? F_SEAL_WRITE : 0;
    if (fd < 0 || ftruncate(fd, (off_t)bytes) || (seals && fcntl(fd, F_ADD_SEALS, seals)))
        fake_give_up("a fake memfd");
    return fd;
}

/* ------------------------------------------------------------------------------------------------ lease table */

/* Mapped for as long as it is looked at only, so that the client's own mappings can be counted. */
static struct LeaseTable *fake_map_table(const struct FakeConnection *connection) {
    struct LeaseTable *table = mmap(NULL, lease_table_bytes(FAKE_ENTRIES), PROT_READ | PROT_WRITE, MAP_SHARED,
                                    connection->table, 0);

    if (table == MAP_FAILED)
        fake_give_up("the fake lease table");
    return table;
}

static void fake_unmap_table(struct LeaseTable *table) {
    munmap(table, lease_table_bytes(FAKE_ENTRIES));
}

static uint64_t fake_total(const struct FakeDaemon *fake, enum Kind kind) {
    return kind == KIND_MEMORY  ? fake->limits.total_memories
           : kind == KIND_TABLE ? fake->limits.total_tables
                                : fake->limits.total_core_instances;
}

/* Grant vacant slots until the slab has `target`, within the totals. Returns how many. */
static uint32_t fake_grant(struct FakeDaemon *fake, struct FakeConnection *connection, struct FakeSlab *slab,
                           uint32_t target) {
    struct LeaseTable *table = fake_map_table(connection);
    uint32_t n = 0;

    for (uint32_t i = 0; i < slab->count && slab->granted < target; i++) {
        struct LeaseEntry *entry = &table->entries[slab->first_entry + i];
        uint64_t word = lease_load(entry);

        if (fake->granted[slab->kind] >= fake_total(fake, slab->kind))
            break;
        if (lease_state(word) != LEASE_VACANT || lease_grant(entry, lease_generation(word)))
            continue;
        fake->granted[slab->kind]++;
        slab->granted++;
        n++;
    }
    fake_unmap_table(table);
    return n;
}

/* ------------------------------------------------------------------------------------------------ requests */

static void fake_on_hello(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *request) {
    int mischief = atomic_load(&fake->at_hello);
    Wasmpool__Welcome welcome = WASMPOOL__WELCOME__INIT;
    Wasmpool__Limits limits = WASMPOOL__LIMITS__INIT;
    WireMessage answer = WIRE_MESSAGE(request->id, WELCOME, welcome, &welcome);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct LeaseHeader header = {.magic = mischief == FAKE_OTHER_MAGIC ? 1 : LEASE_MAGIC,
                                 .version = mischief == FAKE_OTHER_TABLE ? LEASE_VERSION + 1 : LEASE_VERSION,
                                 .entries = FAKE_ENTRIES,
                                 .header_bytes = (uint32_t)page};

    fake_count(fake, &fake->seen.hellos);
    connection->table = fake_make_fd("wasmpool-lease", lease_table_bytes(FAKE_ENTRIES), FAKE_SEALS, mischief);
    if (pwrite(connection->table, &header, sizeof(header), 0) < 0 && mischief != FAKE_NOT_A_MEMFD)
        fake_give_up("the fake lease table's header");
    wire_limits_put(&limits, &fake->limits);
    welcome.limits = mischief == FAKE_WITHOUT_LIMITS ? NULL : &limits;
    welcome.major = mischief == FAKE_OTHER_MAJOR ? WIRE_MAJOR + 1 : WIRE_MAJOR;
    welcome.minor = WIRE_MINOR + 1;
    welcome.features = ~UINT64_C(0);
    welcome.connection = fake->seen.hellos;
    welcome.entries = mischief == FAKE_NO_ENTRIES         ? 0
                      : mischief == FAKE_TOO_MANY_ENTRIES ? LEASE_ENTRIES_MAX + 1
                                                          : FAKE_ENTRIES;
    fake_answer(fake, connection, mischief, &answer, connection->table);
}

static int fake_make_slab(const struct Shape *shape, int mischief) {
    char name[32];

    if (shape->kind == KIND_INSTANCE)
        return -1;
    snprintf(name, sizeof(name), "wasmpool-%s", kind_name(shape->kind));
    return fake_make_fd(name, shape->file_bytes, FAKE_SEALS, mischief);
}

static void fake_on_open_slab(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *request) {
    int mischief = atomic_load(&fake->at_open_slab), fd;
    Wasmpool__SlabOpened opened = WASMPOOL__SLAB_OPENED__INIT;
    WireMessage answer = WIRE_MESSAGE(request->id, SLAB_OPENED, slab_opened, &opened);
    struct FakeSlab *slab = &connection->slabs[connection->n_slabs];
    struct Shape shape;
    struct Error error;

    fake_count(fake, &fake->seen.open_slabs);
    wire_shape_get(&shape, request->open_slab);
    if (connection->n_slabs == FAKE_SLABS_MAX || shape_finish(&shape, &error) ||
        connection->next_entry + shape.count > FAKE_ENTRIES)
        fake_give_up("a slab that the fake daemon has no room for");
    fd = fake_make_slab(&shape, mischief);
    *slab = (struct FakeSlab){.first_entry = connection->next_entry, .count = shape.count, .kind = shape.kind};
    connection->next_entry += shape.count;
    opened.target = connection->n_slabs++;
    opened.slab = opened.target + 1;
    opened.first_entry = slab->first_entry;
    opened.file_bytes = shape.file_bytes;
    opened.granted = fake_grant(fake, connection, slab, request->open_slab->want);
    if (mischief == FAKE_OTHER_BYTES)
        opened.file_bytes--;
    if (mischief == FAKE_OTHER_TARGET)
        opened.target = LEASE_SLABS_MAX;
    if (mischief == FAKE_OTHER_ENTRY)
        opened.first_entry = FAKE_ENTRIES - shape.count + 1;
    fake_answer(fake, connection, mischief, &answer, fd);
    if (fd >= 0)
        close(fd);
}

static uint32_t fake_target(const struct FakeConnection *connection, uint32_t index) {
    struct LeaseTable *table = fake_map_table(connection);
    uint32_t target = atomic_load(&table->header.targets[index]);

    fake_unmap_table(table);
    return target;
}

static void fake_wake(const struct FakeConnection *connection) {
    struct LeaseTable *table = fake_map_table(connection);

    lease_wake(table);
    fake_unmap_table(table);
}

/* One-way: what can be granted is, and nothing answered. */
static void fake_on_quiet_want(struct FakeDaemon *fake, struct FakeConnection *connection, uint32_t index) {
    struct FakeSlab *slab = &connection->slabs[index];
    uint32_t target = fake_target(connection, index);

    pthread_mutex_lock(&fake->lock);
    fake->seen.last_target = target;
    slab->waits = target & LEASE_TARGET_WAIT;
    if (atomic_load(&fake->at_want) == FAKE_HONEST && fake_grant(fake, connection, slab, target & LEASE_TARGET_SLOTS))
        fake_wake(connection);
    pthread_mutex_unlock(&fake->lock);
    fake_count(fake, target & LEASE_TARGET_WAIT ? &fake->seen.waits : &fake->seen.hints);
}

void fake_daemon_yield(struct FakeDaemon *fake, uint64_t n) {
    pthread_mutex_lock(&fake->lock);
    fake->limits.total_memories += n;
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        struct FakeConnection *connection = &fake->connections[i];

        for (uint32_t s = 0; connection->socket >= 0 && s < connection->n_slabs; s++)
            if (connection->slabs[s].waits && fake_target(connection, s) & LEASE_TARGET_WAIT &&
                fake_grant(fake, connection, &connection->slabs[s], fake_target(connection, s) & LEASE_TARGET_SLOTS))
                fake_wake(connection);
    }
    pthread_mutex_unlock(&fake->lock);
}

static void fake_on_want(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *request) {
    int mischief = atomic_load(&fake->at_want);
    Wasmpool__Granted granted = WASMPOOL__GRANTED__INIT;
    WireMessage answer = WIRE_MESSAGE(request->id, GRANTED, granted, &granted);
    uint32_t index = request->want->slab - 1, target;
    struct FakeSlab *slab = &connection->slabs[index];
    struct Error error;

    if (index >= connection->n_slabs)
        fake_give_up("a Want for a slab that the fake daemon does not have");
    if (!request->id) {
        fake_on_quiet_want(fake, connection, index);
        return;
    }
    fake_count(fake, &fake->seen.wants);
    target = fake_target(connection, index) & LEASE_TARGET_SLOTS;
    if (mischief == FAKE_GRANTS_NOTHING)
        granted.slots = 1;
    else if (mischief != FAKE_HANG_UP) /* who dies grants nothing before */
        granted.slots = fake_grant(fake, connection, slab, target);
    if (granted.slots || mischief != FAKE_HONEST) {
        fake_answer(fake, connection, mischief, &answer, -1);
        return;
    }
    error_limit(&error, ERROR_LIMIT, slab->kind == KIND_MEMORY ? "total_memories" : "total_tables",
                fake_total(fake, slab->kind), fake->granted[slab->kind], 1, "exhausted");
    fake_send_error(connection->socket, request->id, &error);
}

static void fake_on_packet(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *message) {
    switch (message->body_case) {
    case WASMPOOL__PACKET__BODY_HELLO:
        fake_on_hello(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_OPEN_SLAB:
        fake_on_open_slab(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_WANT:
        fake_on_want(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_CLOSE_SLAB:
        pthread_mutex_lock(&fake->lock);
        fake->seen.last_closed = message->close_slab->slab;
        pthread_mutex_unlock(&fake->lock);
        fake_count(fake, &fake->seen.close_slabs);
        break;
    case WASMPOOL__PACKET__BODY_KICK:
        fake_count(fake, &fake->seen.kicks);
        break;
    case WASMPOOL__PACKET__BODY_ACK:
        fake_count(fake, &fake->seen.acks);
        break;
    case WASMPOOL__PACKET__BODY_GOODBYE:
        fake_count(fake, &fake->seen.goodbyes);
        break;
    default:
        fake_on_image_packet(fake, connection, message);
    }
}

/* ------------------------------------------------------------------------------------------------ loop */

static void fake_accept(struct FakeDaemon *fake) {
    int socket = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC), mischief = atomic_load(&fake->at_connect);

    if (socket < 0)
        return;
    if (mischief == FAKE_REFUSE)
        fake_send_error(socket, 0, &fake->error);
    if (mischief != FAKE_HONEST) {
        close(socket);
        return;
    }
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (fake->connections[i].socket < 0) {
            fake->connections[i] = (struct FakeConnection){.socket = socket, .table = -1};
            return;
        }
    close(socket);
}

static void fake_serve(struct FakeDaemon *fake, struct FakeConnection *connection) {
    struct WirePacket packet;
    int r = wire_recv(connection->socket, 0, &packet);

    if (r == WIRE_E_AGAIN)
        return;
    if (r) {
        fake_hang_up(fake, connection);
        return;
    }
    fake_on_packet(fake, connection, packet.message);
    wire_packet_deinit(&packet);
}

static void *fake_run(void *argument) {
    struct FakeDaemon *fake = argument;

    for (;;) {
        struct pollfd fds[2 + FAKE_CONNECTIONS_MAX] = {{.fd = fake->stop, .events = POLLIN},
                                                       {.fd = fake->listener, .events = POLLIN}};

        for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
            fds[2 + i] = (struct pollfd){.fd = fake->connections[i].socket, .events = POLLIN};
        if (poll(fds, 2 + FAKE_CONNECTIONS_MAX, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
            if (fds[2 + i].revents)
                fake_serve(fake, &fake->connections[i]);
        if (fds[1].revents)
            fake_accept(fake);
    }
}

/* ------------------------------------------------------------------------------------------------ life */

void fake_daemon_return(struct FakeDaemon *fake) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake->address + strlen("unix:"));
    unlink(address.sun_path);
    fake->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fake->stop = eventfd(0, EFD_CLOEXEC);
    if (fake->listener < 0 || bind(fake->listener, (struct sockaddr *)&address, sizeof(address)) ||
        listen(fake->listener, 8) || fake->stop < 0)
        fake_give_up(address.sun_path);
    fake->seen = (struct FakeSeen){0};
    memset(fake->granted, 0, sizeof(fake->granted));
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        fake->connections[i].socket = fake->connections[i].table = -1;
    if (pthread_create(&fake->thread, NULL, fake_run, fake))
        fake_give_up("the fake daemon's thread");
}

void fake_daemon_open(struct FakeDaemon *fake) {
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    if (!fake->limits.total_memories)
        limits_init(&fake->limits);
    strcpy(fake->directory, "/tmp/wasmpool-fake-XXXXXX");
    if (!mkdtemp(fake->directory))
        fake_give_up(fake->directory);
    snprintf(fake->address, sizeof(fake->address), "unix:%s/fake.sock", fake->directory);
    fake_daemon_return(fake);
}

void fake_daemon_die(struct FakeDaemon *fake) {
    uint64_t one = 1;

    if (write(fake->stop, &one, sizeof(one)) != sizeof(one))
        fake_give_up("the fake daemon's stop");
    pthread_join(fake->thread, NULL);
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (fake->connections[i].socket >= 0)
            fake_hang_up(fake, &fake->connections[i]);
    fake_forget_kept(fake);
    fake_forget_images(fake);
    close(fake->listener);
    close(fake->stop);
    fake->listener = fake->stop = -1;
}

void fake_daemon_close(struct FakeDaemon *fake) {
    if (fake->listener >= 0)
        fake_daemon_die(fake);
    unlink(fake->address + strlen("unix:"));
    rmdir(fake->directory);
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
}

struct FakeSeen fake_daemon_see(struct FakeDaemon *fake) {
    struct FakeSeen seen;

    pthread_mutex_lock(&fake->lock);
    seen = fake->seen;
    pthread_mutex_unlock(&fake->lock);
    return seen;
}

bool fake_daemon_wait(struct FakeDaemon *fake, size_t offset, uint64_t least) {
    const uint64_t *counter = (const uint64_t *)((const char *)&fake->seen + offset);
    struct timespec deadline;
    bool reached;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += FAKE_WAIT_S;
    pthread_mutex_lock(&fake->lock);
    while (*counter < least && !r)
        r = pthread_cond_timedwait(&fake->changed, &fake->lock, &deadline);
    reached = *counter >= least;
    pthread_mutex_unlock(&fake->lock);
    return reached;
}
