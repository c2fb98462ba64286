/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/sandbox.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wasm-rt-impl.h>

#include "client/examples/thumbs/wasi.h"
#include "thumbs/thumbs.h"

/* The module as clang made it: the allocator reads its needs from the same bytes that wasm2c translated. */
__asm__(".pushsection .rodata\n"
        ".global thumbs_wasm, thumbs_wasm_end\n"
        ".hidden thumbs_wasm, thumbs_wasm_end\n"
        "thumbs_wasm: .incbin \"" THUMBS_WASM "\"\n"
        "thumbs_wasm_end:\n"
        ".popsection\n");
extern const uint8_t thumbs_wasm[], thumbs_wasm_end[];

struct Sandbox {
    struct wasmpool_wasm2c_scope *scope;
    struct Z_wasi_snapshot_preview1_instance_t wasi;
    Z_thumbs_instance_t guest;
    uint64_t taking_ns;
};

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int sandbox_pool_open(struct SandboxPool *pool, const char *address, struct wasmpool_error *error) {
    struct wasmpool_options options = {.address = address, .name = "wasmpool-thumbs"};
    struct SandboxPool new = {0};
    int r;

    if (!wasm_rt_is_initialized()) {
        wasm_rt_init();
        Z_thumbs_init_module();
    }
    r = wasmpool_module_read(&new.module, thumbs_wasm, (size_t)(thumbs_wasm_end - thumbs_wasm), error);
    if (!r)
        r = wasmpool_wasm2c_open(&new.pool, &options, error);
    if (!r)
        r = wasmpool_validate_module(new.pool, new.module, error);
    if (r) {
        sandbox_pool_close(&new);
        return r;
    }
    *pool = new;
    return 0;
}

void sandbox_pool_close(struct SandboxPool *pool) {
    pool->pool = wasmpool_close(pool->pool);
    pool->module = wasmpool_module_free(pool->module);
}

/* In a function of its own: a trap comes back to the frame that called setjmp. */
static int instantiate(struct Sandbox *sandbox, struct wasmpool_error *error) {
    int trap = wasm_rt_impl_try();

    if (!trap) {
        Z_thumbs_instantiate(&sandbox->guest, &sandbox->wasi);
        sandbox->wasi.memory = Z_thumbsZ_memory(&sandbox->guest);
        Z_thumbsZ__initialize(&sandbox->guest);
        return 0;
    }
    if (error) {
        *error = (struct wasmpool_error){.code = WASMPOOL_E_INVALID};
        snprintf(error->message, sizeof(error->message), "the guest trapped while it was instantiated: %s",
                 wasm_rt_strerror((wasm_rt_trap_t)trap));
    }
    return WASMPOOL_E_INVALID;
}

int sandbox_new(struct Sandbox **sandboxp, struct SandboxPool *pool, const char *label, struct wasmpool_error *error) {
    struct wasmpool_request request = {.module = pool->module, .label = label};
    struct Sandbox *sandbox = calloc(1, sizeof(*sandbox));
    uint64_t begin_ns = now_ns();
    int r;

    if (!sandbox)
        return -ENOMEM;
    r = wasmpool_wasm2c_prefetch(&sandbox->scope, pool->pool, &request, error);
    if (!r)
        r = instantiate(sandbox, error);
    if (r) {
        sandbox->scope = wasmpool_wasm2c_release(sandbox->scope);
        free(sandbox);
        return r;
    }
    sandbox->taking_ns = now_ns() - begin_ns;
    *sandboxp = sandbox;
    return 0;
}

/* What the guest says is shown to people: no control characters of its choosing reach their terminal. */
static void append_clean(char *text, size_t size, const uint8_t *bytes, size_t n) {
    size_t at = strlen(text);

    for (size_t i = 0; i < n && at + 1 < size; i++)
        text[at++] = isprint(bytes[i]) ? (char)bytes[i] : ' ';
    while (at && text[at - 1] == ' ')
        at--;
    text[at] = '\0';
}

static int say_trapped(struct Sandbox *sandbox, int trap, struct SandboxThumbnail *thumbnail) {
    snprintf(thumbnail->why, sizeof(thumbnail->why), "%s%s", wasm_rt_strerror((wasm_rt_trap_t)trap),
             sandbox->wasi.text_bytes ? ": " : "");
    append_clean(thumbnail->why, sizeof(thumbnail->why), (const uint8_t *)sandbox->wasi.text, sandbox->wasi.text_bytes);
    return SANDBOX_E_TRAPPED;
}

static int reject(struct SandboxThumbnail *thumbnail, const char *why) {
    snprintf(thumbnail->why, sizeof(thumbnail->why), "%s", why);
    return SANDBOX_E_REJECTED;
}

/* The guest's answers are its own business, so each is checked before it is used. */
static int run(struct Sandbox *sandbox, const uint8_t *image, size_t image_bytes, uint32_t box, uint32_t pixels_max,
               struct SandboxThumbnail *thumbnail) {
    Z_thumbs_instance_t *guest = &sandbox->guest;
    const wasm_rt_memory_t *memory = sandbox->wasi.memory;
    uint32_t input, status, bytes;
    uint8_t *at;

    if (image_bytes > UINT32_MAX)
        return reject(thumbnail, "file too large");
    input = Z_thumbsZ_input(guest, (uint32_t)image_bytes);
    at = input ? wasi_at(memory, input, image_bytes) : NULL;
    if (!at)
        return reject(thumbnail, "no memory for the file");
    memcpy(at, image, image_bytes);
    status = Z_thumbsZ_thumbnail(guest, input, (uint32_t)image_bytes, box, pixels_max);
    bytes = Z_thumbsZ_result_bytes(guest);
    at = wasi_at(memory, Z_thumbsZ_result(guest), bytes);
    if (!at)
        return reject(thumbnail, "the guest's answer lies outside of its memory");
    if (status) {
        append_clean(thumbnail->why, sizeof(thumbnail->why), at, bytes);
        return SANDBOX_E_REJECTED;
    }
    thumbnail->png = at;
    thumbnail->png_bytes = bytes;
    return 0;
}

int sandbox_thumbnail(struct Sandbox *sandbox, const uint8_t *image, size_t image_bytes, uint32_t box,
                      uint32_t pixels_max, struct SandboxThumbnail *thumbnail) {
    int trap;

    *thumbnail = (struct SandboxThumbnail){0};
    trap = wasm_rt_impl_try();
    if (trap)
        return say_trapped(sandbox, trap, thumbnail);
    return run(sandbox, image, image_bytes, box, pixels_max, thumbnail);
}

uint32_t sandbox_pages(const struct Sandbox *sandbox) {
    return sandbox->wasi.memory->pages;
}

const void *sandbox_memory_base(const struct Sandbox *sandbox) {
    return sandbox->wasi.memory->data;
}

const void *sandbox_table_base(struct Sandbox *sandbox) {
    return Z_thumbsZ___indirect_function_table(&sandbox->guest)->data;
}

struct Sandbox *sandbox_free(struct Sandbox *sandbox, uint64_t *cycle_nsp) {
    uint64_t begin_ns = now_ns();

    if (!sandbox)
        return NULL;
    Z_thumbs_free(&sandbox->guest);
    sandbox->scope = wasmpool_wasm2c_release(sandbox->scope);
    if (cycle_nsp)
        *cycle_nsp = sandbox->taking_ns + now_ns() - begin_ns;
    free(sandbox);
    return NULL;
}
