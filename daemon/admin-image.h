/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_IMAGE_H
#define DAEMON_ADMIN_IMAGE_H

/* Administration of images: ListImages. True when the request is done with, as admin_send says. */

#include "daemon/admin.h"

#define ADMIN_IMAGE_ROWS_MAX 90 /* of a page: with the largest numbers they fit a packet */
#define ADMIN_IMAGE_SLOTS_MAX 65536 /* slots that a page looks at */

bool admin_list_images(struct Admin *admin, const WireMessage *request);

#endif
