/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

/* The reader, given any bytes at all, in both ways. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read `size` bytes as a module and look at everything that can be asked of it. A broken promise is printed and ends
 * the program with abort(3). Returns whether they were a module. */
bool target_run(const uint8_t *bytes, size_t size);

#endif
