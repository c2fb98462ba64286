/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reader.h"
#include "client/types.h"

/* The sections but custom ones and segments. Source: WebAssembly 2.0, 5.5 Modules, and 3.4 Modules for what must be
 * valid. */

uint32_t section_count(struct Reader *reader, uint32_t n, const char *limit, uint32_t maximum) {
    uint32_t count = binary_u32(&reader->binary);

    if (!reader->binary.result && count > maximum - n)
        binary_fail_limit(&reader->binary, limit, maximum, (uint64_t)n + count);
    return reader->binary.result ? 0 : count;
}

uint32_t section_index(struct Reader *reader, uint32_t n, const char *what) {
    uint32_t index = binary_u32(&reader->binary);

    if (!reader->binary.result && index >= n)
        binary_fail(&reader->binary, ERROR_INVALID, "unknown %s %u", what, index);
    return reader->binary.result ? 0 : index;
}

/* ------------------------------------------------------------------------------------------------ index spaces */

/* One more item; `countp` is its counter, of the imported or of the defined ones. */
static void section_add(struct Reader *reader, struct Buffer *buffer, const void *item, size_t bytes,
                        uint32_t *countp) {
    reader_add(reader, buffer, item, bytes);
    if (!reader->binary.result)
        ++*countp;
}

static void section_add_function(struct Reader *reader, uint32_t *countp) {
    static const uint32_t none = MODULE_NONE;
    uint32_t type = section_index(reader, reader->counts->types, "type");

    reader_add(reader, &reader->escaped, &none, sizeof(none));
    section_add(reader, &reader->functions, &type, sizeof(type), countp);
}

static void section_add_table(struct Reader *reader, uint32_t *countp) {
    struct wasmpool_table_type type = types_table(&reader->binary);

    section_add(reader, &reader->table_types, &type, sizeof(type), countp);
}

static void section_add_memory(struct Reader *reader, uint32_t *countp) {
    struct wasmpool_memory_type type = types_memory(&reader->binary);

    section_add(reader, &reader->memory_types, &type, sizeof(type), countp);
}

/* Exception handling, 5.3.14 Tag Types: an attribute, 0, and a function type without results. */
static void section_add_tag(struct Reader *reader, uint32_t *countp) {
    uint8_t attribute = binary_byte(&reader->binary);
    uint32_t type;

    if (attribute)
        binary_fail(&reader->binary, ERROR_MALFORMED, "malformed tag attribute %#x", attribute);
    type = section_index(reader, reader->counts->types, "type");
    if (reader->binary.result)
        return;
    if (((const struct wasmpool_function_type *)(const void *)reader->types.at)[type].n_results)
        binary_fail(&reader->binary, ERROR_INVALID, "non-empty tag result type: type %u has results", type);
    section_add(reader, &reader->tags, &type, sizeof(type), countp);
}

/* ------------------------------------------------------------------------------------------------ imports, exports */

/* One more import of a kind; there may be `maximum` in its index space. */
static uint32_t section_import_index(struct Reader *reader, uint32_t n, const char *limit, uint32_t maximum) {
    if (!reader->binary.result && n == maximum)
        binary_fail_limit(&reader->binary, limit, maximum, (uint64_t)maximum + 1);
    return n;
}

static uint32_t section_read_imported(struct Reader *reader, uint8_t kind) {
    struct wasmpool_module_counts *counts = reader->counts;
    uint32_t index = 0;

    switch (kind) {
    case WASMPOOL_EXTERNAL_FUNCTION:
        index = section_import_index(reader, counts->imported_functions, "module_functions", MODULE_FUNCTIONS_MAX);
        section_add_function(reader, &counts->imported_functions);
        break;
    case WASMPOOL_EXTERNAL_TABLE:
        index = section_import_index(reader, counts->imported_tables, "module_tables", MODULE_TABLES_MAX);
        section_add_table(reader, &counts->imported_tables);
        break;
    case WASMPOOL_EXTERNAL_MEMORY:
        index = section_import_index(reader, counts->imported_memories, "module_memories", MODULE_MEMORIES_MAX);
        section_add_memory(reader, &counts->imported_memories);
        break;
    case WASMPOOL_EXTERNAL_GLOBAL: {
        struct ModuleGlobal global = {.type = types_global(&reader->binary)};

        index = section_import_index(reader, counts->imported_globals, "module_globals", MODULE_GLOBALS_MAX);
        section_add(reader, &reader->globals, &global, sizeof(global), &counts->imported_globals);
        break;
    }
    case WASMPOOL_EXTERNAL_TAG:
        index = section_import_index(reader, counts->imported_tags, "module_tags", MODULE_TAGS_MAX);
        section_add_tag(reader, &counts->imported_tags);
        break;
    default:
        binary_fail(&reader->binary, ERROR_MALFORMED, "malformed import kind %u", kind);
    }
    return index;
}

static void section_read_import(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    struct wasmpool_import import = {.module.bytes = binary_name(binary, &reader->names), .name.bytes = 0};
    uint8_t kind;

    import.name.bytes = binary_name(binary, &reader->names);
    kind = binary_byte(binary);
    if (binary->result)
        return;
    import.kind = (enum wasmpool_external)kind;
    import.index = section_read_imported(reader, kind);
    section_add(reader, &reader->imports, &import, sizeof(import), &reader->counts->imports);
}

static void section_read_export(struct Reader *reader) {
    const uint32_t sizes[] = {[WASMPOOL_EXTERNAL_FUNCTION] = reader_functions(reader),
                              [WASMPOOL_EXTERNAL_TABLE] = reader_tables(reader),
                              [WASMPOOL_EXTERNAL_MEMORY] = reader_memories(reader),
                              [WASMPOOL_EXTERNAL_GLOBAL] = reader_globals(reader),
                              [WASMPOOL_EXTERNAL_TAG] = reader_tags(reader)};
    static const char *const kinds[] = {"function", "table", "memory", "global", "tag"};
    struct Binary *binary = &reader->binary;
    uint64_t mark = input_offset(&binary->input);
    struct wasmpool_export export = {.name.bytes = binary_name(binary, &reader->names)};
    uint8_t kind = binary_byte(binary);

    if (binary->result)
        return;
    if (kind > WASMPOOL_EXTERNAL_TAG) {
        binary_fail(binary, ERROR_MALFORMED, "malformed export kind %u", kind);
        return;
    }
    export.kind = (enum wasmpool_external)kind;
    export.index = section_index(reader, sizes[kind], kinds[kind]);
    reader_add(reader, &reader->export_marks, &mark, sizeof(mark));
    section_add(reader, &reader->exports, &export, sizeof(export), &reader->counts->exports);
    if (kind == WASMPOOL_EXTERNAL_FUNCTION && !binary->result)
        ((uint32_t *)(void *)reader->escaped.at)[export.index] = 0;
}

/* ------------------------------------------------------------------------------------------------ single items */

static void section_read_type(struct Reader *reader) {
    struct wasmpool_function_type type = types_function(&reader->binary, &reader->type_bytes);

    section_add(reader, &reader->types, &type, sizeof(type), &reader->counts->types);
}

static void section_read_table(struct Reader *reader) {
    section_add_table(reader, &reader->counts->defined_tables);
}

static void section_read_global(struct Reader *reader) {
    struct ModuleGlobal global = {.type = types_global(&reader->binary)};

    if (reader->binary.result)
        return;
    global.init = expression_read(reader, (uint8_t)global.type.content);
    section_add(reader, &reader->globals, &global, sizeof(global), &reader->counts->defined_globals);
}

static void section_read_start(struct Reader *reader) {
    uint32_t index = section_index(reader, reader_functions(reader), "function");
    const struct wasmpool_function_type *type;

    if (reader->binary.result)
        return;
    type = (const struct wasmpool_function_type *)(const void *)reader->types.at +
           ((const uint32_t *)(const void *)reader->functions.at)[index];
    if (type->n_parameters || type->n_results)
        binary_fail(&reader->binary, ERROR_INVALID, "start function: function %u has parameters or results", index);
    reader->module->start = index;
}

static void section_read_data_count(struct Reader *reader) {
    reader->announced_data = section_count(reader, 0, "module_data_segments", MODULE_DATA_MAX);
}

/* Bodies are stepped over. The shortest is no locals and an end. */
static void section_read_code(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    uint32_t n = binary_u32(binary), functions = reader->counts->defined_functions;

    reader->has_code = true;
    if (!binary->result && n != functions)
        binary_fail(binary, ERROR_MALFORMED,
                    "function and code section have inconsistent lengths: %u functions and %u bodies", functions, n);
    for (uint32_t i = 0; i < n && !binary->result; i++) {
        uint32_t bytes = binary_u32(binary);

        if (bytes > MODULE_FUNCTION_BYTES_MAX && bytes <= input_left(&binary->input))
            binary_fail_limit(binary, "module_function_bytes", MODULE_FUNCTION_BYTES_MAX, bytes);
        else if (bytes < 2 && !binary->result)
            binary_fail(binary, ERROR_MALFORMED, "unexpected end: a function body of %u bytes", bytes);
        binary_skip(binary, bytes);
    }
}

/* ------------------------------------------------------------------------------------------------ sections */

static void section_read_vector(struct Reader *reader, uint32_t n, void (*read)(struct Reader *)) {
    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        read(reader);
}

static void section_read_functions(struct Reader *reader, uint32_t n) {
    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        section_add_function(reader, &reader->counts->defined_functions);
}

static void section_read_memories(struct Reader *reader, uint32_t n) {
    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        section_add_memory(reader, &reader->counts->defined_memories);
}

static void section_read_tags(struct Reader *reader, uint32_t n) {
    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        section_add_tag(reader, &reader->counts->defined_tags);
}

void section_read(struct Reader *reader, uint8_t section) {
    switch (section) {
    case SECTION_TYPE:
        section_read_vector(reader, section_count(reader, 0, "module_types", MODULE_TYPES_MAX), section_read_type);
        break;
    case SECTION_IMPORT:
        section_read_vector(reader, section_count(reader, 0, "module_imports", MODULE_IMPORTS_MAX),
                            section_read_import);
        break;
    case SECTION_FUNCTION:
        section_read_functions(
            reader, section_count(reader, reader_functions(reader), "module_functions", MODULE_FUNCTIONS_MAX));
        break;
    case SECTION_TABLE:
        section_read_vector(reader, section_count(reader, reader_tables(reader), "module_tables", MODULE_TABLES_MAX),
                            section_read_table);
        break;
    case SECTION_MEMORY:
        section_read_memories(reader,
                              section_count(reader, reader_memories(reader), "module_memories", MODULE_MEMORIES_MAX));
        break;
    case SECTION_TAG:
        section_read_tags(reader, section_count(reader, reader_tags(reader), "module_tags", MODULE_TAGS_MAX));
        break;
    case SECTION_GLOBAL:
        section_read_vector(reader, section_count(reader, reader_globals(reader), "module_globals", MODULE_GLOBALS_MAX),
                            section_read_global);
        break;
    case SECTION_EXPORT:
        section_read_vector(reader, section_count(reader, 0, "module_exports", MODULE_EXPORTS_MAX),
                            section_read_export);
        break;
    case SECTION_START:
        section_read_start(reader);
        break;
    case SECTION_ELEMENT:
        segment_read_elements(reader);
        break;
    case SECTION_DATA_COUNT:
        section_read_data_count(reader);
        break;
    case SECTION_CODE:
        section_read_code(reader);
        break;
    case SECTION_DATA:
        segment_read_data(reader);
        break;
    }
}
