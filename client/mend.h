/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_MEND_H
#define CLIENT_MEND_H

/* Make bytes what they were by writing only those that differ. Where few do, and more are looked at than the first
 * level of cache holds, that takes half the time of writing all, since lines that are only read need not be written
 * back; where most do it takes twice the time. Whoever calls measures. Needs AVX-512 or AVX2; writes all without. */

#include <stddef.h>
#include <stdint.h>

/* `to` is aligned to so many, and the length is a multiple of them. */
#define MEND_BYTES 256

void mend_zero(uint8_t *to, size_t bytes);
void mend_copy(uint8_t *to, const uint8_t *from, size_t bytes);

#endif
