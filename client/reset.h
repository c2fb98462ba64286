/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_RESET_H
#define CLIENT_RESET_H

/* Make a used slot's bytes what a new instance must find: its image, or zero. By writing in place, which keeps the
 * pages and costs no system call while the slot is small; of a larger one only the pages that exist, and beyond
 * keep_resident by giving them back to the kernel. The choice by measurement will have its place here. */

#include "client/image.h"
#include "client/shelf.h"

/* Up to here writing everything is cheaper than asking the kernel where there are pages. */
#define RESET_ZERO_BYTES (UINT64_C(256) << 10)

/* Extents of pages that one reset looks at before it gives the rest back instead. */
#define RESET_EXTENTS_MAX 1024

/* Make the first `used` bytes of a taken slot what the image says, or zero if it is NULL; up to `keep` bytes may stay
 * resident, unless the kernel refuses to take them; an image that does not fit in them is not held. The slot's
 * provenance and image say afterwards what became of it. 0, or a negative errno: it is UNKNOWN then and must not be
 * used. */
int reset_slot(struct Taken *taken, const struct Image *image, uint64_t used, uint64_t keep);

/* Make a taken slot that holds another image, or none, all zero, so that `image` can be copied to it; nothing if it
 * holds `image` already. What it holds must still be accessible. 0, or a negative errno, as above. */
int reset_switch(struct Taken *taken, const struct Image *image);

/* Copy the image to a slot that was switched to it, if that has not been done. Its bytes must be accessible. */
void reset_fill(struct Taken *taken, const struct Image *image);

/* Give all pages of a taken slot back, after which it is EMPTY. 0, or a negative errno: it stays UNKNOWN. */
int reset_empty(struct Taken *taken);

#endif
