/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_SANDBOX_H
#define THUMBS_SANDBOX_H

/* A sandbox is one instance of the guest (guest.c through wasm2c), whose memory and table lie in slots of a wasmpool
 * allocator. It makes one thumbnail and is thrown away. */

#include <stddef.h>
#include <stdint.h>

#include "client/wasm2c/wasmpool-wasm2c.h"

/* Outcomes of sandbox_thumbnail. */
enum {
    SANDBOX_E_REJECTED = 1, /* the decoder does not take the image */
    SANDBOX_E_TRAPPED = 2,  /* the guest did what WebAssembly forbids */
};

/* Where sandboxes come from: one for each process. */
struct SandboxPool {
    struct wasmpool *pool;
    struct wasmpool_module *module;
};

struct Sandbox;

struct SandboxThumbnail {
    const uint8_t *png; /* in the guest's memory: gone with the sandbox */
    size_t png_bytes;
    char why[256]; /* when rejected or trapped, for people; the guest's own words cleaned */
};

/* Opens the allocator at `address` (as in wasmpool_options) and reads the guest's module. wasmpool's results. */
int sandbox_pool_open(struct SandboxPool *pool, const char *address, struct wasmpool_error *error);

/* No sandbox may be alive. A pool that is all zero is fine. */
void sandbox_pool_close(struct SandboxPool *pool);

/* Takes the slots and instantiates. wasmpool's results; WASMPOOL_E_LIMIT says what is exhausted. The pool must
 * outlive it. */
int sandbox_new(struct Sandbox **sandboxp, struct SandboxPool *pool, const char *label, struct wasmpool_error *error);

/* 0 with `png`, or a SANDBOX_E_* with `why`. Once for each sandbox. */
int sandbox_thumbnail(struct Sandbox *sandbox, const uint8_t *image, size_t image_bytes, uint32_t box,
                      uint32_t pixels_max, struct SandboxThumbnail *thumbnail);

/* Wasm pages that its memory has now. */
uint32_t sandbox_pages(const struct Sandbox *sandbox);

/* What the generated code uses as base of its memory and of its table. */
const void *sandbox_memory_base(const struct Sandbox *sandbox);
const void *sandbox_table_base(struct Sandbox *sandbox);

/* Gives everything back, also after a trap. NULL is fine; returns NULL. *cycle_nsp (may be NULL) is what taking and
 * giving back took together: sandbox_new and sandbox_free without what ran in between. */
struct Sandbox *sandbox_free(struct Sandbox *sandbox, uint64_t *cycle_nsp);

#endif
