/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SEALING_H
#define DAEMON_SEALING_H

/* Images that their clients have filled are sealed and hashed in libuv's thread pool: see image.h. */

#include "daemon/server.h"

/* Begin with those whose time has come. After each image_seal, and by itself when one is finished. */
void sealing_begin(struct Server *server);

#endif
