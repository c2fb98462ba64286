/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TYPES_H
#define CLIENT_TYPES_H

/* Types of the binary format. Source: WebAssembly 2.0, 5.3 Types. */

#include "client/binary.h"

static inline bool types_is_reference(uint8_t type) {
    return type == WASMPOOL_TYPE_FUNCREF || type == WASMPOOL_TYPE_EXTERNREF;
}

static inline bool types_is_value(uint8_t type) {
    return (type >= WASMPOOL_TYPE_V128 && type <= WASMPOOL_TYPE_I32) || types_is_reference(type);
}

static inline uint8_t types_of_reference(enum wasmpool_reference reference) {
    return reference == WASMPOOL_EXTERNREF ? WASMPOOL_TYPE_EXTERNREF : WASMPOOL_TYPE_FUNCREF;
}

/* "i32", "funcref", ... of a value type. Static. */
const char *types_name(uint8_t type);

/* After a fault the result is any type. */
uint8_t types_value(struct Binary *binary);
enum wasmpool_reference types_reference(struct Binary *binary);
struct wasmpool_memory_type types_memory(struct Binary *binary);
struct wasmpool_table_type types_table(struct Binary *binary);
struct wasmpool_global_type types_global(struct Binary *binary);

/* A function type, whose value types are appended to `bytes`; its arrays are not set. */
struct wasmpool_function_type types_function(struct Binary *binary, struct Buffer *bytes);

#endif
