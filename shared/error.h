/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_ERROR_H
#define SHARED_ERROR_H

/* What went wrong, typed: the one form in which a refusal travels from where it arises to whoever asked. */

#include <stdint.h>

/* The values are part of the wire protocol and equal the public WASMPOOL_E_*. */
enum ErrorCode {
    ERROR_LIMIT = 1,       /* exhausted: a total is in use; may work again later */
    ERROR_INVALID = 2,     /* a module or a request that this allocator can never hold */
    ERROR_MALFORMED = 3,   /* not a WebAssembly binary */
    ERROR_UNSUPPORTED = 4, /* a proposal, a message or a feature that is not implemented */
    ERROR_UNAVAILABLE = 5, /* the daemon does not answer, or has gone */
    ERROR_REFUSED = 6,     /* the daemon does not want this client */
    ERROR_PROTOCOL = 7,    /* the peer broke the protocol, or sent an fd with wrong seals or size */
    ERROR_VERSION = 8,     /* another major version of the protocol */
    ERROR_FORKED = 9,      /* used in a child of the process that opened it */
    ERROR_HOST = 10,       /* a ceiling of the host: address space, mappings, file size, fds */
    ERROR_TRAP = 11,       /* WebAssembly traps here; never on the wire */
    ERROR_LINK = 12,       /* an import is missing or has another type; never on the wire */
    ERROR_BUSY = 13,       /* an image to be sealed is still mapped writable, or its pages are pinned */
    ERROR_CODE_MAX = ERROR_BUSY,
};

#define ERROR_LIMIT_BYTES 40
#define ERROR_MESSAGE_BYTES 256

struct Error {
    int code;
    char limit[ERROR_LIMIT_BYTES]; /* its name, or empty */
    uint64_t bound, use, ask;
    char message[ERROR_MESSAGE_BYTES];
};

/* Fill *error (which may be NULL) and return `code`, so that `return error_set(...)` reads as one step. */
int error_set(struct Error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a limit: "LIMIT: bound B, in use U, asked for A" behind `what`. */
int error_limit(struct Error *error, int code, const char *limit, uint64_t bound, uint64_t use, uint64_t ask,
                const char *what);

/* A short word for a code: "limit", "invalid", ... */
const char *error_code_name(int code);

#endif
