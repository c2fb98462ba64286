/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SHARING_H
#define CLIENT_SHARING_H

/* Sharing a module's images with other processes, where the pool's source can. */

#include "client/image.h"
#include "client/pool.h"

/* How long a daemon may keep us waiting for an image, and how much longer where there is much to be hashed: we have one
 * already, and only wish to share it. */
#define SHARING_TIMEOUT_MS 1000
#define SHARING_BYTES_PER_MS (UINT64_C(100) << 10)

/* Put shared bytes in place of their own, where that can be done before deadline_ns (CLOCK_MONOTONIC; 0: none). Nobody
 * else may know of these images yet. What cannot be shared stays as it is, and nobody is told but the metrics. */
void images_share(struct wasmpool *pool, struct Images *images, uint64_t deadline_ns);

#endif
