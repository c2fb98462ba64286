/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The sandboxed side of wasmpool-thumbs: a wasm32-wasi reactor. One instance makes one thumbnail:
 *
 *     at = input(size); ...the host writes the image there...
 *     status = thumbnail(at, size, box, pixels_max);
 *     ...the host reads result_bytes() bytes at result(): the PNG (status 0) or why it was rejected (status 1)...
 *
 * A demonstration of faults rather than an image: input that begins with "WPTRAP" and a digit does on purpose what a
 * decoder with a bug does (1 pokes out of bounds, 2 recurses for ever, 3 loops for ever, 4 fails an assertion). The
 * native build (oracle.c) does not know it and rejects such bytes like any other that are no image. */

#include "thumb.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define FAULT_MAGIC "WPTRAP"
/* Beyond any memory that this module can grow to (--max-memory). */
#define OUT_OF_BOUNDS 0xf0000000U

static struct Thumb thumb;
static volatile uint32_t sink;

EXPORT(input) uint8_t *input(uint32_t size) {
    return malloc(size ? size : 1);
}

EXPORT(poke) void poke(uint32_t address) {
    *(volatile uint8_t *)address = 1;
}

/* The store after the call keeps the compiler from making a loop of it; no frame lies in linear memory, so that what
 * runs out is the host's call stack. */
EXPORT(recurse) uint32_t recurse(uint32_t depth) {
    uint32_t deepest = recurse(depth + 1);

    sink = deepest;
    return deepest + depth;
}

static void loop(void) {
    for (;;)
        sink++;
}

static void fault(char which) {
    switch (which) {
    case '1':
        poke(OUT_OF_BOUNDS);
        break;
    case '2':
        sink = recurse(0);
        break;
    case '3':
        loop();
        break;
    case '4':
        assert(!"WPTRAP4 asked for it");
        break;
    default:
        break;
    }
}

EXPORT(thumbnail) uint32_t thumbnail(const uint8_t *bytes, uint32_t size, uint32_t box, uint32_t pixels_max) {
    if (size > strlen(FAULT_MAGIC) && !memcmp(bytes, FAULT_MAGIC, strlen(FAULT_MAGIC)))
        fault((char)bytes[strlen(FAULT_MAGIC)]);
    return thumb_make(&thumb, bytes, size, box, pixels_max) ? 1 : 0;
}

EXPORT(result) const uint8_t *result(void) {
    return thumb.png ? thumb.png : (const uint8_t *)thumb.why;
}

EXPORT(result_bytes) uint32_t result_bytes(void) {
    if (thumb.png)
        return (uint32_t)thumb.png_bytes;
    return thumb.why ? (uint32_t)strlen(thumb.why) : 0;
}
