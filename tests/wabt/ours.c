/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"
#include "tests/wabt/facts.h"

#include <stdio.h>
#include <string.h>

/* In the order and words of wabt.cc. */

static void add_expression(struct Facts *facts, const struct wasmpool_module *module, uint32_t index,
                           const struct Constant *constant) {
    static const uint8_t kinds[] = {
        [CONSTANT_VALUE] = FACT_VALUE,       [CONSTANT_V128] = FACT_VALUE,    [CONSTANT_NULL] = FACT_NULL,
        [CONSTANT_FUNCTION] = FACT_FUNCTION, [CONSTANT_GLOBAL] = FACT_GLOBAL, [CONSTANT_EXTENDED] = FACT_EXTENDED,
    };
    uint64_t value = constant->kind == CONSTANT_EXTENDED || constant->kind == CONSTANT_NULL ? 0 : constant->value;

    if (constant->kind == CONSTANT_V128) {
        const uint8_t *bytes = module->expressions + constant->value;

        memcpy(&value, bytes, sizeof(value));
        facts_add_bytes(facts, "v128", index, bytes, 16);
    }
    facts_add(facts, "expression", index, kinds[constant->kind]);
    facts_add(facts, "expression's value", index, value);
}

static void add_item(struct Facts *facts, uint32_t index, uint32_t item) {
    bool is_global = item != ITEM_NULL && item & ITEM_GLOBAL;

    facts_add(facts, "expression", index, item == ITEM_NULL ? FACT_NULL : is_global ? FACT_GLOBAL : FACT_FUNCTION);
    facts_add(facts, "expression's value", index, item == ITEM_NULL ? 0 : is_global ? item & ~ITEM_GLOBAL : item);
}

static void add_limits(struct Facts *facts, uint32_t index, const struct wasmpool_memory_type *limits) {
    facts_add(facts, "minimum", index, limits->minimum);
    facts_add(facts, "has maximum", index, limits->has_maximum);
    facts_add(facts, "maximum", index, limits->has_maximum ? limits->maximum : 0);
    facts_add(facts, "shared", index, limits->shared);
}

static void add_signature(struct Facts *facts, uint32_t index, const struct wasmpool_function_type *type) {
    facts_add(facts, "parameters", index, type->n_parameters);
    for (uint32_t i = 0; i < type->n_parameters; i++)
        facts_add(facts, "parameter", i, type->parameters[i]);
    facts_add(facts, "results", index, type->n_results);
    for (uint32_t i = 0; i < type->n_results; i++)
        facts_add(facts, "result", i, type->results[i]);
}

static uint8_t encoding(uint8_t reference) {
    return reference == WASMPOOL_FUNCREF ? WASMPOOL_TYPE_FUNCREF : WASMPOOL_TYPE_EXTERNREF;
}

static void add_counts(struct Facts *facts, const struct wasmpool_module *module) {
    struct wasmpool_module_counts counts;
    uint32_t start;

    wasmpool_module_counts(module, &counts);
    facts_add(facts, "types", 0, counts.types);
    facts_add(facts, "imports", 0, counts.imports);
    facts_add(facts, "imported functions", 0, counts.imported_functions);
    facts_add(facts, "imported tables", 0, counts.imported_tables);
    facts_add(facts, "imported memories", 0, counts.imported_memories);
    facts_add(facts, "imported globals", 0, counts.imported_globals);
    facts_add(facts, "imported tags", 0, counts.imported_tags);
    facts_add(facts, "functions", 0, counts.imported_functions + counts.defined_functions);
    facts_add(facts, "tables", 0, counts.imported_tables + counts.defined_tables);
    facts_add(facts, "memories", 0, counts.imported_memories + counts.defined_memories);
    facts_add(facts, "globals", 0, counts.imported_globals + counts.defined_globals);
    facts_add(facts, "tags", 0, counts.imported_tags + counts.defined_tags);
    facts_add(facts, "exports", 0, counts.exports);
    facts_add(facts, "elements", 0, counts.element_segments);
    facts_add(facts, "data", 0, counts.data_segments);
    facts_add(facts, "start", 0, wasmpool_module_start(module, &start) ? UINT32_MAX : start);
}

static void add_spaces(struct Facts *facts, const struct wasmpool_module *module) {
    struct wasmpool_external_type item;
    struct wasmpool_function_type type;

    for (uint32_t i = 0; !wasmpool_module_function_type(module, i, &type); i++)
        add_signature(facts, i, &type);
    for (uint32_t i = 0; !wasmpool_module_type(module, WASMPOOL_EXTERNAL_FUNCTION, i, &item); i++)
        add_signature(facts, i, &item.of.function);
    for (uint32_t i = 0; !wasmpool_module_type(module, WASMPOOL_EXTERNAL_TABLE, i, &item); i++) {
        const struct wasmpool_table_type *table = &item.of.table;

        facts_add(facts, "element type", i, encoding(table->element));
        add_limits(facts, i,
                   &(struct wasmpool_memory_type){
                       .minimum = table->minimum, .maximum = table->maximum, .has_maximum = table->has_maximum});
    }
    for (uint32_t i = 0; !wasmpool_module_type(module, WASMPOOL_EXTERNAL_MEMORY, i, &item); i++)
        add_limits(facts, i, &item.of.memory);
    for (uint32_t i = 0; !wasmpool_module_type(module, WASMPOOL_EXTERNAL_GLOBAL, i, &item); i++) {
        facts_add(facts, "global type", i, item.of.global.content);
        facts_add(facts, "mutable", i, item.of.global.is_mutable);
        if (i >= module->counts.imported_globals)
            add_expression(facts, module, i, &module->globals[i].init);
    }
    for (uint32_t i = 0; !wasmpool_module_type(module, WASMPOOL_EXTERNAL_TAG, i, &item); i++)
        add_signature(facts, i, &item.of.function);
}

static void add_names(struct Facts *facts, const struct wasmpool_module *module) {
    struct wasmpool_import import;
    struct wasmpool_export export;

    for (uint32_t i = 0; !wasmpool_module_import_at(module, i, &import); i++) {
        facts_add_bytes(facts, "import's module", i, import.module.text, import.module.bytes);
        facts_add_bytes(facts, "import's name", i, import.name.text, import.name.bytes);
        facts_add(facts, "import's kind", i, import.kind);
    }
    for (uint32_t i = 0; !wasmpool_module_export_at(module, i, &export); i++) {
        facts_add_bytes(facts, "export's name", i, export.name.text, export.name.bytes);
        facts_add(facts, "export's kind", i, export.kind);
        facts_add(facts, "export's index", i, export.index);
    }
}

static void add_segments(struct Facts *facts, const struct wasmpool_module *module) {
    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        const struct ModuleElement *element = &module->elements[i];

        facts_add(facts, "element's mode", i, element->mode);
        facts_add(facts, "element's type", i, encoding(element->type));
        if (element->mode == SEGMENT_ACTIVE) {
            facts_add(facts, "element's table", i, element->table);
            add_expression(facts, module, i, &element->offset);
        }
        facts_add(facts, "items", i, element->n_items);
        for (uint32_t j = 0; j < element->n_items; j++)
            add_item(facts, j, module->items[element->first_item + j]);
    }
    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        const struct ModuleData *data = &module->data[i];

        facts_add(facts, "data's mode", i, data->mode);
        if (data->mode == SEGMENT_ACTIVE) {
            facts_add(facts, "data's memory", i, data->memory);
            add_expression(facts, module, i, &data->offset);
        }
        facts_add_bytes(facts, "data's bytes", i, module_data(module, data), data->bytes);
    }
}

void facts_read_ours(struct Facts *facts, const void *bytes, size_t n) {
    struct wasmpool_module *module;
    struct wasmpool_error error;

    facts_reset(facts);
    facts->is_valid = !wasmpool_module_read(&module, bytes, n, &error);
    if (!facts->is_valid) {
        snprintf(facts->reason, sizeof(facts->reason), "%s", error.message);
        return;
    }
    add_counts(facts, module);
    add_spaces(facts, module);
    add_names(facts, module);
    add_segments(facts, module);
    wasmpool_module_free(module);
}
