/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_SHAPE_H
#define SHARED_SHAPE_H

/* The shape of a slab: where its slots lie in the file. All arithmetic on what a client asks for is done here, once,
 * and checked.
 *
 *   memories   [guard_before: one guard] [slot 0: reservation | guard] [slot 1: reservation | guard] ...
 *   tables     [slot 0: elements x element_size, rounded up to pages] [slot 1] ...
 *   instances  nothing: permits have no bytes */

#include "shared/error.h"
#include "shared/lease.h"

#include <stdbool.h>
#include <stdint.h>

#define SHAPE_SLOTS_MAX 4096 /* slots of one slab: what a client can make the daemon look at for one message */
#define SHAPE_ELEMENT_SIZE_MAX 64        /* bytes; wasm2c's funcref is 24, or 32 in newer versions */
#define SHAPE_SLAB_BYTES_MAX (UINT64_C(1) << 42) /* of one slab's file: 64 slots of 64 GiB */

struct Shape {
    enum Kind kind;
    uint64_t reservation, guard; /* memories: bytes, multiples of the page size */
    bool guard_before;
    uint64_t elements;           /* tables */
    uint32_t element_size;       /* bytes */
    uint32_t count;              /* slots */
    /* computed by shape_finish */
    uint64_t origin;             /* offset of slot 0 in the file */
    uint64_t stride;             /* from slot to slot */
    uint64_t slot_bytes;         /* of a slot that may be accessible */
    uint64_t file_bytes;
};

/* Check what was asked for and compute the rest. 0 or ERROR_INVALID with what is wrong. */
int shape_finish(struct Shape *shape, struct Error *error);

static inline uint64_t shape_slot_offset(const struct Shape *shape, uint32_t slot) {
    return shape->origin + slot * shape->stride;
}

#endif
