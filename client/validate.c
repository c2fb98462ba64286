/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/validate.h"

#include "client/template.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* The static rules, with Wasmtime's wording where there is one. */

static int validate_refuse(struct wasmpool_error *error, const char *limit, uint64_t bound, uint64_t ask,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

static int validate_refuse(struct wasmpool_error *error, const char *limit, uint64_t bound, uint64_t ask,
                           const char *format, ...) {
    va_list args;

    if (!error)
        return ERROR_INVALID;
    error_limit(failure(error), ERROR_INVALID, limit, bound, 0, ask, "");
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return ERROR_INVALID;
}

int validate_memory(const struct wasmpool *pool, const struct wasmpool_memory_type *type, uint32_t index,
                    struct wasmpool_error *error) {
    uint64_t bound = pool->limits.max_memory_size, bytes = limits_page_bytes(type->minimum);
    const char *limit = "max_memory_size";

    if (type->shared)
        return error_set(failure(error), ERROR_UNSUPPORTED,
                         "memory index %u is shared, which is not supported (threads proposal)", index);
    /* A daemon's client may have chosen a smaller reservation for its own slabs. */
    if (pool->limits.memory_reservation < bound) {
        bound = pool->limits.memory_reservation;
        limit = "memory_reservation";
    }
    if (type->has_maximum && type->minimum > type->maximum)
        return error_set(failure(error), ERROR_INVALID, "memory index %u has a minimum greater than its maximum",
                         index);
    if (bytes > bound)
        return validate_refuse(error, limit, bound, bytes,
                               "memory index %u has a minimum byte size of %" PRIu64
                               " which exceeds the limit %s of %" PRIu64 " bytes",
                               index, bytes, limit, bound);
    return 0;
}

int validate_table(const struct wasmpool *pool, const struct wasmpool_table_type *type, uint32_t index,
                   struct wasmpool_error *error) {
    uint64_t bound = pool->limits.table_elements;

    if (type->has_maximum && type->minimum > type->maximum)
        return error_set(failure(error), ERROR_INVALID, "table index %u has a minimum greater than its maximum", index);
    if (type->minimum <= bound)
        return 0;
    return validate_refuse(error, "table_elements", bound, type->minimum,
                           "table index %u has a minimum element size of %u which exceeds the limit table_elements of "
                           "%" PRIu64,
                           index, type->minimum, bound);
}

static int validate_count(uint64_t count, const char *what, const char *limit, uint64_t bound,
                          struct wasmpool_error *error) {
    if (count <= bound)
        return 0;
    return validate_refuse(error, limit, bound, count,
                           "defined %s count of %" PRIu64 " exceeds the limit %s of %" PRIu64, what, count, limit,
                           bound);
}

/* Regions of more than 5 % of the whole, as Wasmtime breaks it down. */
static void validate_break_down(const struct wasmpool_module *module, uint64_t bytes, char *text, size_t text_bytes) {
    const struct wasmpool_vmoffsets *offsets = &module->template->offsets;
    const char *name = "instance state management";
    uint64_t state = bytes - offsets->size;
    uint32_t region_bytes = 0;
    size_t used = 0;

    for (uint32_t i = 0; used < text_bytes; i++) {
        uint64_t size = i ? region_bytes : state;

        if (size > bytes / 20)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s %" PRIu64 " (%" PRIu64 " %%)",
                                     used ? ", " : "", name, size, size * 100 / bytes);
        if (wasmpool_vmoffsets_region(offsets, i, &name, &region_bytes))
            break;
    }
}

static int validate_size(const struct wasmpool *pool, const struct wasmpool_module *module,
                         struct wasmpool_error *error) {
    uint64_t bytes = module->template->block.bytes, bound = pool->limits.max_core_instance_size;
    char regions[160] = "";

    if (__builtin_expect(bytes <= bound, 1))
        return 0;
    validate_break_down(module, bytes, regions, sizeof(regions));
    return validate_refuse(error, "max_core_instance_size", bound, bytes,
                           "an instance requires %" PRIu64 " bytes, max_core_instance_size is %" PRIu64 ": %s", bytes,
                           bound, regions);
}

int validate_counts(const struct wasmpool *pool, const struct wasmpool_module *module, struct wasmpool_error *error) {
    const struct Limits *limits = &pool->limits;
    uint64_t memories = module->counts.defined_memories, tables = module->counts.defined_tables;
    int r = validate_count(memories, "memories", "max_memories_per_module", limits->max_memories_per_module, error);

    if (!r)
        r = validate_count(memories, "memories", "total_memories", limits->total_memories, error);
    if (!r)
        r = validate_count(tables, "tables", "max_tables_per_module", limits->max_tables_per_module, error);
    if (!r)
        r = validate_count(tables, "tables", "total_tables", limits->total_tables, error);
    if (!r)
        r = validate_size(pool, module, error);
    return r;
}

PUBLIC int wasmpool_validate_module(const struct wasmpool *pool, const struct wasmpool_module *module,
                                    struct wasmpool_error *error) {
    int r = validate_counts(pool, module, error);

    for (uint32_t i = 0; i < module->counts.defined_memories && !r; i++)
        r = validate_memory(pool, &module->memories[i], module->counts.imported_memories + i, error);
    for (uint32_t i = 0; i < module->counts.defined_tables && !r; i++)
        r = validate_table(pool, &module->tables[i], module->counts.imported_tables + i, error);
    if (!r)
        template_prepare(module, pool->source->share_image);
    return r;
}
