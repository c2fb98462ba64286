/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_MODEL_PATH_H
#define TESTS_MODEL_PATH_H

/* Paths: are the edges that were walked on a slot's word one path through the model's table of edges? From VACANT in
 * generation 0, each edge once, by who may walk it, and in an order that the moments allow. */

#include "tests/model/edges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum PathWalker { PATH_owner = 1, PATH_client = 2, PATH_anyone = PATH_owner | PATH_client };

struct PathEdge {
    uint64_t slot, from, to;
    uint64_t before_ns, after_ns; /* UINT64_MAX: it may have been walked, or not */
    enum PathWalker walker;
    bool is_used;
};

enum PathFault {
    PATH_OK,
    PATH_NO_EDGE,      /* the table has no such edge */
    PATH_WRONG_WALKER, /* not his to walk */
    PATH_FORK,         /* edges are left, and the path does not lead to them */
    PATH_ANACHRONISM,  /* it does, but at another time */
    PATH_NOT_ALONE,    /* granted by the owner after the client has played the owner */
    PATH_FAULTS_N
};

#define PATH_COUNT(NAME, WALKER, FROM, TO, STEP) PATH_COUNT_##NAME,
enum { EDGES(PATH_COUNT) PATH_EDGES_N };

/* Where and what is wrong. */
struct PathReport {
    enum PathFault fault;
    struct PathEdge edge;
    uint64_t n_edges, n_slots, counts[PATH_EDGES_N];
};

/* Sorts the edges. Stops at the first fault. */
enum PathFault path_check(struct PathEdge *edges, size_t n, struct PathReport *report);

const char *path_fault_name(enum PathFault fault);
const char *path_edge_name(size_t edge);

#endif
