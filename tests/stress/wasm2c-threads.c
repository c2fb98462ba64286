/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Threads that run guests of their own, each trapping all the time: none may see another's trap, jump into another's
 * frame, or lose its memory. Half of the instances are prefetched, half come from the default pool. */

#include "wasm-rt-impl.h"
#include "wasmpool-wasm2c.h"
#include "tests/stress/stress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define CYCLES 1000
#define PAGE 65536
#define STACK_BYTES (512 << 10) /* small: each recursion fills it */

static struct wasmpool *pool;
static struct wasmpool_module *module;

struct Guest {
    wasm_rt_memory_t memory;
    wasm_rt_funcref_table_t table;
    uint64_t number;
};

static void guest_instantiate(struct Guest *guest) {
    wasm_rt_allocate_memory(&guest->memory, 1, 4);
    wasm_rt_allocate_funcref_table(&guest->table, 10, 20);
}

/* A store on its way through the memory and out of it. */
static void guest_poke(struct Guest *guest) {
    for (uint64_t at = 0;; at += 4096)
        *(volatile uint64_t *)(guest->memory.data + at) = guest->number;
}

__attribute__((noinline)) static uint64_t guest_recurse(struct Guest *guest, uint64_t depth) {
    volatile uint64_t frame[64];

    frame[0] = depth;
    *(volatile uint64_t *)(guest->memory.data + 8) = depth;
    if (!guest->number)
        return 0;
    return guest_recurse(guest, depth + 1) + frame[0];
}

static void guest_throw(struct Guest *guest) {
    wasm_rt_load_exception((uint32_t)guest->number, sizeof(guest->number), &guest->number);
    sched_yield();
    wasm_rt_throw();
}

static wasm_rt_trap_t attempt(struct Guest *guest, int what) {
    wasm_rt_trap_t trap = wasm_rt_impl_try();

    if (trap)
        return trap;
    switch (what) {
    case 0:
        guest_instantiate(guest);
        break;
    case 1:
        guest_poke(guest);
        break;
    case 2:
        guest_recurse(guest, 1);
        break;
    case 3:
        guest_throw(guest);
        break;
    }
    return WASM_RT_TRAP_NONE;
}

static void cycle(struct Guest *guest, bool is_prefetched) {
    const struct wasmpool_request request = {.module = module, .label = "threads"};
    struct wasmpool_wasm2c_scope *scope = NULL;
    uint64_t *words;
    bool is_kept = true;

    if (is_prefetched)
        check(!wasmpool_wasm2c_prefetch(&scope, pool, &request, NULL), "an instance is prefetched");
    check(attempt(guest, 0) == WASM_RT_TRAP_NONE, "an instance is made");
    words = (uint64_t *)guest->memory.data;
    check(!words[0] && !words[1] && !words[PAGE / 8 - 1] && !guest->table.data[9].func, "it is fresh");
    check(wasm_rt_grow_memory(&guest->memory, 1) == 1, "its memory grows");
    check(attempt(guest, 1) == WASM_RT_TRAP_OOB, "a store out of bounds traps");
    for (uint64_t at = 0; at < 2 * PAGE; at += 4096)
        is_kept &= words[at / 8] == guest->number;
    check(is_kept, "what it stored before is there");
    check(attempt(guest, 2) == WASM_RT_TRAP_EXHAUSTION, "a recursion traps");
    check(words[1] > 10, "it ran in this guest");
    check(attempt(guest, 3) == WASM_RT_TRAP_UNCAUGHT_EXCEPTION, "an exception arrives");
    check(wasm_rt_exception_tag() == guest->number, "its tag is its own");
    check(*(uint64_t *)wasm_rt_exception() == guest->number, "so are its values");
    wasm_rt_free_funcref_table(&guest->table);
    wasm_rt_free_memory(&guest->memory);
    wasmpool_wasm2c_release(scope);
}

static void *work(void *argument) {
    struct Guest guest = {.number = (uint64_t)(uintptr_t)argument};
    uint32_t type = 0;

    check(!wasmpool_wasm2c_thread_init(), "a thread is initialised");
    check(!wasmpool_wasm2c_thread_init(), "twice");
    for (int i = 0; i < CYCLES; i++) {
        uint32_t again = wasm_rt_register_func_type((uint32_t)(i % 4), 1, WASM_RT_I32, WASM_RT_I32, WASM_RT_I32,
                                                    WASM_RT_I32, WASM_RT_I32);

        if (i % 4 == 0) {
            check(!type || again == type, "a function type keeps its number");
            type = again;
        }
        cycle(&guest, i % 2);
    }
    wasmpool_wasm2c_thread_free();
    return NULL;
}

static void check_nothing_left(struct wasmpool *of) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(of, &metrics);
    check(!metrics.core_instances && !metrics.memories && !metrics.tables, "everything went back");
}

int main(void) {
    static const struct wasmpool_memory_type memory = {.minimum = 1, .maximum = 4, .has_maximum = true};
    static const struct wasmpool_table_type table = {.minimum = 10, .maximum = 20, .has_maximum = true};
    const struct wasmpool_module_description description = {
        .memories = &memory,
        .n_memories = 1,
        .tables = &table,
        .n_tables = 1,
    };
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    struct wasmpool *standard;

    wasm_rt_init();
    if (wasmpool_wasm2c_open(&pool, NULL, NULL) || wasmpool_module_describe(&module, &description, NULL))
        return 2;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], &attributes, work, (void *)(i + 1)))
            return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    check_nothing_left(pool);
    check(!wasmpool_wasm2c_default_pool(&standard, NULL), "the default pool was opened");
    check_nothing_left(standard);
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
    return stress_end();
}
