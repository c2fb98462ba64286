/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_WASM_RT_H
#define WASMPOOL_WASM_RT_H

/* The contract with code that wasm2c generates: Debian's own header, so that this directory can stand in for
 * /usr/src/wasm2c as a `--wasmrt-dir`. (Debian package wabt) */

#include </usr/src/wasm2c/wasm-rt.h>

/* The signal mask is put right where a signal becomes a trap, not saved by each wasm_rt_impl_try: that would be a
 * system call for each call into wasm. */
#undef WASM_RT_SETJMP
#define WASM_RT_SETJMP(buf) sigsetjmp(buf, 0)

#endif
