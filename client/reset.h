/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_RESET_H
#define CLIENT_RESET_H

/* Make a used slot's bytes what a new instance must find: its image, or zero. By writing in place, which keeps the
 * pages; what is written is
 *
 *    what differs     of a slot that is small: by comparing all of it, without a system call
 *    everything       of which nearly everything is hot anyway
 *    hot pages        where writes are tracked: see track.h, and planner.h for when what is asked
 *    what exists      of a slot that is not tracked yet, or not any more, or beyond what it began with: the pages that the
 *                     kernel says there are
 *
 *    what is private  of a large image that lies over its slots, copy-on-write (overlay.h): hot pages as above, or else
 *                     the kernel takes back all that was written to it, and what exists beside it is written
 *
 * and beyond keep_resident the pages go back to the kernel instead, as do those that are not used any more: see keep.h.
 */

#include "client/image.h"
#include "client/planner.h"
#include "client/shelf.h"
#include "client/track.h"

/* Up to here everything is compared. */
#define RESET_SMALL_BYTES (UINT64_C(64) << 10)
/* And up to here where nothing can be tracked. */
#define RESET_ZERO_BYTES (UINT64_C(256) << 10)

/* Of an image's extents, those that are worth a system call to have their pages made at once. */
#define RESET_POPULATE_BYTES (UINT64_C(16) << 10)

/* Extents of pages that one reset looks at before it gives the rest back instead. */
#define RESET_EXTENTS_MAX 1024

struct ResetAsk {
    const struct Image *image; /* what it shall be; NULL: zero */
    uint64_t used;             /* bytes that may have been written */
    uint64_t keep;             /* bytes that may stay resident, unless the kernel refuses to take them; an image that does
                                  not fit in them is not held */
    struct Planner *planner;   /* NULL: nothing is tracked */
    uint64_t initial;          /* bytes to track, of those used */
};

/* Make the first `used` bytes of a taken slot what is asked. The slot's provenance and image say afterwards what became
 * of it. 0, or a negative errno: it is UNKNOWN then and must not be used. */
int reset_slot(struct Taken *taken, const struct ResetAsk *ask);

/* What was just taken may have been taken back meanwhile: what is known of it then. */
void reset_found(struct Taken *taken);

/* Make a taken slot that holds another image, or none, all zero, so that `image` can be copied to it; nothing if it
 * holds `image` already. What it holds must still be accessible. 0, or a negative errno, as above. */
int reset_switch(struct Taken *taken, const struct Image *image);

/* Copy the image to a slot that was switched to it, or lay it over, if that has not been done. Its bytes must be
 * accessible. 0, or a negative errno: it is UNKNOWN and must not be used. */
int reset_fill(struct Taken *taken, const struct Image *image);

/* Give all pages of a taken slot back, after which it is EMPTY. 0, or a negative errno: it stays UNKNOWN. */
int reset_empty(struct Taken *taken);

#endif
