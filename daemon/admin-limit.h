/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_LIMIT_H
#define DAEMON_ADMIN_LIMIT_H

/* Administration of limits: SetLimit and ListLimits. True when the request is done with, as admin_send says. */

#include "daemon/admin.h"

#define ADMIN_LIMIT_ROWS_MAX 512 /* of a page: with the longest name and the largest numbers they fit a packet */

/* A change is made once, however often the answer has to wait for room. */
bool admin_set_limit(struct Admin *admin, const WireMessage *request);
bool admin_list_limits(struct Admin *admin, const WireMessage *request);

#endif
