/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_REMOTE_H
#define CLIENT_REMOTE_H

/* What the parts of the `unix` source have in common, and its hooks for images: see source.h. */

#include "client/channel.h"
#include "client/source.h"

/* The last message with an fd has been received. */
void remote_ack(struct Channel *channel);

/* Check the fd that came with an answer, by one of memfd_check*, before anyone maps it. Takes it out of the packet on
 * success; else the connection has ended, and the result is PROTOCOL. */
int remote_check_fd(struct Channel *channel, struct WirePacket *answer, int (*check)(int fd, uint64_t bytes),
                    uint64_t bytes, int *fdp, struct wasmpool_error *error);

/* After each exchange, with its result, which it returns: has the connection ended with it? Who waits for grants is
 * told. */
int remote_result(struct Connection *connection, int r);

/* Tell the daemon which images this process has freed since. */
void remote_release_freed_images(struct Connection *connection);

bool remote_share_image(struct wasmpool *pool, struct Image *image, const uint8_t hash[static HASH_BYTES]);
void remote_release_image(struct wasmpool *pool, const struct Image *image);

#endif
