/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_STATUS_H
#define CLIENT_CTL_STATUS_H

/* `wasmpoolctl status`: how the daemon is. */

#include "client/channel.h"

#include <stdbool.h>

/* Ask, and print to stdout. 0, or a result with `error`. */
int status_show(struct Channel *channel, bool json, struct wasmpool_error *error);

#endif
