/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wasm/executor/inspect.h"

static const char *const settings[] = {
    "max_memories_per_module=100",
    "max_tables_per_module=100",
    NULL,
};

int store_init(struct Store *store, struct wasmpool_error *error) {
    const char *address = getenv("WASMPOOL_ADDRESS");
    struct wasmpool_options options = {.name = "executor"};

    *store = (struct Store){0};
    /* A daemon's limits are its own. */
    if (!address || strncmp(address, "unix:", 5) != 0)
        options.settings = settings;
    if (!machine_init(&store->machine))
        return -ENOMEM;
    return wasmpool_open(&store->pool, &options, error);
}

static void bindings_empty(struct Bindings *bindings) {
    for (size_t i = 0; i < bindings->count; i++)
        free(bindings->at[i].text);
    free(bindings->at);
    *bindings = (struct Bindings){0};
}

void store_empty(struct Store *store) {
    for (size_t i = store->n_instances; i-- > 0;) {
        wasmpool_deallocate_module(&store->instances[i]->handle);
        free(store->instances[i]);
    }
    free(store->instances);
    store->instances = NULL;
    store->n_instances = 0;
    store->current = NULL;
    bindings_empty(&store->modules);
    bindings_empty(&store->registered);
}

void store_deinit(struct Store *store) {
    store_empty(store);
    wasmpool_close(store->pool);
    machine_deinit(&store->machine);
}

/* ------------------------------------------------------------------------------------------------ names */

void store_bind(struct Bindings *bindings, struct Name name, const struct Instance *instance) {
    struct Binding *binding;
    char *text = malloc(name.bytes + 1);

    bindings->at = reallocarray(bindings->at, bindings->count + 1, sizeof(bindings->at[0]));
    if (!text || !bindings->at)
        abort();
    memcpy(text, name.text, name.bytes);
    binding = &bindings->at[bindings->count++];
    *binding = (struct Binding){text, name.bytes, instance};
}

const struct Instance *store_bound(const struct Bindings *bindings, struct Name name) {
    for (size_t i = bindings->count; i-- > 0;)
        if (bindings->at[i].bytes == name.bytes && !memcmp(bindings->at[i].text, name.text, name.bytes))
            return bindings->at[i].instance;
    return NULL;
}

int store_export(const struct Instance *instance, struct Name name, struct wasmpool_extern *externp) {
    struct wasmpool_export export;

    /* The library looks up names without NULs. */
    if (!memchr(name.text, 0, name.bytes))
        return wasmpool_instance_export(instance->handle, name.text, externp);
    for (uint32_t i = 0; wasmpool_module_export_at(instance->code->module, i, &export) == 0; i++) {
        if (export.name.bytes != name.bytes || memcmp(export.name.text, name.text, name.bytes) != 0)
            continue;
        *externp = (struct wasmpool_extern){.kind = export.kind, .instance = instance->handle, .index = export.index};
        return 0;
    }
    return -ENOENT;
}

/* ------------------------------------------------------------------------------------------------ instantiation */

__attribute__((format(printf, 3, 4))) static int fail(struct Outcome *outcome, int result, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(outcome->text, sizeof(outcome->text), format, arguments);
    va_end(arguments);
    outcome->result = result;
    return result;
}

/* What cannot be found is passed on as missing: to refuse it is the library's part. */
static struct wasmpool_extern resolve(const struct Store *store, const struct wasmpool_import *import) {
    const struct Instance *from =
        store_bound(&store->registered, (struct Name){import->module.text, import->module.bytes});
    struct wasmpool_extern item = {.kind = import->kind};

    if (from)
        store_export(from, (struct Name){import->name.text, import->name.bytes}, &item);
    return item;
}

static struct wasmpool_extern *resolve_all(const struct Store *store, const struct Code *code, uint32_t *countp) {
    struct wasmpool_module_counts counts;
    struct wasmpool_extern *imports;

    wasmpool_module_counts(code->module, &counts);
    imports = calloc(counts.imports + 1, sizeof(imports[0]));
    if (!imports)
        abort();
    for (uint32_t i = 0; i < counts.imports; i++) {
        struct wasmpool_import import;

        if (wasmpool_module_import_at(code->module, i, &import) != 0)
            abort();
        imports[i] = resolve(store, &import);
    }
    *countp = counts.imports;
    return imports;
}

static int allocate(struct Store *store, struct Code *code, struct Instance **instancep, struct Outcome *outcome) {
    struct wasmpool_store context = inspect_store(&store->machine);
    struct wasmpool_request request = {.module = code->module, .store = &context, .code = code->entries};
    struct wasmpool_error error = {0};
    struct wasmpool_extern *imports = resolve_all(store, code, &request.n_imports);
    struct Instance *instance;
    int r;

    request.imports = imports;
    instance = calloc(1, sizeof(*instance));
    store->instances = reallocarray(store->instances, store->n_instances + 1, sizeof(store->instances[0]));
    if (!instance || !store->instances)
        abort();
    r = wasmpool_allocate_module(store->pool, &request, &instance->handle, &error);
    free(imports);
    if (r != 0) {
        free(instance);
        return fail(outcome, r, "allocate_module: %s: %s", wasmpool_strerror(r), error.message);
    }
    instance->code = code;
    store->instances[store->n_instances++] = instance;
    *instancep = instance;
    return 0;
}

static int initialize(struct Store *store, struct Instance *instance, struct Outcome *outcome) {
    struct wasmpool_error error = {0};
    const struct wasmpool_func_ref *start;
    union Value nothing;
    int r = wasmpool_initialize(instance->handle, WASMPOOL_IN_ORDER, &error);

    if (r != 0) {
        outcome->trap = "out of bounds";
        return fail(outcome, r, "initialize: %s: %s", wasmpool_strerror(r), error.message);
    }
    start = wasmpool_instance_start(instance->handle);
    if (start && !machine_call(&store->machine, start, &nothing, 0, 0)) {
        outcome->trap = store->machine.trap;
        return fail(outcome, WASMPOOL_E_TRAP, "start function: %s", outcome->trap);
    }
    return 0;
}

void store_instantiate(struct Store *store, struct Code *code, struct Outcome *outcome) {
    struct wasmpool_error error = {0};
    struct Instance *instance = NULL;
    char why[200];
    int r = wasmpool_validate_module(store->pool, code->module, &error);

    *outcome = (struct Outcome){0};
    store->current = NULL;
    if (r != 0) {
        fail(outcome, r, "validate_module: %s: %s", wasmpool_strerror(r), error.message);
        return;
    }
    if (allocate(store, code, &instance, outcome) != 0)
        return;
    if (!inspect_instance(instance->handle, code, &store->machine, why, sizeof(why))) {
        fail(outcome, -EPROTO, "the VMContext is wrong: %s", why);
        return;
    }
    if (initialize(store, instance, outcome) == 0)
        store->current = instance;
}
