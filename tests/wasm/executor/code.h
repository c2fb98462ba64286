/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_CODE_H
#define TESTS_WASM_EXECUTOR_CODE_H

/* A module with code: what an engine's compiler would make of it. */

#include "tests/wasm/executor/instruction.h"

#define NOT_ESCAPED UINT32_MAX

struct Code {
    struct wasmpool_module *module;
    const struct wasmpool_vmoffsets *offsets;
    struct Function *functions;    /* defined ones */
    struct wasmpool_code *entries; /* of each: the interpreter, and its record in `functions` */
    uint32_t n_functions;
    uint32_t *func_refs; /* of each function, imported ones too: its index in func_refs, or NOT_ESCAPED */
};

/* Read and decode a module. The bytes are not kept. Errors: those of wasmpool_module_read; -EBADMSG when the library
 * finds a module to be well-formed that has bodies which cannot be decoded. */
int code_new(struct Code **codep, const uint8_t *bytes, size_t size, struct wasmpool_error *error);

/* NULL is fine; returns NULL. */
struct Code *code_free(struct Code *code);

/* Number the functions that escape as their VMFuncRefs lie in the VMContext: in order of their indices, which is to be
 * checked. Until then no function has one. Returns the first function whose VMFuncRef lies elsewhere, or NOT_ESCAPED.
 */
uint32_t code_number(struct Code *code, struct wasmpool_instance *instance);

#endif
