/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/shape.h"

#include <inttypes.h>
#include <unistd.h>

static int shape_finish_memory(struct Shape *shape, uint64_t page, struct Error *error) {
    if (!shape->reservation || shape->reservation % page || shape->guard % page)
        return error_set(error, ERROR_INVALID,
                         "a memory slab's reservation (%" PRIu64 ") and guard (%" PRIu64
                         ") must be multiples of the page size, %" PRIu64,
                         shape->reservation, shape->guard, page);
    if (__builtin_add_overflow(shape->reservation, shape->guard, &shape->stride))
        return error_set(error, ERROR_INVALID, "a memory slab's reservation and guard overflow");
    shape->origin = shape->guard_before ? shape->guard : 0;
    shape->slot_bytes = shape->reservation;
    return 0;
}

static int shape_finish_table(struct Shape *shape, uint64_t page, struct Error *error) {
    uint64_t bytes;

    if (!shape->element_size || shape->element_size % 8 || shape->element_size > SHAPE_ELEMENT_SIZE_MAX)
        return error_set(error, ERROR_INVALID, "a table's element size must be a multiple of 8 up to %u, not %u",
                         SHAPE_ELEMENT_SIZE_MAX, shape->element_size);
    if (__builtin_mul_overflow(shape->elements, (uint64_t)shape->element_size, &bytes) ||
        __builtin_add_overflow(bytes, page - 1, &bytes))
        return error_set(error, ERROR_INVALID, "a table of %" PRIu64 " elements overflows", shape->elements);
    bytes -= bytes % page;
    shape->origin = 0;
    shape->stride = bytes ? bytes : page;
    shape->slot_bytes = shape->stride;
    return 0;
}

int shape_finish(struct Shape *shape, struct Error *error) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int r = 0;

    if (!shape->count || shape->count > SHAPE_SLOTS_MAX)
        return error_set(error, ERROR_INVALID, "a slab has 1 to %u slots, not %u", SHAPE_SLOTS_MAX, shape->count);
    shape->origin = shape->stride = shape->slot_bytes = shape->file_bytes = 0;
    switch (shape->kind) {
    case KIND_MEMORY:
        r = shape_finish_memory(shape, page, error);
        break;
    case KIND_TABLE:
        r = shape_finish_table(shape, page, error);
        break;
    case KIND_INSTANCE:
        break;
    default:
        return error_set(error, ERROR_INVALID, "there is no slab kind %d", (int)shape->kind);
    }
    if (r)
        return r;
    if (__builtin_mul_overflow(shape->stride, (uint64_t)shape->count, &shape->file_bytes) ||
        __builtin_add_overflow(shape->file_bytes, shape->origin, &shape->file_bytes) ||
        shape->file_bytes > SHAPE_SLAB_BYTES_MAX)
        return error_limit(error, ERROR_INVALID, "slab_bytes_max", SHAPE_SLAB_BYTES_MAX, 0,
                           shape->file_bytes, "the slab is too large");
    return 0;
}
