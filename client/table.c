/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/instance.h"
#include "client/reset.h"
#include "client/slot.h"
#include "client/validate.h"

#include <string.h>

static bool table_may_grow(const struct wasmpool_limiter *limiter, uint64_t current, uint64_t desired,
                           const struct wasmpool_table_type *type) {
    return !limiter || !limiter->table_growing ||
           limiter->table_growing(limiter->data, current, desired, type->has_maximum ? type->maximum : UINT64_MAX);
}

int table_allocate(struct wasmpool *pool, const struct TableRequest *request, struct wasmpool_table *table,
                   struct wasmpool_error *error) {
    const struct wasmpool_table_type *type = request->type;
    struct Shelf *shelf = pool->table_shelves[type->element == WASMPOOL_EXTERNREF];
    uint64_t most = pool->limits.table_elements;
    struct Taken taken;
    uint32_t size;
    int r = validate_table(pool, type, request->index, error);

    if (!r && !table_may_grow(request->limiter, 0, type->minimum, type))
        r = error_limit(failure(error), ERROR_LIMIT, "limiter", 0, 0, type->minimum,
                        "the limiter refuses a table its minimum size");
    if (!r)
        r = shelf_take(shelf,
                       &(struct Wish){.image_id = request->image ? request->image->id : 0,
                                      .deadline_ns = request->deadline_ns},
                       &taken, error);
    if (r)
        return r;
    table_image_switch(&taken, request->image);
    size = taken.slab->shape.element_size;
    taken.slot->accessible = (uint64_t)type->minimum * size;
    slot_announce(taken.entry, taken.slot->accessible, request->label);
    *table = (struct wasmpool_table){
        .base = slab_slot_base(taken.slab, taken.index),
        .current_elements = type->minimum,
        .maximum_elements = type->has_maximum && type->maximum < most ? type->maximum : (uint32_t)most,
        .element_size = size,
        .allocation = slab_slot_number(taken.slab, taken.index),
        .type = *type,
        .limiter = request->limiter,
    };
    return 0;
}

PUBLIC int wasmpool_allocate_table(struct wasmpool *pool, const struct wasmpool_table_type *type, const char *label,
                                   struct wasmpool_table *table, struct wasmpool_error *error) {
    char padded[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (r)
        return r;
    module_label(padded, label);
    return table_allocate(pool, &(struct TableRequest){.type = type, .label = padded}, table, error);
}

/* Take what belongs to it, and leave it empty. False: it was given back before. */
static bool table_empty(struct wasmpool *pool, struct wasmpool_table *table, struct Taken *taken) {
    if (!*pool->alive || !shelf_find(pool, table->allocation, taken))
        return false;
    *table = (struct wasmpool_table){.allocation = WASMPOOL_NO_ALLOCATION};
    return true;
}

static void table_release_null(struct wasmpool *pool, struct Taken *taken) {
    const struct ResetAsk ask = {.used = taken->slot->accessible, .keep = pool->limits.table_keep_resident};

    if (reset_slot(taken, &ask))
        shelf_retire(taken);
    else
        shelf_release(taken);
}

PUBLIC void wasmpool_deallocate_table(struct wasmpool *pool, struct wasmpool_table *table) {
    struct Taken taken;

    if (table_empty(pool, table, &taken))
        table_release_null(pool, &taken);
}

PUBLIC int64_t wasmpool_grow_table(struct wasmpool *pool, struct wasmpool_table *table, uint32_t delta,
                                   const void *init) {
    uint64_t old = table->current_elements, elements = old + delta;
    struct Taken taken;

    if (!*pool->alive || !shelf_find(pool, table->allocation, &taken))
        return -1;
    /* A limiter that grows the table itself has had its way: what was asked of it does not hold any more. */
    if (!table_may_grow(table->limiter, old, elements, &table->type) || table->current_elements != old ||
        elements > table->maximum_elements)
        return -1;
    /* Beyond the old size all is null already. */
    for (uint64_t i = old; i < elements && init; i++)
        memcpy((uint8_t *)table->base + i * table->element_size, init, table->element_size);
    taken.slot->accessible = elements * table->element_size;
    table->current_elements = (uint32_t)elements;
    if (table->definition)
        table->definition->current_elements = elements;
    slot_announce_bytes(taken.entry, taken.slot->accessible);
    return (int64_t)old;
}

int tables_allocate(struct wasmpool *pool, const struct wasmpool_request *request, const struct TableImages *images,
                    struct wasmpool_tables *tables, struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;
    char label[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (r)
        return r;
    if (tables->capacity - tables->count < module->counts.defined_tables)
        return error_set(failure(error), ERROR_INVALID, "the map has room for %u tables of %u",
                         tables->capacity - tables->count, module->counts.defined_tables);
    module_label(label, request->label ? request->label : module->label);
    for (uint32_t i = 0; i < module->counts.defined_tables; i++) {
        const struct TableRequest one = {
            .type = &module->tables[i],
            .index = module->counts.imported_tables + i,
            .label = label,
            .image = images ? images->at[i] : NULL,
            .limiter = request->limiter,
            .deadline_ns = request->deadline_ns,
        };

        r = table_allocate(pool, &one, &tables->at[tables->count], error);
        if (r)
            return r;
        tables->count++;
    }
    return 0;
}

PUBLIC int wasmpool_allocate_tables(struct wasmpool *pool, const struct wasmpool_request *request,
                                    struct wasmpool_tables *tables, struct wasmpool_error *error) {
    return tables_allocate(pool, request, NULL, tables, error);
}

PUBLIC void wasmpool_deallocate_tables(struct wasmpool *pool, struct wasmpool_tables *tables) {
    uint32_t count = tables->count;

    tables->count = 0;
    for (uint32_t i = 0; i < count; i++)
        wasmpool_deallocate_table(pool, &tables->at[i]);
}

/* What nobody has seen nobody has written: it is as it was taken. */
static void table_release(const struct wasmpool_instance *instance, const struct TableImage *image,
                          struct Taken *taken) {
    struct wasmpool *pool = instance->pool;

    if (instance->elements == ELEMENTS_UNSEEN ||
        (instance->elements == ELEMENTS_FILLED && image &&
         table_image_restore(taken, image, instance_vmctx(instance), taken->slot->accessible,
                             pool->limits.table_keep_resident)))
        shelf_release(taken);
    else
        table_release_null(pool, taken);
}

void tables_release(struct wasmpool_instance *instance) {
    const struct TableImages *images = instance->module->template->table_images;
    uint32_t count = instance->tables.count;

    instance->tables.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct Taken taken;

        if (table_empty(instance->pool, &instance->tables.at[i], &taken))
            table_release(instance, images ? images->at[i] : NULL, &taken);
    }
}
