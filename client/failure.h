/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

/* struct Error, as the shared code fills it, and struct wasmpool_error, as users get it, are one layout. */

#include "client/wasmpool.h"
#include "shared/error.h"

#include <assert.h>

/* What the library exports; everything else is hidden. */
#define PUBLIC __attribute__((visibility("default")))

static_assert(sizeof(struct wasmpool_error) == sizeof(struct Error), "one layout");
static_assert(offsetof(struct wasmpool_error, limit) == offsetof(struct Error, limit), "one layout");
static_assert(offsetof(struct wasmpool_error, ask) == offsetof(struct Error, ask), "one layout");
static_assert(offsetof(struct wasmpool_error, message) == offsetof(struct Error, message), "one layout");
static_assert((int)WASMPOOL_E_LIMIT == (int)ERROR_LIMIT && (int)WASMPOOL_E_UNAVAILABLE == (int)ERROR_UNAVAILABLE &&
                  (int)WASMPOOL_E_HOST == (int)ERROR_HOST && (int)WASMPOOL_E_TRAP == (int)ERROR_TRAP &&
                  (int)WASMPOOL_E_LINK == (int)ERROR_LINK,
              "one set of codes");

static inline struct Error *failure(struct wasmpool_error *error) {
    return (struct Error *)(void *)error;
}

/* For a negative errno: what was being done. Returns it. */
int failure_errno(struct wasmpool_error *error, int r, const char *doing);

#endif
