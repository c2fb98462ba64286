/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_THUMB_H
#define THUMBS_THUMB_H

/* Image bytes in, PNG thumbnail out. Compiled twice: for the sandbox (guest.c) and natively (oracle.c), so that the
 * two can be compared byte for byte. */

#include <stddef.h>
#include <stdint.h>

/* Larger boxes would make the thumbnail the largest allocation of all. */
#define THUMB_BOX_MAX 4096

struct Thumb {
    uint8_t *png; /* malloc'ed, the caller frees it; NULL when rejected */
    size_t png_bytes;
    const char *why; /* static text when rejected */
};

/* Scale the image to fit a square of `box` pixels, never up. An image whose header says more than `pixels_max`
 * pixels is rejected before it is decoded. 0, or -1 with only `why` set. */
int thumb_make(struct Thumb *thumb, const uint8_t *bytes, size_t size, uint32_t box, uint32_t pixels_max);

#endif
