/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"

#include "client/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void module_label(char label[static LEASE_LABEL_BYTES], const char *text) {
    size_t bytes = text ? strnlen(text, LEASE_LABEL_BYTES - 1) : 0;

    memset(label, 0, LEASE_LABEL_BYTES);
    memcpy(label, text ? text : "", bytes);
}

int module_new(struct wasmpool_module **modulep, const char *name, struct wasmpool_error *error) {
    struct wasmpool_module *module = calloc(1, sizeof(*module));

    if (!module)
        return failure_errno(error, -ENOMEM, "a module");
    module_label(module->label, name);
    *modulep = module;
    return 0;
}

PUBLIC struct wasmpool_module *wasmpool_module_free(struct wasmpool_module *module) {
    if (!module)
        return NULL;
    for (uint32_t i = 0; i < module->counts.exports; i++)
        free(module->exports[i].name);
    free(module->exports);
    free(module->memories);
    free(module->tables);
    free(module);
    return NULL;
}

/* Room for one more of `n` items: the array doubles at each power of two. */
static int module_reserve(void **itemsp, uint32_t n, size_t item_bytes) {
    void *items;

    if (n & (n - 1))
        return 0;
    items = realloc(*itemsp, (n ? (size_t)n * 2 : 1) * item_bytes);
    if (!items)
        return -ENOMEM;
    *itemsp = items;
    return 0;
}

int module_add_memory(struct wasmpool_module *module, const struct wasmpool_memory_type *type) {
    int r = module_reserve((void **)&module->memories, module->counts.defined_memories, sizeof(*type));

    if (!r)
        module->memories[module->counts.defined_memories++] = *type;
    return r;
}

int module_add_table(struct wasmpool_module *module, const struct wasmpool_table_type *type) {
    int r = module_reserve((void **)&module->tables, module->counts.defined_tables, sizeof(*type));

    if (!r)
        module->tables[module->counts.defined_tables++] = *type;
    return r;
}

int module_add_export(struct wasmpool_module *module, const uint8_t *name, uint32_t name_bytes,
                      enum wasmpool_external kind, uint32_t index) {
    int r = module_reserve((void **)&module->exports, module->counts.exports, sizeof(struct ModuleExport));
    char *copy;

    if (r)
        return r;
    copy = malloc((size_t)name_bytes + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, name_bytes);
    copy[name_bytes] = 0;
    module->exports[module->counts.exports++] = (struct ModuleExport){copy, name_bytes, kind, index};
    return 0;
}

static int module_describe_memories(struct wasmpool_module *module,
                                    const struct wasmpool_module_description *description,
                                    struct wasmpool_error *error) {
    for (uint32_t i = 0; i < description->n_memories; i++) {
        const struct wasmpool_memory_type *type = &description->memories[i];

        if (type->has_maximum && type->maximum < type->minimum)
            return error_set(failure(error), ERROR_INVALID,
                             "memory %u has a minimum of %" PRIu64 " pages and a maximum of %" PRIu64, i, type->minimum,
                             type->maximum);
        if (module_add_memory(module, type))
            return failure_errno(error, -ENOMEM, "a module");
    }
    return 0;
}

static int module_describe_tables(struct wasmpool_module *module, const struct wasmpool_module_description *description,
                                  struct wasmpool_error *error) {
    for (uint32_t i = 0; i < description->n_tables; i++) {
        const struct wasmpool_table_type *type = &description->tables[i];

        if (type->has_maximum && type->maximum < type->minimum)
            return error_set(failure(error), ERROR_INVALID, "table %u has a minimum of %u elements and a maximum of %u",
                             i, type->minimum, type->maximum);
        if (type->element != WASMPOOL_FUNCREF && type->element != WASMPOOL_EXTERNREF)
            return error_set(failure(error), ERROR_INVALID, "table %u has elements of an unknown type, %d", i,
                             (int)type->element);
        if (module_add_table(module, type))
            return failure_errno(error, -ENOMEM, "a module");
    }
    return 0;
}

PUBLIC int wasmpool_module_describe(struct wasmpool_module **modulep,
                                    const struct wasmpool_module_description *description,
                                    struct wasmpool_error *error) {
    struct wasmpool_module *module;
    int r = module_new(&module, description->name, error);

    if (r)
        return r;
    module->counts.imported_functions = description->imported_functions;
    module->counts.imported_tables = description->imported_tables;
    module->counts.imported_memories = description->imported_memories;
    module->counts.imported_globals = description->imported_globals;
    module->counts.defined_functions = description->defined_functions;
    module->counts.defined_globals = description->defined_globals;
    r = module_describe_memories(module, description, error);
    if (!r)
        r = module_describe_tables(module, description, error);
    if (r) {
        wasmpool_module_free(module);
        return r;
    }
    *modulep = module;
    return 0;
}

PUBLIC void wasmpool_module_counts(const struct wasmpool_module *module, struct wasmpool_module_counts *counts) {
    *counts = module->counts;
}

PUBLIC const struct wasmpool_memory_type *wasmpool_module_memory(const struct wasmpool_module *module, uint32_t index) {
    return index < module->counts.defined_memories ? &module->memories[index] : NULL;
}

PUBLIC const struct wasmpool_table_type *wasmpool_module_table(const struct wasmpool_module *module, uint32_t index) {
    return index < module->counts.defined_tables ? &module->tables[index] : NULL;
}

PUBLIC int wasmpool_module_export(const struct wasmpool_module *module, const char *name, enum wasmpool_external *kindp,
                                  uint32_t *indexp) {
    for (uint32_t i = 0; i < module->counts.exports; i++) {
        const struct ModuleExport *export = &module->exports[i];

        if (export->name_bytes != strlen(name) || memcmp(export->name, name, export->name_bytes))
            continue;
        *kindp = export->kind;
        *indexp = export->index;
        return 0;
    }
    return -ENOENT;
}
