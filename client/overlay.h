/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_OVERLAY_H
#define CLIENT_OVERLAY_H

/* A large image lies over a slot instead of being copied to it: a private mapping of the image's sealed memfd in place
 * of that part of the slab's. Slots that have it share its pages until they write to them; what they write is memory of
 * this process' own, which neither the slab's owner nor SEEK_DATA sees. The rest of the slot stays the slab's.
 *
 *    the slab's --overlay_put--> the image's --overlay_remove--> the slab's
 *                                  |      ^
 *                                  +------+ overlay_drop: what was written is gone, and the image is there again
 *
 * All of it is one mapping, from the first page that is not zero to the last: an image is dense (images_are_possible),
 * so that holes are the smaller part of it, and one that is read becomes a page of the image's, once for all. Beneath
 * it the slab has no pages that were written: what is removed leaves zero.
 *
 * A slot that was taken back and granted again meanwhile has it still. So what that slot, which looks EMPTY, reads
 * as is said by its overlay: see reset_found. It knows its image by id and never looks into it: the image may be
 * gone, and lives on in the mapping until the slot is used for another. */

#include "client/image.h"
#include "client/lane.h"
#include "client/tracker.h"

/* From this many bytes on that are not zero an image lies over its slots. Measured for 4 written pages: the first
 * instance of a slot gets a copy of 1 MiB in 480 us, of 64 MiB in 30 ms, and a mapping of either in 12 to 16; later
 * ones cost the same, as hot pages are written back either way. At the default of 1000 memories copies of this size
 * take 1 GiB; below, what is saved is not worth two mappings more for each slot (vm.max_map_count), a descriptor,
 * and pages that their owner can neither see nor take back. */
#define OVERLAY_BYTES (UINT64_C(1) << 20)
/* And from here on where slots do not keep it, so that each instance would get another copy: 1 MiB in 300 us, 5
 * mapped. */
#define OVERLAY_EACH_TIME_BYTES (UINT64_C(128) << 10)

/* overlay_put: it cannot be, and nothing has changed. */
#define OVERLAY_E_REFUSED 1

/* No image's: a part of the slot that is not what it should be, and may be a hole, until overlay_remove succeeds. */
#define OVERLAY_BROKEN UINT64_MAX

/* Of each slot of a slab of which any has had one. Belongs to whoever holds the slot. */
struct Overlay {
    uint64_t image_id; /* 0: none; OVERLAY_BROKEN */
    uint64_t from, to; /* of the slot */
    uint64_t unwatched_from, unwatched_to; /* what has to be watched again, as it was mapped anew: see tracker_watch */
};

/* Should slots get it so? `keep` is how many bytes of a free slot may stay resident. */
bool overlay_suits(const struct Image *image, uint64_t keep);

/* NULL: the slot has none. */
static inline struct Overlay *overlay_of(const struct Taken *taken) {
    struct Overlay *overlays = atomic_load_explicit(&taken->slab->overlays, memory_order_acquire);

    return overlays && overlays[taken->index].image_id ? &overlays[taken->index] : NULL;
}

/* Put an image that has a file over a taken slot that is zero and accessible so far. 0; OVERLAY_E_REFUSED; or a
 * negative errno: something of the slot is not mapped any more, and it must not be used. */
int overlay_put(struct Taken *taken, const struct Image *image);

/* Have the slab there again, which is zero; nothing where there is no overlay. What it covers is accessible. 0, or a
 * negative errno as above. */
int overlay_remove(struct Taken *taken);

/* Give what was written back. 0, or a negative errno: it is there still (as in a process that locks its memory). */
int overlay_drop(const struct Taken *taken);

/* Have what was mapped anew watched again, of a slot that is watched. 0, or a negative errno. */
int overlay_watch(const struct Taken *taken, const struct Tracker *tracker);

/* All mappings of the slab have gone. */
void overlay_forget(struct Slab *slab);

#endif
