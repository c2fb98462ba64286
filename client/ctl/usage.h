/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_USAGE_H
#define CLIENT_CTL_USAGE_H

/* `wasmpoolctl users` and `wasmpoolctl clients`: who has what, is due what, and may have what. */

#include "client/channel.h"

#include <stdbool.h>

/* Ask page by page, and print to stdout. 0, or a result with `error`. */
int usage_show_users(struct Channel *channel, bool json, struct wasmpool_error *error);
int usage_show_clients(struct Channel *channel, bool json, struct wasmpool_error *error);

#endif
