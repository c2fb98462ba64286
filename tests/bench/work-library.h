/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_WORK_LIBRARY_H
#define TESTS_BENCH_WORK_LIBRARY_H

/* What the works on the library begin with: an allocator, and a module of --file. Threads that share an allocator share
 * the module too. All functions end the process with a message when they fail. */

#include "tests/bench/work.h"

#include <wasmpool.h>

struct wasmpool *work_library_open(const struct WorkOptions *options);
struct wasmpool_module *work_library_read(const struct WorkOptions *options, struct wasmpool *pool);

/* The module may be NULL. */
void work_library_close(struct wasmpool *pool, struct wasmpool_module *module);

void work_library_check(int r, const char *what, const struct wasmpool_error *error);

#endif
