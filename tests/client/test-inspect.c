/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"

#include <errno.h>

/* What a module tells of itself. The modules are that with everything, and one by hand. */

static struct wasmpool_module *everything(void) {
    struct Bytes bytes;

    put_everything(&bytes);
    return read_well(&bytes);
}

static struct wasmpool_external_type type_of(const struct wasmpool_module *module, enum wasmpool_external kind,
                                             uint32_t index) {
    struct wasmpool_external_type type;

    cr_assert_eq(wasmpool_module_type(module, kind, index, &type), 0, "kind %d has no index %u", (int)kind, index);
    expect_eq(type.kind, kind);
    return type;
}

static void expect_no_type(const struct wasmpool_module *module, enum wasmpool_external kind, uint32_t index) {
    struct wasmpool_external_type type;

    cr_assert_eq(wasmpool_module_type(module, kind, index, &type), -ENOENT, "kind %d has index %u", (int)kind, index);
}

Test(inspect, function_types_are_given_by_index) {
    static const uint8_t parameters[] = {0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f}, results[] = {0x7f};
    struct wasmpool_module *module = everything();
    struct wasmpool_function_type type, other;
    uint32_t id;

    expect_eq(wasmpool_module_function_type(module, 0, &type), 0);
    expect_eq(type.n_parameters, 7);
    expect_eq(type.n_results, 1);
    cr_expect_arr_eq(type.parameters, parameters, 7);
    cr_expect_arr_eq(type.results, results, 1);
    expect_eq(wasmpool_function_type_ref(&(struct wasmpool_function_type){parameters, results, 7, 1, 0}, &id, NULL), 0);
    expect_eq(type.id, id);
    expect_eq(module->type_ids[0], id);
    wasmpool_function_type_unref(id);
    expect_eq(wasmpool_module_function_type(module, 1, &other), 0);
    cr_assert_neq(other.id, type.id);
    expect_eq(other.n_parameters + other.n_results, 0);
    expect_eq(wasmpool_module_function_type(module, 2, &type), -ENOENT);
    wasmpool_module_free(module);
}

Test(inspect, equal_types_of_two_modules_have_one_id) {
    struct wasmpool_module *a = everything(), *b = everything();

    expect_eq(a->type_ids[0], b->type_ids[0]);
    expect_eq(a->type_ids[1], b->type_ids[1]);
    wasmpool_module_free(a);
    expect_eq(type_of(b, WASMPOOL_EXTERNAL_FUNCTION, 0).of.function.id, b->type_ids[0]);
    wasmpool_module_free(b);
}

Test(inspect, items_are_indexed_with_imports_first) {
    struct wasmpool_module *module = everything();

    expect_eq(type_of(module, WASMPOOL_EXTERNAL_FUNCTION, 0).of.function.n_parameters, 7);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_FUNCTION, 2).of.function.n_parameters, 0);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_TABLE, 0).of.table.minimum, 2);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_TABLE, 1).of.table.minimum, 5);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_MEMORY, 0).of.memory.has_maximum, false);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_MEMORY, 1).of.memory.maximum, 65536);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_GLOBAL, 0).of.global.content, WASMPOOL_TYPE_I32);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_GLOBAL, 1).of.global.is_mutable, true);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_GLOBAL, 6).of.global.content, WASMPOOL_TYPE_V128);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_TAG, 1).of.function.n_parameters, 0);
    expect_no_type(module, WASMPOOL_EXTERNAL_FUNCTION, 3);
    expect_no_type(module, WASMPOOL_EXTERNAL_TABLE, 3);
    expect_no_type(module, WASMPOOL_EXTERNAL_MEMORY, 2);
    expect_no_type(module, WASMPOOL_EXTERNAL_GLOBAL, 10);
    expect_no_type(module, WASMPOOL_EXTERNAL_TAG, 2);
    expect_no_type(module, (enum wasmpool_external)5, 0);
    wasmpool_module_free(module);
}

Test(inspect, imports_are_in_the_order_of_their_section) {
    static const char *const names[5] = {"f", "t", "m", "g", "e"};
    struct wasmpool_module *module = everything();
    struct wasmpool_import import;

    for (uint32_t i = 0; i < 5; i++) {
        expect_eq(wasmpool_module_import_at(module, i, &import), 0);
        expect_str(import.module.text, "env");
        expect_eq(import.module.bytes, 3);
        expect_str(import.name.text, names[i]);
        expect_eq(import.kind, i);
        expect_eq(import.index, 0);
    }
    expect_eq(wasmpool_module_import_at(module, 5, &import), -ENOENT);
    wasmpool_module_free(module);
}

Test(inspect, imports_of_one_kind_are_counted) {
    struct wasmpool_module *module;
    struct wasmpool_import import;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 2, "\3\1a\0\2\0\1\1b\0\3\x7f\0\1c\0\2\0\1");
    module = read_well(&bytes);
    expect_eq(wasmpool_module_import_at(module, 2, &import), 0);
    expect_str(import.module.text, "c");
    expect_str(import.name.text, "");
    expect_eq(import.index, 1);
    wasmpool_module_free(module);
}

Test(inspect, exports_are_in_the_order_of_their_section) {
    static const char *const names[6] = {"e", "run", "memory", "table", "g", ""};
    struct wasmpool_module *module = everything();
    struct wasmpool_export export;

    for (uint32_t i = 0; i < 6; i++) {
        expect_eq(wasmpool_module_export_at(module, i, &export), 0);
        expect_str(export.name.text, names[i]);
        expect_eq(export.name.bytes, strlen(names[i]));
    }
    expect_eq(export.kind, WASMPOOL_EXTERNAL_FUNCTION);
    expect_eq(wasmpool_module_export_at(module, 6, &export), -ENOENT);
    wasmpool_module_free(module);
}

Test(inspect, the_start_function_is_reported) {
    struct wasmpool_module *module = everything();
    uint32_t index = 77;

    expect_eq(wasmpool_module_start(module, &index), 0);
    expect_eq(index, 1);
    wasmpool_module_free(module);
    module = fixture_describe(&(struct wasmpool_module_description){0});
    expect_eq(wasmpool_module_start(module, &index), -ENOENT);
    wasmpool_module_free(module);
}

Test(inspect, of_a_described_module_only_its_own_memories_and_tables_are_known) {
    const struct wasmpool_memory_type memory = {.minimum = 3};
    const struct wasmpool_table_type table = {.minimum = 4};
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){.name = "by hand",
                                                                                            .imported_functions = 1,
                                                                                            .imported_tables = 2,
                                                                                            .imported_memories = 3,
                                                                                            .imported_globals = 1,
                                                                                            .defined_functions = 1,
                                                                                            .defined_globals = 1,
                                                                                            .memories = &memory,
                                                                                            .n_memories = 1,
                                                                                            .tables = &table,
                                                                                            .n_tables = 1});
    struct wasmpool_function_type type;
    struct wasmpool_import import;

    expect_str(wasmpool_module_name(module), "by hand");
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_MEMORY, 3).of.memory.minimum, 3);
    expect_eq(type_of(module, WASMPOOL_EXTERNAL_TABLE, 2).of.table.minimum, 4);
    expect_no_type(module, WASMPOOL_EXTERNAL_MEMORY, 2);
    expect_no_type(module, WASMPOOL_EXTERNAL_MEMORY, 4);
    expect_no_type(module, WASMPOOL_EXTERNAL_TABLE, 1);
    expect_no_type(module, WASMPOOL_EXTERNAL_TABLE, 3);
    for (uint32_t index = 0; index < 2; index++) {
        expect_no_type(module, WASMPOOL_EXTERNAL_FUNCTION, index);
        expect_no_type(module, WASMPOOL_EXTERNAL_GLOBAL, index);
        expect_no_type(module, WASMPOOL_EXTERNAL_TAG, index);
    }
    expect_eq(wasmpool_module_function_type(module, 0, &type), -ENOENT);
    expect_eq(wasmpool_module_import_at(module, 0, &import), -ENOENT);
    wasmpool_module_free(module);
}
