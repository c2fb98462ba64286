/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-instance.h"

#include <stdlib.h>

static void instance_check(int r, const char *what, const struct wasmpool_error *error) {
    if (r)
        work_fail(what, error->message[0] ? error->message : wasmpool_strerror(r));
}

struct WorkInstance *work_instance_open(const struct WorkOptions *options) {
    struct WorkInstance *state = work_allocate(sizeof(*state));
    struct wasmpool_options settings = {.address = options->address, .name = "bench"};
    struct wasmpool_module_counts counts;
    struct wasmpool_error error = {0};

    if (!options->file)
        work_fail("--file", "says which module to make instances of");
    instance_check(wasmpool_open(&state->pool, &settings, &error), "wasmpool_open", &error);
    instance_check(wasmpool_module_read_file(&state->module, options->file, &error), "wasmpool_module_read_file",
                   &error);
    instance_check(wasmpool_validate_module(state->pool, state->module, &error), "wasmpool_validate_module", &error);
    wasmpool_module_counts(state->module, &counts);
    state->request.module = state->module;
    state->touch = counts.defined_memories ? options->touch : 0;
    return state;
}

void work_instance_close(struct WorkInstance *state) {
    wasmpool_module_free(state->module);
    wasmpool_close(state->pool);
    free(state);
}

struct wasmpool_instance *work_instance_make(const struct WorkInstance *state) {
    struct wasmpool_instance *instance;
    struct wasmpool_error error;
    int r = wasmpool_allocate_module(state->pool, &state->request, &instance, &error);

    if (r)
        work_fail("wasmpool_allocate_module", error.message);
    r = wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &error);
    if (r)
        work_fail("wasmpool_initialize", error.message);
    if (state->touch) {
        struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);

        work_touch(memory->base, memory->current_length, state->touch);
    }
    return instance;
}

/* ------------------------------------------------------------------------------------------------ */

static void *instance_open(const struct WorkOptions *options) {
    return work_instance_open(options);
}

static void instance_run(void *opaque, uint64_t cycles) {
    for (uint64_t i = 0; i < cycles; i++) {
        struct wasmpool_instance *instance = work_instance_make(opaque);

        wasmpool_deallocate_module(&instance);
    }
}

static void instance_close(void *opaque) {
    work_instance_close(opaque);
}

const struct Work WORK_INSTANCE = {
    .name = "instance",
    .meaning = "wasmpool_allocate_module, wasmpool_initialize and wasmpool_deallocate_module of --file",
    .open = instance_open,
    .run = instance_run,
    .close = instance_close,
};
