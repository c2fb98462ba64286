/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_WASM2C_H
#define WASMPOOL_WASM2C_H

/* wabt's wasm2c runtime over wasmpool: memories and tables of wasm2c modules lie in slots of a wasmpool allocator.
 *
 * Link code that wasm2c generated with this directory's wasm-rt-impl.c in place of wabt's (it is a drop-in
 * `--wasmrt-dir`). Any number of threads may then each run instances: each thread calls wasmpool_wasm2c_thread_init
 * first. A host that is itself single-threaded can instead keep Debian's libwasm-rt-impl.a and link
 * libwasmpool-wasm2c-wrap.a with the `--wrap` options at the head of wrap.c.
 *
 * An instance that should fail before it runs, with a typed error, when the pool is exhausted, is prefetched:
 *
 *     struct wasmpool_wasm2c_scope *scope;
 *     if (wasmpool_wasm2c_prefetch(&scope, pool, &request, &error)) ...refused: error says which limit...
 *     if ((trap = wasm_rt_impl_try()) == 0) {
 *         Z_guest_instantiate(&guest, ...);
 *         ...
 *         Z_guest_free(&guest);
 *     }
 *     scope = wasmpool_wasm2c_release(scope);    // also what a trapped instantiation left behind
 *
 * Without a prefetch, memories and tables come one at a time from the process's default pool, and exhaustion is the
 * trap WASM_RT_TRAP_EXHAUSTION. */

#include "wasmpool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wasmpool_wasm2c_scope;

/* Open an allocator with what wasm2c's generated code needs: it checks no bounds of its own, so that a load reaches up
 * to 8 GiB and a little from the base; funcrefs are 24 bytes. `options` as in wasmpool_open (NULL: defaults); its
 * element sizes and its settings of reservation and guard are overridden. Close with wasmpool_close. */
int wasmpool_wasm2c_open(struct wasmpool **poolp, const struct wasmpool_options *options, struct wasmpool_error *error);

/* The process's default pool, which serves what was not prefetched: opened at first use with $WASMPOOL_ADDRESS.
 * 0, or wasmpool_open's errors: what a trap for want of it cannot say. wasm_rt_free gives back what is left in it and
 * closes it. A forked child gets one of its own. */
int wasmpool_wasm2c_default_pool(struct wasmpool **poolp, struct wasmpool_error *error);

/* Take all slots of an instance at once: the calling thread's next wasm_rt_allocate_* calls are served from it,
 * memories and tables each in call order, until all are handed out, the scope is released, or another one is
 * prefetched. So prefetch right before instantiating. Meanwhile a call that does not match the type that is next comes
 * from the default pool, and goes back with the scope too. Memories are capped at 65535 wasm pages. Errors:
 * wasmpool_allocate_module's; INVALID also for a pool that wasmpool_wasm2c_open did not open, and for a memory that
 * starts with 65536 pages. The request's module must outlive the scope. */
int wasmpool_wasm2c_prefetch(struct wasmpool_wasm2c_scope **scopep, struct wasmpool *pool,
                             const struct wasmpool_request *request, struct wasmpool_error *error);

/* Give back all slots of the scope, whether the instance has freed them or not. Any thread; nothing of the instance may
 * run any more, nor be freed after this: its addresses may be another's by then. NULL is fine; returns NULL. */
struct wasmpool_wasm2c_scope *wasmpool_wasm2c_release(struct wasmpool_wasm2c_scope *scope);

/* The scope's memory by defined index, with its size as the instance has grown it; NULL when there is none. */
const struct wasmpool_memory *wasmpool_wasm2c_memory(const struct wasmpool_wasm2c_scope *scope, uint32_t index);
const struct wasmpool_table *wasmpool_wasm2c_table(const struct wasmpool_wasm2c_scope *scope, uint32_t index);

/* Give the calling thread an alternate signal stack, so that an endless recursion of a guest is a trap on this thread
 * too. The thread that calls wasm_rt_init has one already. 0 or a negative errno; repeating it does nothing. */
int wasmpool_wasm2c_thread_init(void);

/* Undo it, before the thread ends. */
void wasmpool_wasm2c_thread_free(void);

#ifdef __cplusplus
}
#endif

#endif
