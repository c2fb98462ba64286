/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_LIMITS_H
#define SHARED_LIMITS_H

/* The limits of the allocator, by the names and with the defaults of Wasmtime's PoolingAllocationConfig (49.0.0-dev,
 * crates/wasmtime/src/config.rs). One table serves the configuration, the wire, the messages and the manual. */

#include "shared/error.h"

#include <stddef.h>
#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define WASM_PAGE_BYTES (64 * KIB)
/* A memory of 65536 wasm pages is 4 GiB: its size does not fit the 32 bits that wasm2c's runtime has for it, so such
 * users cap at one page less. */
#define WASM_PAGES_MAX UINT64_C(65536)

enum LimitUnit { LIMIT_COUNT, LIMIT_BYTES, LIMIT_BOOL, LIMIT_AUTO };

/* For LIMIT_AUTO. */
enum LimitAuto { LIMIT_AUTO_AUTO, LIMIT_AUTO_YES, LIMIT_AUTO_NO };

/* X(name, unit, default, least, most, meaning) */
#define LIMITS(X)                                                                                                      \
    X(total_core_instances, LIMIT_COUNT, 1000, 0, 1 << 20, "instances granted at one time, over all clients")          \
    X(total_memories, LIMIT_COUNT, 1000, 0, 1 << 20, "memories granted at one time, over all clients")                 \
    X(total_tables, LIMIT_COUNT, 1000, 0, 1 << 20, "tables granted at one time, over all clients")                     \
    X(max_memories_per_module, LIMIT_COUNT, 1, 0, 100, "memories that a module may define")                            \
    X(max_tables_per_module, LIMIT_COUNT, 1, 0, 100, "tables that a module may define")                                \
    X(max_memory_size, LIMIT_BYTES, 4 * GIB, 0, 4 * GIB, "bytes that one memory may have, also by growing")            \
    X(table_elements, LIMIT_COUNT, 20000, 0, 10000000, "elements that one table may have, also by growing")            \
    X(max_core_instance_size, LIMIT_BYTES, MIB, 0, GIB, "bytes of one instance's own state")                           \
    X(memory_reservation, LIMIT_BYTES, 4 * GIB, 64 * KIB, 64 * GIB, "address space reserved for each memory")          \
    X(memory_guard_size, LIMIT_BYTES, 32 * MIB, 0, 64 * GIB, "inaccessible bytes behind each memory")                  \
    X(guard_before_linear_memory, LIMIT_BOOL, 1, 0, 1, "a guard in front of the first memory too")                     \
    X(linear_memory_keep_resident, LIMIT_BYTES, 64 * GIB, 0, 64 * GIB,                                                 \
      "bytes of pages that a released memory keeps; those beyond go back to the kernel")                             \
    X(table_keep_resident, LIMIT_BYTES, 64 * GIB, 0, 64 * GIB, "the same for tables")                                  \
    X(max_unused_warm_slots, LIMIT_COUNT, 1 << 20, 0, 1 << 20, "released memories that may stay resident")             \
    X(decommit_batch_size, LIMIT_COUNT, 1, 0, 4096,                                                                    \
      "accepted for compatibility: memfds have no call that gives back several ranges at once")                        \
    X(pagemap_scan, LIMIT_AUTO, LIMIT_AUTO_AUTO, 0, 2,                                                                 \
      "whether the kernel is asked which pages of a released memory were written: yes fails where it cannot say")

struct Limits {
#define LIMITS_FIELD(name, unit, standard, least, most, meaning) uint64_t name;
    LIMITS(LIMITS_FIELD)
#undef LIMITS_FIELD
};

struct LimitInfo {
    const char *name;
    enum LimitUnit unit;
    uint64_t standard, least, most;
    const char *meaning;
    size_t offset; /* in struct Limits */
};

extern const struct LimitInfo LIMIT_INFOS[];
extern const size_t LIMIT_INFOS_N;

void limits_init(struct Limits *limits);

/* Parse `value` ("1000", "4G", "64K", "true", "auto") into the limit called `name`.
 * Returns 0 or ERROR_INVALID with a message that says what would be right. */
int limits_set(struct Limits *limits, const char *name, const char *value, struct Error *error);

/* NULL when there is no limit of that name. */
const struct LimitInfo *limits_find(const char *name);
uint64_t limits_get(const struct Limits *limits, const struct LimitInfo *info);

/* A value as limits_set reads it: "1000", "4G", "true", "auto". Writes into `buffer`, if it needs to; returns the text.
 */
const char *limits_format(char *buffer, size_t bytes, const struct LimitInfo *info, uint64_t value);

/* What must hold between limits: the maximum memory size fits the reservation, sizes are multiples of pages. */
int limits_check(const struct Limits *limits, struct Error *error);

/* Parse an unsigned number with an optional suffix K, M, G or T (powers of 1024). 0 or -EINVAL or -ERANGE. */
int limits_parse_number(const char *text, uint64_t *valuep);

/* Bytes of so many wasm pages; UINT64_MAX if they are more than that. */
static inline uint64_t limits_page_bytes(uint64_t wasm_pages) {
    uint64_t bytes;

    return __builtin_mul_overflow(wasm_pages, WASM_PAGE_BYTES, &bytes) ? UINT64_MAX : bytes;
}

#endif
