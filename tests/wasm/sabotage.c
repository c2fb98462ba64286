/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The drop-in runtime with one defect, which $SABOTAGE names: do the .wast files notice? The defects are put
 * between the runtime, which is included here unchanged, and libwasmpool. Without $SABOTAGE there is none, and all
 * must pass. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wasmpool.h"

#define RESERVATION_BYTES ((size_t)4 << 30)
#define REACH_BYTES (2 * RESERVATION_BYTES + 65536)
/* A pattern that is neither null nor a function type that exists. */
#define DIRT 0x5a

static bool sabotage_is(const char *name) {
    const char *chosen = getenv("SABOTAGE");

    return chosen && !strcmp(chosen, name);
}

static void open_up(uint8_t *from, size_t bytes) {
    if (mprotect(from, bytes, PROT_READ | PROT_WRITE) < 0)
        abort();
}

static int sabotaged_allocate_memory(struct wasmpool *pool, const struct wasmpool_memory_type *type, const char *label,
                                     struct wasmpool_memory *memory, struct wasmpool_error *error) {
    struct wasmpool_memory_type other = *type;
    int result;

    if (sabotage_is("max-ignored"))
        other.has_maximum = false;
    result = wasmpool_allocate_memory(pool, &other, label, memory, error);
    if (result)
        return result;
    if (sabotage_is("memory-not-zeroed"))
        memset(memory->base, DIRT, memory->current_length);
    if (sabotage_is("no-guard"))
        open_up(memory->base, REACH_BYTES);
    if (sabotage_is("guard-of-4g"))
        open_up(memory->base + RESERVATION_BYTES, REACH_BYTES - RESERVATION_BYTES);
    return 0;
}

static int64_t sabotaged_grow_memory(struct wasmpool *pool, struct wasmpool_memory *memory, uint64_t delta) {
    uint64_t before = memory->current_length;
    int64_t old_pages = wasmpool_grow_memory(pool, memory, delta);

    /* Only a little of what may be 4 GiB. */
    if (old_pages >= 0 && delta && sabotage_is("grown-memory-not-zeroed"))
        memset(memory->base + before, DIRT, 65536);
    return old_pages;
}

static int sabotaged_allocate_table(struct wasmpool *pool, const struct wasmpool_table_type *type, const char *label,
                                    struct wasmpool_table *table, struct wasmpool_error *error) {
    struct wasmpool_table_type other = *type;
    int result;

    if (sabotage_is("table-max-ignored"))
        other.has_maximum = false;
    result = wasmpool_allocate_table(pool, &other, label, table, error);
    if (!result && sabotage_is("table-not-zeroed"))
        memset(table->base, DIRT, (size_t)table->current_elements * table->element_size);
    return result;
}

static int64_t sabotaged_grow_table(struct wasmpool *pool, struct wasmpool_table *table, uint32_t delta,
                                    const void *init) {
    return wasmpool_grow_table(pool, table, delta, sabotage_is("grown-elements-not-initialised") ? NULL : init);
}

#define wasmpool_allocate_memory sabotaged_allocate_memory
#define wasmpool_grow_memory sabotaged_grow_memory
#define wasmpool_allocate_table sabotaged_allocate_table
#define wasmpool_grow_table sabotaged_grow_table

#include "wasm-rt-impl.c"
