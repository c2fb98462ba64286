/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

/* A socket to the daemon, and requests over it: one at a time, answered by id. One thread at a time. */

#include "client/failure.h"
#include "shared/wire.h"

#include <stdbool.h>

struct Channel;

/* For how long the daemon may keep its client waiting. */
struct Patience {
    uint32_t timeout_ms;  /* each time */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC: and not beyond this; 0: no such moment */
};

/* Connect to a socket of the daemon. *patience is looked at each time that something is asked or told: it must outlive
 * the channel. Errors: UNAVAILABLE (nobody there, no answer in time), REFUSED (no permission), INVALID (the path is too
 * long), -errno. */
int channel_connect(struct Channel **channelp, const char *path, const struct Patience *patience,
                    struct wasmpool_error *error);

/* Close it; NULL is fine; returns NULL. */
struct Channel *channel_close(struct Channel *channel);

/* Say hello and check that a Welcome of our version comes. *welcomep is the caller's to deinit. */
int channel_hello(struct Channel *channel, const char *name, size_t fds_max, struct WirePacket *welcomep,
                  struct wasmpool_error *error);

/* Send a request, whose id is set here, and wait for its answer of at most `fds_max` fds. 0: *answerp is the caller's
 * to deinit, and is no Error. Else the daemon's own error, or UNAVAILABLE or PROTOCOL: see channel_has_ended. */
int channel_call(struct Channel *channel, WireMessage *request, size_t fds_max, struct WirePacket *answerp,
                 struct wasmpool_error *error);

/* Send a one-way message. 0, or UNAVAILABLE. */
int channel_tell(struct Channel *channel, WireMessage *message);

/* See whether the daemon has gone, without asking it anything. */
void channel_probe(struct Channel *channel);

/* Has the connection come to an end? An answer that did not come in time does not end it. */
bool channel_has_ended(const struct Channel *channel);

/* Is there a request whose answer did not come in time? The next one waits for it first. */
bool channel_is_owed(const struct Channel *channel);

/* An answer that is not of the kind that was asked for ends the connection. Returns PROTOCOL. */
int channel_reject(struct Channel *channel, const char *what, struct wasmpool_error *error);

#endif
