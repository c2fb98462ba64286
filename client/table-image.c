/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/table-image.h"

#include "client/instance.h"
#include "client/reset.h"
#include "client/slot.h"

#include <errno.h>
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

bool table_image_is_constant(const struct wasmpool_module *module, const struct ModuleElement *element) {
    uint32_t imported = module->counts.imported_tables;

    if (element->table < imported || element->offset.kind != CONSTANT_VALUE)
        return false;
    for (uint32_t i = 0; i < element->n_items; i++)
        if (module->items[element->first_item + i] != ITEM_NULL && module->items[element->first_item + i] & ITEM_GLOBAL)
            return false;
    return element->offset.value + element->n_items <= module->tables[element->table - imported].minimum;
}

/* ------------------------------------------------------------------------------------------------ making them */

static_assert(TABLE_IMAGE_ELEMENTS_MAX * sizeof(void *) <= RESET_ZERO_BYTES, "images are written without asking");

/* All or none: what one segment writes, a later one may write over. */
static bool table_images_are_possible(const struct wasmpool_module *module) {
    bool any = false;

    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        const struct ModuleElement *element = &module->elements[i];

        if (element->mode != SEGMENT_ACTIVE)
            continue;
        if (!table_image_is_constant(module, element) ||
            element->offset.value + element->n_items > TABLE_IMAGE_ELEMENTS_MAX)
            return false;
        any = true;
    }
    return any;
}

/* Of what is constant only functions are not null: tables of other references begin as null. */
static uint32_t table_image_count(const struct wasmpool_module *module, uint32_t table) {
    uint64_t n = 0;

    for (uint32_t i = 0; i < module->counts.element_segments; i++) {
        const struct ModuleElement *element = &module->elements[i];

        if (element->mode == SEGMENT_ACTIVE && element->table == table && element->type == WASMPOOL_FUNCREF &&
            element->n_items && element->offset.value + element->n_items > n)
            n = element->offset.value + element->n_items;
    }
    return (uint32_t)((n + TABLE_IMAGE_UNIT - 1) / TABLE_IMAGE_UNIT * TABLE_IMAGE_UNIT);
}

static void table_image_write_segment(struct TableImage *image, const struct wasmpool_module *module,
                                      const struct ModuleElement *element, uint32_t func_refs) {
    for (uint32_t i = 0; i < element->n_items; i++) {
        uint32_t item = module->items[element->first_item + i];

        image->offsets[element->offset.value + i] =
            item == ITEM_NULL ? 0 : func_refs + module->escaped[item] * (uint32_t)sizeof(struct wasmpool_func_ref);
    }
}

static struct TableImage *table_image_new(const struct wasmpool_module *module, uint32_t table, uint32_t n,
                                          uint32_t func_refs) {
    size_t bytes = sizeof(struct TableImage) + n * sizeof(uint32_t);
    struct TableImage *image = aligned_alloc(_Alignof(struct TableImage), bytes);

    if (!image)
        return NULL;
    memset(image, 0, bytes);
    image->n = n;
    for (uint32_t i = 0; i < module->counts.element_segments; i++)
        if (module->elements[i].mode == SEGMENT_ACTIVE && module->elements[i].table == table)
            table_image_write_segment(image, module, &module->elements[i], func_refs);
    return image;
}

static uint8_t *table_images_drop(const struct wasmpool_module *module) {
    uint32_t n = module->counts.element_segments;
    uint8_t *dropped = calloc((n + 7) / 8, 1);

    for (uint32_t i = 0; dropped && i < n; i++)
        if (module->elements[i].mode != SEGMENT_PASSIVE)
            dropped[i / 8] |= (uint8_t)(1 << i % 8);
    return dropped;
}

static int table_images_make(struct TableImages *images, const struct wasmpool_module *module, uint32_t func_refs) {
    images->dropped = table_images_drop(module);
    if (!images->dropped)
        return -ENOMEM;
    for (uint32_t i = 0; i < images->count; i++) {
        uint32_t table = module->counts.imported_tables + i, n = table_image_count(module, table);

        if (!n)
            continue;
        images->at[i] = table_image_new(module, table, n, func_refs);
        if (!images->at[i])
            return -ENOMEM;
        images->at[i]->id = images->first_id + i;
    }
    return 0;
}

int table_images_new(const struct wasmpool_module *module, uint32_t func_refs, struct TableImages **imagesp) {
    static _Atomic uint64_t next_id = 1;
    uint32_t count = module->counts.defined_tables;
    struct TableImages *images = NULL;

    if (table_images_are_possible(module)) {
        images = calloc(1, sizeof(*images) + count * sizeof(struct TableImage *));
        if (!images)
            return -ENOMEM;
        images->count = count;
        images->first_id = atomic_fetch_add(&next_id, count);
        if (table_images_make(images, module, func_refs)) {
            table_images_free(images);
            return -ENOMEM;
        }
    }
    *imagesp = images;
    return 0;
}

struct TableImages *table_images_free(struct TableImages *images) {
    for (uint32_t i = 0; images && i < images->count; i++)
        free(images->at[i]);
    free(images ? images->dropped : NULL);
    free(images);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ slots */

/* Whole units, so that no vector is cut. */

__attribute__((target("avx512f"))) static void elements_write_with_avx512(uint8_t *to, const uint32_t *offsets,
                                                                          uint32_t n, uint64_t vmctx) {
    const __m512i origin = _mm512_set1_epi64((long long)vmctx);
    __m512i *elements = (void *)to;

    for (uint32_t i = 0; i < n; i += 8, elements++) {
        const __m512i at = _mm512_cvtepu32_epi64(_mm256_load_si256((const void *)(offsets + i)));

        *elements = _mm512_maskz_add_epi64(_mm512_test_epi64_mask(at, at), at, origin);
    }
}

__attribute__((target("avx2"))) static void elements_write_with_avx2(uint8_t *to, const uint32_t *offsets, uint32_t n,
                                                                     uint64_t vmctx) {
    const __m256i origin = _mm256_set1_epi64x((long long)vmctx), zero = _mm256_setzero_si256();
    __m256i *elements = (void *)to;

    for (uint32_t i = 0; i < n; i += 4, elements++) {
        const __m256i at = _mm256_cvtepu32_epi64(_mm_load_si128((const void *)(offsets + i)));

        *elements = _mm256_andnot_si256(_mm256_cmpeq_epi64(at, zero), _mm256_add_epi64(at, origin));
    }
}

static void elements_write(uint8_t *to, const uint32_t *offsets, uint32_t n, uint64_t vmctx) {
    if (__builtin_cpu_supports("avx512f"))
        elements_write_with_avx512(to, offsets, n, vmctx);
    else if (__builtin_cpu_supports("avx2"))
        elements_write_with_avx2(to, offsets, n, vmctx);
    else
        for (uint32_t i = 0; i < n; i++)
            memcpy(to + i * sizeof(void *), &(uint64_t){offsets[i] ? vmctx + offsets[i] : 0}, sizeof(void *));
}

static void table_image_write(const struct TableImage *image, uint8_t *base, const struct wasmpool_vmcontext *vmctx) {
    elements_write(base, image->offsets, image->n, (uintptr_t)vmctx);
}

/* Without a system call: what an image is of is at most RESET_ZERO_BYTES. */
void table_image_clear(const struct Taken *taken) {
    memset(slab_slot_base(taken->slab, taken->index), 0, taken->slot->image_end);
    taken->slot->image_id = 0;
}

bool table_image_restore(const struct Taken *taken, const struct TableImage *image,
                         const struct wasmpool_vmcontext *vmctx, uint64_t used, uint64_t keep) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    struct Slot *slot = taken->slot;
    uint64_t end = image->n * sizeof(void *);

    if (used > RESET_ZERO_BYTES || used > keep - keep % host_page())
        return false;
    table_image_write(image, base, vmctx);
    /* A slot is whole pages, and so there are whole units. */
    if (used > end)
        mend_zero(base + end, (used - end + MEND_BYTES - 1) / MEND_BYTES * MEND_BYTES);
    slot_announce_reset(taken->entry, LEASE_RESET_SMALL, 0, 0);
    slot->image_id = image->id;
    slot->image_end = end;
    slot->vmctx = vmctx;
    slot->provenance = PROVENANCE_CLEAN;
    return true;
}

/* ------------------------------------------------------------------------------------------------ instances */

static bool table_image_is_there(const struct Taken *taken, const struct TableImage *image,
                                 const struct wasmpool_vmcontext *vmctx) {
    return taken->slot->image_id == image->id && taken->slot->vmctx == vmctx;
}

void table_images_fill(struct wasmpool_instance *instance) {
    const struct TableImages *images = instance->module->template->table_images;
    const struct wasmpool_vmcontext *vmctx = instance_vmctx(instance);

    for (uint32_t i = 0; i < instance->tables.count; i++) {
        struct wasmpool_table *table = &instance->tables.at[i];
        struct Taken taken;

        if (images->at[i] && shelf_find(instance->pool, table->allocation, &taken) &&
            !table_image_is_there(&taken, images->at[i], vmctx))
            table_image_write(images->at[i], table->base, vmctx);
    }
    memcpy(instance->dropped, images->dropped, (instance->module->counts.element_segments + 7) / 8);
    instance->elements = ELEMENTS_FILLED;
}

void table_images_retract(struct wasmpool_instance *instance) {
    /* A forked child has no tables to clear. */
    if (!*instance->pool->alive)
        return;
    for (uint32_t i = 0; i < instance->tables.count; i++) {
        struct Taken taken;

        if (shelf_find(instance->pool, instance->tables.at[i].allocation, &taken))
            table_image_switch(&taken, NULL);
    }
    instance->elements = ELEMENTS_SEEN;
}
