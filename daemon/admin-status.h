/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_STATUS_H
#define DAEMON_ADMIN_STATUS_H

/* How the daemon is. Returns as the others of admin.h do: false when there was no room for the answer. */

#include "daemon/admin.h"

bool admin_status(struct Admin *admin, const WireMessage *request);

#endif
