/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a page fault costs that makes a page which nobody has touched: of memory as the stock runtime of wasm2c has it,
 * and of a memfd as a slab is. A cycle is one fault that the kernel has counted, which may be of more than one page. */

#define FAULT_BYTES ((size_t)4 << 20)       /* touched, then made fresh again */
#define FAULT_RESERVED_BYTES ((size_t)8 << 30) /* as the stock runtime reserves for a memory */

struct FaultState {
    uint8_t *base;
    size_t reserved, page;
    int fd; /* -1: anonymous */
};

static long fault_count(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void fault_map(struct FaultState *state) {
    int flags = state->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

    state->base = mmap(NULL, state->reserved, PROT_NONE, flags | MAP_NORESERVE, state->fd, 0);
    if (state->base == MAP_FAILED)
        work_fail("mmap", strerror(errno));
    if (state->fd >= 0)
        madvise(state->base, state->reserved, MADV_NOHUGEPAGE);
    if (mprotect(state->base, FAULT_BYTES, PROT_READ | PROT_WRITE))
        work_fail("mprotect", strerror(errno));
}

static void *fault_open(int fd, size_t reserved) {
    struct FaultState *state = work_allocate(sizeof(*state));

    *state = (struct FaultState){.reserved = reserved, .page = (size_t)sysconf(_SC_PAGESIZE), .fd = fd};
    fault_map(state);
    return state;
}

static void *fault_open_anonymous(const struct WorkOptions *options) {
    (void)options;
    return fault_open(-1, FAULT_RESERVED_BYTES);
}

static void *fault_open_shared(const struct WorkOptions *options) {
    int fd = memfd_create("fault", MFD_CLOEXEC);

    (void)options;
    if (fd < 0 || ftruncate(fd, FAULT_BYTES))
        work_fail("memfd_create", strerror(errno));
    return fault_open(fd, FAULT_BYTES);
}

static void fault_make_fresh(struct FaultState *state) {
    if (madvise(state->base, FAULT_BYTES, state->fd < 0 ? MADV_DONTNEED : MADV_REMOVE))
        work_fail("madvise", strerror(errno));
}

/* How long so many faults take. */
static uint64_t fault_run_part(void *opaque, uint64_t cycles) {
    struct FaultState *state = opaque;
    uint64_t faults = 0, ns = 0;

    while (faults < cycles) {
        long before = fault_count();
        uint64_t start = work_now_ns();

        for (size_t at = 0; at < FAULT_BYTES; at += state->page)
            *(volatile uint8_t *)(state->base + at) = 1;
        ns += work_now_ns() - start;
        faults += (uint64_t)(fault_count() - before);
        fault_make_fresh(state);
    }
    return faults ? ns * cycles / faults : 0;
}

static void fault_run(void *opaque, uint64_t cycles) {
    fault_run_part(opaque, cycles);
}

static void fault_close(void *opaque) {
    struct FaultState *state = opaque;

    munmap(state->base, state->reserved);
    if (state->fd >= 0)
        close(state->fd);
    free(state);
}

const struct Work WORK_FAULT_ANONYMOUS = {
    .name = "fault-anonymous",
    .meaning = "a page fault of fresh memory as the stock runtime has it; with --part nothing else",
    .open = fault_open_anonymous,
    .run = fault_run,
    .run_part = fault_run_part,
    .close = fault_close,
};

const struct Work WORK_FAULT_SHARED = {
    .name = "fault-shared",
    .meaning = "the same of a memfd, as slabs have it",
    .open = fault_open_shared,
    .run = fault_run,
    .run_part = fault_run_part,
    .close = fault_close,
};
