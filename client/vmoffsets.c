/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/failure.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

/* The public structs are what compiled code reads: their members lie where Wasmtime's do, for pointers of either size.
 */
#define POINTER sizeof(void *)
#define SIZE(TYPE, BYTES) static_assert(sizeof(TYPE) == (BYTES), "the size that Wasmtime's has")
#define MEMBER(TYPE, NAME, OFFSET) static_assert(offsetof(TYPE, NAME) == (OFFSET), "where Wasmtime's is")

SIZE(struct wasmpool_vmcontext, 6 * POINTER);
MEMBER(struct wasmpool_vmcontext, magic, 0);
MEMBER(struct wasmpool_vmcontext, store_context, 1 * POINTER);
MEMBER(struct wasmpool_vmcontext, builtin_functions, 2 * POINTER);
MEMBER(struct wasmpool_vmcontext, epoch_pointer, 3 * POINTER);
MEMBER(struct wasmpool_vmcontext, gc_heap_data, 4 * POINTER);
MEMBER(struct wasmpool_vmcontext, type_ids, 5 * POINTER);

SIZE(struct wasmpool_func_ref, 4 * POINTER);
MEMBER(struct wasmpool_func_ref, array_call, 0);
MEMBER(struct wasmpool_func_ref, wasm_call, 1 * POINTER);
MEMBER(struct wasmpool_func_ref, type_index, 2 * POINTER);
MEMBER(struct wasmpool_func_ref, vmctx, 3 * POINTER);

SIZE(struct wasmpool_memory_definition, 2 * POINTER);
MEMBER(struct wasmpool_memory_definition, base, 0);
MEMBER(struct wasmpool_memory_definition, current_length, 1 * POINTER);
SIZE(struct wasmpool_table_definition, 2 * POINTER);
MEMBER(struct wasmpool_table_definition, base, 0);
MEMBER(struct wasmpool_table_definition, current_elements, 1 * POINTER);
SIZE(union wasmpool_global_definition, 16);
SIZE(struct wasmpool_tag_definition, 4);

SIZE(struct wasmpool_memory_import, 3 * POINTER);
MEMBER(struct wasmpool_memory_import, from, 0);
MEMBER(struct wasmpool_memory_import, vmctx, 1 * POINTER);
MEMBER(struct wasmpool_memory_import, index, 2 * POINTER);
SIZE(struct wasmpool_table_import, 3 * POINTER);
MEMBER(struct wasmpool_table_import, from, 0);
MEMBER(struct wasmpool_table_import, vmctx, 1 * POINTER);
MEMBER(struct wasmpool_table_import, index, 2 * POINTER);
SIZE(struct wasmpool_global_import, 2 * POINTER + 8);
MEMBER(struct wasmpool_global_import, from, 0);
MEMBER(struct wasmpool_global_import, vmctx, 1 * POINTER);
MEMBER(struct wasmpool_global_import, kind, 2 * POINTER);
MEMBER(struct wasmpool_global_import, index, 2 * POINTER + 4);
SIZE(struct wasmpool_tag_import, 3 * POINTER);
MEMBER(struct wasmpool_tag_import, from, 0);
MEMBER(struct wasmpool_tag_import, vmctx, 1 * POINTER);
MEMBER(struct wasmpool_tag_import, index, 2 * POINTER);

enum Alignment { ANY, OF_POINTER, OF_VECTOR };

#define STATIC_POINTERS 6
#define VECTOR_BYTES 16

/* The arrays behind the fixed part, in their order. */
struct Region {
    const char *name;         /* Wasmtime's */
    size_t begin;             /* of struct wasmpool_vmoffsets: where the result goes */
    uint8_t pointers, bytes;  /* of one element: so many pointers, an index padded to one among them, and bytes */
    enum Alignment alignment; /* of the first element */
};

#define BEGIN(NAME) offsetof(struct wasmpool_vmoffsets, NAME)
static const struct Region regions[] = {
    {"imported memories", BEGIN(imported_memories), 3, 0, ANY},
    {"defined memories", BEGIN(memories), 1, 0, ANY},
    {"owned memories", BEGIN(owned_memories), 2, 0, ANY},
    {"imported functions", BEGIN(imported_functions), 4, 0, ANY},
    {"imported tables", BEGIN(imported_tables), 3, 0, ANY},
    {"imported globals", BEGIN(imported_globals), 2, 8, ANY},
    {"imported tags", BEGIN(imported_tags), 3, 0, ANY},
    {"defined tables", BEGIN(tables), 2, 0, ANY},
    {"defined globals", BEGIN(globals), 0, 16, OF_VECTOR},
    {"defined tags", BEGIN(tags), 0, 4, ANY},
    {"module functions", BEGIN(func_refs), 4, 0, OF_POINTER},
    {"startup funcref", BEGIN(startup_func_ref), 4, 0, ANY},
    {"runtime data base pointers", BEGIN(runtime_data_bases), 1, 0, ANY},
    {"runtime data lengths", BEGIN(runtime_data_lengths), 0, 4, ANY},
};
#define N_REGIONS (sizeof(regions) / sizeof(regions[0]))

static uint32_t region_count(const struct wasmpool_vmoffsets_fields *fields, size_t i) {
    const uint32_t counts[] = {
        fields->imported_memories, fields->defined_memories, fields->owned_memories,    fields->imported_functions,
        fields->imported_tables,   fields->imported_globals, fields->imported_tags,     fields->defined_tables,
        fields->defined_globals,   fields->defined_tags,     fields->escaped_functions, fields->has_startup,
        fields->runtime_data,      fields->runtime_data,
    };

    static_assert(sizeof(counts) / sizeof(counts[0]) == N_REGIONS, "a count for each region");
    return counts[i];
}

static uint32_t element_bytes(const struct wasmpool_vmoffsets_fields *fields, size_t i) {
    return (uint32_t)regions[i].pointers * fields->pointer_size + regions[i].bytes;
}

static uint32_t *region_begin(struct wasmpool_vmoffsets *offsets, size_t i) {
    return (uint32_t *)(void *)((char *)offsets + regions[i].begin);
}

static uint32_t region_offset(const struct wasmpool_vmoffsets *offsets, size_t i) {
    return *(const uint32_t *)(const void *)((const char *)offsets + regions[i].begin);
}

static bool align_overflows(uint32_t offset, enum Alignment alignment, uint8_t pointer_size, uint32_t *alignedp) {
    uint32_t width = alignment == OF_VECTOR ? VECTOR_BYTES : alignment == OF_POINTER ? pointer_size : 1;

    if (__builtin_add_overflow(offset, width - 1, alignedp))
        return true;
    *alignedp &= ~(width - 1);
    return false;
}

static int check_fields(const struct wasmpool_vmoffsets_fields *fields, struct wasmpool_error *error) {
    if (fields->pointer_size != 4 && fields->pointer_size != 8)
        return error_set(failure(error), ERROR_INVALID, "VMContext: pointers have 4 or 8 bytes, not %u",
                         fields->pointer_size);
    if (fields->owned_memories > fields->defined_memories)
        return error_set(failure(error), ERROR_INVALID,
                         "VMContext: owned memories: there are %" PRIu32 ", of %" PRIu32 " defined memories",
                         fields->owned_memories, fields->defined_memories);
    return 0;
}

PUBLIC int wasmpool_vmoffsets_init(struct wasmpool_vmoffsets *offsets, const struct wasmpool_vmoffsets_fields *fields,
                                   struct wasmpool_error *error) {
    struct wasmpool_vmoffsets result = {.fields = *fields};
    uint32_t pointer = fields->pointer_size, next = STATIC_POINTERS * pointer;
    int r;

    r = check_fields(fields, error);
    if (r)
        return r;
    result.store_context = 1 * pointer;
    result.builtin_functions = 2 * pointer;
    result.epoch_pointer = 3 * pointer;
    result.gc_heap_data = 4 * pointer;
    result.type_ids = 5 * pointer;
    for (size_t i = 0; i < N_REGIONS; i++) {
        uint32_t count = region_count(fields, i), each = element_bytes(fields, i), begin, bytes, end;

        if (align_overflows(next, regions[i].alignment, fields->pointer_size, &begin) ||
            __builtin_mul_overflow(count, each, &bytes) || __builtin_add_overflow(begin, bytes, &end))
            return error_set(failure(error), ERROR_INVALID,
                             "VMContext: %s: %" PRIu32 " of %" PRIu32 " bytes behind %" PRIu32 " bytes exceed 32 bits",
                             regions[i].name, count, each, next);
        *region_begin(&result, i) = begin;
        next = end;
    }
    result.size = next;
    *offsets = result;
    return 0;
}

PUBLIC int wasmpool_vmoffsets_region(const struct wasmpool_vmoffsets *offsets, uint32_t i, const char **namep,
                                     uint32_t *bytesp) {
    uint32_t begin, end;

    if (i > N_REGIONS)
        return -ENOENT;
    *namep = i ? regions[i - 1].name : "static vmctx data";
    begin = i ? region_offset(offsets, i - 1) : 0;
    end = i < N_REGIONS ? region_offset(offsets, i) : offsets->size;
    *bytesp = end - begin;
    return 0;
}
