/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"

#include <errno.h>
#include <string.h>

/* What users may ask of a module. */

PUBLIC void wasmpool_module_counts(const struct wasmpool_module *module, struct wasmpool_module_counts *counts) {
    *counts = module->counts;
}

PUBLIC const char *wasmpool_module_name(const struct wasmpool_module *module) {
    return module->name ? module->name : module->label;
}

PUBLIC const struct wasmpool_memory_type *wasmpool_module_memory(const struct wasmpool_module *module, uint32_t index) {
    return index < module->counts.defined_memories ? &module->memories[index] : NULL;
}

PUBLIC const struct wasmpool_table_type *wasmpool_module_table(const struct wasmpool_module *module, uint32_t index) {
    return index < module->counts.defined_tables ? &module->tables[index] : NULL;
}

PUBLIC int wasmpool_module_function_type(const struct wasmpool_module *module, uint32_t index,
                                         struct wasmpool_function_type *typep) {
    if (index >= module->counts.types)
        return -ENOENT;
    *typep = module->types[index];
    return 0;
}

/* ------------------------------------------------------------------------------------------------ items */

/* Where in the arrays an item is, which have none of a described module's imports. */
static int inspect_place(const struct wasmpool_module *module, uint32_t index, uint32_t imported, uint32_t defined,
                         uint32_t *placep) {
    uint32_t place = module->is_described ? index - imported : index;

    if ((uint64_t)index >= (uint64_t)imported + defined || (module->is_described && index < imported))
        return -ENOENT;
    *placep = place;
    return 0;
}

static int inspect_function(const struct wasmpool_module *module, uint32_t index,
                            struct wasmpool_external_type *typep) {
    const struct wasmpool_module_counts *counts = &module->counts;
    uint32_t place;

    if (module->is_described ||
        inspect_place(module, index, counts->imported_functions, counts->defined_functions, &place))
        return -ENOENT;
    *typep = (struct wasmpool_external_type){.kind = WASMPOOL_EXTERNAL_FUNCTION,
                                             .of.function = module->types[module->functions[place]]};
    return 0;
}

static int inspect_table(const struct wasmpool_module *module, uint32_t index, struct wasmpool_external_type *typep) {
    uint32_t place;

    if (inspect_place(module, index, module->counts.imported_tables, module->counts.defined_tables, &place))
        return -ENOENT;
    *typep = (struct wasmpool_external_type){.kind = WASMPOOL_EXTERNAL_TABLE, .of.table = module->table_types[place]};
    return 0;
}

static int inspect_memory(const struct wasmpool_module *module, uint32_t index, struct wasmpool_external_type *typep) {
    uint32_t place;

    if (inspect_place(module, index, module->counts.imported_memories, module->counts.defined_memories, &place))
        return -ENOENT;
    *typep =
        (struct wasmpool_external_type){.kind = WASMPOOL_EXTERNAL_MEMORY, .of.memory = module->memory_types[place]};
    return 0;
}

static int inspect_global(const struct wasmpool_module *module, uint32_t index, struct wasmpool_external_type *typep) {
    const struct wasmpool_module_counts *counts = &module->counts;
    uint32_t place;

    if (module->is_described || inspect_place(module, index, counts->imported_globals, counts->defined_globals, &place))
        return -ENOENT;
    *typep =
        (struct wasmpool_external_type){.kind = WASMPOOL_EXTERNAL_GLOBAL, .of.global = module->globals[place].type};
    return 0;
}

static int inspect_tag(const struct wasmpool_module *module, uint32_t index, struct wasmpool_external_type *typep) {
    uint32_t place;

    if (inspect_place(module, index, module->counts.imported_tags, module->counts.defined_tags, &place))
        return -ENOENT;
    *typep = (struct wasmpool_external_type){.kind = WASMPOOL_EXTERNAL_TAG,
                                             .of.function = module->types[module->tags[place]]};
    return 0;
}

PUBLIC int wasmpool_module_type(const struct wasmpool_module *module, enum wasmpool_external kind, uint32_t index,
                                struct wasmpool_external_type *typep) {
    switch (kind) {
    case WASMPOOL_EXTERNAL_FUNCTION:
        return inspect_function(module, index, typep);
    case WASMPOOL_EXTERNAL_TABLE:
        return inspect_table(module, index, typep);
    case WASMPOOL_EXTERNAL_MEMORY:
        return inspect_memory(module, index, typep);
    case WASMPOOL_EXTERNAL_GLOBAL:
        return inspect_global(module, index, typep);
    case WASMPOOL_EXTERNAL_TAG:
        return inspect_tag(module, index, typep);
    }
    return -ENOENT;
}

/* ------------------------------------------------------------------------------------------------ imports, exports */

PUBLIC int wasmpool_module_import_at(const struct wasmpool_module *module, uint32_t i,
                                     struct wasmpool_import *importp) {
    if (module->is_described || i >= module->counts.imports)
        return -ENOENT;
    *importp = module->imports[i];
    return 0;
}

PUBLIC int wasmpool_module_export_at(const struct wasmpool_module *module, uint32_t i,
                                     struct wasmpool_export *exportp) {
    if (i >= module->counts.exports)
        return -ENOENT;
    *exportp = module->exports[i];
    return 0;
}

PUBLIC int wasmpool_module_export(const struct wasmpool_module *module, const char *name, enum wasmpool_external *kindp,
                                  uint32_t *indexp) {
    size_t bytes = strlen(name);
    struct wasmpool_name wanted = {name, (uint32_t)bytes};
    uint32_t low = 0, high = bytes <= MODULE_STRING_BYTES_MAX ? module->counts.exports : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct wasmpool_export *export = &module->exports[module->exports_by_name[middle]];
        int order = module_compare_names(&wanted, &export->name);

        if (!order) {
            *kindp = export->kind;
            *indexp = export->index;
            return 0;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -ENOENT;
}

PUBLIC int wasmpool_module_start(const struct wasmpool_module *module, uint32_t *indexp) {
    if (module->start == MODULE_NONE)
        return -ENOENT;
    *indexp = module->start;
    return 0;
}
