/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-library.h"

#include <pthread.h>

/* What the threads of this process share. */
static struct {
    pthread_mutex_t lock;
    struct wasmpool *pool;
    struct wasmpool_module *module;
    unsigned n; /* threads that have the allocator */
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

void work_library_check(int r, const char *what, const struct wasmpool_error *error) {
    if (r)
        work_fail(what, error->message[0] ? error->message : wasmpool_strerror(r));
}

static struct wasmpool *library_pool(const struct WorkOptions *options) {
    struct wasmpool_options settings = {.address = options->address, .name = "bench"};
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    work_library_check(wasmpool_open(&pool, &settings, &error), "wasmpool_open", &error);
    return pool;
}

struct wasmpool *work_library_open(const struct WorkOptions *options) {
    struct wasmpool *pool;

    if (!options->shared)
        return library_pool(options);
    pthread_mutex_lock(&library.lock);
    if (!library.n++)
        library.pool = library_pool(options);
    pool = library.pool;
    pthread_mutex_unlock(&library.lock);
    return pool;
}

static struct wasmpool_module *library_module(const struct WorkOptions *options, struct wasmpool *pool) {
    struct wasmpool_error error = {0};
    struct wasmpool_module *module;

    if (!options->file)
        work_fail("--file", "says which module to make instances of");
    work_library_check(wasmpool_module_read_file(&module, options->file, &error), "wasmpool_module_read_file", &error);
    work_library_check(wasmpool_validate_module(pool, module, &error), "wasmpool_validate_module", &error);
    return module;
}

struct wasmpool_module *work_library_read(const struct WorkOptions *options, struct wasmpool *pool) {
    struct wasmpool_module *module;

    if (!options->shared)
        return library_module(options, pool);
    pthread_mutex_lock(&library.lock);
    if (!library.module)
        library.module = library_module(options, pool);
    module = library.module;
    pthread_mutex_unlock(&library.lock);
    return module;
}

void work_library_close(struct wasmpool *pool, struct wasmpool_module *module) {
    bool shared, last;

    pthread_mutex_lock(&library.lock);
    shared = library.n && pool == library.pool;
    last = !shared || !--library.n;
    /* One that is not shared is the thread's own, and goes at once. */
    if (module && (last || module != library.module))
        wasmpool_module_free(module);
    if (shared && last)
        library.module = NULL;
    if (last)
        wasmpool_close(pool);
    pthread_mutex_unlock(&library.lock);
}
