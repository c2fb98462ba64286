/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_BODY_H
#define TESTS_WASM_EXECUTOR_BODY_H

/* Function bodies in the bytes of a module: the library steps over them. Source: WebAssembly 2.0, 5.5.13 Code Section.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are read from front to back. What runs past the end, or is too long for its type, sets `bad` and yields 0
 * from then on. */
struct Reader {
    const uint8_t *at, *end;
    bool bad;
};

uint8_t reader_byte(struct Reader *reader);
uint32_t reader_u32(struct Reader *reader);
int64_t reader_signed(struct Reader *reader, unsigned bits); /* LEB128 of at most so many bits */
void reader_skip(struct Reader *reader, uint64_t bytes);

/* Declarations of locals, then the instructions with the final end. */
struct Body {
    const uint8_t *bytes;
    uint32_t size;
};

/* All bodies, in order; the array is the caller's to free. They lie in the module's bytes. Returns false if there is no
 * way through the sections. */
bool body_all(const uint8_t *module, size_t size, struct Body **bodiesp, uint32_t *n_bodiesp);

/* The same module with each body replaced by `unreachable`, which is valid for any type; the caller's to free. NULL if
 * there is no way through the sections. */
uint8_t *body_replace_all(const uint8_t *module, size_t size, size_t *sizep);

#endif
