/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/lease.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEASE_NS_PER_S UINT64_C(1000000000)

void lease_table_init(struct LeaseTable *table, uint32_t entries) {
    table->header.magic = LEASE_MAGIC;
    table->header.version = LEASE_VERSION;
    table->header.entries = entries;
    table->header.header_bytes = sizeof(struct LeaseHeader);
}

int lease_wait(struct LeaseTable *table, uint32_t seen, uint64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / LEASE_NS_PER_S),
                               .tv_nsec = (long)(timeout_ns % LEASE_NS_PER_S)};

    if (!syscall(SYS_futex, &table->header.futex, FUTEX_WAIT, seen, &timeout, NULL, 0))
        return 0;
    return errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void lease_wake(struct LeaseTable *table) {
    atomic_fetch_add(&table->header.futex, 1);
    syscall(SYS_futex, &table->header.futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
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

static const struct {
    const char *name, *why;
} LEASE_RESETS[LEASE_RESET_N] = {
    [LEASE_RESET_NONE] = {"none", "it has not been used again"},
    [LEASE_RESET_SMALL] = {"small", "to compare everything is cheaper than a system call"},
    [LEASE_RESET_COUNT] = {"count", "few pages are written, and the process' faults tell when another one is"},
    [LEASE_RESET_SCAN] = {"scan", "few pages are written, and the process has faults or threads all the time"},
    [LEASE_RESET_WHOLE] = {"whole", "most pages are written each time"},
    [LEASE_RESET_EXTENTS] = {"extents", "what was written is not known: new, too much, or not to be told by the kernel"},
    [LEASE_RESET_PRIVATE] = {"copy-on-write", "a copy of the image for each slot would cost memory"},
};

const char *lease_reset_name(uint32_t way) {
    return way < LEASE_RESET_N ? LEASE_RESETS[way].name : "unknown";
}

const char *lease_reset_why(uint32_t way) {
    return way < LEASE_RESET_N ? LEASE_RESETS[way].why : "the client says something else";
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
