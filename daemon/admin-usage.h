/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_USAGE_H
#define DAEMON_ADMIN_USAGE_H

/* Administration of who uses what: ListUsers and ListClients. True when the request is done with, as admin_send says.
 */

#include "daemon/admin.h"

#define ADMIN_USAGE_ROWS_MAX 64 /* of a page: with the longest name and the largest numbers they fit a packet */

bool admin_list_users(struct Admin *admin, const WireMessage *request);
bool admin_list_clients(struct Admin *admin, const WireMessage *request);

#endif
