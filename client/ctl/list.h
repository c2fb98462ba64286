/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_LIST_H
#define CLIENT_CTL_LIST_H

/* `wasmpoolctl list`: which process holds which slot. */

#include "client/channel.h"

#include <stdbool.h>

/* Ask page by page, and print to stdout. 0, or a result with `error`. */
int list_show(struct Channel *channel, bool json, struct wasmpool_error *error);

#endif
