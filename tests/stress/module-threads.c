/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Several threads take instances of modules with contents from one small pool, embedded and of a daemon: of two
 * modules that all of them use, so that slots change their images, and of one that each reads anew and frees while its
 * instance is alive; and ones whose handles are so large that blocks change hands. One thread purges and counts
 * meanwhile. Each memory and table must have its own module's contents and nothing else. The daemon has room for fewer
 * images than there are, and shares them with another pool, which is another process to it. */

#include "client/wasmpool.h"
#include "tests/stress/stress.h"
#include "tests/support/daemon.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define CYCLES 4000
#define CYCLES_REMOTE 600
#define SHARED 2
#define CONTENTS_BYTES 8
#define ELEMENTS 10

static struct wasmpool *pool, *other; /* the same, where it is embedded */
static unsigned cycles;
static struct wasmpool_module *shared[SHARED], *large;
static _Atomic bool stop;

/* Modules that share a slot have their contents on different pages, so that none hides what another left. */
static uint64_t contents_at(char letter) {
    return letter & 1 ? 1024 : 4096;
}

/* And their elements in different places. */
static uint32_t element_at(char letter) {
    return letter & 7;
}

/* A memory of one wasm page with eight times `letter`, a table with two functions, and an exported global. */
static struct wasmpool_module *read_module(char letter) {
    uint8_t bytes[] = "\0asm\1\0\0\0"
                      "\1\4\1\x60\0\0"
                      "\3\3\2\0\0"
                      "\4\4\1\x70\0\xa"
                      "\5\3\1\0\1"
                      "\6\6\1\x7f\1\x41\7\xb"
                      "\7\5\1\1g\3\0"
                      "\x9\x8\1\0\x41.\xb\2\0\1"
                      "\xa\7\2\2\0\xb\2\0\xb"
                      "\xb\xf\1\0\x41\x80\x8\xb\x8........";
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;

    bytes[sizeof(bytes) - 1 - CONTENTS_BYTES - 3] = (uint8_t)(contents_at(letter) >> 7);
    *(uint8_t *)memchr(bytes + 8, '.', sizeof(bytes) - 8) = (uint8_t)element_at(letter);
    memset(bytes + sizeof(bytes) - 1 - CONTENTS_BYTES, letter, CONTENTS_BYTES);
    check(!wasmpool_module_read(&module, bytes, sizeof(bytes) - 1, &error), "a module is read");
    return module;
}

static bool memory_is_fresh(const struct wasmpool_memory *memory, char letter) {
    for (uint64_t i = 0; i < memory->current_length; i++) {
        bool inside = i >= contents_at(letter) && i < contents_at(letter) + CONTENTS_BYTES;

        if (memory->base[i] != (inside ? (uint8_t)letter : 0))
            return false;
    }
    return true;
}

static bool table_is_fresh(struct wasmpool_instance *instance, char letter) {
    void *const *elements = wasmpool_instance_table(instance, 0)->base;

    for (uint32_t i = 0; i < ELEMENTS; i++) {
        uint32_t function = i - element_at(letter);

        if (elements[i] != (function < 2 ? wasmpool_instance_function_at(instance, function) : NULL))
            return false;
    }
    return true;
}

static void use_large(struct wasmpool *from) {
    struct wasmpool_request request = {.module = large};
    struct wasmpool_instance *instance = NULL;

    check(!wasmpool_allocate_module(from, &request, &instance, NULL), "a large instance is allocated");
    memset(wasmpool_instance_global_at(instance, 0), 0xfe, 16000);
    wasmpool_deallocate_module(&instance);
}

/* The module is freed at once if it is the thread's own. */
static void use_module(struct wasmpool *from, struct wasmpool_module *module, char letter, bool own) {
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_error error;
    struct wasmpool_extern global;
    int r = wasmpool_allocate_module(from, &request, &instance, &error);

    if (own)
        wasmpool_module_free(module);
    if (r) {
        check(r == WASMPOOL_E_LIMIT, "a refusal is a limit's");
        return;
    }
    check(!wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &error), "an instance is initialised");
    check(memory_is_fresh(wasmpool_instance_memory(instance, 0), letter), "a fresh memory has its module's contents");
    check(!wasmpool_instance_export(instance, "g", &global) &&
              wasmpool_instance_global_at(instance, global.index)->i32 == 7,
          "a global has its value");
    check(table_is_fresh(instance, letter), "a fresh table has its module's elements");
    memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, 3000);
    memset(wasmpool_instance_table(instance, 0)->base, 0xfe, ELEMENTS * sizeof(void *));
    wasmpool_deallocate_module(&instance);
}

static void *work(void *argument) {
    unsigned which = (unsigned)(uintptr_t)argument;

    for (unsigned i = 0; i < cycles; i++) {
        if (i % 4 == which)
            use_large(pool);
        if ((i + which) % 3 < SHARED)
            use_module(which & 1 ? pool : other, shared[(i + which) % 3], (char)('A' + (i + which) % 3), false);
        else
            use_module(which & 1 ? other : pool, read_module((char)('a' + which)), (char)('a' + which), true);
    }
    return NULL;
}

static void *disturb(void *argument) {
    struct wasmpool_metrics metrics;

    (void)argument;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        wasmpool_purge_module(pool, shared[i % SHARED]);
        wasmpool_metrics(pool, &metrics);
        check(pool != other || metrics.memories + metrics.idle_memories <= 3,
              "there are no more memories than granted");
    }
    return NULL;
}

static void expect_all_back(struct wasmpool *from) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(from, &metrics);
    check(!metrics.core_instances && !metrics.memories, "everything came back");
}

static void run(void) {
    pthread_t threads[THREADS], disturber;

    atomic_store(&stop, false);
    check(!wasmpool_module_describe(&large, &(struct wasmpool_module_description){.defined_globals = 1000}, NULL),
          "a module is described");
    for (int i = 0; i < SHARED; i++)
        shared[i] = read_module((char)('A' + i));
    pthread_create(&disturber, NULL, disturb, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(disturber, NULL);
    expect_all_back(pool);
    expect_all_back(other);
    for (int i = 0; i < SHARED; i++)
        wasmpool_module_free(shared[i]);
    wasmpool_module_free(large);
}

static struct wasmpool *open_pool(const char *address, const char *const *settings) {
    struct wasmpool_options options = {.address = address, .settings = settings};
    struct wasmpool *opened = NULL;
    struct wasmpool_error error;

    if (wasmpool_open(&opened, &options, &error))
        fprintf(stderr, "FAILED: %s\n", error.message);
    return opened;
}

#define SMALL "memory_reservation=1M", "memory_guard_size=64K"

static bool run_embedded(void) {
    static const char *const settings[] = {"total_memories=3", "total_tables=3", "max_memory_size=1M", SMALL, NULL};

    pool = other = open_pool("embedded:", settings);
    cycles = CYCLES;
    if (pool)
        run();
    wasmpool_close(pool);
    return pool;
}

static bool run_remote(void) {
    static const char *const settings[] = {"--config=/dev/null", "total_memories=3", "total_tables=3",
                                           "max_memory_size=1M", "images_max=4",
                                           "log_level=error", NULL};
    static const char *const shape[] = {SMALL, NULL};
    struct PrivateDaemon daemon;
    struct wasmpool_metrics metrics = {0};

    private_daemon_start(&daemon, settings);
    pool = open_pool(daemon.address, shape);
    other = open_pool(daemon.address, shape);
    cycles = CYCLES_REMOTE;
    if (pool && other) {
        run();
        wasmpool_metrics(pool, &metrics);
    }
    check(metrics.shared_images > 0, "images are shared");
    wasmpool_close(other);
    wasmpool_close(pool);
    check(!private_daemon_stop(&daemon), "the daemon ends well");
    return pool && other;
}

int main(void) {
    if (!run_embedded() || !run_remote())
        return 1;
    return stress_end();
}
