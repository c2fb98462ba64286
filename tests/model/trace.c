/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/model/trace.h"

#include "shared/clock.h"
#include "shared/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t trace_once = PTHREAD_ONCE_INIT;
static struct TraceFile *trace_file;  /* NULL: nothing is to be recorded */
static _Atomic uint32_t trace_slots; /* that have their number from this process */
static _Thread_local struct TraceEdge *trace_next, *trace_end;

/* Without its trace a run says nothing. */
static void trace_open(void) {
    const char *directory = getenv("LEASE_TRACE");
    char path[4096];
    int fd;

    if (!directory)
        return;
    snprintf(path, sizeof(path), "%s/%s-%d", directory, program_invocation_short_name, (int)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct TraceFile))) {
        perror(path);
        abort();
    }
    trace_file = mmap(NULL, sizeof(struct TraceFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (trace_file == MAP_FAILED)
        abort();
    close(fd);
    trace_file->magic = TRACE_MAGIC;
}

static uint64_t trace_number(struct LeaseEntry *entry) {
    _Atomic uint64_t *reserved = (_Atomic uint64_t *)&entry->reserved;
    uint64_t number = atomic_load(reserved), fresh;

    if (number)
        return number;
    fresh = (uint64_t)getpid() << 32 | (atomic_fetch_add(&trace_slots, 1) + 1);
    return atomic_compare_exchange_strong(reserved, &number, fresh) ? fresh : number;
}

static struct TraceEdge *trace_reserve(void) {
    uint64_t first;

    pthread_once(&trace_once, trace_open);
    if (!trace_file)
        return NULL;
    if (trace_next == trace_end) {
        first = atomic_fetch_add(&trace_file->n, TRACE_CHUNK);
        if (first + TRACE_CHUNK > TRACE_EDGES_MAX)
            return NULL;
        trace_next = &trace_file->edges[first];
        trace_end = trace_next + TRACE_CHUNK;
    }
    return trace_next;
}

int lease_walk(struct LeaseEntry *entry, uint64_t from, uint64_t to) {
    struct TraceEdge *edge = trace_reserve();
    bool walked;

    if (edge)
        *edge = (struct TraceEdge){
            .slot = trace_number(entry), .from = from, .to = to, .before_ns = clock_now_ns()};
    atomic_signal_fence(memory_order_seq_cst); /* recorded before it is walked, also if this is the end */
    walked = atomic_compare_exchange_strong(&entry->word, &from, to);
    if (edge && walked) {
        edge->after_ns = clock_now_ns();
        trace_next++;
    } else if (edge)
        edge->slot = 0;
    return walked ? 0 : LEASE_E_LOST;
}
