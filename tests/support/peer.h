/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

/* A raw client of the daemon: it says what it is told to, wrong or right, and waits for answers no longer than
 * PEER_TIMEOUT_MS. What does not go as demanded ends in host_fail. */

#include "shared/lease.h"
#include "shared/wire.h"
#include "tests/support/host.h"

#define PEER_TIMEOUT_MS 5000

#define PEER_REOPEN_MS 5000

struct Peer {
    int socket;
    uint64_t next_id;
    uint64_t connection; /* by the daemon's count */
    int table_fd;
    struct LeaseTable *table; /* NULL before peer_hello */
    size_t table_bytes;
};

struct PeerSlab {
    uint32_t id, first_entry, target, granted;
    int fd;        /* -1: instances */
    uint8_t *base; /* the whole file, readable and writable */
    struct Shape shape;
};

/* Connect, and say nothing yet. */
void peer_connect(struct Peer *peer, const char *path);
/* Hello, Welcome and Ack on a connected socket. */
void peer_hello_as(struct Peer *peer, const char *name);
void peer_hello(struct Peer *peer);
void peer_open(struct Peer *peer, const char *path);
/* Close and unmap everything without a word. NULL's fine half-built, idempotent. */
void peer_close(struct Peer *peer);
void peer_goodbye(struct Peer *peer);

/* 0 or a negative errno. Waits for room. */
int peer_send_bytes(struct Peer *peer, const void *bytes, size_t n);
int peer_send(struct Peer *peer, const WireMessage *message);
/* An outcome of wire_recv, WIRE_E_AGAIN when nothing came in time. */
int peer_receive(struct Peer *peer, struct WirePacket *packet);

/* What comes next is the answer to request `id` (UINT64_MAX: any) with this body. The caller deinits the packet. */
void peer_expect(struct Peer *peer, uint64_t id, Wasmpool__Packet__BodyCase body, struct WirePacket *packet);

void peer_ack(struct Peer *peer);
void peer_close_slab_id(struct Peer *peer, uint32_t id);
/* The request alone; returns its id. */
uint64_t peer_ask_slab(struct Peer *peer, const struct Shape *shape, uint32_t want);
uint64_t peer_ask_want(struct Peer *peer, uint32_t slab);
void peer_open_slab(struct Peer *peer, const struct Shape *shape, uint32_t want, struct PeerSlab *slab);
/* The same right after one was closed, which counts until it is punched, off the daemon's loop: ask until it is not
 * refused. */
void peer_reopen_slab(struct Peer *peer, const struct Shape *shape, uint32_t want, struct PeerSlab *slab);
void peer_close_slab(struct Peer *peer, struct PeerSlab *slab);
void peer_unmap_slab(struct PeerSlab *slab);
/* Set the target and ask. Returns what was granted, or 0 and *error. */
uint32_t peer_want(struct Peer *peer, const struct PeerSlab *slab, uint32_t target, struct Error *error);

/* Set the target with LEASE_TARGET_WAIT and say so, one-way. */
void peer_wait(struct Peer *peer, const struct PeerSlab *slab, uint32_t target);
/* Until a slot of the slab can be taken, woken by the daemon alone: which slot, or UINT32_MAX after `timeout_ms`. */
uint32_t peer_await_slot(struct Peer *peer, const struct PeerSlab *slab, int64_t timeout_ms);
void peer_kick(struct Peer *peer);

/* What comes next is an Error of this id (UINT64_MAX: any) and code; *error, unless NULL, is what it says. */
void peer_expect_error(struct Peer *peer, uint64_t id, int code, struct Error *error);
/* What comes next is the end. */
void peer_expect_end(struct Peer *peer);
/* Both: an Error with code PROTOCOL whose message says `part`, and the end. */
void peer_expect_cut_off(struct Peer *peer, const char *part);

struct LeaseEntry *peer_entry(const struct Peer *peer, const struct PeerSlab *slab, uint32_t slot);
/* Take a granted slot and return its index. */
uint32_t peer_take(const struct Peer *peer, const struct PeerSlab *slab);
void peer_release(const struct Peer *peer, const struct PeerSlab *slab, uint32_t slot);
uint32_t peer_count(const struct Peer *peer, const struct PeerSlab *slab, enum LeaseState state);

/* A small slab of a kind: 1 MiB memories with 64 KiB guards, tables of 100 elements of 8 bytes. */
struct Shape peer_shape(enum Kind kind, uint32_t count);

/* What the daemon's own ledger says. */
struct PeerStatus {
    uint64_t connections, disconnected, users, resident_bytes, accepted, refused, cut_off, grants, granted_most, images,
        image_bytes;
    uint64_t granted[KIND_N], busy[KIND_N], slabs[KIND_N], bound[KIND_N];
};
void peer_status(const char *admin_path, struct PeerStatus *status);

#endif
