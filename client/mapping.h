/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_MAPPING_H
#define CLIENT_MAPPING_H

/* The address space of one slab: mapped in one call, inaccessible where it is not in use. What lies between the
 * accessible parts stays mapped, never a hole: an engine tells a trap from a crash by SEGV_ACCERR. */

#include "client/failure.h"
#include "shared/shape.h"

#include <unistd.h>

static inline uint64_t host_page(void) {
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

struct Mapping {
    uint8_t *base; /* NULL: instances, or unmapped */
    uint64_t bytes;
};

/* Map a slab's memfd, which is not kept: memories PROT_NONE, tables readable and writable. Not inherited by fork, not
 * in core dumps, no huge pages. Errors: HOST (RLIMIT_AS, vm.max_map_count or address space), -errno. */
int mapping_init(struct Mapping *mapping, const struct Shape *shape, int fd, struct wasmpool_error *error);
void mapping_deinit(struct Mapping *mapping);

static inline uint8_t *mapping_slot(const struct Mapping *mapping, const struct Shape *shape, uint32_t slot) {
    return mapping->base + shape_slot_offset(shape, slot);
}

/* Make exactly the first `bytes` of a slot accessible, of which `was` are now. One mprotect, on what changes only.
 * Errors: HOST (vm.max_map_count), -errno; nothing has changed then. */
int mapping_protect(uint8_t *slot, uint64_t was, uint64_t bytes, struct wasmpool_error *error);

#endif
