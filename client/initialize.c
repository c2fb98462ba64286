/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/instance.h"

#include <inttypes.h>
#include <stdio.h>

/* Instantiation behind allocation, but for the start function. Source: WebAssembly 2.0, 4.5.4 Instantiation, steps 8 to
 * 16; with everything checked first, as before the bulk-memory proposal, if that is asked for. */

static const union wasmpool_global_definition *scope_global(void *instance, uint32_t global_index) {
    return wasmpool_instance_global_at(instance, global_index);
}

static struct wasmpool_func_ref *scope_function(void *instance, uint32_t function_index) {
    return instance_function(instance, function_index);
}

static void initialize_evaluate(const struct wasmpool_instance *instance, const struct Constant *constant,
                                union wasmpool_global_definition *valuep) {
    const struct ConstantScope scope = {
        .expressions = instance->module->expressions,
        .global = scope_global,
        .function = scope_function,
        .instance = (void *)(uintptr_t)instance,
    };

    constant_evaluate(constant, &scope, valuep);
}

/* Segment offsets are i32, taken as unsigned. */
static uint32_t initialize_offset(const struct wasmpool_instance *instance, const struct Constant *constant) {
    union wasmpool_global_definition value;

    if (constant->kind == CONSTANT_VALUE)
        return (uint32_t)constant->value;
    initialize_evaluate(instance, constant, &value);
    return value.i32;
}

/* Constant ones came with the template. */
static void initialize_globals(struct wasmpool_instance *instance) {
    const struct wasmpool_module *module = instance->module;
    const struct Template *template = module->template;
    union wasmpool_global_definition *globals = instance_at(instance, template->offsets.globals);

    for (uint32_t i = 0; i < template->n_computed; i++) {
        uint32_t global = template->computed[i];

        initialize_evaluate(instance, &module->globals[module->counts.imported_globals + global].init,
                            &globals[global]);
    }
}

static int initialize_trap(const char *segment, uint32_t number, uint64_t offset, uint64_t size, uint64_t bound,
                           struct wasmpool_error *error) {
    error_limit(failure(error), ERROR_TRAP, segment, bound, offset, size, "");
    if (error)
        snprintf(error->message, sizeof(error->message),
                 "%s segment %u is out of bounds: %" PRIu64 " at %" PRIu64 ", where there are %" PRIu64, segment,
                 number, size, offset, bound);
    return ERROR_TRAP;
}

static int initialize_check_element(struct wasmpool_instance *instance, uint32_t number, struct wasmpool_error *error) {
    const struct ModuleElement *element = &instance->module->elements[number];
    const struct wasmpool_table *table = wasmpool_instance_table_at(instance, element->table);
    uint64_t offset = initialize_offset(instance, &element->offset);

    if (offset + element->n_items > table->current_elements)
        return initialize_trap("element", number, offset, element->n_items, table->current_elements, error);
    return 0;
}

static int initialize_check_data(struct wasmpool_instance *instance, uint32_t number, struct wasmpool_error *error) {
    const struct ModuleData *data = &instance->module->data[number];
    const struct wasmpool_memory *memory = wasmpool_instance_memory_at(instance, data->memory);
    uint64_t offset = initialize_offset(instance, &data->offset);

    if (offset + data->bytes > memory->current_length)
        return initialize_trap("data", number, offset, data->bytes, memory->current_length, error);
    return 0;
}

static int initialize_check(struct wasmpool_instance *instance, struct wasmpool_error *error) {
    const struct wasmpool_module *module = instance->module;
    int r = 0;

    /* Those of an image were when it was made, and no table shrinks. */
    for (uint32_t i = 0; i < module->counts.element_segments && !module->template->table_images && !r; i++)
        if (module->elements[i].mode == SEGMENT_ACTIVE)
            r = initialize_check_element(instance, i, error);
    for (uint32_t i = 0; i < module->counts.data_segments && !r; i++)
        if (module->data[i].mode == SEGMENT_ACTIVE)
            r = initialize_check_data(instance, i, error);
    return r;
}

static int initialize_tables(struct wasmpool_instance *instance, struct wasmpool_error *error) {
    const struct wasmpool_module *module = instance->module;

    if (instance->elements == ELEMENTS_UNSEEN) {
        table_images_fill(instance);
        return 0;
    }
    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        const struct ModuleElement *element = &module->elements[i];

        if (element->mode == SEGMENT_PASSIVE)
            continue;
        if (element->mode == SEGMENT_ACTIVE) {
            int r = initialize_check_element(instance, i, error);

            if (r)
                return r;
            wasmpool_table_init(instance, element->table, i, initialize_offset(instance, &element->offset), 0,
                                element->n_items);
        }
        wasmpool_elem_drop(instance, i);
    }
    return 0;
}

static int initialize_memories(struct wasmpool_instance *instance, struct wasmpool_error *error) {
    const struct wasmpool_module *module = instance->module;

    /* Images were there when the memories were allocated. */
    for (uint32_t i = 0; i < module->counts.data_segments && !module->template->has_images; i++) {
        const struct ModuleData *data = &module->data[i];
        int r;

        if (data->mode != SEGMENT_ACTIVE)
            continue;
        r = initialize_check_data(instance, i, error);
        if (r)
            return r;
        wasmpool_memory_init(instance, data->memory, i, initialize_offset(instance, &data->offset), 0, data->bytes);
        wasmpool_data_drop(instance, i);
    }
    return 0;
}

/* Table elements are pointers. */
static int initialize_check_element_sizes(const struct wasmpool_instance *instance, struct wasmpool_error *error) {
    const struct wasmpool_module *module = instance->module;
    const uint32_t *sizes = instance->pool->element_sizes;

    if (sizes[WASMPOOL_FUNCREF] == sizeof(void *) && sizes[WASMPOOL_EXTERNREF] == sizeof(void *))
        return 0;
    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        uint32_t size = sizes[module->elements[i].type];

        if (module->elements[i].mode == SEGMENT_ACTIVE && size != sizeof(void *))
            return error_set(failure(error), ERROR_INVALID,
                             "table elements of this allocator have %u bytes: element segments can be written as "
                             "pointers of %zu bytes only (funcref_size, externref_size)",
                             size, sizeof(void *));
    }
    return 0;
}

PUBLIC int wasmpool_initialize(struct wasmpool_instance *instance, enum wasmpool_order order,
                               struct wasmpool_error *error) {
    int r = pool_check(instance->pool, error);

    if (r)
        return r;
    if (instance->is_initialised)
        return error_set(failure(error), ERROR_INVALID, "the instance was initialised before");
    if (!instance->is_linked)
        return error_set(failure(error), ERROR_LINK, "the module has %u imports, and the request had none",
                         instance->module->counts.imports);
    if (instance->module->is_described) {
        instance->is_initialised = true;
        return 0;
    }
    r = initialize_check_element_sizes(instance, error);
    if (r)
        return r;
    instance->is_initialised = true;
    if (order == WASMPOOL_BOUNDS_FIRST)
        r = initialize_check(instance, error);
    if (r)
        return r;
    initialize_globals(instance);
    r = initialize_tables(instance, error);
    return r ? r : initialize_memories(instance, error);
}
