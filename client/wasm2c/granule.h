/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_WASM2C_GRANULE_H
#define WASMPOOL_WASM2C_GRANULE_H

/* Which memory lies at an address? Asked by every call that grows or frees one, and by the signal handler.
 *
 * Memories that wasm2c uses are more than two granules of 4 GiB apart, so each granule holds the base of at most one
 * and a memory reaches into the two granules behind it. An array with an entry for each granule of a 48-bit address
 * space therefore answers in three reads, without a lock, which is what a signal handler needs. It is 1 MiB of .bss, of
 * which only the touched pages are ever there.
 *
 * Lifecycle of an entry: granule_claim when a memory is handed out, granule_drop before its slot goes back. */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANULE_SHIFT 32
#define GRANULES (UINT64_C(1) << (48 - GRANULE_SHIFT))

/* How far beyond its base generated code can reach: a 32-bit address, a 32-bit offset and 8 bytes, rounded up. */
#define MEMORY_RESERVATION_BYTES (UINT64_C(4) << 30)
#define MEMORY_GUARD_BYTES (MEMORY_RESERVATION_BYTES + 65536)
#define MEMORY_REACH_BYTES (MEMORY_RESERVATION_BYTES + MEMORY_GUARD_BYTES)

_Static_assert(MEMORY_REACH_BYTES > 2 * (UINT64_C(1) << GRANULE_SHIFT), "two bases may share a granule");
_Static_assert(MEMORY_REACH_BYTES >= 2 * (uint64_t)UINT32_MAX + 16, "an access may miss the guard");

struct Holding;

struct Granule {
    _Atomic(uintptr_t) base; /* 0: none */
    _Atomic(struct Holding *) holding;
};

static struct Granule granules[GRANULES];

static inline struct Granule *granule_at(uintptr_t address) {
    size_t index = (size_t)(address >> GRANULE_SHIFT);

    return index < GRANULES ? &granules[index] : NULL;
}

/* False when the address is beyond 48 bits, which the kernel gives only to those who ask for it. */
static inline bool granule_claim(const void *base, struct Holding *holding) {
    struct Granule *granule = granule_at((uintptr_t)base);

    if (!granule)
        return false;
    assert(!atomic_load_explicit(&granule->base, memory_order_relaxed));
    atomic_store_explicit(&granule->holding, holding, memory_order_relaxed);
    atomic_store_explicit(&granule->base, (uintptr_t)base, memory_order_release);
    return true;
}

static inline struct Holding *granule_find(const void *base) {
    struct Granule *granule = granule_at((uintptr_t)base);

    if (!base || !granule || atomic_load_explicit(&granule->base, memory_order_acquire) != (uintptr_t)base)
        return NULL;
    return atomic_load_explicit(&granule->holding, memory_order_relaxed);
}

static inline void granule_drop(const void *base) {
    struct Granule *granule = granule_at((uintptr_t)base);

    if (granule && atomic_load_explicit(&granule->base, memory_order_relaxed) == (uintptr_t)base)
        atomic_store_explicit(&granule->base, 0, memory_order_release);
}

/* Can an access of some memory of ours have reached this address? Safe in a signal handler. */
static inline bool granule_reaches(uintptr_t address) {
    for (uintptr_t back = 0; back < 3; back++) {
        struct Granule *granule;
        uintptr_t base;

        if (address >> GRANULE_SHIFT < back)
            return false;
        granule = granule_at(address - (back << GRANULE_SHIFT));
        base = granule ? atomic_load_explicit(&granule->base, memory_order_acquire) : 0;
        if (base && address >= base && address - base < MEMORY_REACH_BYTES)
            return true;
    }
    return false;
}

#endif
