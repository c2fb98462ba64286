/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

/* A listening SEQPACKET socket at a path, held by one daemon at a time.
 *
 * PATH.lock, locked with flock(2), says that a daemon holds PATH, so a socket found there by whoever has the lock, and
 * at which nobody listens, is what a dead one left behind. Both files go when the listener is closed; a socket that was
 * made by somebody else, a service manager, stays, and is locked all the same. Accepting never fails the daemon: out of
 * descriptors it spends a reserve to say so to whoever asks, and when even that is impossible it stops listening
 * until listener_resume. */

#include "shared/error.h"
#include "shared/paths.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct Listener;

struct ListenerOptions {
    const char *path;
    int given_fd; /* listening at `path` already, non-blocking; consumed, also on errors. -1: make one */
    mode_t mode;
    gid_t group; /* (gid_t)-1: leave it */
    /* A connection; the socket, CLOEXEC and non-blocking, is the callee's. */
    void (*accepted)(struct Listener *listener, int socket);
    void *data;
};

struct Listener {
    uv_poll_t poll;
    int fd, lock_fd;
    int reserve_fd; /* given up to accept one more; -1 while it cannot be had */
    bool given; /* the socket is not ours to remove */
    bool paused;
    bool open;
    uint64_t n_refused;  /* connections turned away for want of descriptors, since start */
    char path[PATHS_SOCKET_BYTES];
    void (*accepted)(struct Listener *listener, int socket);
    void *data;
};

/* Make the socket and listen. 0, or a positive ErrorCode, and nothing is left behind: INVALID (the path), REFUSED
 * (another daemon holds it, or no permission), HOST. */
int listener_open(struct Listener *listener, uv_loop_t *loop, const struct ListenerOptions *options,
                  struct Error *error);

/* Descriptors may have become free. Cheap when it is not paused. */
void listener_resume(struct Listener *listener);

/* Remove the socket, unless it was given, and the lock file. Idempotent. The handle's memory stays in use until the
 * loop has run. */
void listener_close(struct Listener *listener);

#endif
