/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_LIMIT_H
#define CLIENT_CTL_LIMIT_H

/* `wasmpoolctl limit`: which limits are in force, and changes of them. */

#include "client/channel.h"

#include <stdbool.h>

struct LimitChanges {
    Wasmpool__LimitScope scope;
    uint64_t id;        /* of the user or the connection */
    char *const *pairs; /* "NAME=VALUE" */
    size_t n_pairs;
};

/* A uid, or a user's name. 0, or -1 when there is no such user. */
int limit_find_uid(const char *who, uint64_t *uidp);

/* Ask, and print to stdout. 0, or a result with `error`. */
int limit_show(struct Channel *channel, bool json, struct wasmpool_error *error);

/* One after the other, up to the first that is refused; print what was changed. 0, or a result with `error`. */
int limit_set(struct Channel *channel, const struct LimitChanges *changes, bool json, struct wasmpool_error *error);

#endif
