/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_ADMIN_IMAGE_H
#define DAEMON_ADMIN_IMAGE_H

/* Administration of images: ListImages. True when the request is done with, as admin_send says. */

#include "daemon/admin.h"

#define ADMIN_IMAGE_ROWS_MAX 200 /* of a page: with the largest numbers they fit a packet */

bool admin_list_images(struct Admin *admin, const WireMessage *request);

#endif
