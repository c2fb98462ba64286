/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/inspect.h"

#include <stdio.h>

#include "tests/wasm/executor/context.h"

static const char builtins[1], epoch[1], gc_heap[1];

struct Inspection {
    struct wasmpool_instance *instance;
    struct wasmpool_vmcontext *vmctx;
    const struct Code *code;
    struct wasmpool_module_counts counts;
    char *why;
    size_t why_bytes;
};

struct wasmpool_store inspect_store(struct Machine *machine) {
    return (struct wasmpool_store){machine, builtins, epoch, gc_heap};
}

static bool wrong(const struct Inspection *it, const char *what, uint32_t index) {
    snprintf(it->why, it->why_bytes, "%s %u", what, index);
    return false;
}

static bool fixed_part_is_right(const struct Inspection *it, const struct Machine *machine) {
    const struct wasmpool_vmcontext *vmctx = it->vmctx;

    if (vmctx->magic != WASMPOOL_VMCONTEXT_MAGIC)
        return wrong(it, "magic", vmctx->magic);
    if (vmctx->store_context != machine || vmctx->builtin_functions != builtins || vmctx->epoch_pointer != epoch ||
        vmctx->gc_heap_data != gc_heap)
        return wrong(it, "the store's pointers", 0);
    if (wasmpool_vmctx_instance(it->vmctx) != it->instance)
        return wrong(it, "the way back to the instance", 0);
    for (uint32_t i = 0; i < it->counts.types; i++) {
        struct wasmpool_function_type type;

        if (wasmpool_module_function_type(it->code->module, i, &type) != 0 || type.id != vmctx->type_ids[i])
            return wrong(it, "id of type", i);
    }
    return true;
}

static bool memories_are_right(const struct Inspection *it) {
    for (uint32_t i = 0; i < it->counts.imported_memories + it->counts.defined_memories; i++) {
        const struct wasmpool_memory_definition *memory = context_memory(it->vmctx, it->code->offsets, i);
        const struct wasmpool_memory *same = wasmpool_instance_memory_at(it->instance, i);

        if (!memory || !same || memory->base != same->base || memory->current_length != same->current_length)
            return wrong(it, "memory", i);
    }
    return true;
}

static bool tables_are_right(const struct Inspection *it) {
    for (uint32_t i = 0; i < it->counts.imported_tables + it->counts.defined_tables; i++) {
        const struct wasmpool_table_definition *table = context_table(it->vmctx, it->code->offsets, i);
        const struct wasmpool_table *same = wasmpool_instance_table_at(it->instance, i);

        if (!table || !same || table->base != same->base || table->current_elements != same->current_elements)
            return wrong(it, "table", i);
    }
    return true;
}

static bool globals_are_right(const struct Inspection *it) {
    for (uint32_t i = 0; i < it->counts.imported_globals + it->counts.defined_globals; i++) {
        const union wasmpool_global_definition *global = context_global(it->vmctx, it->code->offsets, i);

        if (!global || global != wasmpool_instance_global_at(it->instance, i))
            return wrong(it, "global", i);
    }
    return true;
}

static bool imported_functions_are_right(const struct Inspection *it) {
    for (uint32_t i = 0; i < it->counts.imported_functions; i++) {
        const struct wasmpool_func_ref *function = context_imported_function(it->vmctx, it->code->offsets, i);
        struct wasmpool_external_type type;

        if (wasmpool_module_type(it->code->module, WASMPOOL_EXTERNAL_FUNCTION, i, &type) != 0 ||
            !function->array_call || !function->vmctx || function->type_index != type.of.function.id)
            return wrong(it, "imported function", i);
    }
    return true;
}

bool inspect_instance(struct wasmpool_instance *instance, struct Code *code, struct Machine *machine, char *why,
                      size_t why_bytes) {
    struct Inspection it = {instance, wasmpool_instance_vmctx(instance), code, {0}, why, why_bytes};
    uint32_t misplaced;

    wasmpool_module_counts(code->module, &it.counts);
    if (!fixed_part_is_right(&it, machine) || !memories_are_right(&it) || !tables_are_right(&it) ||
        !globals_are_right(&it) || !imported_functions_are_right(&it))
        return false;
    misplaced = code_number(code, instance);
    return misplaced == NOT_ESCAPED || wrong(&it, "VMFuncRef of function", misplaced);
}
