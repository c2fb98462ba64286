/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* replay DIRECTORY: the traces there go through the model's table of edges. With `planted` behind it, faults are then
 * planted in them, one at a time, and each must be found: else that none was says nothing. Ends with `N passed, N
 * failed`. */

#include "tests/model/path.h"
#include "tests/model/trace.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct Trace {
    struct PathEdge *edges;
    size_t n, n_processes;
    bool is_whole;
};

/* ------------------------------------------------------------------------------------------------ read */

/* Where one process grants and takes, each edge may be its own. */
static enum PathWalker walker_of(const char *name) {
    if (!strncmp(name, "wasmpoold-", 10))
        return PATH_owner;
    return strncmp(name, "fleet-", 6) ? PATH_anyone : PATH_client;
}

static void trace_add(struct Trace *trace, const struct TraceFile *file, const char *name) {
    uint64_t n = file->n < TRACE_EDGES_MAX ? file->n : TRACE_EDGES_MAX;
    enum PathWalker walker = walker_of(name);

    trace->is_whole &= file->magic == TRACE_MAGIC && file->n <= TRACE_EDGES_MAX;
    trace->edges = realloc(trace->edges, (trace->n + n + 1) * sizeof(*trace->edges));
    if (!trace->edges)
        abort();
    for (uint64_t i = 0; i < n; i++) {
        const struct TraceEdge *edge = &file->edges[i];

        if (edge->slot)
            trace->edges[trace->n++] = (struct PathEdge){.slot = edge->slot,
                                                         .from = edge->from,
                                                         .to = edge->to,
                                                         .before_ns = edge->before_ns,
                                                         .after_ns = edge->after_ns ? edge->after_ns : UINT64_MAX,
                                                         .walker = walker};
    }
    trace->n_processes++;
}

static bool trace_read(struct Trace *trace, const char *directory) {
    DIR *stream = opendir(directory);
    struct dirent *entry;

    while (stream && (entry = readdir(stream))) {
        int fd = *entry->d_name == '.' ? -1 : openat(dirfd(stream), entry->d_name, O_RDONLY);
        void *file = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct TraceFile), PROT_READ, MAP_SHARED, fd, 0);

        if (file != MAP_FAILED) {
            trace_add(trace, file, entry->d_name);
            munmap(file, sizeof(struct TraceFile));
        }
        if (fd >= 0)
            close(fd);
    }
    if (stream)
        closedir(stream);
    return trace->is_whole && trace->n;
}

/* ------------------------------------------------------------------------------------------------ faults */

static bool edge_is(const struct PathEdge *edge, uint64_t from, uint64_t to) {
    return WORD_STATE(edge->from) == from && WORD_STATE(edge->to) == to && edge->after_ns != UINT64_MAX;
}

/* One from the middle of the trace, not of the first generation; of a slot that goes on from there, if it is to be. */
static struct PathEdge *trace_find(struct Trace *trace, uint64_t from, uint64_t to, bool goes_on) {
    for (size_t i = 0, at = trace->n / 2; i < trace->n; i++, at = (at + 1) % trace->n) {
        struct PathEdge *edge = &trace->edges[at];
        bool is_gone_on = false;

        if (!edge_is(edge, from, to) || !WORD_GENERATION(edge->from))
            continue;
        for (size_t j = 0; j < trace->n && goes_on && !is_gone_on; j++)
            is_gone_on = trace->edges[j].slot == edge->slot && trace->edges[j].from == edge->to &&
                          trace->edges[j].after_ns != UINT64_MAX;
        if (is_gone_on || !goes_on)
            return edge;
    }
    return NULL;
}

/* Now that everything else has happened. */
static void trace_put_off(const struct Trace *trace, struct PathEdge *edge) {
    uint64_t last_ns = 0;

    for (size_t i = 0; i < trace->n; i++)
        if (trace->edges[i].after_ns != UINT64_MAX && trace->edges[i].after_ns > last_ns)
            last_ns = trace->edges[i].after_ns;
    edge->before_ns = edge->after_ns = last_ns + 1;
}

static bool plant_double(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_VACANT, WORD_IDLE, false);

    if (edge) {
        trace->edges[trace->n] = *edge;
        trace_put_off(trace, &trace->edges[trace->n++]);
    }
    return edge;
}

static bool plant_gap(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_VACANT, true);

    if (edge)
        *edge = trace->edges[--trace->n];
    return edge;
}

static bool plant_back(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_VACANT, false);

    if (edge)
        edge->to = WORD(WORD_GENERATION(edge->from) - 1, WORD_VACANT);
    return edge;
}

static bool plant_leap(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_VACANT, false);

    if (edge)
        edge->to = WORD(WORD_GENERATION(edge->from) + 2, WORD_VACANT);
    return edge;
}

static bool plant_rest(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_BUSY, WORD_IDLE, false);

    if (edge)
        edge->from = edge->to;
    return edge;
}

static bool plant_late_recall(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_VACANT, WORD_IDLE, false);

    if (edge)
        edge->to = WORD(WORD_GENERATION(edge->from), WORD_RECALLED);
    return edge;
}

static bool plant_taking_owner(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_BUSY, false);

    if (edge)
        edge->walker = PATH_owner;
    return edge;
}

static bool plant_granting_client(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_VACANT, WORD_IDLE, false);

    if (edge)
        edge->walker = PATH_client;
    return edge;
}

static bool plant_lone_client(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_VACANT, true);

    if (edge)
        edge->walker = PATH_client;
    return edge;
}

static bool plant_late(struct Trace *trace) {
    struct PathEdge *edge = trace_find(trace, WORD_IDLE, WORD_VACANT, true);

    if (edge)
        trace_put_off(trace, edge);
    return edge;
}

static const struct {
    const char *name;
    bool (*plant)(struct Trace *trace);
    enum PathFault fault;
} planted[] = {
    {"a grant twice", plant_double, PATH_FORK},
    {"a revoke that is missing", plant_gap, PATH_FORK},
    {"a generation that goes back", plant_back, PATH_NO_EDGE},
    {"a generation that is left out", plant_leap, PATH_NO_EDGE},
    {"from idle to idle", plant_rest, PATH_NO_EDGE},
    {"recalled when granted", plant_late_recall, PATH_NO_EDGE},
    {"taken by the owner", plant_taking_owner, PATH_WRONG_WALKER},
    {"granted by a client", plant_granting_client, PATH_WRONG_WALKER},
    {"granted where a client was left alone", plant_lone_client, PATH_NOT_ALONE},
    {"revoked after it was granted again", plant_late, PATH_ANACHRONISM},
};

/* ------------------------------------------------------------------------------------------------ what is said */

static void tell_fault(const struct PathReport *report) {
    const struct PathEdge *edge = &report->edge;

    printf("FAILED: %s: slot %" PRIx64 ", generation %" PRIu64 " state %" PRIu64 " -> generation %" PRIu64
           " state %" PRIu64 ", by walker %d\n",
           path_fault_name(report->fault), edge->slot, WORD_GENERATION(edge->from), WORD_STATE(edge->from),
           WORD_GENERATION(edge->to), WORD_STATE(edge->to), (int)edge->walker);
}

/* Returns how many edges of the table were not walked, which must be all of them to say anything. */
static unsigned tell_edges(const struct Trace *trace, const struct PathReport *report) {
    unsigned n_missing = 0;

    printf("replay: %" PRIu64 " edges on %" PRIu64 " slots by %zu processes:", report->n_edges, report->n_slots,
           trace->n_processes);
    for (size_t i = 0; i < PATH_EDGES_N; i++) {
        printf(" %s %" PRIu64, path_edge_name(i), report->counts[i]);
        n_missing += !report->counts[i];
    }
    printf("\n");
    return n_missing;
}

static bool find_planted(const struct Trace *trace, size_t i) {
    struct Trace copy = {.edges = malloc((trace->n + 1) * sizeof(*copy.edges)), .n = trace->n};
    struct PathReport report = {0};
    bool is_found;

    if (!copy.edges)
        abort();
    memcpy(copy.edges, trace->edges, trace->n * sizeof(*copy.edges));
    is_found = planted[i].plant(&copy) && path_check(copy.edges, copy.n, &report) == planted[i].fault;
    if (!is_found)
        printf("FAILED: planted: %s: found was %s\n", planted[i].name, path_fault_name(report.fault));
    free(copy.edges);
    return is_found;
}

int main(int argc, char **argv) {
    struct Trace trace = {.is_whole = true};
    struct PathReport report;
    unsigned n_planted = argc > 2 && !strcmp(argv[2], "planted") ? sizeof(planted) / sizeof(planted[0]) : 0;
    unsigned passed = 0, failed = 0;

    if (argc < 2 || !trace_read(&trace, argv[1])) {
        printf("FAILED: no whole trace there\n0 passed, 1 failed\n");
        return 1;
    }
    if (path_check(trace.edges, trace.n, &report))
        tell_fault(&report);
    failed += report.fault || tell_edges(&trace, &report);
    passed += !failed;
    for (unsigned i = 0; i < n_planted && !failed; i++)
        passed += find_planted(&trace, i);
    failed += failed ? 0 : 1 + n_planted - passed;
    free(trace.edges);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
