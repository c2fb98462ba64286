/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

/* Listening sockets that a service manager made before the daemon ran, see sd_listen_fds(3): one called `tenants`, one
 * called `admin`, both, or none. What is wrong with them is an error and not ignored: clients would wait at a socket
 * that nobody serves. */

#include "shared/error.h"
#include "shared/paths.h"

struct ActivationSocket {
    int fd; /* -1: not given. CLOEXEC and non-blocking */
    char path[PATHS_SOCKET_BYTES];
};

struct Activation {
    struct ActivationSocket tenants, admin;
};

/* Take what was given to this process, and remove LISTEN_* from its environment. 0, also when nothing was given; or a
 * positive ErrorCode: INVALID (name, kind or address of a socket), and all are closed; HOST (LISTEN_* make no sense).
 */
int activation_init(struct Activation *activation, struct Error *error);

/* Close what nobody has stolen. Idempotent. */
void activation_deinit(struct Activation *activation);

/* The descriptor, which is the caller's from now on, or -1. The path stays. */
int activation_steal(struct ActivationSocket *socket);

#endif
