/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/instance.h"

/* Index spaces: what an index means in an instance, whose own items come behind those that it has imported. */

PUBLIC struct wasmpool_vmcontext *wasmpool_instance_vmctx(struct wasmpool_instance *instance) {
    instance_see(instance);
    return instance_vmctx(instance);
}

PUBLIC struct wasmpool_instance *wasmpool_vmctx_instance(struct wasmpool_vmcontext *vmctx) {
    return (struct wasmpool_instance *)((uintptr_t)vmctx - sizeof(struct wasmpool_instance));
}

PUBLIC struct wasmpool_memory *wasmpool_instance_memory(struct wasmpool_instance *instance, uint32_t index) {
    return index < instance->memories.count ? &instance->memories.at[index] : NULL;
}

PUBLIC struct wasmpool_table *wasmpool_instance_table(struct wasmpool_instance *instance, uint32_t index) {
    instance_see(instance);
    return index < instance->tables.count ? &instance->tables.at[index] : NULL;
}

struct wasmpool_instance *instance_memory_owner(struct wasmpool_instance *instance, uint32_t *indexp) {
    uint32_t imported = instance->module->counts.imported_memories;
    const struct wasmpool_memory_import *imports = instance_at(instance, instance_offsets(instance)->imported_memories);

    if (*indexp >= imported) {
        *indexp -= imported;
        return *indexp < instance->memories.count ? instance : NULL;
    }
    imports += *indexp;
    *indexp = imports->index;
    return imports->vmctx ? wasmpool_vmctx_instance(imports->vmctx) : NULL;
}

struct wasmpool_instance *instance_table_owner(struct wasmpool_instance *instance, uint32_t *indexp) {
    uint32_t imported = instance->module->counts.imported_tables;
    const struct wasmpool_table_import *imports = instance_at(instance, instance_offsets(instance)->imported_tables);

    if (*indexp >= imported) {
        *indexp -= imported;
        return *indexp < instance->tables.count ? instance : NULL;
    }
    imports += *indexp;
    *indexp = imports->index;
    return imports->vmctx ? wasmpool_vmctx_instance(imports->vmctx) : NULL;
}

void instance_reference(const struct wasmpool_instance *instance, uint32_t function_index,
                        struct wasmpool_func_ref *reference) {
    const struct wasmpool_module *module = instance->module;
    const struct wasmpool_func_ref *imported = instance_at(instance, instance_offsets(instance)->imported_functions);
    uint32_t defined = function_index - module->counts.imported_functions;

    if (function_index < module->counts.imported_functions)
        *reference = imported[function_index];
    else
        *reference = (struct wasmpool_func_ref){
            .array_call = instance->code ? instance->code[defined].array_call : NULL,
            .wasm_call = instance->code ? instance->code[defined].wasm_call : NULL,
            .type_index = module->type_ids[module->functions[function_index]],
            .vmctx = instance_vmctx(instance),
        };
}

PUBLIC struct wasmpool_memory *wasmpool_instance_memory_at(struct wasmpool_instance *instance, uint32_t memory_index) {
    struct wasmpool_instance *owner = instance_memory_owner(instance, &memory_index);

    return owner ? &owner->memories.at[memory_index] : NULL;
}

PUBLIC struct wasmpool_table *wasmpool_instance_table_at(struct wasmpool_instance *instance, uint32_t table_index) {
    struct wasmpool_instance *owner = instance_table_owner(instance, &table_index);

    if (!owner)
        return NULL;
    instance_see(owner);
    return &owner->tables.at[table_index];
}

PUBLIC union wasmpool_global_definition *wasmpool_instance_global_at(struct wasmpool_instance *instance,
                                                                     uint32_t global_index) {
    const struct wasmpool_module_counts *counts = &instance->module->counts;
    const struct wasmpool_global_import *imports = instance_at(instance, instance_offsets(instance)->imported_globals);
    union wasmpool_global_definition *globals = instance_at(instance, instance_offsets(instance)->globals);

    if (global_index < counts->imported_globals)
        return imports[global_index].from;
    global_index -= counts->imported_globals;
    return global_index < counts->defined_globals ? &globals[global_index] : NULL;
}

struct wasmpool_func_ref *instance_function(struct wasmpool_instance *instance, uint32_t function_index) {
    const struct wasmpool_module *module = instance->module;
    struct wasmpool_func_ref *refs = instance_at(instance, instance_offsets(instance)->func_refs);

    if (module->is_described || function_index >= module->counts.imported_functions + module->counts.defined_functions)
        return NULL;
    return module->escaped[function_index] == MODULE_NONE ? NULL : &refs[module->escaped[function_index]];
}

PUBLIC struct wasmpool_func_ref *wasmpool_instance_function_at(struct wasmpool_instance *instance,
                                                               uint32_t function_index) {
    instance_see(instance);
    return instance_function(instance, function_index);
}
