/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_LITERAL_H
#define TESTS_WASM_EXECUTOR_LITERAL_H

/* Values as wast2json writes them: {"type": "i32", "value": "7"}, floating-point numbers as their bits. */

#include <jansson.h>
#include <stdbool.h>

#include "tests/wasm/executor/value.h"

/* The value of an argument. A host's reference, a number in the file, is one more than it: 0 is not null. false: there
 * is no such value to pass. */
bool literal_value(const json_t *literal, union Value *valuep);

/* Is a result what is expected, which may be a pattern? */
bool literal_matches(const json_t *literal, const union Value *value);

/* A result, shown as its type would have it. */
void literal_print(const json_t *literal, const union Value *value, char *text, size_t bytes);

#endif
