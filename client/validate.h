/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_VALIDATE_H
#define CLIENT_VALIDATE_H

/* What this allocator can ever hold, decided by the limits alone. Source: Wasmtime, validate_module_impl of the pooling
 * allocator. `index` is the index in the module's index space, for the message. 0, INVALID or UNSUPPORTED. */

#include "client/module.h"
#include "client/pool.h"

int validate_memory(const struct wasmpool *pool, const struct wasmpool_memory_type *type, uint32_t index,
                    struct wasmpool_error *error);
int validate_table(const struct wasmpool *pool, const struct wasmpool_table_type *type, uint32_t index,
                   struct wasmpool_error *error);
/* How many memories and tables a module has, and how large its instances are. */
int validate_counts(const struct wasmpool *pool, const struct wasmpool_module *module, struct wasmpool_error *error);

#endif
