/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/instance.h"

#include <string.h>

/* Bulk operations on memories and tables, and what segments they still have. */

/* Does [from, from + n) end within `size`? */
static bool is_inside(uint64_t from, uint64_t n, uint64_t size) {
    return n <= size && from <= size - n;
}

PUBLIC int wasmpool_memory_init(struct wasmpool_instance *instance, uint32_t memory_index, uint32_t data_index,
                                uint64_t to, uint64_t from, uint64_t bytes) {
    struct wasmpool_memory *memory = wasmpool_instance_memory_at(instance, memory_index);
    const uint8_t *const *bases = instance_at(instance, instance_offsets(instance)->runtime_data_bases);
    const uint32_t *lengths = instance_at(instance, instance_offsets(instance)->runtime_data_lengths);
    uint32_t runtime;

    if (!memory || data_index >= instance->module->counts.data_segments)
        return ERROR_TRAP;
    runtime = instance->module->data[data_index].runtime;
    if (!is_inside(from, bytes, runtime == MODULE_NONE ? 0 : lengths[runtime]) ||
        !is_inside(to, bytes, memory->current_length))
        return ERROR_TRAP;
    if (bytes)
        memcpy(memory->base + to, bases[runtime] + from, bytes);
    return 0;
}

PUBLIC void wasmpool_data_drop(struct wasmpool_instance *instance, uint32_t data_index) {
    uint32_t *lengths = instance_at(instance, instance_offsets(instance)->runtime_data_lengths);

    if (data_index < instance->module->counts.data_segments &&
        instance->module->data[data_index].runtime != MODULE_NONE)
        lengths[instance->module->data[data_index].runtime] = 0;
}

PUBLIC int wasmpool_memory_copy(struct wasmpool_instance *instance, uint32_t to_memory, uint32_t from_memory,
                                uint64_t to, uint64_t from, uint64_t bytes) {
    struct wasmpool_memory *target = wasmpool_instance_memory_at(instance, to_memory);
    struct wasmpool_memory *source = wasmpool_instance_memory_at(instance, from_memory);

    if (!target || !source || !is_inside(to, bytes, target->current_length) ||
        !is_inside(from, bytes, source->current_length))
        return ERROR_TRAP;
    memmove(target->base + to, source->base + from, bytes);
    return 0;
}

PUBLIC int wasmpool_memory_fill(struct wasmpool_instance *instance, uint32_t memory_index, uint64_t to, uint8_t value,
                                uint64_t bytes) {
    struct wasmpool_memory *memory = wasmpool_instance_memory_at(instance, memory_index);

    if (!memory || !is_inside(to, bytes, memory->current_length))
        return ERROR_TRAP;
    memset(memory->base + to, value, bytes);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ tables */

static uint8_t *table_element(const struct wasmpool_table *table, uint64_t index) {
    return (uint8_t *)table->base + index * table->element_size;
}

/* Without what the items name there is nothing to write: the instance may not be linked. */
static bool elements_are_linked(struct wasmpool_instance *instance, const uint32_t *items, uint64_t count) {
    for (uint64_t i = 0; i < count && !instance->is_linked; i++)
        if (items[i] != ITEM_NULL && items[i] & ITEM_GLOBAL &&
            !wasmpool_instance_global_at(instance, items[i] & ~ITEM_GLOBAL))
            return false;
    return true;
}

/* Write references of a segment's items; all of its functions have escaped. */
static void elements_write(struct wasmpool_instance *instance, void **to, const uint32_t *items, uint64_t count) {
    struct wasmpool_func_ref *refs = instance_at(instance, instance_offsets(instance)->func_refs);
    const uint32_t *escaped = instance->module->escaped;

    for (uint64_t i = 0; i < count; i++) {
        uint32_t item = items[i];

        if (__builtin_expect(item < ITEM_GLOBAL, 1))
            to[i] = &refs[escaped[item]];
        else
            to[i] = item == ITEM_NULL ? NULL : wasmpool_instance_global_at(instance, item & ~ITEM_GLOBAL)->reference;
    }
}

PUBLIC int wasmpool_table_init(struct wasmpool_instance *instance, uint32_t table_index, uint32_t element_index,
                               uint64_t to, uint64_t from, uint64_t count) {
    const struct wasmpool_module *module = instance->module;
    struct wasmpool_table *table = wasmpool_instance_table_at(instance, table_index);
    const uint32_t *items;

    if (!table || element_index >= module->counts.element_segments || table->element_size != sizeof(void *))
        return ERROR_TRAP;
    if (!is_inside(from, count, instance_element_count(instance, element_index)) ||
        !is_inside(to, count, table->current_elements))
        return ERROR_TRAP;
    items = module->items + module->elements[element_index].first_item + from;
    if (!elements_are_linked(instance, items, count))
        return ERROR_TRAP;
    elements_write(instance, (void **)table->base + to, items, count);
    return 0;
}

PUBLIC void wasmpool_elem_drop(struct wasmpool_instance *instance, uint32_t element_index) {
    if (element_index < instance->module->counts.element_segments)
        instance->dropped[element_index / 8] |= (uint8_t)(1 << element_index % 8);
}

PUBLIC int wasmpool_table_copy(struct wasmpool_instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to,
                               uint64_t from, uint64_t count) {
    struct wasmpool_table *target = wasmpool_instance_table_at(instance, to_table);
    struct wasmpool_table *source = wasmpool_instance_table_at(instance, from_table);

    if (!target || !source || target->element_size != source->element_size ||
        !is_inside(to, count, target->current_elements) || !is_inside(from, count, source->current_elements))
        return ERROR_TRAP;
    memmove(table_element(target, to), table_element(source, from), count * target->element_size);
    return 0;
}

PUBLIC int wasmpool_table_fill(struct wasmpool_instance *instance, uint32_t table_index, uint64_t to, const void *value,
                               uint64_t count) {
    struct wasmpool_table *table = wasmpool_instance_table_at(instance, table_index);

    if (!table || !is_inside(to, count, table->current_elements))
        return ERROR_TRAP;
    if (!value)
        memset(table_element(table, to), 0, count * table->element_size);
    for (uint64_t i = 0; value && i < count; i++)
        memcpy(table_element(table, to + i), value, table->element_size);
    return 0;
}
