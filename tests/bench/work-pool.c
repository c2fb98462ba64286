/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-library.h"

#include <stdlib.h>

/* The library: allocate_module and deallocate_module. */

struct PoolState {
    struct wasmpool *pool;
    struct wasmpool_module *module;
    struct wasmpool_request request;
    struct WorkTouch touch;
};

static void *pool_open(const struct WorkOptions *options) {
    struct PoolState *state = work_allocate(sizeof(*state));
    struct wasmpool_memory_type memory = {.minimum = options->module->wasm_pages};
    struct wasmpool_table_type table = {.minimum = options->module->table_elements, .element = WASMPOOL_EXTERNREF};
    struct wasmpool_module_description description = {
        .name = options->module->name,
        .memories = &memory,
        .n_memories = memory.minimum > 0,
        .tables = &table,
        .n_tables = table.minimum > 0,
    };
    struct wasmpool_error error = {0};

    state->pool = work_library_open(options);
    work_library_check(wasmpool_module_describe(&state->module, &description, &error), "wasmpool_module_describe",
                       &error);
    work_library_check(wasmpool_validate_module(state->pool, state->module, &error), "wasmpool_validate_module",
                       &error);
    state->request.module = state->module;
    if (options->module->wasm_pages)
        state->touch = work_touch_of(options, work_module_bytes(options->module));
    return state;
}

static struct wasmpool_instance *pool_allocate(struct PoolState *state) {
    struct wasmpool_instance *instance;
    struct wasmpool_error error;
    int r = wasmpool_allocate_module(state->pool, &state->request, &instance, &error);

    if (r)
        work_fail("wasmpool_allocate_module", error.message);
    if (state->touch.pages)
        work_touch(wasmpool_instance_memory(instance, 0)->base, state->touch);
    return instance;
}

static void pool_run(void *opaque, uint64_t cycles) {
    struct PoolState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        struct wasmpool_instance *instance = pool_allocate(state);

        wasmpool_deallocate_module(&instance);
    }
}

static void pool_hold(void *opaque, uint64_t n, void (*meanwhile)(void)) {
    struct wasmpool_instance **instances = work_allocate(n * sizeof(*instances));

    for (uint64_t i = 0; i < n; i++)
        instances[i] = pool_allocate(opaque);
    meanwhile();
    for (uint64_t i = 0; i < n; i++)
        wasmpool_deallocate_module(&instances[i]);
    free(instances);
}

static void pool_close(void *opaque) {
    struct PoolState *state = opaque;

    work_library_close(state->pool, state->module);
    free(state);
}

const struct Work WORK_POOL = {
    .name = "pool",
    .meaning = "wasmpool_allocate_module and wasmpool_deallocate_module",
    .open = pool_open,
    .run = pool_run,
    .hold = pool_hold,
    .close = pool_close,
};
