/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/slot.h"
#include "client/validate.h"

#include <errno.h>
#include <stdlib.h>

/* The handle's block belongs to the permit's slot and is used again by the next instance that takes it. */
struct wasmpool_instance {
    struct wasmpool *pool;
    const struct wasmpool_module *module;
    wasmpool_allocation_index permit;
    struct wasmpool_memories memories; /* at the end of this block */
    struct wasmpool_tables tables;     /* behind them */
};

static int instance_reserve(struct Slot *slot, const struct wasmpool_module *module, struct wasmpool_error *error) {
    size_t bytes = sizeof(struct wasmpool_instance) + module->counts.defined_memories * sizeof(struct wasmpool_memory) +
                   module->counts.defined_tables * sizeof(struct wasmpool_table);
    void *handle;

    if (slot->handle_bytes >= bytes)
        return 0;
    handle = realloc(slot->handle, bytes);
    if (!handle)
        return failure_errno(error, -ENOMEM, "an instance handle");
    slot->handle = handle;
    slot->handle_bytes = bytes;
    return 0;
}

static struct wasmpool_instance *instance_init(struct wasmpool *pool, const struct wasmpool_module *module,
                                               const struct Taken *permit) {
    struct wasmpool_instance *instance = permit->slot->handle;
    struct wasmpool_memory *memories = (struct wasmpool_memory *)(instance + 1);

    *instance = (struct wasmpool_instance){
        .pool = pool,
        .module = module,
        .permit = slab_slot_number(permit->slab, permit->index),
        .memories = {.at = memories, .capacity = module->counts.defined_memories},
        .tables = {.at = (struct wasmpool_table *)(memories + module->counts.defined_memories),
                   .capacity = module->counts.defined_tables},
    };
    return instance;
}

PUBLIC int wasmpool_allocate_module(struct wasmpool *pool, const struct wasmpool_request *request,
                                    struct wasmpool_instance **instancep, struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;
    struct wasmpool_instance *instance;
    struct Taken permit;
    char label[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (!r)
        r = validate_counts(pool, module, error);
    if (!r)
        r = shelf_take(&pool->instances, &permit, error);
    if (r)
        return r;
    r = instance_reserve(permit.slot, module, error);
    if (r) {
        shelf_release(&permit);
        return r;
    }
    instance = instance_init(pool, module, &permit);
    if (request->label)
        module_label(label, request->label);
    slot_announce(permit.entry, 0, request->label ? label : module->label);
    if (module->counts.defined_memories)
        r = wasmpool_allocate_memories(pool, request, &instance->memories, error);
    if (!r && module->counts.defined_tables)
        r = wasmpool_allocate_tables(pool, request, &instance->tables, error);
    if (r) {
        wasmpool_deallocate_module(&instance);
        return r;
    }
    *instancep = instance;
    return 0;
}

PUBLIC void wasmpool_deallocate_module(struct wasmpool_instance **instancep) {
    struct wasmpool_instance *instance = *instancep;
    struct Taken permit;

    if (!instance)
        return;
    *instancep = NULL;
    if (!*instance->pool->alive || !shelf_find(instance->pool, instance->permit, &permit))
        return;
    wasmpool_deallocate_memories(instance->pool, &instance->memories);
    wasmpool_deallocate_tables(instance->pool, &instance->tables);
    shelf_release(&permit);
}

PUBLIC struct wasmpool_memory *wasmpool_instance_memory(struct wasmpool_instance *instance, uint32_t index) {
    return index < instance->memories.count ? &instance->memories.at[index] : NULL;
}

PUBLIC struct wasmpool_table *wasmpool_instance_table(struct wasmpool_instance *instance, uint32_t index) {
    return index < instance->tables.count ? &instance->tables.at[index] : NULL;
}

PUBLIC const struct wasmpool_module *wasmpool_instance_module(const struct wasmpool_instance *instance) {
    return instance->module;
}
