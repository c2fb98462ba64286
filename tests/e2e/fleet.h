/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_E2E_FLEET_H
#define TESTS_E2E_FLEET_H

/* The library as a worker uses it: what does not succeed where it must ends in host_fail. */

#include "client/wasmpool.h"
#include "tests/support/rig.h"

struct Worker {
    struct wasmpool *pool;
    struct wasmpool_module *module; /* of one memory of one wasm page */
};

static inline void worker_open(struct Worker *worker, const char *address) {
    static const struct wasmpool_memory_type memory = {.minimum = 1};
    struct wasmpool_module_description description = {.name = "fleet", .memories = &memory, .n_memories = 1};
    struct wasmpool_options options = {.address = address, .name = "fleet"};
    struct wasmpool_error error;

    host_demand(!wasmpool_open(&worker->pool, &options, &error), "wasmpool_open: %s", error.message);
    host_demand(!wasmpool_module_describe(&worker->module, &description, &error), "%s", error.message);
}

static inline void worker_close(struct Worker *worker) {
    wasmpool_module_free(worker->module);
    wasmpool_close(worker->pool);
}

static inline int worker_try(const struct Worker *worker, struct wasmpool_instance **instancep,
                             struct wasmpool_error *error) {
    struct wasmpool_request request = {.module = worker->module, .label = "work"};

    return wasmpool_allocate_module(worker->pool, &request, instancep, error);
}

static inline struct wasmpool_instance *worker_allocate(const struct Worker *worker) {
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_error error;

    host_demand(!worker_try(worker, &instance, &error), "no instance: %s", error.message);
    return instance;
}

static inline void instance_fill(struct wasmpool_instance *instance, uint8_t value) {
    memset(wasmpool_instance_memory(instance, 0)->base, value, 65536);
}

static inline bool instance_is(struct wasmpool_instance *instance, uint8_t value) {
    const uint8_t *base = wasmpool_instance_memory(instance, 0)->base;

    for (int i = 0; i < 65536; i++)
        if (base[i] != value)
            return false;
    return true;
}

static inline struct wasmpool_metrics worker_metrics(const struct Worker *worker) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(worker->pool, &metrics);
    return metrics;
}

static inline void rig_expect_nothing_granted(void) {
    rig_await_granted(KIND_MEMORY, 0);
    rig_await_granted(KIND_INSTANCE, 0);
    rig_await_granted(KIND_TABLE, 0);
}

#endif
