/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_MODEL_TRACE_H
#define TESTS_MODEL_TRACE_H

/* A trace: which edges processes have walked. With -DLEASE_TRACE, lease_walk records each edge in a file of its process
 * in the directory $LEASE_TRACE, PROGRAM-PID, if that is set. Who is killed leaves what he has walked.
 *
 * An entry has another address in each process, so that the first one to walk an edge of it gives its slot a number, in
 * the entry's reserved word; another slab's slot there has another number. The order of a slot's edges is in the words,
 * but for those that are walked often in one generation: for these there are the moments before and after. */

#include <stdatomic.h>
#include <stdint.h>

#define TRACE_MAGIC UINT64_C(0x6563617274737077) /* "wpstrace" */
#define TRACE_EDGES_MAX 1000000 /* of one process; 40 MB of sparse file */
#define TRACE_CHUNK 256         /* edges that a thread reserves at a time */

struct TraceEdge {
    uint64_t slot; /* 0: none is recorded here */
    uint64_t from, to;
    uint64_t before_ns, after_ns; /* CLOCK_MONOTONIC; after_ns 0: its thread was killed before it knew */
};

struct TraceFile {
    uint64_t magic;
    _Atomic uint64_t n; /* edges that are reserved: beyond TRACE_EDGES_MAX they are missing */
    struct TraceEdge edges[TRACE_EDGES_MAX];
};

#endif
