/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/handle.h"

#include <errno.h>
#include <stdlib.h>

/* How far to shift a size to the right so that three bits are left, of which the highest is set. */
static unsigned handle_shift(uint64_t bytes) {
    return 61 - (unsigned)__builtin_clzll(bytes);
}

uint64_t handle_round(uint64_t bytes) {
    uint64_t step;

    if (bytes <= HANDLE_ALIGN)
        return HANDLE_ALIGN;
    step = UINT64_C(1) << handle_shift(bytes);
    if (step < HANDLE_ALIGN)
        step = HANDLE_ALIGN;
    return (bytes + step - 1) / step * step;
}

/* For what handle_round returned. */
static unsigned handle_class(uint64_t bytes) {
    unsigned shift = handle_shift(bytes);

    return (shift + 2 - 7) * 4 + (unsigned)((bytes >> shift) - 4);
}

void handles_init(struct Handles *handles) {
    *handles = (struct Handles){0};
    pthread_mutex_init(&handles->lock, NULL);
}

void handles_deinit(struct Handles *handles) {
    for (unsigned i = 0; i < HANDLE_CLASSES; i++)
        while (handles->spares[i]) {
            void **block = handles->spares[i];

            handles->spares[i] = *block;
            free(block);
        }
    handles->spare_bytes = 0;
    pthread_mutex_destroy(&handles->lock);
}

/* With the lock held. NULL: there is none. */
static void *handles_steal(struct Handles *handles, uint64_t bytes) {
    void **link = &handles->spares[handle_class(bytes)], **block = *link;

    if (block) {
        *link = *block;
        handles->spare_bytes -= bytes;
    }
    return block;
}

/* With the lock held. Returns the block if there is no room for it, else NULL. */
static void *handles_keep(struct Handles *handles, void **block, uint64_t bytes) {
    void **link;

    if (!block || handles->spare_bytes + bytes > HANDLE_SPARE_BYTES_MAX)
        return block;
    link = &handles->spares[handle_class(bytes)];
    *block = *link;
    *link = block;
    handles->spare_bytes += bytes;
    return NULL;
}

int handles_change(struct Handles *handles, struct Slot *slot, uint64_t bytes) {
    void *block, *surplus;

    if (bytes > UINT32_MAX)
        return -ENOMEM;
    pthread_mutex_lock(&handles->lock);
    block = handles_steal(handles, bytes);
    if (!block)
        block = aligned_alloc(HANDLE_ALIGN, bytes);
    surplus = block ? handles_keep(handles, slot->handle, slot->handle_bytes) : NULL;
    pthread_mutex_unlock(&handles->lock);
    free(surplus);
    if (!block)
        return -ENOMEM;
    slot->handle = block;
    slot->handle_bytes = (uint32_t)bytes;
    return 0;
}
