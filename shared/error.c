/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct Error *error, int code, const char *format, ...) {
    va_list args;

    if (!error)
        return code;
    *error = (struct Error){.code = code};
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return code;
}

int error_limit(struct Error *error, int code, const char *limit, uint64_t bound, uint64_t use, uint64_t ask,
                const char *what) {
    if (!error)
        return code;
    error_set(error, code, "%s: %s is %" PRIu64 ", in use %" PRIu64 ", asked for %" PRIu64, what, limit, bound, use,
              ask);
    snprintf(error->limit, sizeof(error->limit), "%s", limit);
    error->bound = bound;
    error->use = use;
    error->ask = ask;
    return code;
}

const char *error_code_name(int code) {
    switch (code) {
    case ERROR_LIMIT:
        return "limit";
    case ERROR_INVALID:
        return "invalid";
    case ERROR_MALFORMED:
        return "malformed";
    case ERROR_UNSUPPORTED:
        return "unsupported";
    case ERROR_UNAVAILABLE:
        return "unavailable";
    case ERROR_REFUSED:
        return "refused";
    case ERROR_PROTOCOL:
        return "protocol";
    case ERROR_VERSION:
        return "version";
    case ERROR_FORKED:
        return "forked";
    case ERROR_HOST:
        return "host";
    case ERROR_TRAP:
        return "trap";
    case ERROR_LINK:
        return "link";
    case ERROR_BUSY:
        return "busy";
    default:
        return "failure";
    }
}
