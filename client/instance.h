/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_INSTANCE_H
#define CLIENT_INSTANCE_H

/* struct wasmpool_instance: the handle. One block of memory that belongs to the permit's slot and is used again by the
 * next instance that takes it: this struct, the VMContext right behind it, the maps of memories and tables, and a bit
 * for each element segment that was dropped. */

#include "client/allocator.h"
#include "client/template.h"

/* What its tables hold of their images: see table-image.h.
 *
 *    UNSEEN --table_images_fill--> FILLED
 *      +------table_images_retract--> SEEN
 */
enum InstanceElements {
    ELEMENTS_SEEN,   /* nothing: null, and what was written since */
    ELEMENTS_UNSEEN, /* null or their elements: nobody can know before it is initialised */
    ELEMENTS_FILLED, /* their elements, and what was written since */
};

struct wasmpool_instance {
    _Alignas(16) struct wasmpool *pool;
    const struct wasmpool_module *module;
    const struct wasmpool_limiter *limiter;
    const struct wasmpool_code *code;
    struct wasmpool_memories memories;
    struct wasmpool_tables tables;
    uint8_t *dropped; /* element segments, a bit each */
    wasmpool_allocation_index permit;
    bool is_linked;
    bool is_initialised;
    uint8_t elements; /* enum InstanceElements */
};

static inline struct wasmpool_vmcontext *instance_vmctx(const struct wasmpool_instance *instance) {
    return (struct wasmpool_vmcontext *)((uintptr_t)(instance + 1));
}

/* Somebody outside is given a way to its tables: where a pointer to its VMContext is given away, too. */
static inline void instance_see(struct wasmpool_instance *instance) {
    if (__builtin_expect(instance->elements == ELEMENTS_UNSEEN, 0))
        table_images_retract(instance);
}

/* Where an array of the VMContext begins, by its offset. */
static inline void *instance_at(const struct wasmpool_instance *instance, uint32_t offset) {
    return (uint8_t *)instance_vmctx(instance) + offset;
}

static inline const struct wasmpool_vmoffsets *instance_offsets(const struct wasmpool_instance *instance) {
    return &instance->module->template->offsets;
}

/* The element segment's items, unless it was dropped: then there are none. */
static inline uint32_t instance_element_count(const struct wasmpool_instance *instance, uint32_t element) {
    return instance->dropped[element / 8] & 1 << element % 8 ? 0 : instance->module->elements[element].n_items;
}

/* The VMFuncRef of a function that has escaped, or NULL. */
struct wasmpool_func_ref *instance_function(struct wasmpool_instance *instance, uint32_t function_index);

/* The VMFuncRef of any function, also of one that has not escaped: written to *reference. */
void instance_reference(const struct wasmpool_instance *instance, uint32_t function_index,
                        struct wasmpool_func_ref *reference);

/* The instance and defined index that an item of the index space comes from: itself, or what was imported. Returns NULL
 * when there is none, or it is not linked. */
struct wasmpool_instance *instance_memory_owner(struct wasmpool_instance *instance, uint32_t *indexp);
struct wasmpool_instance *instance_table_owner(struct wasmpool_instance *instance, uint32_t *indexp);

#endif
