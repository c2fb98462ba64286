/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_H
#define DAEMON_ADMIN_H

/* A connection of the administration socket: Hello, then whatever one asks, as often as one likes.
 *
 *   HELLO --admin_hello--> READY --admin_end (end-of-file, deadline, protocol violation)--> ENDED
 *     +------------------------------------------------------------------------------------^
 *
 * What waits for room in the socket is the request: it is answered anew when there is some. Of the requests only
 * SetLimit changes anything, which it does once. The same way a List that looked at many slots and found no row goes on
 * in the next turn of the loop, with its cursor moved: one turn never takes long. */

#include "daemon/link.h"
#include "daemon/server.h"

#include <stdbool.h>

#define ADMIN_CONNECTIONS_MAX 16 /* one fd each, set aside from those of tenants */
#define ADMIN_SLOTS_MAX 4096     /* slots that one turn looks at */
#define ADMIN_ROWS_MAX 512       /* rows of a page; each costs a system call for its resident bytes */

enum AdminState { ADMIN_HELLO, ADMIN_READY, ADMIN_ENDED };

struct Admin {
    struct Server *server;
    struct Admin *next;
    enum AdminState state;
    struct Link link;
    struct WirePacket request; /* not answered yet; message NULL: none */
    bool changed;              /* what the request, a SetLimit, asks for is done */
    uint64_t changed_from, changed_to;
};

/* Take an accepted socket, which is consumed on success only. 0, or a positive ErrorCode with `error`. */
int admin_new(struct Server *server, int socket, struct Error *error);

/* The daemon ends. */
void admin_stop(struct Admin *admin);

/* Answer the request. True when it is done with, be it that nobody reads the answer any more; false: try again. */
bool admin_send(struct Admin *admin, const WireMessage *message);

#endif
