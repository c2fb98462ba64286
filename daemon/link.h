/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

/* The daemon's end of one accepted socket: packets come out of it, one a turn of the loop, and answers go in.
 *
 *   READING --link_send finds no room--> WAITING --it has room again--> READING
 *      |                                    |
 *      +------------ link_close ------------+--> closing --uv_close callbacks--> events->closed
 *
 * Output is bounded by not reading: while an answer waits for room, nobody can ask for the next one. Embedded in its
 * owner, whose memory must live until `closed`. */

#include "shared/error.h"
#include "shared/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct Link;

/* Beyond the outcomes of wire.h: no Hello came in time. */
#define LINK_E_DEADLINE 100

struct LinkEvents {
    /* A message has come; it may be stolen from the packet. */
    void (*message)(struct Link *link, struct WirePacket *packet);
    /* There is room again after link_wait. */
    void (*room)(struct Link *link);
    /* Nothing more will come: WIRE_E_END, another of the outcomes, or a negative errno. The owner closes the link. */
    void (*end)(struct Link *link, int outcome);
    /* All its handles are closed. */
    void (*closed)(struct Link *link);
};

struct Link {
    uv_poll_t poll;
    uv_timer_t deadline; /* for Hello */
    int socket;          /* owned; -1 once closed */
    int wanted;          /* uv_poll events */
    unsigned n_handles;  /* not yet closed */
    const struct LinkEvents *events;
};

/* Start reading. The socket is consumed on success only. 0 or a negative errno. */
int link_open(struct Link *link, uv_loop_t *loop, int socket, uint64_t deadline_ms, const struct LinkEvents *events);

/* Hello has come: no more deadline. */
void link_greet(struct Link *link);

/* Send one message, with `fd` unless that is -1. As wire_send. */
int link_send(struct Link *link, const WireMessage *message, int fd);

void link_read(struct Link *link);  /* wait for messages; there is at most one `message` for a turn of the loop */
void link_wait(struct Link *link);  /* wait for room, and for nothing else; where there is some, in the next turn */
void link_pause(struct Link *link); /* wait for nothing */

/* Idempotent. */
void link_close(struct Link *link);

/* What link_close does to a socket: the peer can read all that was sent to it, which a plain close would take away if
 * anything from the peer lay unread. Returns -1. */
int link_hang_up(int socket);

/* For a socket that gets no link: say why, as an Error of id 0, and hang up. */
void link_turn_away(int socket, const struct Error *error);

#endif
