/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ANSWER_H
#define DAEMON_ANSWER_H

/* One answer, made in place so that it can wait for room in the socket: it points into itself and must not be moved. */

#include "daemon/slab.h"
#include "shared/error.h"
#include "shared/limits.h"
#include "shared/wire.h"

struct Answer {
    WireMessage message;
    int fd; /* borrowed from the client, its slab or an image of its; -1: none */
    union {
        Wasmpool__Welcome welcome;
        Wasmpool__SlabOpened slab_opened;
        Wasmpool__Granted granted;
        Wasmpool__ImageFound image_found;
        Wasmpool__ImageCreated image_created;
        Wasmpool__Error error;
    } body;
    Wasmpool__Limits limits;
    struct Error error;
};

/* With a lease table: its fd and entries; for administration -1 and 0. */
void answer_welcome(struct Answer *answer, uint64_t id, uint64_t connection, const struct Limits *limits, int table_fd,
                    uint32_t entries);
void answer_slab_opened(struct Answer *answer, uint64_t id, const struct Slab *slab, uint32_t granted);
void answer_granted(struct Answer *answer, uint64_t id, uint32_t slots);
void answer_image_found(struct Answer *answer, uint64_t id, const struct ImageUse *use); /* NULL: there is none */
void answer_image_created(struct Answer *answer, uint64_t id, const struct Image *image);
void answer_error(struct Answer *answer, uint64_t id, const struct Error *error);

/* What the core refused: `r` is an ErrorCode or a negative errno, of which peers know nothing; `error` says more, or
 * nothing. */
void answer_failure(struct Answer *answer, uint64_t id, int r, struct Error *error);

/* Fill `error` for a negative errno: of the daemon's host, while doing what `doing` says. Returns its code. */
int answer_host_error(struct Error *error, int r, const char *doing);

#endif
