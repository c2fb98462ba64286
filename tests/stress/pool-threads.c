/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Several threads take and give back instances, memories and tables of one small embedded pool. Each memory must be
 * zero when it comes and keep what its thread wrote while it is held; a refusal must be the typed one; at the end
 * nothing is missing.
 *
 * `pool-threads --race` plants a race between two threads, to show that the thread sanitizer sees one. */

#include "client/wasmpool.h"
#include "tests/stress/stress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define CYCLES 20000
#define MEMORIES 3 /* fewer than threads: exhaustion is part of it */

static struct wasmpool *pool;
static struct wasmpool_module *module;
static _Atomic unsigned refused;

/* First and last word of each page of what is there: enough to see another's writes. */
static bool memory_is(const struct wasmpool_memory *memory, uint64_t value) {
    for (uint64_t at = 0; at < memory->current_length; at += 4096)
        if (*(uint64_t *)(memory->base + at) != value || *(uint64_t *)(memory->base + at + 4088) != value)
            return false;
    return true;
}

static void memory_fill(struct wasmpool_memory *memory, uint64_t value) {
    for (uint64_t at = 0; at < memory->current_length; at += 4096)
        *(uint64_t *)(memory->base + at) = *(uint64_t *)(memory->base + at + 4088) = value;
}

static void use_instance(struct wasmpool_instance *instance, uint64_t value) {
    struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    struct wasmpool_table *table = wasmpool_instance_table(instance, 0);
    uint64_t *elements = table->base;

    check(memory_is(memory, 0), "a fresh memory is zero");
    check(!elements[0] && !elements[9], "a fresh table is null");
    if (value % 3 == 0)
        check(wasmpool_grow_memory(pool, memory, 1) == 1, "a memory grows");
    memory_fill(memory, value);
    elements[0] = elements[9] = value;
    check(memory_is(memory, value), "a memory keeps what was written");
    check(elements[0] == value && elements[9] == value, "a table keeps what was written");
}

static void *work(void *argument) {
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    struct wasmpool_request request = {.module = module, .label = "stress"};

    for (uint64_t i = 1; i <= CYCLES; i++) {
        struct wasmpool_instance *instance = NULL;
        struct wasmpool_error error;
        int r = wasmpool_allocate_module(pool, &request, &instance, &error);

        if (r) {
            check(r == WASMPOOL_E_LIMIT && !strcmp(error.limit, "total_memories"), "a refusal names total_memories");
            atomic_fetch_add(&refused, 1);
            continue;
        }
        use_instance(instance, seed << 32 | i);
        wasmpool_deallocate_module(&instance);
    }
    return NULL;
}

static void run_threads(void *(*body)(void *)) {
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static uint64_t planted; /* on purpose neither atomic nor locked */

static void *race(void *argument) {
    for (int i = 0; i < 1000; i++)
        planted += (uint64_t)(uintptr_t)argument;
    return NULL;
}

static bool open_pool(void) {
    static const char *const settings[] = {"total_memories=3",      "memory_reservation=1M", "max_memory_size=1M",
                                           "memory_guard_size=64K", "table_elements=16",     NULL};
    struct wasmpool_options options = {.address = "embedded:", .settings = settings};
    struct wasmpool_memory_type memory = {.minimum = 1};
    struct wasmpool_table_type table = {.minimum = 10};
    struct wasmpool_module_description description = {
        .name = "stress", .memories = &memory, .n_memories = 1, .tables = &table, .n_tables = 1};
    struct wasmpool_error error = {0};

    if (wasmpool_open(&pool, &options, &error) || wasmpool_module_describe(&module, &description, &error)) {
        fprintf(stderr, "FAILED: %s\n", error.message);
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct wasmpool_metrics metrics;
    bool opened;

    if (argc > 1 && !strcmp(argv[1], "--race")) {
        run_threads(race);
        return planted == 0;
    }
    opened = open_pool();
    check(opened, "the pool opens");
    if (opened) {
        run_threads(work);
        wasmpool_metrics(pool, &metrics);
        check(!metrics.core_instances && !metrics.memories && !metrics.tables, "everything came back");
        check(metrics.idle_memories == MEMORIES, "every memory is idle again");
    }
    wasmpool_module_free(module);
    wasmpool_close(pool);
    printf("pool-threads: %u refusals among %u cycles\n", refused, THREADS * CYCLES);
    return stress_end();
}
