/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reset.h"

#include "shared/memfd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int reset_empty(struct Taken *taken) {
    struct Slab *slab = taken->slab;
    int r = memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index), slab->shape.slot_bytes);

    taken->slot->provenance = r ? PROVENANCE_UNKNOWN : PROVENANCE_EMPTY;
    return r;
}

/* Zero those of the slot's pages that exist, from the first on, as long as they are at most `keep` bytes. Returns the
 * number of bytes up to which the slot is zero then, or a negative errno. */
static int64_t reset_zero_extents(struct Taken *taken, uint64_t used, uint64_t keep) {
    struct Slab *slab = taken->slab;
    uint64_t origin = shape_slot_offset(&slab->shape, taken->index), done = 0;
    uint8_t *base = slab_slot_base(slab, taken->index);

    for (int i = 0; i < RESET_EXTENTS_MAX && done < used; i++) {
        off_t data = lseek(slab->fd, (off_t)(origin + done), SEEK_DATA), hole;
        uint64_t from, to;

        if (data < 0 && errno != ENXIO)
            return -errno;
        if (data < 0 || (uint64_t)data - origin >= used)
            return (int64_t)used;
        hole = lseek(slab->fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        from = (uint64_t)data - origin;
        to = (uint64_t)hole - origin < used ? (uint64_t)hole - origin : used;
        if (to - from > keep)
            to = from + keep;
        memset(base + from, 0, to - from);
        keep -= to - from;
        done = to;
        if (!keep)
            break;
    }
    return (int64_t)done;
}

int reset_zero(struct Taken *taken, uint64_t used, uint64_t keep) {
    struct Slab *slab = taken->slab;
    int64_t done;
    int r;

    taken->slot->provenance = PROVENANCE_UNKNOWN;
    keep -= keep % (uint64_t)sysconf(_SC_PAGESIZE);
    if (used <= RESET_ZERO_BYTES && used <= keep) {
        memset(slab_slot_base(slab, taken->index), 0, used);
        taken->slot->provenance = PROVENANCE_CLEAN;
        return 0;
    }
    if (!keep)
        return reset_empty(taken);
    done = reset_zero_extents(taken, used, keep);
    if (done < 0)
        return reset_empty(taken);
    if ((uint64_t)done < used) {
        r = memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index) + (uint64_t)done,
                        slab->shape.slot_bytes - (uint64_t)done);
        if (r)
            return reset_empty(taken);
    }
    taken->slot->provenance = PROVENANCE_CLEAN;
    return 0;
}
