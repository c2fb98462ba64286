/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_SAMPLE_H
#define TESTS_FUZZ_SAMPLE_H

/* Valid modules, a different one for each seed: every kind of section, import, segment and constant expression, with
 * custom sections anywhere and integers that are longer than they need to be. */

#include "tests/fuzz/bytes.h"

/* Append the module of this seed. */
void sample_module(struct Bytes *bytes, uint64_t seed);

#endif
