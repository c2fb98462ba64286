/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_CONTEXT_H
#define TESTS_WASM_EXECUTOR_CONTEXT_H

/* The items of an instance as generated code finds them: in the VMContext, at the offsets of its module. Nothing else
 * in the interpreter knows where anything is. Indices are in index spaces, imported items first. */

#include "wasmpool.h"

static inline void *context_at(struct wasmpool_vmcontext *vmctx, uint32_t offset, uint32_t index, size_t bytes) {
    return (uint8_t *)vmctx + offset + index * bytes;
}

static inline struct wasmpool_memory_definition *
context_memory(struct wasmpool_vmcontext *vmctx, const struct wasmpool_vmoffsets *offsets, uint32_t index) {
    uint32_t n_imported = offsets->fields.imported_memories;

    if (index < n_imported) {
        struct wasmpool_memory_import *import = context_at(vmctx, offsets->imported_memories, index, sizeof(*import));

        return import->from;
    }
    return *(struct wasmpool_memory_definition **)context_at(vmctx, offsets->memories, index - n_imported,
                                                             sizeof(void *));
}

static inline struct wasmpool_table_definition *
context_table(struct wasmpool_vmcontext *vmctx, const struct wasmpool_vmoffsets *offsets, uint32_t index) {
    uint32_t n_imported = offsets->fields.imported_tables;

    if (index < n_imported) {
        struct wasmpool_table_import *import = context_at(vmctx, offsets->imported_tables, index, sizeof(*import));

        return import->from;
    }
    return context_at(vmctx, offsets->tables, index - n_imported, sizeof(struct wasmpool_table_definition));
}

static inline union wasmpool_global_definition *
context_global(struct wasmpool_vmcontext *vmctx, const struct wasmpool_vmoffsets *offsets, uint32_t index) {
    uint32_t n_imported = offsets->fields.imported_globals;

    if (index < n_imported) {
        struct wasmpool_global_import *import = context_at(vmctx, offsets->imported_globals, index, sizeof(*import));

        return import->from;
    }
    return context_at(vmctx, offsets->globals, index - n_imported, sizeof(union wasmpool_global_definition));
}

/* A VMFunctionImport has the layout of a VMFuncRef. */
static inline const struct wasmpool_func_ref *
context_imported_function(struct wasmpool_vmcontext *vmctx, const struct wasmpool_vmoffsets *offsets, uint32_t index) {
    return context_at(vmctx, offsets->imported_functions, index, sizeof(struct wasmpool_func_ref));
}

/* By its number among the escaped functions. */
static inline struct wasmpool_func_ref *context_func_ref(struct wasmpool_vmcontext *vmctx,
                                                         const struct wasmpool_vmoffsets *offsets, uint32_t number) {
    return context_at(vmctx, offsets->func_refs, number, sizeof(struct wasmpool_func_ref));
}

#endif
