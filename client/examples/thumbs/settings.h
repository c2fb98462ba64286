/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_SETTINGS_H
#define THUMBS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line says. */
struct Settings {
    unsigned workers;
    const char *address; /* of the pool; NULL: $WASMPOOL_ADDRESS, else embedded */
    uint32_t box;        /* pixels of the thumbnail's longer side */
    uint32_t pixels_max;
    const char *out;     /* directory */
    const char *audit;   /* file, or NULL */
    const char *json;    /* file, "-" for the standard output, or NULL */
    unsigned timeout_ms; /* an image's, once it has its sandbox */
    unsigned patience_ms; /* how long no worker at all may get a sandbox */
    bool verify;
    bool quiet;
    bool hold;
};

#endif
