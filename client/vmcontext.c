/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/vmcontext.h"

static void vmcontext_init_memories(struct wasmpool_instance *instance) {
    const struct wasmpool_vmoffsets *offsets = instance_offsets(instance);
    struct wasmpool_memory_definition **memories = instance_at(instance, offsets->memories);
    struct wasmpool_memory_definition *owned = instance_at(instance, offsets->owned_memories);

    for (uint32_t i = 0; i < instance->memories.count; i++) {
        struct wasmpool_memory *memory = &instance->memories.at[i];

        owned[i] = (struct wasmpool_memory_definition){memory->base, memory->current_length};
        memories[i] = memory->definition = &owned[i];
    }
}

static void vmcontext_init_tables(struct wasmpool_instance *instance) {
    struct wasmpool_table_definition *tables = instance_at(instance, instance_offsets(instance)->tables);

    for (uint32_t i = 0; i < instance->tables.count; i++) {
        struct wasmpool_table *table = &instance->tables.at[i];

        tables[i] = (struct wasmpool_table_definition){table->base, table->current_elements};
        table->definition = &tables[i];
    }
}

/* What the loop needs is copied first: each reference that is written could overwrite it, for all the compiler knows.
 */
static void vmcontext_init_func_refs(struct wasmpool_instance *instance) {
    const struct wasmpool_module *module = instance->module;
    const struct wasmpool_func_ref *imported = instance_at(instance, instance_offsets(instance)->imported_functions);
    struct wasmpool_func_ref *refs = instance_at(instance, instance_offsets(instance)->func_refs);
    struct wasmpool_vmcontext *vmctx = instance_vmctx(instance);
    const struct wasmpool_code *code = instance->code;
    const uint32_t *escaped = module->template->escaped;
    uint32_t n = module->counts.escaped_functions, n_imported = module->counts.imported_functions, i = 0;

    for (; i < n && escaped[i] < n_imported; i++)
        refs[i] = imported[escaped[i]];
    for (; i < n; i++) {
        refs[i].vmctx = vmctx;
        if (code) {
            refs[i].array_call = code[escaped[i] - n_imported].array_call;
            refs[i].wasm_call = code[escaped[i] - n_imported].wasm_call;
        }
    }
}

void vmcontext_init(struct wasmpool_instance *instance, const struct wasmpool_store *store) {
    const struct wasmpool_module *module = instance->module;
    const struct wasmpool_vmoffsets *offsets = instance_offsets(instance);
    struct wasmpool_vmcontext *vmctx = instance_vmctx(instance);

    vmcontext_init_memories(instance);
    vmcontext_init_tables(instance);
    vmcontext_init_func_refs(instance);
    if (store) {
        vmctx->store_context = store->context;
        vmctx->builtin_functions = store->builtin_functions;
        vmctx->epoch_pointer = store->epoch_pointer;
        vmctx->gc_heap_data = store->gc_heap_data;
    }
    if (module->start != MODULE_NONE)
        instance_reference(instance, module->start, instance_at(instance, offsets->startup_func_ref));
}
