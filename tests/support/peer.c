/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/peer.h"

#include "shared/memfd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------ packets */

void peer_connect(struct Peer *peer, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *peer = (struct Peer){.table_fd = -1};
    strcpy(address.sun_path, path);
    peer->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    host_demand(peer->socket >= 0 && !connect(peer->socket, (struct sockaddr *)&address, sizeof(address)),
                "cannot connect to %s: %s", path, strerror(errno));
}

static bool peer_poll(const struct Peer *peer, short events) {
    struct pollfd poll_fd = {.fd = peer->socket, .events = events};

    return poll(&poll_fd, 1, PEER_TIMEOUT_MS) == 1;
}

int peer_send_bytes(struct Peer *peer, const void *bytes, size_t n) {
    while (send(peer->socket, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR) < 0) {
        if (errno != EAGAIN)
            return -errno;
        host_demand(peer_poll(peer, POLLOUT), "the daemon does not read");
    }
    return 0;
}

int peer_send(struct Peer *peer, const WireMessage *message) {
    uint8_t bytes[WIRE_BYTES_MAX];

    host_demand(wasmpool__packet__get_packed_size(message) <= sizeof(bytes), "a message of %zu bytes",
                wasmpool__packet__get_packed_size(message));
    return peer_send_bytes(peer, bytes, wasmpool__packet__pack(message, bytes));
}

int peer_receive(struct Peer *peer, struct WirePacket *packet) {
    *packet = (struct WirePacket){0};
    if (!peer_poll(peer, POLLIN))
        return WIRE_E_AGAIN;
    return wire_recv(peer->socket, WIRE_FDS_MAX, packet);
}

void peer_expect(struct Peer *peer, uint64_t id, Wasmpool__Packet__BodyCase body, struct WirePacket *packet) {
    int r = peer_receive(peer, packet);

    host_demand(!r, "no answer: the daemon %s", wire_outcome_phrase(r));
    host_demand(packet->message->body_case == body || packet->message->body_case != WASMPOOL__PACKET__BODY_ERROR,
                "an Error came: %s", packet->message->error->message);
    host_demand(packet->message->body_case == body, "message %d came, not %d", packet->message->body_case, body);
    host_demand(packet->message->id == id || id == UINT64_MAX, "the answer is to %lu, not to %lu", packet->message->id,
                id);
}

void peer_expect_error(struct Peer *peer, uint64_t id, int code, struct Error *error) {
    struct WirePacket packet;
    struct Error found;
    int r;

    peer_expect(peer, id, WASMPOOL__PACKET__BODY_ERROR, &packet);
    r = wire_error_get(&found, packet.message->error);
    host_demand(r == code, "the Error is '%s' (%s), not of code %s", found.message, error_code_name(r),
                error_code_name(code));
    host_demand(*found.message && !strchr(found.message, '\n'), "the Error's message is not one line");
    wire_packet_deinit(&packet);
    if (error)
        *error = found;
}

void peer_expect_end(struct Peer *peer) {
    struct WirePacket packet;
    int r = peer_receive(peer, &packet);

    host_demand(r, "message %d came, not the end", packet.message->body_case);
    host_demand(r == WIRE_E_END, "instead of the end the daemon %s", wire_outcome_phrase(r));
}

void peer_expect_cut_off(struct Peer *peer, const char *part) {
    struct Error error;

    peer_expect_error(peer, UINT64_MAX, ERROR_PROTOCOL, &error);
    host_demand(strstr(error.message, part), "the Error says '%s', not '%s'", error.message, part);
    peer_expect_end(peer);
}

/* ------------------------------------------------------------------------------------------------ connection */

void peer_ack(struct Peer *peer) {
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;

    peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, ACK, ack, &ack));
}

void peer_hello_as(struct Peer *peer, const char *name) {
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;
    WireMessage message = WIRE_MESSAGE(++peer->next_id, HELLO, hello, &hello);
    struct WirePacket packet;

    hello.major = WIRE_MAJOR;
    hello.minor = WIRE_MINOR;
    hello.name = (char *)name;
    peer_send(peer, &message);
    peer_expect(peer, message.id, WASMPOOL__PACKET__BODY_WELCOME, &packet);
    peer->connection = packet.message->welcome->connection;
    if (packet.message->welcome->entries) {
        peer->table_bytes = lease_table_bytes(packet.message->welcome->entries);
        peer->table_fd = wire_packet_steal_fd(&packet);
        host_demand(!memfd_check(peer->table_fd, peer->table_bytes), "the lease table's memfd is not as agreed");
        peer->table = mmap(NULL, peer->table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, peer->table_fd, 0);
        host_demand(peer->table != MAP_FAILED, "mmap: %s", strerror(errno));
        peer_ack(peer);
    }
    wire_packet_deinit(&packet);
}

void peer_hello(struct Peer *peer) {
    peer_hello_as(peer, "peer");
}

void peer_open(struct Peer *peer, const char *path) {
    peer_connect(peer, path);
    peer_hello(peer);
}

void peer_close(struct Peer *peer) {
    if (peer->table)
        munmap(peer->table, peer->table_bytes);
    if (peer->table_fd >= 0)
        close(peer->table_fd);
    if (peer->socket >= 0)
        close(peer->socket);
    *peer = (struct Peer){.socket = -1, .table_fd = -1};
}

void peer_goodbye(struct Peer *peer) {
    Wasmpool__Goodbye goodbye = WASMPOOL__GOODBYE__INIT;

    peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, GOODBYE, goodbye, &goodbye));
    peer_close(peer);
}

/* ------------------------------------------------------------------------------------------------ slabs */

struct Shape peer_shape(enum Kind kind, uint32_t count) {
    struct Shape shape = {.kind = kind, .count = count};

    if (kind == KIND_MEMORY) {
        shape.reservation = 1 << 20;
        shape.guard = 1 << 16;
    } else if (kind == KIND_TABLE) {
        shape.elements = 100;
        shape.element_size = 8;
    }
    return shape;
}

uint64_t peer_ask_slab(struct Peer *peer, const struct Shape *shape, uint32_t want) {
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;

    wire_shape_put(&open_slab, shape);
    open_slab.want = want;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, OPEN_SLAB, open_slab, &open_slab));
    return peer->next_id;
}

uint64_t peer_ask_want(struct Peer *peer, uint32_t slab) {
    Wasmpool__Want want = WASMPOOL__WANT__INIT;

    want.slab = slab;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, WANT, want, &want));
    return peer->next_id;
}

static void peer_take_slab(struct Peer *peer, struct WirePacket answer, const struct Shape *shape,
                           struct PeerSlab *slab) {
    struct WirePacket packet = answer;
    const Wasmpool__SlabOpened *opened;

    opened = packet.message->slab_opened;
    *slab = (struct PeerSlab){opened->slab, opened->first_entry, opened->target, opened->granted, -1, NULL, *shape};
    host_demand(!shape_finish(&slab->shape, NULL) && slab->shape.file_bytes == opened->file_bytes,
                "the slab has %lu bytes", opened->file_bytes);
    if (shape->kind != KIND_INSTANCE) {
        slab->fd = wire_packet_steal_fd(&packet);
        host_demand(!memfd_check(slab->fd, slab->shape.file_bytes), "the slab's memfd is not as agreed");
        slab->base = mmap(NULL, slab->shape.file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, slab->fd, 0);
        host_demand(slab->base != MAP_FAILED, "mmap: %s", strerror(errno));
        peer_ack(peer);
    }
    wire_packet_deinit(&packet);
}

void peer_open_slab(struct Peer *peer, const struct Shape *shape, uint32_t want, struct PeerSlab *slab) {
    struct WirePacket packet;

    peer_expect(peer, peer_ask_slab(peer, shape, want), WASMPOOL__PACKET__BODY_SLAB_OPENED, &packet);
    peer_take_slab(peer, packet, shape, slab);
}

void peer_reopen_slab(struct Peer *peer, const struct Shape *shape, uint32_t want, struct PeerSlab *slab) {
    int64_t deadline_ms = host_now_ms() + PEER_REOPEN_MS;
    struct WirePacket packet;

    for (;;) {
        peer_ask_slab(peer, shape, want);
        host_demand(!peer_receive(peer, &packet), "no answer");
        if (packet.message->body_case == WASMPOOL__PACKET__BODY_SLAB_OPENED)
            break;
        host_demand(packet.message->body_case == WASMPOOL__PACKET__BODY_ERROR && host_now_ms() < deadline_ms,
                    "a closed slab is still counted");
        wire_packet_deinit(&packet);
        host_nap();
    }
    peer_take_slab(peer, packet, shape, slab);
}

void peer_unmap_slab(struct PeerSlab *slab) {
    if (slab->base)
        munmap(slab->base, slab->shape.file_bytes);
    if (slab->fd >= 0)
        close(slab->fd);
    slab->base = NULL;
    slab->fd = -1;
}

void peer_close_slab_id(struct Peer *peer, uint32_t id) {
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;

    close_slab.slab = id;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, CLOSE_SLAB, close_slab, &close_slab));
}

void peer_close_slab(struct Peer *peer, struct PeerSlab *slab) {
    peer_unmap_slab(slab);
    peer_close_slab_id(peer, slab->id);
}

uint32_t peer_want(struct Peer *peer, const struct PeerSlab *slab, uint32_t target, struct Error *error) {
    struct WirePacket packet;
    uint32_t granted = 0;
    uint64_t id;
    int r;

    atomic_store(&peer->table->header.targets[slab->target], target);
    id = peer_ask_want(peer, slab->id);
    r = peer_receive(peer, &packet);
    host_demand(!r && packet.message->id == id, "no answer to Want: the daemon %s", wire_outcome_phrase(r));
    if (packet.message->body_case == WASMPOOL__PACKET__BODY_GRANTED)
        granted = packet.message->granted->slots;
    else if (packet.message->body_case == WASMPOOL__PACKET__BODY_ERROR)
        wire_error_get(error, packet.message->error);
    else
        host_fail("the answer to Want is message %d", packet.message->body_case);
    wire_packet_deinit(&packet);
    return granted;
}

void peer_wait(struct Peer *peer, const struct PeerSlab *slab, uint32_t target) {
    Wasmpool__Want want = WASMPOOL__WANT__INIT;

    atomic_store(&peer->table->header.targets[slab->target], target | LEASE_TARGET_WAIT);
    want.slab = slab->id;
    host_demand(!peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, WANT, want, &want)), "the daemon does not take a Want");
}

void peer_kick(struct Peer *peer) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;

    host_demand(!peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, KICK, kick, &kick)), "the daemon does not take a Kick");
}

uint32_t peer_await_slot(struct Peer *peer, const struct PeerSlab *slab, int64_t timeout_ms) {
    int64_t until_ms = host_now_ms() + timeout_ms;

    for (;;) {
        uint32_t seen = atomic_load(&peer->table->header.futex);
        int64_t left_ms = until_ms - host_now_ms();
        uint64_t generation;

        for (uint32_t i = 0; i < slab->shape.count; i++)
            if (!lease_take(peer_entry(peer, slab, i), &generation))
                return i;
        /* What is there when the time is over came without a wake. */
        if (left_ms <= 0 || lease_wait(peer->table, seen, (uint64_t)left_ms * 1000000))
            return UINT32_MAX;
    }
}

/* ------------------------------------------------------------------------------------------------ slots */

struct LeaseEntry *peer_entry(const struct Peer *peer, const struct PeerSlab *slab, uint32_t slot) {
    return &peer->table->entries[slab->first_entry + slot];
}

uint32_t peer_take(const struct Peer *peer, const struct PeerSlab *slab) {
    uint64_t generation;

    for (uint32_t i = 0; i < slab->shape.count; i++)
        if (!lease_take(peer_entry(peer, slab, i), &generation))
            return i;
    host_fail("no slot of slab %u can be taken", slab->id);
}

void peer_release(const struct Peer *peer, const struct PeerSlab *slab, uint32_t slot) {
    struct LeaseEntry *entry = peer_entry(peer, slab, slot);

    host_demand(lease_release(entry, lease_generation(lease_load(entry))) != LEASE_E_LOST, "slot %u is not busy", slot);
}

uint32_t peer_count(const struct Peer *peer, const struct PeerSlab *slab, enum LeaseState state) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < slab->shape.count; i++)
        n += lease_state(lease_load(peer_entry(peer, slab, i))) == state;
    return n;
}

/* ------------------------------------------------------------------------------------------------ administration */

void peer_status(const char *admin_path, struct PeerStatus *status) {
    Wasmpool__Status body = WASMPOOL__STATUS__INIT;
    const Wasmpool__StatusReport *report;
    struct WirePacket packet;
    struct Peer peer;

    peer_open(&peer, admin_path);
    peer_send(&peer, &(WireMessage)WIRE_MESSAGE(++peer.next_id, STATUS, status, &body));
    peer_expect(&peer, peer.next_id, WASMPOOL__PACKET__BODY_STATUS_REPORT, &packet);
    report = packet.message->status_report;
    *status = (struct PeerStatus){
        .connections = report->connections,
        .disconnected = report->disconnected,
        .users = report->users,
        .resident_bytes = report->resident_bytes,
        .accepted = report->accepted,
        .refused = report->refused,
        .cut_off = report->cut_off,
        .grants = report->grants,
        .granted_most = report->granted_most,
        .images = report->images,
        .image_bytes = report->image_bytes,
    };
    for (size_t i = 0; i < report->n_kinds; i++) {
        const Wasmpool__KindUse *use = report->kinds[i];

        host_demand(use->kind && use->kind < KIND_N, "a kind of %d", use->kind);
        status->granted[use->kind] = use->granted;
        status->busy[use->kind] = use->busy;
        status->slabs[use->kind] = use->slabs;
        status->bound[use->kind] = use->bound;
    }
    wire_packet_deinit(&packet);
    peer_close(&peer);
}
