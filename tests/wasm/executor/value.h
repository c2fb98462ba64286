/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_VALUE_H
#define TESTS_WASM_EXECUTOR_VALUE_H

/* A value on the interpreter's stack. A reference is what tables and globals hold: a pointer to a VMFuncRef, or the
 * host's own; NULL is null. */

#include <assert.h>
#include <stdint.h>

union Value {
    uint32_t i32;
    uint64_t i64;
    float f32;
    double f64;
    void *reference;
    uint8_t v128[16];
};

static_assert(sizeof(union Value) == 16, "as large as a global");

#endif
