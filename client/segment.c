/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reader.h"
#include "client/types.h"

/* Element and data segments. Source: WebAssembly 2.0, 5.5.12 Element Section and 5.5.14 Data Section. */

enum {
    ELEMENT_NOT_ACTIVE = 1, /* passive or declared */
    ELEMENT_EXPLICIT = 2,   /* active: has a table index; otherwise: declared */
    ELEMENT_EXPRESSIONS = 4,
    ELEMENT_FLAGS_MAX = 7,
};

static enum ModuleSegment element_mode(uint32_t flags) {
    if (!(flags & ELEMENT_NOT_ACTIVE))
        return SEGMENT_ACTIVE;
    return flags & ELEMENT_EXPLICIT ? SEGMENT_DECLARED : SEGMENT_PASSIVE;
}

/* A table that is not named is number 0. */
static void element_read_place(struct Reader *reader, uint32_t flags, struct ModuleElement *element) {
    if (flags & ELEMENT_EXPLICIT)
        element->table = section_index(reader, reader_tables(reader), "table");
    else if (!reader_tables(reader))
        binary_fail(&reader->binary, ERROR_INVALID, "unknown table 0");
    if (!reader->binary.result)
        element->offset = expression_read(reader, WASMPOOL_TYPE_I32);
}

/* Without one of the two lower flags it is not written: then it is of functions. */
static void element_read_type(struct Reader *reader, uint32_t flags, struct ModuleElement *element) {
    uint8_t kind;

    element->type = WASMPOOL_FUNCREF;
    if (!(flags & (ELEMENT_NOT_ACTIVE | ELEMENT_EXPLICIT)))
        return;
    if (flags & ELEMENT_EXPRESSIONS) {
        element->type = (uint8_t)types_reference(&reader->binary);
        return;
    }
    kind = binary_byte(&reader->binary);
    if (kind)
        binary_fail(&reader->binary, ERROR_MALFORMED, "malformed element kind %#x", kind);
}

static void element_check_type(struct Reader *reader, const struct ModuleElement *element) {
    const struct wasmpool_table_type *table;

    if (reader->binary.result || element->mode != SEGMENT_ACTIVE)
        return;
    table = (const struct wasmpool_table_type *)(const void *)reader->table_types.at + element->table;
    if (table->element != element->type)
        binary_fail(&reader->binary, ERROR_INVALID, "type mismatch: elements of type %s for table %u of %s",
                    types_name(types_of_reference((enum wasmpool_reference)element->type)), element->table,
                    types_name(types_of_reference(table->element)));
}

static uint32_t element_read_item(struct Reader *reader, uint32_t flags, const struct ModuleElement *element) {
    struct Constant constant;
    uint32_t index;

    if (!(flags & ELEMENT_EXPRESSIONS)) {
        index = section_index(reader, reader_functions(reader), "function");
        if (!reader->binary.result)
            ((uint32_t *)(void *)reader->escaped.at)[index] = 0;
        return index;
    }
    constant = expression_read(reader, types_of_reference((enum wasmpool_reference)element->type));
    if (constant.kind == CONSTANT_NULL)
        return ITEM_NULL;
    return (uint32_t)constant.value | (constant.kind == CONSTANT_GLOBAL ? ITEM_GLOBAL : 0);
}

static void element_read(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    uint32_t flags = binary_u32(binary), n_items = (uint32_t)(reader->items.n / sizeof(uint32_t));
    struct ModuleElement element = {.mode = element_mode(flags), .first_item = n_items};

    if (flags > ELEMENT_FLAGS_MAX)
        binary_fail(binary, ERROR_MALFORMED, "malformed element segment flags %#x", flags);
    if (element.mode == SEGMENT_ACTIVE)
        element_read_place(reader, flags, &element);
    if (!binary->result)
        element_read_type(reader, flags, &element);
    element_check_type(reader, &element);
    element.n_items = section_count(reader, n_items, "module_element_items", MODULE_ELEMENT_ITEMS_MAX);
    for (uint32_t i = 0; i < element.n_items && !binary->result; i++) {
        uint32_t item = element_read_item(reader, flags, &element);

        reader_add(reader, &reader->items, &item, sizeof(item));
    }
    reader_add(reader, &reader->elements, &element, sizeof(element));
    reader->counts->element_segments++;
}

void segment_read_elements(struct Reader *reader) {
    uint32_t n = section_count(reader, 0, "module_element_segments", MODULE_ELEMENTS_MAX);

    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        element_read(reader);
}

/* ------------------------------------------------------------------------------------------------ data */

enum {
    DATA_ACTIVE = 0, /* in memory 0 */
    DATA_PASSIVE = 1,
    DATA_ACTIVE_EXPLICIT = 2, /* has a memory index */
};

static void data_read(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    uint32_t flags = binary_u32(binary);
    struct ModuleData data = {.mode = flags == DATA_PASSIVE ? SEGMENT_PASSIVE : SEGMENT_ACTIVE, .runtime = MODULE_NONE};

    if (flags > DATA_ACTIVE_EXPLICIT)
        binary_fail(binary, ERROR_MALFORMED, "malformed data segment flags %#x", flags);
    else if (flags == DATA_ACTIVE_EXPLICIT)
        data.memory = section_index(reader, reader_memories(reader), "memory");
    else if (flags == DATA_ACTIVE && !reader_memories(reader))
        binary_fail(binary, ERROR_INVALID, "unknown memory 0");
    if (binary->result)
        return;
    if (data.mode == SEGMENT_ACTIVE)
        data.offset = expression_read(reader, WASMPOOL_TYPE_I32);
    data.at = reader->data_bytes.n;
    data.bytes = binary_u32(binary);
    binary_append(binary, &reader->data_bytes, data.bytes, "module_data_bytes", MODULE_DATA_BYTES_MAX);
    reader_add(reader, &reader->data, &data, sizeof(data));
    reader->counts->data_segments++;
}

void segment_read_data(struct Reader *reader) {
    uint32_t n = section_count(reader, 0, "module_data_segments", MODULE_DATA_MAX);

    if (!reader->binary.result && reader->announced_data != MODULE_NONE && n != reader->announced_data)
        binary_fail(&reader->binary, ERROR_MALFORMED,
                    "data count and data section have inconsistent lengths: %u announced and %u there",
                    reader->announced_data, n);
    for (uint32_t i = 0; i < n && !reader->binary.result; i++)
        data_read(reader);
}
