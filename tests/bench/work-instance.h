/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_WORK_INSTANCE_H
#define TESTS_BENCH_WORK_INSTANCE_H

/* Initialised instances of a binary. */

#include "tests/bench/work-library.h"

struct WorkInstance {
    struct wasmpool *pool;
    struct wasmpool_module *module;
    struct wasmpool_request request;
    struct wasmpool_extern *imports;
    struct wasmpool_func_ref *functions;
    struct WorkTouch touch;
};

/* All end the process with a message when they fail. */
struct WorkInstance *work_instance_open(const struct WorkOptions *options);
void work_instance_close(struct WorkInstance *state);

/* Allocate, initialize, and write to the pages that are to be touched, of its first memory. */
struct wasmpool_instance *work_instance_make(const struct WorkInstance *state);

#endif
