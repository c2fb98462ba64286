/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int link_hang_up(int socket) {
    char byte;

    /* After the shutdown the peer can send no more, so what is unread comes to an end. */
    shutdown(socket, SHUT_RDWR);
    while (recv(socket, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
        ;
    close(socket);
    return -1;
}

void link_turn_away(int socket, const struct Error *error) {
    Wasmpool__Error body = WASMPOOL__ERROR__INIT;
    WireMessage message = WIRE_MESSAGE(0, ERROR, error, &body);

    wire_error_put(&body, error);
    wire_send(socket, &message, NULL, 0);
    link_hang_up(socket);
}

static void link_receive(struct Link *link) {
    struct WirePacket packet;
    int r = wire_recv(link->socket, 0, &packet);

    /* The error of a reset comes before what the peer had sent ahead of it, a Goodbye perhaps: look behind it. */
    if (r == WIRE_E_END) {
        r = wire_recv(link->socket, 0, &packet);
        if (r == WIRE_E_AGAIN)
            r = WIRE_E_MALFORMED; /* the end was none: an empty packet */
    }
    if (r == WIRE_E_AGAIN)
        return;
    if (r) {
        link->events->end(link, r);
        return;
    }
    link->events->message(link, &packet);
    wire_packet_deinit(&packet);
}

static int link_take_error(const struct Link *link) {
    int error = 0;
    socklen_t bytes = sizeof(error);

    if (getsockopt(link->socket, SOL_SOCKET, SO_ERROR, &error, &bytes))
        return 0;
    return error;
}

static void link_want(struct Link *link, int wanted);

static void link_on_poll(uv_poll_t *poll, int status, int events) {
    struct Link *link = poll->data;

    if (status < 0) {
        /* libuv has stopped polling. A reset is an error to it; what lies behind is still to be read. */
        if (link_take_error(link))
            link_want(link, link->wanted);
        else
            link->events->end(link, status);
        return;
    }
    if (events & UV_WRITABLE)
        link->events->room(link);
    else
        link_receive(link);
}

static void link_on_deadline(uv_timer_t *timer) {
    struct Link *link = timer->data;

    link->events->end(link, LINK_E_DEADLINE);
}

static void link_on_close(uv_handle_t *handle) {
    struct Link *link = handle->data;

    if (!--link->n_handles)
        link->events->closed(link);
}

int link_open(struct Link *link, uv_loop_t *loop, int socket, uint64_t deadline_ms, const struct LinkEvents *events) {
    int r;

    *link = (struct Link){.socket = -1, .events = events};
    r = uv_poll_init(loop, &link->poll, socket);
    if (r)
        return r;
    uv_timer_init(loop, &link->deadline);
    link->poll.data = link->deadline.data = link;
    link->n_handles = 2;
    link->socket = socket;
    uv_timer_start(&link->deadline, link_on_deadline, deadline_ms, 0);
    link_read(link);
    return 0;
}

void link_greet(struct Link *link) {
    uv_timer_stop(&link->deadline);
}

int link_send(struct Link *link, const WireMessage *message, int fd) {
    return wire_send(link->socket, message, &fd, fd >= 0);
}

static void link_want(struct Link *link, int wanted) {
    if (link->socket < 0 || (link->wanted == wanted && uv_is_active((uv_handle_t *)&link->poll)))
        return;
    link->wanted = wanted;
    uv_poll_start(&link->poll, wanted, link_on_poll);
}

void link_read(struct Link *link) {
    link_want(link, UV_READABLE);
}

void link_wait(struct Link *link) {
    link_want(link, UV_WRITABLE);
}

void link_pause(struct Link *link) {
    uv_poll_stop(&link->poll);
}

void link_close(struct Link *link) {
    if (link->socket < 0)
        return;
    uv_close((uv_handle_t *)&link->poll, link_on_close);
    uv_close((uv_handle_t *)&link->deadline, link_on_close);
    link->socket = link_hang_up(link->socket);
}
