/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_MUTANT_H
#define TESTS_FUZZ_MUTANT_H

/* Modules with something wrong, or something else, in them. Most changes are made within a section whose size is then
 * set right again: so they get past the outermost checks. */

#include "tests/fuzz/bytes.h"
#include "tests/fuzz/random.h"

/* Changes `size` bytes at `data`, at least one, in room for `room`; returns the new size. */
typedef size_t (*mutant_fn)(uint8_t *data, size_t size, size_t room, struct Random *random);

/* Flip, set, insert, remove, repeat or move a few bytes. */
size_t mutant_bytes(uint8_t *data, size_t size, size_t room, struct Random *random);

/* Change a binary: its bytes anywhere, or in one section, or sections as a whole. Returns the new size. */
size_t mutant_module(uint8_t *data, size_t size, size_t room, mutant_fn change, struct Random *random);

#endif
