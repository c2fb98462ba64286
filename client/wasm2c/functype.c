/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Function types, numbered for the whole process: call_indirect compares numbers, also between modules that different
 * threads initialise. Part of wasm-rt-impl.c. */

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

struct FuncType {
    uint32_t n_params, n_results;
    wasm_rt_type_t at[]; /* parameters, then results */
};

static struct {
    pthread_mutex_t lock;
    struct FuncType **at;
    uint32_t count;
} functypes = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t functype_find(const struct FuncType *type) {
    size_t bytes = ((size_t)type->n_params + type->n_results) * sizeof(type->at[0]);

    for (uint32_t i = 0; i < functypes.count; i++) {
        const struct FuncType *other = functypes.at[i];

        if (other->n_params == type->n_params && other->n_results == type->n_results &&
            !memcmp(other->at, type->at, bytes))
            return i + 1;
    }
    return 0;
}

/* The number of the type, which it keeps until wasm_rt_free; takes the allocation over. */
static uint32_t functype_intern(struct FuncType *type) {
    uint32_t number = functype_find(type);
    struct FuncType **grown;

    if (number) {
        free(type);
        return number;
    }
    grown = realloc(functypes.at, (functypes.count + 1) * sizeof(*grown));
    if (!grown) {
        free(type);
        return 0;
    }
    functypes.at = grown;
    functypes.at[functypes.count++] = type;
    return functypes.count;
}

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...) {
    size_t n = (size_t)params + results;
    struct FuncType *type = malloc(sizeof(*type) + n * sizeof(type->at[0]));
    uint32_t number = 0;
    va_list types;

    if (type) {
        *type = (struct FuncType){.n_params = params, .n_results = results};
        va_start(types, results);
        for (size_t i = 0; i < n; i++)
            type->at[i] = va_arg(types, wasm_rt_type_t);
        va_end(types);
        pthread_mutex_lock(&functypes.lock);
        number = functype_intern(type);
        pthread_mutex_unlock(&functypes.lock);
    }
    if (!number) {
        /* The caller initialises a module, has no way to fail, and cannot be expected to have a trap's target. */
        fputs("wasmpool: out of memory for a function type\n", stderr);
        abort();
    }
    return number;
}

static void functypes_free(void) {
    pthread_mutex_lock(&functypes.lock);
    while (functypes.count)
        free(functypes.at[--functypes.count]);
    free(functypes.at);
    functypes.at = NULL;
    pthread_mutex_unlock(&functypes.lock);
}
