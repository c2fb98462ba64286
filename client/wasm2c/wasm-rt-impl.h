/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_WASM_RT_IMPL_H
#define WASMPOOL_WASM_RT_IMPL_H

/* What a host of wasm2c modules includes: Debian's header, save that each thread has a jump buffer of its own. The
 * macros in there, wasm_rt_impl_try above all, name the buffer where they are used, and so find ours. */

#include "wasm-rt.h"

#define wasm_rt_jmp_buf wasm_rt_jmp_buf_of_process
#include </usr/src/wasm2c/wasm-rt-impl.h>
#undef wasm_rt_jmp_buf

#ifdef __cplusplus
extern "C" thread_local jmp_buf wasm_rt_jmp_buf;
#else
extern _Thread_local jmp_buf wasm_rt_jmp_buf;
#endif

#endif
