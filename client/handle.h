/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

/* Blocks for instance handles. Each slot keeps its last one, so that the next instance of a module finds its block
 * without a lock and at the same address. Sizes are of classes; a slot whose block is of another class than is needed
 * gives it to its pool, and takes one of the right class from there if there is one: slots that small and large modules
 * take in turn neither allocate nor hold the largest for ever. */

#include "client/slab.h"

#include <pthread.h>
#include <stddef.h>

#define HANDLE_ALIGN 128 /* a pair of cache lines: what two threads write is never in the same one */

/* Four classes for each power of two: at most a quarter of a block is unused. Of the least, one block is HANDLE_ALIGN
 * bytes; the largest have 4 GiB less a bit, as slots count them in 32 bits. */
#define HANDLE_CLASSES ((32 - 7) * 4)

/* Of all blocks that no slot has: sixteen of the largest that instances have by default (max_core_instance_size). */
#define HANDLE_SPARE_BYTES_MAX (UINT64_C(16) << 20)

/* The size of the class that so many bytes are of; more than UINT32_MAX if there is none. */
uint64_t handle_round(uint64_t bytes);

/* Blocks that no slot has, by class; each one's first word is the next. */
struct Handles {
    _Alignas(64) pthread_mutex_t lock;
    uint64_t spare_bytes;
    void *spares[HANDLE_CLASSES];
};

void handles_init(struct Handles *handles);
void handles_deinit(struct Handles *handles);

/* Change the block of a taken slot for one of `bytes`, which handle_round returned. 0, or -ENOMEM: it has its old one.
 */
int handles_change(struct Handles *handles, struct Slot *slot, uint64_t bytes);

#endif
