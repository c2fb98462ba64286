/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/lease.h"

void lease_table_init(struct LeaseTable *table, uint32_t entries) {
    table->header.magic = LEASE_MAGIC;
    table->header.version = LEASE_VERSION;
    table->header.entries = entries;
    table->header.header_bytes = sizeof(struct LeaseHeader);
}

const char *lease_word_name(uint64_t word) {
    switch (lease_state(word)) {
    case LEASE_VACANT:
        return "vacant";
    case LEASE_IDLE:
        return "idle";
    case LEASE_BUSY:
        return word & LEASE_RECALL ? "recalled" : "busy";
    default:
        return "invalid";
    }
}

const char *kind_name(unsigned kind) {
    switch (kind) {
    case KIND_MEMORY:
        return "memory";
    case KIND_TABLE:
        return "table";
    case KIND_INSTANCE:
        return "instance";
    default:
        return "unknown";
    }
}
