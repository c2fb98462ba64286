/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reset.h"

#include "shared/memfd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void reset_holds(struct Slot *slot, const struct Image *image) {
    slot->image_id = image ? image->id : 0;
    slot->image_end = image ? image->end : 0;
}

int reset_empty(struct Taken *taken) {
    struct Slab *slab = taken->slab;
    int r = memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index), slab->shape.slot_bytes);

    reset_holds(taken->slot, NULL);
    taken->slot->provenance = r ? PROVENANCE_UNKNOWN : PROVENANCE_EMPTY;
    return r;
}

/* Restore those of the slot's pages that exist, from the first on, as long as they are at most `keep` bytes. Returns
 * the number of bytes up to which the slot is as the image says, or a negative errno. A hole where the image has
 * something can only come from outside (MADV_REMOVE); it costs nothing to look. */
static int64_t reset_extents(struct Taken *taken, const struct Image *image, uint64_t used, uint64_t keep) {
    struct Slab *slab = taken->slab;
    uint64_t origin = shape_slot_offset(&slab->shape, taken->index), done = 0;
    uint8_t *base = slab_slot_base(slab, taken->index);
    uint32_t next = 0;

    for (int i = 0; i < RESET_EXTENTS_MAX && done < used; i++) {
        off_t data = lseek(slab->fd, (off_t)(origin + done), SEEK_DATA), hole;
        uint64_t from, to;

        if (data < 0 && errno != ENXIO)
            return -errno;
        if (data < 0 || (uint64_t)data - origin >= used) {
            image_restore(image, base, done, used, true, &next);
            return (int64_t)used;
        }
        hole = lseek(slab->fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        from = (uint64_t)data - origin;
        to = (uint64_t)hole - origin < used ? (uint64_t)hole - origin : used;
        if (to - from > keep)
            to = from + keep;
        image_restore(image, base, done, from, true, &next);
        image_restore(image, base, from, to, false, &next);
        keep -= to - from;
        done = to;
        if (!keep)
            break;
    }
    return (int64_t)done;
}

static void reset_is_clean(struct Slot *slot, const struct Image *image) {
    reset_holds(slot, image);
    slot->provenance = PROVENANCE_CLEAN;
}

static int reset_keep(struct Taken *taken, const struct Image *image, uint64_t used, uint64_t keep) {
    struct Slab *slab = taken->slab;
    uint32_t next = 0;
    int64_t done;

    if (used <= RESET_ZERO_BYTES && used <= keep) {
        image_restore(image, slab_slot_base(slab, taken->index), 0, used, false, &next);
        reset_is_clean(taken->slot, image);
        return 0;
    }
    if (!keep)
        return reset_empty(taken);
    done = reset_extents(taken, image, used, keep);
    if (done < 0 || (image && (uint64_t)done < image->end))
        return reset_empty(taken);
    if ((uint64_t)done < used && memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index) + (uint64_t)done,
                                             slab->shape.slot_bytes - (uint64_t)done))
        return reset_empty(taken);
    reset_is_clean(taken->slot, image);
    return 0;
}

int reset_slot(struct Taken *taken, const struct Image *image, uint64_t used, uint64_t keep) {
    int r;

    taken->slot->provenance = PROVENANCE_UNKNOWN;
    keep -= keep % (uint64_t)sysconf(_SC_PAGESIZE);
    r = reset_keep(taken, image, used, keep);
    /* If the kernel does not take pages back, they can be written all the same. */
    return r && keep < used ? reset_keep(taken, image, used, used) : r;
}

int reset_switch(struct Taken *taken, const struct Image *image) {
    struct Slot *slot = taken->slot;

    if (slot->image_id == (image ? image->id : 0) || !slot->image_id)
        return 0;
    return reset_slot(taken, NULL, slot->image_end, UINT64_MAX);
}

void reset_fill(struct Taken *taken, const struct Image *image) {
    if (!image || taken->slot->image_id == image->id)
        return;
    image_copy(image, slab_slot_base(taken->slab, taken->index));
    reset_holds(taken->slot, image);
}
