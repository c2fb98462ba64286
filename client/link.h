/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

/* Imports: do they have the types that a module demands, and where are they. Source: WebAssembly 2.0, 4.5.2 External
 * Typing and 3.4 Import Matching. */

#include "client/instance.h"

/* 0, or LINK, naming the import. Reads the exporting instances' current sizes. */
int link_check(const struct wasmpool *pool, const struct wasmpool_request *request, struct wasmpool_error *error);

/* Write the import arrays of the instance's VMContext; the request was checked. */
void link_imports(struct wasmpool_instance *instance, const struct wasmpool_request *request);

#endif
