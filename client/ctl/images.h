/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_IMAGES_H
#define CLIENT_CTL_IMAGES_H

/* `wasmpoolctl images`: the initial contents of memories that processes share. */

#include "client/channel.h"

#include <stdbool.h>

/* Ask page by page, and print to stdout. 0, or a result with `error`. */
int images_show(struct Channel *channel, bool json, struct wasmpool_error *error);

#endif
