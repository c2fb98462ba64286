/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union WireControl {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
};

static void wire_attach(struct msghdr *header, union WireControl *control, const int *fds, size_t n_fds) {
    struct cmsghdr *cmsg;

    memset(control, 0, sizeof(*control));
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
    cmsg = CMSG_FIRSTHDR(header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
}

/* Nothing in it can be long: its size, which takes as long to find out as to pack it, needs no look. */
static bool wire_is_short(const WireMessage *message) {
    return message->body_case == WASMPOOL__PACKET__BODY_WANT || message->body_case == WASMPOOL__PACKET__BODY_GRANTED ||
           message->body_case == WASMPOOL__PACKET__BODY_KICK || message->body_case == WASMPOOL__PACKET__BODY_ACK;
}

int wire_send(int socket, const WireMessage *message, const int *fds, size_t n_fds) {
    uint8_t bytes[WIRE_BYTES_MAX];
    union WireControl control;
    struct iovec vector = {.iov_base = bytes};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t sent;

    if (!wire_is_short(message) && wasmpool__packet__get_packed_size(message) > sizeof(bytes))
        return WIRE_E_OVERSIZED;
    vector.iov_len = wasmpool__packet__pack(message, bytes);
    if (n_fds)
        wire_attach(&header, &control, fds, n_fds);
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    if (errno == EAGAIN)
        return WIRE_E_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET)
        return WIRE_E_END;
    return -errno;
}

/* Collect the fds of a received header into the packet: WIRE_FDS_MAX at most, since the control buffer has room for no
 * more. */
static void wire_collect(struct msghdr *header, struct WirePacket *packet) {
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t n;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
            if (packet->n_fds < WIRE_FDS_MAX)
                packet->fds[packet->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

static int wire_check(const struct msghdr *header, const struct WirePacket *packet, size_t fds_max, ssize_t bytes) {
    /* The kernel says so too when this process could not have another fd. */
    if (header->msg_flags & MSG_CTRUNC && packet->n_fds < fds_max)
        return WIRE_E_NO_ROOM;
    if (header->msg_flags & MSG_CTRUNC || packet->n_fds > fds_max)
        return WIRE_E_FDS;
    if (header->msg_flags & MSG_TRUNC)
        return WIRE_E_OVERSIZED;
    return bytes ? 0 : WIRE_E_END;
}

/* A peer that closes without having read everything resets the connection. The kernel says so once, before it gives
 * what that peer had said. */
static ssize_t wire_recvmsg(int socket, struct msghdr *header) {
    ssize_t received;

    for (int resets = 0;; resets += errno == ECONNRESET) {
        received = recvmsg(socket, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (received >= 0 || (errno != EINTR && (errno != ECONNRESET || resets)))
            return received;
    }
}

int wire_recv(int socket, size_t fds_max, struct WirePacket *packetp) {
    uint8_t bytes[WIRE_BYTES_MAX];
    union WireControl control;
    struct WirePacket packet = {0};
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t received;
    int r;

    if (fds_max) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
    }
    received = wire_recvmsg(socket, &header);
    if (received < 0)
        return errno == EAGAIN ? WIRE_E_AGAIN : errno == ECONNRESET ? WIRE_E_END : -errno;
    wire_collect(&header, &packet);
    r = wire_check(&header, &packet, fds_max, received);
    if (!r) {
        packet.message = wasmpool__packet__unpack(NULL, (size_t)received, bytes);
        if (!packet.message)
            r = WIRE_E_MALFORMED;
    }
    if (r) {
        wire_packet_deinit(&packet);
        return r;
    }
    *packetp = packet;
    return 0;
}

void wire_packet_deinit(struct WirePacket *packet) {
    for (size_t i = 0; i < packet->n_fds; i++)
        if (packet->fds[i] >= 0)
            close(packet->fds[i]);
    packet->n_fds = 0;
    if (packet->message)
        wasmpool__packet__free_unpacked(packet->message, NULL);
    packet->message = NULL;
}

int wire_packet_steal_fd(struct WirePacket *packet) {
    int fd;

    if (packet->n_fds != 1)
        return -1;
    fd = packet->fds[0];
    packet->n_fds = 0;
    return fd;
}

const char *wire_outcome_phrase(int outcome) {
    switch (outcome) {
    case WIRE_E_AGAIN:
        return "has nothing to read";
    case WIRE_E_END:
        return "closed the connection";
    case WIRE_E_OVERSIZED:
        return "sent a packet larger than 32768 bytes";
    case WIRE_E_FDS:
        return "sent file descriptors that do not belong there";
    case WIRE_E_NO_ROOM:
        return "sent a file descriptor for which this process has no room";
    case WIRE_E_MALFORMED:
        return "sent a packet that is no message";
    default:
        return outcome < 0 ? strerror(-outcome) : "did nothing wrong";
    }
}

void wire_limits_put(Wasmpool__Limits *message, const struct Limits *limits) {
#define WIRE_PUT(name, unit, standard, least, most, meaning) message->name = limits->name;
    LIMITS(WIRE_PUT)
#undef WIRE_PUT
}

void wire_limits_get(struct Limits *limits, const Wasmpool__Limits *message) {
#define WIRE_GET(name, unit, standard, least, most, meaning) limits->name = message->name;
    LIMITS(WIRE_GET)
#undef WIRE_GET
}

void wire_error_put(Wasmpool__Error *message, const struct Error *error) {
    message->code = (uint32_t)error->code;
    message->limit = (char *)error->limit;
    message->bound = error->bound;
    message->use = error->use;
    message->ask = error->ask;
    message->message = (char *)error->message;
}

int wire_error_get(struct Error *error, const Wasmpool__Error *message) {
    int code = message->code && message->code <= ERROR_CODE_MAX ? (int)message->code : ERROR_REFUSED;

    if (!error)
        return code;
    error_set(error, code, "%s", message->message);
    snprintf(error->limit, sizeof(error->limit), "%s", message->limit);
    error->bound = message->bound;
    error->use = message->use;
    error->ask = message->ask;
    return code;
}

void wire_shape_put(Wasmpool__OpenSlab *message, const struct Shape *shape) {
    message->kind = (Wasmpool__Kind)shape->kind;
    message->reservation = shape->reservation;
    message->guard = shape->guard;
    message->guard_before = shape->guard_before;
    message->elements = shape->elements;
    message->element_size = shape->element_size;
    message->count = shape->count;
}

void wire_shape_get(struct Shape *shape, const Wasmpool__OpenSlab *message) {
    *shape = (struct Shape){
        .kind = (enum Kind)message->kind,
        .reservation = message->reservation,
        .guard = message->guard,
        .guard_before = message->guard_before,
        .elements = message->elements,
        .element_size = message->element_size,
        .count = message->count,
    };
}
