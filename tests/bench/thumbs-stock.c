/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/wasm2c/wasmpool-wasm2c.h"

/* What wasmpool-thumbs asks of the runtime beyond what generated code does, for the stock one: nothing. So the same
 * program, all but its memories and tables, runs on both. The allocator that it opens is never asked for anything. */

int wasmpool_wasm2c_open(struct wasmpool **poolp, const struct wasmpool_options *options,
                         struct wasmpool_error *error) {
    struct wasmpool_options own = *options;

    own.address = "embedded:";
    return wasmpool_open(poolp, &own, error);
}

int wasmpool_wasm2c_prefetch(struct wasmpool_wasm2c_scope **scopep, struct wasmpool *pool,
                             const struct wasmpool_request *request, struct wasmpool_error *error) {
    (void)pool, (void)request, (void)error;
    *scopep = NULL;
    return 0;
}

struct wasmpool_wasm2c_scope *wasmpool_wasm2c_release(struct wasmpool_wasm2c_scope *scope) {
    (void)scope;
    return NULL;
}
