/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_WIRE_H
#define SHARED_WIRE_H

/* One SEQPACKET packet = one message and its file descriptors. See proto/wasmpool.proto for who says what. */

#include "proto/wasmpool.pb-c.h"
#include "shared/error.h"
#include "shared/limits.h"
#include "shared/shape.h"

#include <stddef.h>

#define WIRE_MAJOR 1
#define WIRE_MINOR 1 /* 1: images */
#define WIRE_FEATURES UINT64_C(0)
#define WIRE_BYTES_MAX (32 * 1024) /* one packet; a page of rows is the largest, and fills it as far as it goes */
#define WIRE_FDS_MAX 4             /* one packet; today's messages carry one at most */
#define WIRE_NAME_BYTES 64         /* what a client calls itself, with its NUL */

/* Positive outcomes of wire_recv. After any of them but WIRE_E_END, WIRE_E_AGAIN and WIRE_E_NO_ROOM the peer has broken
 * the protocol; nothing of the packet, and none of its fds, is kept. */
enum {
    WIRE_E_AGAIN = 1,     /* nothing to read (or no room to send) */
    WIRE_E_END = 2,       /* end-of-file: the peer has closed, or died */
    WIRE_E_OVERSIZED = 3, /* more than WIRE_BYTES_MAX */
    WIRE_E_FDS = 4,       /* more fds than were expected */
    WIRE_E_MALFORMED = 5, /* not a Packet, or one without a body that its header announces */
    WIRE_E_NO_ROOM = 6,   /* this process had no room for fds that came: they are lost; the peer is not to blame */
};

typedef Wasmpool__Packet WireMessage;

struct WirePacket {
    WireMessage *message; /* owned */
    int fds[WIRE_FDS_MAX]; /* owned; CLOEXEC */
    size_t n_fds;
};

/* Send one message with `n_fds` fds, which stay the caller's. Does not block, raises no SIGPIPE.
 * 0, WIRE_E_AGAIN, WIRE_E_END, WIRE_E_OVERSIZED (nothing was sent), or a negative errno. */
int wire_send(int socket, const WireMessage *message, const int *fds, size_t n_fds);

/* Receive one packet with at most `fds_max` fds. Does not block. With fds_max 0 there is no room for any: the kernel
 * drops what comes, and it is WIRE_E_FDS. 0 and *packet is the caller's to deinit; an outcome; or a negative errno. */
int wire_recv(int socket, size_t fds_max, struct WirePacket *packet);

/* Free the message and close the fds that were not stolen. */
void wire_packet_deinit(struct WirePacket *packet);

/* Take the only fd of a packet: exactly one must have come, or -1 is returned and all are closed by the deinit. */
int wire_packet_steal_fd(struct WirePacket *packet);

/* A phrase for an outcome, for messages: "sent a packet larger than 32768 bytes". */
const char *wire_outcome_phrase(int outcome);

/* Between the wire's structs and ours. */
void wire_limits_put(Wasmpool__Limits *message, const struct Limits *limits);
void wire_limits_get(struct Limits *limits, const Wasmpool__Limits *message);
void wire_error_put(Wasmpool__Error *message, const struct Error *error); /* the strings stay `error`'s */
int wire_error_get(struct Error *error, const Wasmpool__Error *message);  /* returns its code, never 0 */
void wire_shape_put(Wasmpool__OpenSlab *message, const struct Shape *shape);
void wire_shape_get(struct Shape *shape, const Wasmpool__OpenSlab *message);

/* Messages on the stack: WireMessage m = WIRE_MESSAGE(id, ACK, ack, &body). */
#define WIRE_MESSAGE(ID, CASE, FIELD, BODY)                                                                            \
    {                                                                                                                  \
        PROTOBUF_C_MESSAGE_INIT(&wasmpool__packet__descriptor), .id = (ID),                                            \
        .body_case = WASMPOOL__PACKET__BODY_##CASE, .FIELD = (BODY),                                                   \
    }

#endif
