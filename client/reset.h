/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_RESET_H
#define CLIENT_RESET_H

/* Make a used slot's bytes what a new instance must find: zero. By zeroing in place, which keeps the pages and costs no
 * system call while the slot is small; of a larger one only the pages that exist, and beyond keep_resident by giving
 * them back to the kernel. The choice by measurement will have its place here. */

#include "client/shelf.h"

/* Up to here zeroing everything is cheaper than asking the kernel where there are pages. */
#define RESET_ZERO_BYTES (UINT64_C(256) << 10)

/* Extents of pages that one reset looks at before it gives the rest back instead. */
#define RESET_EXTENTS_MAX 1024

/* Zero the first `used` bytes of a taken slot, of which up to `keep` may stay resident. The slot's provenance says
 * afterwards what became of it. 0, or a negative errno: it is UNKNOWN then and must not be used. */
int reset_zero(struct Taken *taken, uint64_t used, uint64_t keep);

/* Give all pages of a taken slot back, after which it is EMPTY. 0, or a negative errno: it stays UNKNOWN. */
int reset_empty(struct Taken *taken);

#endif
