/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/reset.h"
#include "client/slot.h"
#include "client/template.h"
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

static bool memory_may_grow(const struct wasmpool_limiter *limiter, uint64_t current, uint64_t desired,
                            bool has_maximum, uint64_t maximum) {
    return !limiter || !limiter->memory_growing ||
           limiter->memory_growing(limiter->data, current, desired,
                                   has_maximum ? limits_page_bytes(maximum) : UINT64_MAX);
}

/* May it have its minimum? What a limiter refuses is a limit like any other. */
static int memory_ask(const struct wasmpool_memory_type *type, const struct wasmpool_limiter *limiter,
                      struct wasmpool_error *error) {
    uint64_t bytes = type->minimum * WASM_PAGE_BYTES;

    if (memory_may_grow(limiter, 0, bytes, type->has_maximum, type->maximum))
        return 0;
    return error_limit(failure(error), ERROR_LIMIT, "limiter", 0, 0, bytes,
                       "the limiter refuses a memory its minimum size");
}

/* How much of a slot is to be accessible: `bytes`, no further, and also no further than that if the last instance could
 * reach more. Where code checks its bounds itself, as much as others needed in the end. */
static uint64_t memory_opening(const struct Slot *slot, const struct MemoryRequest *request, uint64_t bytes) {
    uint64_t learnt;

    if (!request->explicit_bounds)
        return bytes;
    learnt = slot->planner ? atomic_load_explicit(&slot->planner->grown_bytes, memory_order_relaxed) : 0;
    bytes = learnt > bytes ? learnt : bytes;
    return slot->accessible > bytes ? slot->accessible : bytes;
}

/* It can be neither used nor given back. */
static int memory_lose(struct Taken *taken, int r, const char *what, struct wasmpool_error *error) {
    pool_forget_warm(taken->slab->shelf->pool, taken->slot);
    shelf_retire(taken);
    return failure_errno(error, r, what);
}

/* Make a taken slot what the request wants: what another image left is cleared while it still can be reached. */
static int memory_prepare(struct Taken *taken, const struct MemoryRequest *request, uint64_t bytes,
                          struct wasmpool_error *error) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    struct Slot *slot = taken->slot;
    uint64_t opening;
    int r;

    reset_found(taken);
    r = reset_switch(taken, request->image);
    if (r)
        return memory_lose(taken, r, "cannot empty a slot", error);
    opening = memory_opening(slot, request, bytes);
    if (slot->accessible != opening) {
        r = mapping_protect(base, slot->accessible, opening, error);
        if (r) {
            shelf_release(taken);
            return r;
        }
        slot->accessible = opening;
    }
    r = reset_fill(taken, request->image);
    if (r)
        return memory_lose(taken, r, "cannot fill a slot", error);
    slot->image = request->image;
    slot->initial = bytes;
    return 0;
}

/* As the owner of the slot's table knows it. */
static uint32_t memory_image_id(const struct Taken *taken, const struct Image *image) {
    return image && image->use && image->use->connection == taken->slab->connection ? image->use->id : 0;
}

int memory_allocate(struct wasmpool *pool, const struct MemoryRequest *request, struct wasmpool_memory *memory,
                    struct wasmpool_error *error) {
    const struct wasmpool_memory_type *type = request->type;
    uint64_t bytes = type->minimum * WASM_PAGE_BYTES;
    struct Taken taken;
    int r = validate_memory(pool, type, request->index, error);

    if (!r)
        r = memory_ask(type, request->limiter, error);
    if (!r)
        r = shelf_take(&pool->memories,
                       &(struct Wish){.image_id = request->image ? request->image->id : 0,
                                      .deadline_ns = request->deadline_ns},
                       &taken, error);
    if (r)
        return r;
    taken.slot->planner = request->pinned    ? NULL
                          : request->planner ? request->planner
                                             : pool_planner(pool, bytes);
    r = memory_prepare(&taken, request, bytes, error);
    if (r)
        return r;
    taken.slot->module = request->keep;
    if (taken.slot->module)
        module_ref(taken.slot->module, slab_slot_number(taken.slab, taken.index));
    pool_forget_warm(pool, taken.slot);
    slot_announce(taken.entry, bytes, request->label);
    slot_announce_image(taken.entry, memory_image_id(&taken, request->image));
    *memory = (struct wasmpool_memory){
        .base = slab_slot_base(taken.slab, taken.index),
        .current_length = bytes,
        .maximum_length = memory_maximum(pool, type),
        .allocation = slab_slot_number(taken.slab, taken.index),
        .has_maximum = type->has_maximum,
        .explicit_bounds = request->explicit_bounds,
        .maximum = type->maximum,
        .limiter = request->limiter,
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
    return memory_allocate(pool, &(struct MemoryRequest){.type = type, .label = padded}, memory, error);
}

/* How much of a memory that is being released may stay resident: nothing, when enough others do already. */
static uint64_t memory_keep(struct wasmpool *pool, struct Slot *slot) {
    if (!pool->count_warm)
        return pool->limits.linear_memory_keep_resident;
    slot->warm = true;
    if (atomic_fetch_add(&pool->n_warm, 1) < pool->limits.max_unused_warm_slots)
        return pool->limits.linear_memory_keep_resident;
    pool_forget_warm(pool, slot);
    return 0;
}

/* What may have been written: all that was accessible, but what code that checks its bounds did not reach. */
static uint64_t memory_used(const struct wasmpool_memory *memory, const struct Slot *slot) {
    if (!memory->explicit_bounds || memory->current_length > slot->accessible)
        return slot->accessible;
    if (slot->planner)
        planner_learn_growth(slot->planner, memory->current_length);
    return memory->current_length;
}

PUBLIC void wasmpool_deallocate_memory(struct wasmpool *pool, struct wasmpool_memory *memory) {
    const struct wasmpool_module *module;
    struct Taken taken;
    uint64_t used;
    int r;

    if (!*pool->alive || !shelf_find(pool, memory->allocation, &taken))
        return;
    module = taken.slot->module;
    used = memory_used(memory, taken.slot);
    *memory = (struct wasmpool_memory){.allocation = WASMPOOL_NO_ALLOCATION};
    r = reset_slot(&taken, &(struct ResetAsk){.image = taken.slot->image,
                                              .used = used,
                                              .keep = memory_keep(pool, taken.slot),
                                              .planner = taken.slot->planner,
                                              .initial = taken.slot->initial});
    if (taken.slot->provenance != PROVENANCE_CLEAN)
        pool_forget_warm(pool, taken.slot);
    if (module)
        module_unref(module, slab_slot_number(taken.slab, taken.index));
    if (r)
        shelf_retire(&taken);
    else
        shelf_release(&taken);
}

/* Make `bytes` accessible; where what lies beyond may be so too, twice as much as before at least. */
static int memory_open(const struct wasmpool_memory *memory, struct Slot *slot, uint64_t bytes) {
    int r;

    if (memory->explicit_bounds) {
        if (bytes <= slot->accessible)
            return 0;
        if (bytes < 2 * slot->accessible)
            bytes = 2 * slot->accessible < memory->maximum_length ? 2 * slot->accessible : memory->maximum_length;
    }
    r = mapping_protect(memory->base, slot->accessible, bytes, NULL);
    if (!r)
        slot->accessible = bytes;
    return r;
}

PUBLIC int64_t wasmpool_grow_memory(struct wasmpool *pool, struct wasmpool_memory *memory, uint64_t delta) {
    uint64_t old = memory->current_length, bytes;
    struct Taken taken;

    if (!*pool->alive || !shelf_find(pool, memory->allocation, &taken))
        return -1;
    if (__builtin_mul_overflow(delta, WASM_PAGE_BYTES, &bytes) || __builtin_add_overflow(bytes, old, &bytes))
        return -1;
    /* A limiter that grows the memory itself has had its way: what was asked of it does not hold any more. */
    if (!memory_may_grow(memory->limiter, old, bytes, memory->has_maximum, memory->maximum) ||
        memory->current_length != old || bytes > memory->maximum_length)
        return -1;
    if (memory_open(memory, taken.slot, bytes))
        return -1;
    memory->current_length = bytes;
    if (memory->definition)
        memory->definition->current_length = bytes;
    slot_announce_bytes(taken.entry, bytes);
    return (int64_t)(old / WASM_PAGE_BYTES);
}

int memories_allocate(struct wasmpool *pool, const struct wasmpool_request *request, const struct wasmpool_module *keep,
                      struct wasmpool_memories *memories, struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;
    const struct Images *images;
    char label[LEASE_LABEL_BYTES];
    int r = pool_check(pool, error);

    if (r)
        return r;
    if (memories->capacity - memories->count < module->counts.defined_memories)
        return error_set(failure(error), ERROR_INVALID, "the map has room for %u memories of %u",
                         memories->capacity - memories->count, module->counts.defined_memories);
    r = template_images(pool, module, request->deadline_ns, &images, error);
    if (r)
        return r;
    module_label(label, request->label ? request->label : module->label);
    for (uint32_t i = 0; i < module->counts.defined_memories; i++) {
        const struct MemoryRequest one = {
            .type = &module->memories[i],
            .index = module->counts.imported_memories + i,
            .label = label,
            .image = images ? images->at[i] : NULL,
            .planner = &module->template->planners[i],
            .keep = keep,
            .limiter = request->limiter,
            .deadline_ns = request->deadline_ns,
            .pinned = request->pinned,
            .explicit_bounds = request->explicit_bounds,
        };

        r = memory_allocate(pool, &one, &memories->at[memories->count], error);
        if (r)
            return r;
        memories->count++;
    }
    return 0;
}

PUBLIC int wasmpool_allocate_memories(struct wasmpool *pool, const struct wasmpool_request *request,
                                      struct wasmpool_memories *memories, struct wasmpool_error *error) {
    return memories_allocate(pool, request, request->module, memories, error);
}

PUBLIC void wasmpool_deallocate_memories(struct wasmpool *pool, struct wasmpool_memories *memories) {
    uint32_t count = memories->count;

    memories->count = 0;
    for (uint32_t i = 0; i < count; i++)
        wasmpool_deallocate_memory(pool, &memories->at[i]);
}
