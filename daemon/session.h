/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

/* A tenant's connection: the order of the protocol, and the life of the process behind it.
 *
 *   HELLO --session_hello--> UNACKED --session_ack--> READY --session_open_slab (a slab fd is sent)--> UNACKED
 *     |                         |                       +--session_..._image (an image's fd is sent)-------> UNACKED
 *     |                         |                       |
 *     |                         +--session_disconnect---+--> DISCONNECTED   end-of-file, protocol violation,
 *     |                         |                       |         |         with the process alive
 *     +-------------------------+------session_end------+---------+--> ENDED   dead, Goodbye; or nothing was given
 *
 * Only the pidfd says that the process is dead. The struct Client lives until ENDED, the memory of the session until
 * libuv has closed its handles. Changed by session_enter alone. */

#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/link.h"
#include "daemon/server.h"

#include <stdbool.h>
#include <uv.h>

enum SessionState {
    SESSION_HELLO,        /* the first message must be Hello */
    SESSION_UNACKED,      /* a message with an fd is out: no other may follow it */
    SESSION_READY,        /* anything may be asked */
    SESSION_DISCONNECTED, /* no socket any more; busy slots stay as long as the process lives */
    SESSION_ENDED,        /* everything is given back; handles are closing */
};

struct Session {
    struct Server *server;
    struct Session *next, *previous;
    enum SessionState state;
    struct Client *client; /* NULL once ENDED */
    struct Link link;
    uv_poll_t process;     /* on the pidfd */
    int pidfd;
    unsigned n_open;       /* link and process: the memory goes with the last */
    bool pending;          /* `answer` waits for room in the socket */
    bool refused;          /* a request, for what is no limit: said in the log once */
    bool stalled;          /* it waits for the kernel to have room for fds in flight: try at the next tick */
    bool owes_fd;          /* DISCONNECTED with an fd in flight: charged until the process is dead */
    uint64_t want_id;      /* a Want whose answer waits until slots are empty; 0: none */
    uint32_t want_slab;
    uint64_t seal_id;      /* a SealImage whose answer waits until that is done; 0: none */
    struct Answer answer;
};

/* Take an accepted socket, which is consumed on success only. 0, or a positive ErrorCode with `error`. */
int session_new(struct Server *server, int socket, struct Error *error);

/* For session-image.c, as for all that is said: send session->answer; answer a request that is refused; end the
 * connection of one who breaks the protocol; and change its state. */
void session_send(struct Session *session);
void session_answer_failure(struct Session *session, uint64_t id, int r, struct Error *error);
void session_cut_off(struct Session *session, uint64_t id, const char *why);
void session_enter(struct Session *session, enum SessionState state);

/* Reclaims are finished: answer the Want that waited for them. */
void session_resume_want(struct Session *session);

/* Once a second: what has no event of its own. */
void session_tick(struct Session *session);

/* The daemon ends: the socket is closed, the slots stay as they are. A session whose answer waits is left alone unless
 * `now`. */
void session_stop(struct Session *session, bool now);

#endif
