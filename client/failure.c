/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/failure.h"

#include <string.h>

int failure_errno(struct wasmpool_error *error, int r, const char *doing) {
    return error_set(failure(error), r, "%s: %s", doing, strerror(-r));
}

PUBLIC const char *wasmpool_strerror(int result) {
    if (!result)
        return "success";
    return result < 0 ? strerror(-result) : error_code_name(result);
}
