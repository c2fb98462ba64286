/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/promise.h"

#include <errno.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------ items */

static bool is_value_type(uint8_t type) {
    return (type >= WASMPOOL_TYPE_V128 && type <= WASMPOOL_TYPE_I32) || type == WASMPOOL_TYPE_FUNCREF ||
           type == WASMPOOL_TYPE_EXTERNREF;
}

static bool is_reference(uint8_t type) {
    return type == WASMPOOL_TYPE_FUNCREF || type == WASMPOOL_TYPE_EXTERNREF;
}

/* Well-formed UTF-8 by the table of the Unicode standard (3-7), which is not how the reader looks at it. */
static bool is_utf8(const uint8_t *at, size_t n) {
    static const struct {
        uint8_t first, last, second_first, second_last, rest;
    } rows[] = {{0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 0x80, 0xbf, 0}, {0xe0, 0xe0, 0xa0, 0xbf, 1},
                {0xe1, 0xec, 0x80, 0xbf, 1}, {0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xef, 0x80, 0xbf, 1},
                {0xf0, 0xf0, 0x90, 0xbf, 2}, {0xf1, 0xf3, 0x80, 0xbf, 2}, {0xf4, 0xf4, 0x80, 0x8f, 2}};
    size_t i = 0;

    while (i < n) {
        size_t row = 0;

        while (row < 9 && (at[i] < rows[row].first || at[i] > rows[row].last))
            row++;
        if (row == 9)
            return false;
        i++;
        if (!rows[row].second_last)
            continue;
        if (i == n || at[i] < rows[row].second_first || at[i] > rows[row].second_last)
            return false;
        i++;
        for (uint8_t rest = rows[row].rest; rest; rest--, i++) {
            if (i == n || at[i] < 0x80 || at[i] > 0xbf)
                return false;
        }
    }
    return true;
}

static void check_name(const struct wasmpool_name *name) {
    PROMISE(name->text[name->bytes] == '\0');
    PROMISE(is_utf8((const uint8_t *)name->text, name->bytes));
}

static void check_function_type(const struct wasmpool_function_type *type) {
    PROMISE(type->n_parameters <= MODULE_PARAMETERS_MAX && type->n_results <= MODULE_RESULTS_MAX);
    for (uint32_t i = 0; i < type->n_parameters; i++)
        PROMISE(is_value_type(type->parameters[i]));
    for (uint32_t i = 0; i < type->n_results; i++)
        PROMISE(is_value_type(type->results[i]));
}

static void check_item(const struct wasmpool_external_type *type) {
    switch (type->kind) {
    case WASMPOOL_EXTERNAL_FUNCTION:
        check_function_type(&type->of.function);
        break;
    case WASMPOOL_EXTERNAL_TABLE:
        PROMISE(!type->of.table.has_maximum || type->of.table.minimum <= type->of.table.maximum);
        break;
    case WASMPOOL_EXTERNAL_MEMORY:
        PROMISE(type->of.memory.minimum <= 65536);
        PROMISE(!type->of.memory.has_maximum || type->of.memory.minimum <= type->of.memory.maximum);
        PROMISE(!type->of.memory.has_maximum || type->of.memory.maximum <= 65536);
        PROMISE(!type->of.memory.shared || type->of.memory.has_maximum);
        break;
    case WASMPOOL_EXTERNAL_GLOBAL:
        PROMISE(is_value_type(type->of.global.content));
        break;
    case WASMPOOL_EXTERNAL_TAG:
        check_function_type(&type->of.function);
        PROMISE(type->of.function.n_results == 0);
        break;
    }
}

/* How many items of each kind there are. */
static void count_items(const struct wasmpool_module *module, uint32_t items[static 5]) {
    struct wasmpool_module_counts counts;

    wasmpool_module_counts(module, &counts);
    items[WASMPOOL_EXTERNAL_FUNCTION] = counts.imported_functions + counts.defined_functions;
    items[WASMPOOL_EXTERNAL_TABLE] = counts.imported_tables + counts.defined_tables;
    items[WASMPOOL_EXTERNAL_MEMORY] = counts.imported_memories + counts.defined_memories;
    items[WASMPOOL_EXTERNAL_GLOBAL] = counts.imported_globals + counts.defined_globals;
    items[WASMPOOL_EXTERNAL_TAG] = counts.imported_tags + counts.defined_tags;
    PROMISE(counts.imports == counts.imported_functions + counts.imported_tables + counts.imported_memories +
                                  counts.imported_globals + counts.imported_tags);
    PROMISE(counts.escaped_functions <= items[WASMPOOL_EXTERNAL_FUNCTION]);
    PROMISE(counts.runtime_data <= counts.data_segments);
}

static void check_spaces(const struct wasmpool_module *module, const uint32_t items[static 5]) {
    struct wasmpool_external_type type;
    struct wasmpool_function_type function;

    for (uint32_t i = 0; i < module->counts.types; i++) {
        PROMISE(!wasmpool_module_function_type(module, i, &function));
        check_function_type(&function);
    }
    PROMISE(wasmpool_module_function_type(module, module->counts.types, &function) == -ENOENT);
    for (unsigned kind = 0; kind < 5; kind++) {
        for (uint32_t i = 0; i < items[kind]; i++) {
            PROMISE(!wasmpool_module_type(module, kind, i, &type));
            PROMISE(type.kind == kind);
            check_item(&type);
        }
        PROMISE(wasmpool_module_type(module, kind, items[kind], &type) == -ENOENT);
        PROMISE(wasmpool_module_type(module, kind, UINT32_MAX, &type) == -ENOENT);
    }
    for (uint32_t i = 0; i <= module->counts.defined_memories; i++)
        PROMISE(!wasmpool_module_memory(module, i) == (i == module->counts.defined_memories));
    for (uint32_t i = 0; i <= module->counts.defined_tables; i++)
        PROMISE(!wasmpool_module_table(module, i) == (i == module->counts.defined_tables));
}

static void check_imports(const struct wasmpool_module *module) {
    uint32_t next[5] = {0};
    struct wasmpool_import import;

    for (uint32_t i = 0; i < module->counts.imports; i++) {
        PROMISE(!wasmpool_module_import_at(module, i, &import));
        PROMISE(import.kind <= WASMPOOL_EXTERNAL_TAG);
        PROMISE(import.index == next[import.kind]++);
        check_name(&import.module);
        check_name(&import.name);
    }
    PROMISE(wasmpool_module_import_at(module, module->counts.imports, &import) == -ENOENT);
}

static void check_exports(const struct wasmpool_module *module, const uint32_t items[static 5]) {
    struct wasmpool_export export;
    enum wasmpool_external kind;
    uint32_t index;

    for (uint32_t i = 0; i < module->counts.exports; i++) {
        PROMISE(!wasmpool_module_export_at(module, i, &export));
        PROMISE(export.kind <= WASMPOOL_EXTERNAL_TAG);
        PROMISE(export.index < items[export.kind]);
        check_name(&export.name);
        if (strlen(export.name.text) != export.name.bytes)
            continue;
        PROMISE(!wasmpool_module_export(module, export.name.text, &kind, &index));
        PROMISE(kind == export.kind && index == export.index);
    }
    PROMISE(wasmpool_module_export_at(module, module->counts.exports, &export) == -ENOENT);
}

/* ------------------------------------------------------------------------------------------------ initialisation */

static const union wasmpool_global_definition *some_global(void *instance, uint32_t global_index) {
    static const union wasmpool_global_definition global = {.i64 = UINT64_C(0x0123456789abcdef)};
    const struct wasmpool_module *module = instance;

    PROMISE(global_index < module->counts.imported_globals && !module->globals[global_index].type.is_mutable);
    return &global;
}

static struct wasmpool_func_ref *some_function(void *instance, uint32_t function_index) {
    static struct wasmpool_func_ref function;
    const struct wasmpool_module *module = instance;

    PROMISE(function_index < module->counts.imported_functions + module->counts.defined_functions);
    PROMISE(module->escaped[function_index] < module->counts.escaped_functions);
    return &function;
}

static bool is_of_type(const struct wasmpool_module *module, const struct Constant *constant, uint8_t type) {
    switch (constant->kind) {
    case CONSTANT_VALUE:
        return type >= WASMPOOL_TYPE_F64 && type <= WASMPOOL_TYPE_I32;
    case CONSTANT_V128:
        return type == WASMPOOL_TYPE_V128;
    case CONSTANT_NULL:
        return is_reference(type);
    case CONSTANT_FUNCTION:
        return type == WASMPOOL_TYPE_FUNCREF;
    case CONSTANT_GLOBAL:
        return constant->value < module->counts.imported_globals &&
               module->globals[constant->value].type.content == type;
    case CONSTANT_EXTENDED:
        return type == WASMPOOL_TYPE_I32 || type == WASMPOOL_TYPE_I64;
    default:
        return false;
    }
}

static void check_constant(const struct wasmpool_module *module, const struct Constant *constant, uint8_t type) {
    struct ConstantScope scope = {.expressions = module->expressions,
                                  .global = some_global,
                                  .function = some_function,
                                  .instance = (void *)module};
    union wasmpool_global_definition value;

    PROMISE(constant->type == type && is_of_type(module, constant, type));
    memset(&value, 0xa5, sizeof(value));
    constant_evaluate(constant, &scope, &value);
    if (is_reference(type))
        PROMISE((uintptr_t)value.reference != UINT64_C(0xa5a5a5a5a5a5a5a5));
}

static void check_elements(const struct wasmpool_module *module, const uint32_t items[static 5]) {
    struct wasmpool_external_type table;
    uint32_t next = 0;

    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        const struct ModuleElement *element = &module->elements[i];

        PROMISE(element->mode <= SEGMENT_DECLARED && element->type <= WASMPOOL_EXTERNREF);
        PROMISE(element->first_item == next);
        next += element->n_items;
        if (element->mode == SEGMENT_ACTIVE) {
            PROMISE(!wasmpool_module_type(module, WASMPOOL_EXTERNAL_TABLE, element->table, &table));
            PROMISE(table.of.table.element == element->type);
            check_constant(module, &element->offset, WASMPOOL_TYPE_I32);
        }
        for (uint32_t j = 0; j < element->n_items; j++) {
            uint32_t item = module->items[element->first_item + j];

            if (item == ITEM_NULL)
                continue;
            if (item & ITEM_GLOBAL) {
                PROMISE((item & ~ITEM_GLOBAL) < module->counts.imported_globals);
                PROMISE(!module->globals[item & ~ITEM_GLOBAL].type.is_mutable);
            } else {
                PROMISE(item < items[WASMPOOL_EXTERNAL_FUNCTION] && element->type == WASMPOOL_FUNCREF);
                PROMISE(module->escaped[item] < module->counts.escaped_functions);
            }
        }
    }
}

static void check_data(const struct wasmpool_module *module, const uint32_t items[static 5]) {
    uint64_t next = 0;
    unsigned sum = 0;

    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        const struct ModuleData *data = &module->data[i];

        PROMISE(data->mode == SEGMENT_ACTIVE || data->mode == SEGMENT_PASSIVE);
        PROMISE(data->at == next);
        PROMISE(data->runtime == MODULE_NONE || data->runtime < module->counts.runtime_data);
        next += data->bytes;
        for (uint32_t j = 0; j < data->bytes; j++)
            sum += module_data(module, data)[j];
        if (data->mode == SEGMENT_ACTIVE) {
            PROMISE(data->memory < items[WASMPOOL_EXTERNAL_MEMORY]);
            check_constant(module, &data->offset, WASMPOOL_TYPE_I32);
        }
    }
    /* Never true; the sum must not be optimised away, and with it the reads. */
    PROMISE(sum != UINT32_MAX);
}

static void check_layout(const struct wasmpool_module *module) {
    const struct wasmpool_vmoffsets *offsets = wasmpool_module_offsets(module);
    const char *name;
    uint64_t sum = 0;
    uint32_t bytes;

    PROMISE(offsets);
    for (uint32_t i = 0; !wasmpool_vmoffsets_region(offsets, i, &name, &bytes); i++)
        sum += bytes;
    PROMISE(sum == offsets->size);
    PROMISE(offsets->fields.escaped_functions == module->counts.escaped_functions);
    PROMISE(offsets->fields.defined_globals == module->counts.defined_globals);
}

void promise_module(const struct wasmpool_module *module) {
    struct wasmpool_external_type type;
    uint32_t items[5], start;

    count_items(module, items);
    check_spaces(module, items);
    check_imports(module);
    check_exports(module, items);
    for (uint32_t i = module->counts.imported_globals; i < items[WASMPOOL_EXTERNAL_GLOBAL]; i++)
        check_constant(module, &module->globals[i].init, module->globals[i].type.content);
    check_elements(module, items);
    check_data(module, items);
    check_layout(module);
    if (!wasmpool_module_start(module, &start)) {
        PROMISE(!wasmpool_module_type(module, WASMPOOL_EXTERNAL_FUNCTION, start, &type));
        PROMISE(!type.of.function.n_parameters && !type.of.function.n_results);
    }
    PROMISE(wasmpool_module_name(module));
}
