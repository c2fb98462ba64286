/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_STORE_H
#define TESTS_WASM_EXECUTOR_STORE_H

/* The instances of a .wast file, and their names. All live until the store is emptied, also those whose instantiation
 * failed: tables that they share may hold their functions. */

#include "tests/wasm/executor/interpreter.h"

/* Bytes, not a C string: names may contain NULs. */
struct Name {
    const char *text;
    size_t bytes;
};

struct Instance {
    struct wasmpool_instance *handle;
    const struct Code *code;
};

/* The name of a module's command ("$m") or a name to import from. */
struct Binding {
    char *text;
    size_t bytes;
    const struct Instance *instance;
};

struct Bindings {
    struct Binding *at;
    size_t count;
};

struct Store {
    struct wasmpool *pool;
    struct Machine machine;
    struct Instance **instances;
    size_t n_instances;
    struct Bindings modules, registered;
    struct Instance *current; /* the last that was instantiated, or NULL if that failed */
};

/* How an instantiation ended. */
struct Outcome {
    int result;       /* 0, WASMPOOL_E_*, or -EPROTO: the instance is not what it should be */
    const char *trap; /* with WASMPOOL_E_TRAP */
    char text[400];   /* for people; with a result other than 0 */
};

int store_init(struct Store *store, struct wasmpool_error *error);

/* Give back every instance, the last one first, and forget all names. */
void store_empty(struct Store *store);
void store_deinit(struct Store *store);

/* Validate, allocate, check, initialise and start. The instance is the store's; NULL is written unless all went well.
 * It becomes the current one. */
void store_instantiate(struct Store *store, struct Code *code, struct Outcome *outcome);

/* Bind a name, over what may be bound to it. */
void store_bind(struct Bindings *bindings, struct Name name, const struct Instance *instance);
const struct Instance *store_bound(const struct Bindings *bindings, struct Name name);

/* What an instance exports. 0, or -ENOENT. */
int store_export(const struct Instance *instance, struct Name name, struct wasmpool_extern *externp);

#endif
