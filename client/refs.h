/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_REFS_H
#define CLIENT_REFS_H

/* How many instances a module has, counted so that two threads that allocate instances of one module write no common
 * cache line: the counter is chosen by a slot's number, and a slot is one thread's. Nobody learns from a single counter
 * that the last reference went: see module_unref. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REFS_SHARDS 8

struct Refs {
    struct {
        _Alignas(64) _Atomic uint32_t n;
    } shards[REFS_SHARDS];
};

static inline void refs_get(struct Refs *refs, uint32_t which) {
    atomic_fetch_add_explicit(&refs->shards[which % REFS_SHARDS].n, 1, memory_order_relaxed);
}

/* All that was done with the reference happens before a refs_none that does not see it any more; and what the caller
 * reads next it reads after this is seen. */
static inline void refs_put(struct Refs *refs, uint32_t which) {
    atomic_fetch_sub_explicit(&refs->shards[which % REFS_SHARDS].n, 1, memory_order_seq_cst);
}

/* Are there none? Exact if none is taken any more. */
static inline bool refs_none(struct Refs *refs) {
    for (unsigned i = 0; i < REFS_SHARDS; i++)
        if (atomic_load_explicit(&refs->shards[i].n, memory_order_seq_cst))
            return false;
    return true;
}

#endif
