/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_ALLOCATOR_H
#define CLIENT_ALLOCATOR_H

/* The hooks: one memory, one table, one permit at a time. Everything that is offered is made of these. A label is
 * LEASE_LABEL_BYTES long and padded. */

#include "client/module.h"
#include "client/pool.h"
#include "client/table-image.h"

struct MemoryRequest {
    const struct wasmpool_memory_type *type;
    uint32_t index; /* in its module's index space, for messages */
    const char *label;
    const struct Image *image; /* NULL: it begins as zero */
    struct Planner *planner;   /* of its module; NULL: it has none */
    const struct wasmpool_module *keep; /* its module, if the memory shall keep it; NULL: an instance does */
    const struct wasmpool_limiter *limiter;
    uint64_t deadline_ns; /* see wasmpool_request */
    bool pinned, explicit_bounds; /* the same */
};

struct TableRequest {
    const struct wasmpool_table_type *type;
    uint32_t index;
    const char *label;
    const struct TableImage *image; /* whose elements it may have already; NULL: it is null */
    const struct wasmpool_limiter *limiter;
    uint64_t deadline_ns;
};

int memory_allocate(struct wasmpool *pool, const struct MemoryRequest *request, struct wasmpool_memory *memory,
                    struct wasmpool_error *error);
/* wasmpool_allocate_memories, with memories that keep `keep` unless it is NULL. */
int memories_allocate(struct wasmpool *pool, const struct wasmpool_request *request, const struct wasmpool_module *keep,
                      struct wasmpool_memories *memories, struct wasmpool_error *error);
/* wasmpool_allocate_tables, with tables that may have the elements of these images; NULL: they are null. */
int tables_allocate(struct wasmpool *pool, const struct wasmpool_request *request, const struct TableImages *images,
                    struct wasmpool_tables *tables, struct wasmpool_error *error);
/* Give an instance's tables back. */
void tables_release(struct wasmpool_instance *instance);
int table_allocate(struct wasmpool *pool, const struct TableRequest *request, struct wasmpool_table *table,
                   struct wasmpool_error *error);

#endif
