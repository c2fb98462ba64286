/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/instance.h"

#include "client/link.h"
#include "client/slot.h"
#include "client/validate.h"
#include "client/vmcontext.h"

#include <errno.h>

static struct wasmpool_instance *instance_init(struct wasmpool *pool, const struct wasmpool_request *request,
                                               const struct Taken *permit) {
    const struct wasmpool_module *module = request->module;
    const struct TemplateBlock *block = &module->template->block;
    uint8_t *handle = permit->slot->handle;
    struct wasmpool_instance *instance = permit->slot->handle;

    *instance = (struct wasmpool_instance){
        .pool = pool,
        .module = module,
        .limiter = request->limiter,
        .code = request->code,
        .memories = {.at = (void *)(handle + block->memories), .capacity = module->counts.defined_memories},
        .tables = {.at = (void *)(handle + block->tables), .capacity = module->counts.defined_tables},
        .dropped = handle + block->dropped,
        .permit = slab_slot_number(permit->slab, permit->index),
        .is_linked = request->imports || !module->counts.imports,
        .elements = module->template->table_images && pool->element_sizes[WASMPOOL_FUNCREF] == sizeof(void *)
                        ? ELEMENTS_UNSEEN
                        : ELEMENTS_SEEN,
    };
    memset(instance->dropped, 0, block->bytes - block->dropped);
    vmcontext_copy(instance);
    module_ref(module, instance->permit);
    return instance;
}

static int instance_fill(struct wasmpool_instance *instance, const struct wasmpool_request *request,
                         struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;
    int r = 0;

    if (module->counts.defined_memories)
        r = memories_allocate(instance->pool, request, NULL, &instance->memories, error);
    if (!r && module->counts.defined_tables)
        r = tables_allocate(instance->pool, request,
                            instance->elements == ELEMENTS_UNSEEN ? module->template->table_images : NULL,
                            &instance->tables, error);
    if (r)
        return r;
    link_imports(instance, request);
    vmcontext_init(instance, request->store);
    return 0;
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
        r = link_check(pool, request, error);
    if (!r)
        r = shelf_take(&pool->instances, &(struct Wish){.deadline_ns = request->deadline_ns}, &permit, error);
    if (r)
        return r;
    if (permit.slot->handle_bytes != module->template->block.reserved &&
        handles_change(&pool->handles, permit.slot, module->template->block.reserved)) {
        shelf_release(&permit);
        return failure_errno(error, -ENOMEM, "an instance handle");
    }
    instance = instance_init(pool, request, &permit);
    if (request->label)
        module_label(label, request->label);
    slot_announce(permit.entry, 0, request->label ? label : module->label);
    r = instance_fill(instance, request, error);
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
    if (instance->tables.count)
        tables_release(instance);
    module_unref(instance->module, instance->permit);
    shelf_release(&permit);
}

/* ------------------------------------------------------------------------------------------------ inspection */

PUBLIC int wasmpool_instance_export(struct wasmpool_instance *instance, const char *name,
                                    struct wasmpool_extern *externp) {
    enum wasmpool_external kind;
    uint32_t index;
    int r = wasmpool_module_export(instance->module, name, &kind, &index);

    if (!r)
        *externp = (struct wasmpool_extern){.kind = kind, .instance = instance, .index = index};
    return r;
}

PUBLIC const struct wasmpool_func_ref *wasmpool_instance_start(struct wasmpool_instance *instance) {
    instance_see(instance);
    return instance->module->start == MODULE_NONE ? NULL
                                                  : instance_at(instance, instance_offsets(instance)->startup_func_ref);
}

PUBLIC const struct wasmpool_module *wasmpool_instance_module(const struct wasmpool_instance *instance) {
    return instance->module;
}

PUBLIC struct wasmpool *wasmpool_instance_pool(const struct wasmpool_instance *instance) {
    return instance->pool;
}
