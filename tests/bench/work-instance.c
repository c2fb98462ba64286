/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-instance.h"

#include <stdlib.h>

/* Functions of the host, which nobody calls. */
static void instance_import(struct WorkInstance *state, uint32_t n) {
    state->imports = work_allocate(n * sizeof(*state->imports));
    state->functions = work_allocate(n * sizeof(*state->functions));
    for (uint32_t i = 0; i < n; i++) {
        struct wasmpool_import import;
        struct wasmpool_external_type type;
        struct wasmpool_error error = {0};

        if (wasmpool_module_import_at(state->module, i, &import) || import.kind != WASMPOOL_EXTERNAL_FUNCTION ||
            wasmpool_module_type(state->module, import.kind, import.index, &type))
            work_fail("--file", "imports something other than functions");
        work_library_check(wasmpool_function_type_ref(&type.of.function, &state->functions[i].type_index, &error),
                           "wasmpool_function_type_ref", &error);
        state->imports[i] = (struct wasmpool_extern){.kind = import.kind, .function = &state->functions[i]};
    }
    state->request.imports = state->imports;
    state->request.n_imports = n;
}

struct WorkInstance *work_instance_open(const struct WorkOptions *options) {
    struct WorkInstance *state = work_allocate(sizeof(*state));
    struct wasmpool_module_counts counts;

    state->pool = work_library_open(options);
    state->module = work_library_read(options, state->pool);
    wasmpool_module_counts(state->module, &counts);
    state->request.module = state->module;
    if (counts.imports)
        instance_import(state, counts.imports);
    if (counts.defined_memories)
        state->touch = work_touch_of(options, wasmpool_module_memory(state->module, 0)->minimum * 65536);
    return state;
}

void work_instance_close(struct WorkInstance *state) {
    for (uint32_t i = 0; i < state->request.n_imports; i++)
        wasmpool_function_type_unref(state->functions[i].type_index);
    work_library_close(state->pool, state->module);
    free(state->functions);
    free(state->imports);
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
    if (state->touch.pages)
        work_touch(wasmpool_instance_memory(instance, 0)->base, state->touch);
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

static void instance_hold(void *opaque, uint64_t n, void (*meanwhile)(void)) {
    struct wasmpool_instance **instances = work_allocate(n * sizeof(*instances));

    for (uint64_t i = 0; i < n; i++)
        instances[i] = work_instance_make(opaque);
    meanwhile();
    for (uint64_t i = 0; i < n; i++)
        wasmpool_deallocate_module(&instances[i]);
    free(instances);
}

static void instance_close(void *opaque) {
    work_instance_close(opaque);
}

const struct Work WORK_INSTANCE = {
    .name = "instance",
    .meaning = "wasmpool_allocate_module, wasmpool_initialize and wasmpool_deallocate_module of --file",
    .open = instance_open,
    .run = instance_run,
    .hold = instance_hold,
    .close = instance_close,
};
