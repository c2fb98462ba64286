/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_INSPECT_H
#define TESTS_WASM_EXECUTOR_INSPECT_H

/* Does a VMContext hold what was asked for, and do the library's functions find the same items in it as generated code
 * does? */

#include "tests/wasm/executor/interpreter.h"

/* What an instance's fixed part shall hold: the machine, and values that are nothing else's. */
struct wasmpool_store inspect_store(struct Machine *machine);

/* Look at an instance that is allocated and not yet initialised, and number its func_refs. false: `why` says what is
 * wrong. */
bool inspect_instance(struct wasmpool_instance *instance, struct Code *code, struct Machine *machine, char *why,
                      size_t why_bytes);

#endif
