/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <stdlib.h>
#include <string.h>

#include "empty.h"
#include "memory1m.h"
#include "memory64k.h"
#include "table1000.h"

/* The stock runtime of wabt's wasm2c: instantiate and free of the same modules, by generated code. */

struct StockState {
    void (*run)(const struct StockState *state, uint64_t cycles);
    uint32_t touch;
};

#define STOCK_RUN(name, touch_it)                                                                                      \
    static void stock_run_##name(const struct StockState *state, uint64_t cycles) {                                    \
        for (uint64_t i = 0; i < cycles; i++) {                                                                        \
            Z_##name##_instance_t instance;                                                                            \
            Z_##name##_instantiate(&instance);                                                                         \
            touch_it;                                                                                                  \
            Z_##name##_free(&instance);                                                                                \
        }                                                                                                              \
        (void)state;                                                                                                   \
    }

static void stock_touch(const wasm_rt_memory_t *memory, uint32_t touch) {
    work_touch(memory->data, memory->size, touch);
}

STOCK_RUN(empty, (void)0)
STOCK_RUN(table1000, (void)0)
STOCK_RUN(memory64k, stock_touch(Z_memory64kZ_memory(&instance), state->touch))
STOCK_RUN(memory1m, stock_touch(Z_memory1mZ_memory(&instance), state->touch))

static const struct {
    const char *name;
    void (*init_module)(void);
    void (*run)(const struct StockState *state, uint64_t cycles);
} STOCK_MODULES[] = {
    {"empty", Z_empty_init_module, stock_run_empty},
    {"table1000", Z_table1000_init_module, stock_run_table1000},
    {"memory64k", Z_memory64k_init_module, stock_run_memory64k},
    {"memory1m", Z_memory1m_init_module, stock_run_memory1m},
};

static void *stock_open(const struct WorkOptions *options) {
    struct StockState *state = work_allocate(sizeof(*state));

    wasm_rt_init();
    state->touch = options->touch;
    for (size_t i = 0; i < sizeof(STOCK_MODULES) / sizeof(STOCK_MODULES[0]); i++)
        if (!strcmp(STOCK_MODULES[i].name, options->module->name)) {
            STOCK_MODULES[i].init_module();
            state->run = STOCK_MODULES[i].run;
        }
    if (!state->run)
        work_fail(options->module->name, "not translated by wasm2c");
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
    .meaning = "instantiate and free by wasm2c's code and stock runtime; at most some 16,000 cycles, see WASM2C.md",
    .open = stock_open,
    .run = stock_run,
    .close = stock_close,
};
