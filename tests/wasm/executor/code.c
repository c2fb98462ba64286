/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/wasm/executor/context.h"
#include "tests/wasm/executor/interpreter.h"

static bool decode_function(struct Code *code, uint32_t i, uint32_t function_index, const struct Body *body) {
    struct Function *function = &code->functions[i];
    struct wasmpool_external_type type;

    if (wasmpool_module_type(code->module, WASMPOOL_EXTERNAL_FUNCTION, function_index, &type) != 0)
        return false;
    function->code = code;
    function->n_parameters = type.of.function.n_parameters;
    function->n_results = type.of.function.n_results;
    code->entries[i] = (struct wasmpool_code){(const void *)interpreter_call, function};
    return instruction_decode(function, code->module, body);
}

static bool decode_all(struct Code *code, const uint8_t *bytes, size_t size) {
    struct wasmpool_module_counts counts;
    struct Body *bodies;
    uint32_t n_bodies;
    bool is_good;

    wasmpool_module_counts(code->module, &counts);
    if (!body_all(bytes, size, &bodies, &n_bodies))
        return false;
    code->n_functions = counts.defined_functions;
    code->functions = calloc(counts.defined_functions + 1, sizeof(code->functions[0]));
    code->entries = calloc(counts.defined_functions + 1, sizeof(code->entries[0]));
    code->func_refs = calloc(counts.imported_functions + counts.defined_functions + 1, sizeof(code->func_refs[0]));
    is_good = code->functions && code->entries && code->func_refs && n_bodies == counts.defined_functions;
    for (uint32_t i = 0; is_good && i < n_bodies; i++)
        is_good = decode_function(code, i, counts.imported_functions + i, &bodies[i]);
    free(bodies);
    return is_good;
}

int code_new(struct Code **codep, const uint8_t *bytes, size_t size, struct wasmpool_error *error) {
    struct Code *code = calloc(1, sizeof(*code));
    int r;

    if (!code)
        return -ENOMEM;
    r = wasmpool_module_read(&code->module, bytes, size, error);
    if (r == 0 && !decode_all(code, bytes, size)) {
        snprintf(error->message, sizeof(error->message), "its bodies cannot be decoded");
        r = -EBADMSG;
    }
    if (r != 0) {
        code_free(code);
        return r;
    }
    code->offsets = wasmpool_module_offsets(code->module);
    *codep = code;
    return 0;
}

struct Code *code_free(struct Code *code) {
    if (!code)
        return NULL;
    for (uint32_t i = 0; code->functions && i < code->n_functions; i++)
        instruction_free(&code->functions[i]);
    free(code->functions);
    free(code->entries);
    free(code->func_refs);
    wasmpool_module_free(code->module);
    free(code);
    return NULL;
}

uint32_t code_number(struct Code *code, struct wasmpool_instance *instance) {
    struct wasmpool_vmcontext *vmctx = wasmpool_instance_vmctx(instance);
    struct wasmpool_module_counts counts;
    uint32_t n_escaped = 0;

    wasmpool_module_counts(code->module, &counts);
    for (uint32_t i = 0; i < counts.imported_functions + counts.defined_functions; i++) {
        const struct wasmpool_func_ref *func_ref = wasmpool_instance_function_at(instance, i);

        code->func_refs[i] = func_ref ? n_escaped++ : NOT_ESCAPED;
        if (func_ref && func_ref != context_func_ref(vmctx, code->offsets, code->func_refs[i]))
            return i;
    }
    return NOT_ESCAPED;
}
