/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/reset.h"
#include "client/slot.h"
#include "client/validate.h"

static uint64_t memory_maximum(const struct wasmpool *pool, const struct wasmpool_memory_type *type) {
    uint64_t most = pool->limits.max_memory_size;

    if (pool->limits.memory_reservation < most)
        most = pool->limits.memory_reservation;
    most -= most % WASM_PAGE_BYTES;
    if (type->has_maximum && type->maximum < most / WASM_PAGE_BYTES)
        most = type->maximum * WASM_PAGE_BYTES;
    return most;
}

static void memory_forget_warm(struct wasmpool *pool, struct Slot *slot) {
    if (!slot->warm)
        return;
    slot->warm = false;
    atomic_fetch_sub(&pool->n_warm, 1);
}

int memory_allocate(struct wasmpool *pool, const struct wasmpool_memory_type *type, uint32_t index, const char *label,
                    struct wasmpool_memory *memory, struct wasmpool_error *error) {
    struct Taken taken;
    uint64_t bytes;
    uint8_t *base;
    int r = validate_memory(pool, type, index, error);

    if (!r)
        r = shelf_take(&pool->memories, &taken, error);
    if (r)
        return r;
    bytes = type->minimum * WASM_PAGE_BYTES;
    base = slab_slot_base(taken.slab, taken.index);
    /* Also downwards: what the last instance could reach beyond this one's size must trap. */
    if (taken.slot->accessible != bytes) {
        r = mapping_protect(base, taken.slot->accessible, bytes, error);
        if (r) {
            shelf_release(&taken);
            return r;
        }
        taken.slot->accessible = bytes;
    }
    memory_forget_warm(pool, taken.slot);
    slot_announce(taken.entry, bytes, label);
    *memory = (struct wasmpool_memory){
        .base = base,
        .current_length = bytes,
        .maximum_length = memory_maximum(pool, type),
        .allocation = slab_slot_number(taken.slab, taken.index),
    };
    return 0;
}

PUBLIC int wasmpool_allocate_memory(struct wasmpool *pool, const struct wasmpool_memory_type *type, const char *label,
                                    struct wasmpool_memory *memory, struct wasmpool_error *error) {
    char padded[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (r)
        return r;
    module_label(padded, label);
    return memory_allocate(pool, type, 0, padded, memory, error);
}

/* How much of a memory that is being released may stay resident: nothing, when enough others do already. */
static uint64_t memory_keep(struct wasmpool *pool, struct Slot *slot) {
    if (!pool->count_warm)
        return pool->limits.linear_memory_keep_resident;
    slot->warm = true;
    if (atomic_fetch_add(&pool->n_warm, 1) < pool->limits.max_unused_warm_slots)
        return pool->limits.linear_memory_keep_resident;
    memory_forget_warm(pool, slot);
    return 0;
}

PUBLIC void wasmpool_deallocate_memory(struct wasmpool *pool, struct wasmpool_memory *memory) {
    struct Taken taken;
    int r;

    if (!*pool->alive || !shelf_find(pool, memory->allocation, &taken))
        return;
    *memory = (struct wasmpool_memory){.allocation = WASMPOOL_NO_ALLOCATION};
    r = reset_zero(&taken, taken.slot->accessible, memory_keep(pool, taken.slot));
    if (taken.slot->provenance != PROVENANCE_CLEAN)
        memory_forget_warm(pool, taken.slot);
    if (r)
        shelf_retire(&taken);
    else
        shelf_release(&taken);
}

PUBLIC int64_t wasmpool_grow_memory(struct wasmpool *pool, struct wasmpool_memory *memory, uint64_t delta) {
    uint64_t old = memory->current_length, bytes;
    struct Taken taken;

    if (!*pool->alive || !shelf_find(pool, memory->allocation, &taken))
        return -1;
    if (__builtin_mul_overflow(delta, WASM_PAGE_BYTES, &bytes) || __builtin_add_overflow(bytes, old, &bytes) ||
        bytes > memory->maximum_length)
        return -1;
    if (mapping_protect(memory->base, taken.slot->accessible, bytes, NULL))
        return -1;
    taken.slot->accessible = bytes;
    memory->current_length = bytes;
    slot_announce_bytes(taken.entry, bytes);
    return (int64_t)(old / WASM_PAGE_BYTES);
}

PUBLIC int wasmpool_allocate_memories(struct wasmpool *pool, const struct wasmpool_request *request,
                                      struct wasmpool_memories *memories, struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;
    char label[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (r)
        return r;
    if (memories->capacity - memories->count < module->counts.defined_memories)
        return error_set(failure(error), ERROR_INVALID, "the map has room for %u memories of %u",
                         memories->capacity - memories->count, module->counts.defined_memories);
    module_label(label, request->label ? request->label : module->label);
    for (uint32_t i = 0; i < module->counts.defined_memories; i++) {
        r = memory_allocate(pool, &module->memories[i], module->counts.imported_memories + i, label,
                            &memories->at[memories->count], error);
        if (r)
            return r;
        memories->count++;
    }
    return 0;
}

PUBLIC void wasmpool_deallocate_memories(struct wasmpool *pool, struct wasmpool_memories *memories) {
    uint32_t count = memories->count;

    memories->count = 0;
    for (uint32_t i = 0; i < count; i++)
        wasmpool_deallocate_memory(pool, &memories->at[i]);
}
