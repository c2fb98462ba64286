/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wasmpool.h>

/* The library: allocate_module and deallocate_module. */

struct PoolState {
    struct wasmpool *pool;
    struct wasmpool_module *module;
    struct wasmpool_request request;
    uint32_t touch;
};

static void pool_check(int r, const char *what, const struct wasmpool_error *error) {
    if (r)
        work_fail(what, error->message[0] ? error->message : wasmpool_strerror(r));
}

static pthread_mutex_t pool_shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wasmpool *pool_shared; /* for the threads that have it */
static unsigned pool_n_sharing;

static struct wasmpool *pool_new(const struct WorkOptions *options) {
    struct wasmpool_options settings = {.address = options->address, .name = "bench"};
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    if (!options->shared || !pool_n_sharing)
        pool_check(wasmpool_open(&pool, &settings, &error), "wasmpool_open", &error);
    else
        pool = pool_shared;
    if (options->shared) {
        pool_shared = pool;
        pool_n_sharing++;
    }
    return pool;
}

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

    pthread_mutex_lock(&pool_shared_lock);
    state->pool = pool_new(options);
    pthread_mutex_unlock(&pool_shared_lock);
    pool_check(wasmpool_module_describe(&state->module, &description, &error), "wasmpool_module_describe", &error);
    pool_check(wasmpool_validate_module(state->pool, state->module, &error), "wasmpool_validate_module", &error);
    state->request.module = state->module;
    state->touch = options->module->wasm_pages ? options->touch : 0;
    return state;
}

static struct wasmpool_instance *pool_allocate(struct PoolState *state) {
    struct wasmpool_instance *instance;
    struct wasmpool_error error;
    int r = wasmpool_allocate_module(state->pool, &state->request, &instance, &error);

    if (r)
        work_fail("wasmpool_allocate_module", error.message);
    if (state->touch) {
        struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);

        work_touch(memory->base, memory->current_length, state->touch);
    }
    return instance;
}

static void pool_run(void *opaque, uint64_t cycles) {
    struct PoolState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        struct wasmpool_instance *instance = pool_allocate(state);

        wasmpool_deallocate_module(&instance);
    }
}

static void pool_hold(void *opaque, uint64_t n) {
    struct wasmpool_instance **instances = work_allocate(n * sizeof(*instances));

    for (uint64_t i = 0; i < n; i++)
        instances[i] = pool_allocate(opaque);
    for (uint64_t i = 0; i < n; i++)
        wasmpool_deallocate_module(&instances[i]);
    free(instances);
}

static void pool_close(void *opaque) {
    struct PoolState *state = opaque;

    wasmpool_module_free(state->module);
    pthread_mutex_lock(&pool_shared_lock);
    if (state->pool != pool_shared || !--pool_n_sharing)
        wasmpool_close(state->pool);
    pthread_mutex_unlock(&pool_shared_lock);
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
