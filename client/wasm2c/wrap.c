/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* For hosts that keep Debian's libwasm-rt-impl.a: its memories and tables replaced at link time, its traps kept. Since
 * the latter have one jump buffer for the whole process, such a host must run wasm in one thread only, and every bad
 * access of its own is taken for the guest's. The drop-in runtime has neither defect; this is for programs that cannot
 * be compiled anew. Link with
 *
 *     -lwasmpool-wasm2c-wrap -lwasmpool -lprotobuf-c -lsodium -lwasm-rt-impl
 *     -Wl,--wrap=wasm_rt_allocate_memory -Wl,--wrap=wasm_rt_grow_memory -Wl,--wrap=wasm_rt_free_memory
 *     -Wl,--wrap=wasm_rt_allocate_funcref_table -Wl,--wrap=wasm_rt_grow_funcref_table
 *     -Wl,--wrap=wasm_rt_free_funcref_table -Wl,--wrap=wasm_rt_allocate_externref_table
 *     -Wl,--wrap=wasm_rt_grow_externref_table -Wl,--wrap=wasm_rt_free_externref_table -Wl,--wrap=wasm_rt_free
 *
 * wasmpool_wasm2c_thread_init and _thread_free do nothing here. */

#include <errno.h>
#include <pthread.h>

#include "wasm-rt.h"
#include "wasmpool-wasm2c.h"

#define RUNTIME(name) __wrap_##name

#include "granule.h"
#include "holding.c"
#include "scope.c"
#include "calls.c"

extern void __real_wasm_rt_free(void);
extern void __wrap_wasm_rt_free(void);

void __wrap_wasm_rt_free(void) {
    default_pool_close();
    __real_wasm_rt_free();
}

int wasmpool_wasm2c_thread_init(void) {
    return 0;
}

void wasmpool_wasm2c_thread_free(void) {
    scope_leave();
}
