/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_CHANGE_H
#define DAEMON_CHANGE_H

/* Changes of the limits, bounds and quotas in force while the daemon runs: all of them by a reload, or a single one by
 * administration, until the next reload. Each is logged. They count for what is asked from then on: nothing is taken
 * back. */

#include "daemon/server.h"
#include "proto/wasmpool.pb-c.h"

/* What is in force becomes what `config` says, which was loaded and is consumed. */
void change_reload(struct Server *server, struct Config *config);

/* One value. 0 and what it was and is, or an ErrorCode or -ENOMEM with a message that says what would be right, and
 * nothing has changed. */
int change_set(struct Server *server, const Wasmpool__SetLimit *asked, uint64_t *fromp, uint64_t *top,
               struct Error *error);

#endif
