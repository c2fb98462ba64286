/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WABT_REWRITE_H
#define TESTS_WABT_REWRITE_H

/* A binary without what our reader steps over: function bodies, and contents of custom sections. */

#include "tests/fuzz/bytes.h"

/* Append the binary with `unreachable end` for each body, and without the custom sections whose contents wabt
 * reads. False, and `out` is as before, when its sections or bodies do
 * not end where they say. */
bool rewrite_binary(struct Bytes *out, const uint8_t *binary, size_t size);

#endif
