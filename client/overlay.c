/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/overlay.h"

#include "client/pool.h"
#include "client/slot.h"
#include "shared/memfd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool overlay_suits(const struct Image *image, uint64_t keep) {
    uint64_t bytes = image_filled_bytes(image);

    return bytes >= OVERLAY_BYTES || (bytes >= OVERLAY_EACH_TIME_BYTES && image->end > keep);
}

/* Made when a slot of the slab gets one first; of threads that do so at once one succeeds. NULL when out of memory. */
static struct Overlay *overlay_record(const struct Taken *taken) {
    struct Overlay *all = atomic_load_explicit(&taken->slab->overlays, memory_order_acquire), *none = NULL;

    if (all)
        return &all[taken->index];
    all = calloc(taken->slab->capacity, sizeof(*all));
    if (all && !atomic_compare_exchange_strong(&taken->slab->overlays, &none, all)) {
        free(all);
        all = none;
    }
    return all ? &all[taken->index] : NULL;
}

void overlay_forget(struct Slab *slab) {
    free(atomic_exchange(&slab->overlays, NULL));
}

/* Replaces what is there. Advised as a slab is, see mapping_init. OVERLAY_E_REFUSED: all of that is there still; a
 * negative errno: it may not be. Before Linux 6.12 a call that fails may have undone it, which shows as a hole. */
static int overlay_map(uint8_t *at, uint64_t bytes, int flags, int fd, uint64_t offset) {
    void *mapped = mmap(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, fd, (off_t)offset);

    if (madvise(at, bytes, MADV_DONTFORK))
        return -errno;
    if (mapped == MAP_FAILED)
        return OVERLAY_E_REFUSED;
    madvise(at, bytes, MADV_DONTDUMP);
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return 0;
}

static int overlay_map_slab(const struct Taken *taken, uint64_t from, uint64_t to) {
    const struct Slab *slab = taken->slab;

    return overlay_map(slab_slot_base(slab, taken->index) + from, to - from, MAP_SHARED, slab->fd,
                       shape_slot_offset(&slab->shape, taken->index) + from);
}

static void overlay_is_unwatched(struct Overlay *overlay, uint64_t from, uint64_t to) {
    bool none = overlay->unwatched_from == overlay->unwatched_to;

    if (none || from < overlay->unwatched_from)
        overlay->unwatched_from = from;
    if (none || to > overlay->unwatched_to)
        overlay->unwatched_to = to;
}

int overlay_put(struct Taken *taken, const struct Image *image) {
    struct Overlay *overlay = overlay_record(taken);
    struct Slab *slab = taken->slab;
    uint64_t from = image->extents[0].from, to = image->end;
    int r;

    if (!overlay)
        return OVERLAY_E_REFUSED;
    overlay_is_unwatched(overlay, from, to);
    r = overlay_map(slab_slot_base(slab, taken->index) + from, to - from, MAP_PRIVATE, image->file, from);
    if (r < 0 && overlay_map_slab(taken, from, to))
        return r;
    if (r)
        return OVERLAY_E_REFUSED;
    /* What the slab has beneath is zero, and nothing but a waste. */
    memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index) + from, to - from);
    overlay->image_id = image->id;
    overlay->from = from;
    overlay->to = to;
    slot_announce_private(taken->entry, true);
    return 0;
}

int overlay_remove(struct Taken *taken) {
    struct Overlay *overlay = overlay_of(taken);
    int r = overlay ? overlay_map_slab(taken, overlay->from, overlay->to) : 0;

    if (!overlay || r == OVERLAY_E_REFUSED)
        return overlay ? -ENOMEM : 0;
    overlay_is_unwatched(overlay, overlay->from, overlay->to);
    if (r) {
        overlay->image_id = OVERLAY_BROKEN;
        return r;
    }
    overlay->image_id = 0;
    slot_announce_private(taken->entry, false);
    return 0;
}

int overlay_drop(const struct Taken *taken) {
    const struct Overlay *overlay = overlay_of(taken);
    uint8_t *base = slab_slot_base(taken->slab, taken->index);

    return madvise(base + overlay->from, overlay->to - overlay->from, MADV_DONTNEED) ? -errno : 0;
}

int overlay_watch(const struct Taken *taken, const struct Tracker *tracker) {
    struct Overlay *overlays = atomic_load_explicit(&taken->slab->overlays, memory_order_acquire);
    struct Overlay *overlay = overlays ? &overlays[taken->index] : NULL;
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    int r;

    if (!overlay || overlay->unwatched_from == overlay->unwatched_to)
        return 0;
    r = tracker_watch(tracker, base + overlay->unwatched_from, overlay->unwatched_to - overlay->unwatched_from);
    if (!r)
        overlay->unwatched_from = overlay->unwatched_to = 0;
    return r;
}
