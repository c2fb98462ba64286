/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <stdlib.h>
#include <string.h>

#include "data430.h"
#include "empty.h"
#include "image1m.h"
#include "memory1m.h"
#include "memory64k.h"
#include "table1000.h"
#include "table17.h"
#include "thumbs.h"
#include "zero64m.h"

/* The stock runtime of wabt's wasm2c: instantiate and free of the same modules, by generated code. */

struct StockState {
    void (*run)(const struct StockState *state, uint64_t cycles);
    struct WorkTouch touch;
};

/* ------------------------------------------------------------------------------------------------ what is imported */

static _Noreturn void stock_called(void) {
    work_fail("stock", "nobody calls what thumbs imports");
}

u32 Z_wasi_snapshot_preview1Z_fd_close(struct Z_wasi_snapshot_preview1_instance_t *instance, u32 fd) {
    (void)instance, (void)fd;
    stock_called();
}

u32 Z_wasi_snapshot_preview1Z_fd_seek(struct Z_wasi_snapshot_preview1_instance_t *instance, u32 fd, u64 offset,
                                      u32 whence, u32 to) {
    (void)instance, (void)fd, (void)offset, (void)whence, (void)to;
    stock_called();
}

u32 Z_wasi_snapshot_preview1Z_fd_write(struct Z_wasi_snapshot_preview1_instance_t *instance, u32 fd, u32 vectors, u32 n,
                                       u32 to) {
    (void)instance, (void)fd, (void)vectors, (void)n, (void)to;
    stock_called();
}

/* ------------------------------------------------------------------------------------------------ modules */

#define STOCK_RUN(name, touch_it, ...)                                                                                 \
    static void stock_run_##name(const struct StockState *state, uint64_t cycles) {                                    \
        for (uint64_t i = 0; i < cycles; i++) {                                                                        \
            Z_##name##_instance_t instance;                                                                            \
            Z_##name##_instantiate(&instance __VA_OPT__(, ) __VA_ARGS__);                                              \
            touch_it;                                                                                                  \
            Z_##name##_free(&instance);                                                                                \
        }                                                                                                              \
        (void)state;                                                                                                   \
    }
#define STOCK_RUN_MEMORY(name, ...)                                                                                    \
    STOCK_RUN(name, work_touch(Z_##name##Z_memory(&instance)->data, state->touch) __VA_OPT__(, ) __VA_ARGS__)

STOCK_RUN(empty, (void)0)
STOCK_RUN(table1000, (void)0)
STOCK_RUN_MEMORY(memory64k)
STOCK_RUN_MEMORY(memory1m)
STOCK_RUN_MEMORY(data430)
STOCK_RUN_MEMORY(table17)
STOCK_RUN_MEMORY(image1m)
STOCK_RUN_MEMORY(zero64m)
STOCK_RUN_MEMORY(thumbs, NULL)

#define STOCK_MODULE(name, wasm_pages) {#name, wasm_pages, Z_##name##_init_module, stock_run_##name}

static const struct {
    const char *name;
    uint32_t wasm_pages;
    void (*init_module)(void);
    void (*run)(const struct StockState *state, uint64_t cycles);
} STOCK_MODULES[] = {
    STOCK_MODULE(empty, 0),    STOCK_MODULE(table1000, 0), STOCK_MODULE(memory64k, 1),
    STOCK_MODULE(memory1m, 16), STOCK_MODULE(data430, 17), STOCK_MODULE(table17, 17),
    STOCK_MODULE(image1m, 32), STOCK_MODULE(zero64m, 1024), STOCK_MODULE(thumbs, 2),
};

/* With --file the one of that binary's name. */
static bool stock_is_named(const struct WorkOptions *options, const char *name) {
    const char *slash = options->file ? strrchr(options->file, '/') : NULL;
    const char *asked = slash ? slash + 1 : options->file ? options->file : options->module->name;
    size_t length = strcspn(asked, ".");

    return strlen(name) == length && !strncmp(name, asked, length);
}

/* ------------------------------------------------------------------------------------------------ */

static void *stock_open(const struct WorkOptions *options) {
    struct StockState *state = work_allocate(sizeof(*state));

    wasm_rt_init();
    for (size_t i = 0; i < sizeof(STOCK_MODULES) / sizeof(STOCK_MODULES[0]); i++)
        if (stock_is_named(options, STOCK_MODULES[i].name)) {
            STOCK_MODULES[i].init_module();
            state->run = STOCK_MODULES[i].run;
            if (STOCK_MODULES[i].wasm_pages)
                state->touch = work_touch_of(options, (size_t)STOCK_MODULES[i].wasm_pages * 65536);
        }
    if (!state->run)
        work_fail(options->file ? options->file : options->module->name, "not translated by wasm2c");
    return state;
}

static void stock_run(void *opaque, uint64_t cycles) {
    struct StockState *state = opaque;

    state->run(state, cycles);
}

static void stock_close(void *opaque) {
    wasm_rt_free();
    free(opaque);
}

const struct Work WORK_STOCK = {
    .name = "stock",
    .meaning = "instantiate and free by wasm2c's code and stock runtime, of --file if it is given; at most some 16,000 "
               "cycles, see WASM2C.md",
    .open = stock_open,
    .run = stock_run,
    .close = stock_close,
};
