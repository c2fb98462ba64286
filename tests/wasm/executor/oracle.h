/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_ORACLE_H
#define TESTS_WASM_EXECUTOR_ORACLE_H

/* wabt's opinion of a module whose functions' bodies are of no interest. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does wasm-validate accept the module with each body replaced by a valid one, and the proposals enabled that the
 * library knows? */
bool oracle_accepts_without_bodies(const uint8_t *module, size_t size);

#endif
