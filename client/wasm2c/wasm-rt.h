/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_WASM_RT_H
#define WASMPOOL_WASM_RT_H

/* The contract with code that wasm2c generates: Debian's own header, unchanged, so that this directory can stand in for
 * /usr/src/wasm2c as a `--wasmrt-dir`. (Debian package wabt) */

#include </usr/src/wasm2c/wasm-rt.h>

#endif
