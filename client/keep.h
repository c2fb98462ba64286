/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_KEEP_H
#define CLIENT_KEEP_H

/* What of a tracked slot stays resident while it is free: its image, and the pages that were written lately, which are
 * the hot ones. Others were used once, or only read. They go back to the kernel when the hot ones are armed again,
 * which is seldom; and at once where all pages that there are exceed what may be kept (Wasmtime:
 * linear_memory_keep_resident). */

#include "client/image.h"
#include "client/shelf.h"
#include "client/tracker.h"

/* Extents of pages that are looked at each time. */
#define KEEP_EXTENTS_MAX 1024

/* Give back what is neither hot nor of the image, which may be NULL, and have the kernel tell of writes there. 0 or a
 * negative errno, after which nothing is known of what was written. */
int keep_give_back(const struct Taken *taken, const struct Tracker *tracker, const struct Image *image);

/* Are more of the slot's first bytes resident? Also if that cannot be told. */
bool keep_is_exceeded(const struct Taken *taken, uint64_t bytes, uint64_t keep);

#endif
