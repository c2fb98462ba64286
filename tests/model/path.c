/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/model/path.h"

#include "shared/lease.h"

#include <stdlib.h>

static_assert(WORD_VACANT == LEASE_VACANT && WORD_IDLE == LEASE_IDLE && WORD_BUSY == LEASE_BUSY &&
                  WORD_RECALLED == (LEASE_BUSY | LEASE_RECALL) && WORD_SHIFT == LEASE_GENERATION_SHIFT,
              "the model's words are those of the lease table");

struct PathRule {
    const char *name;
    enum PathWalker walker;
    uint64_t from, to, step;
};

#define PATH_RULE(NAME, WALKER, FROM, TO, STEP) {#NAME, PATH_##WALKER, FROM, TO, STEP},
static const struct PathRule path_rules[PATH_EDGES_N] = {EDGES(PATH_RULE)};

const char *path_edge_name(size_t edge) {
    return path_rules[edge].name;
}

const char *path_fault_name(enum PathFault fault) {
    static const char *const names[PATH_FAULTS_N] = {
        [PATH_OK] = "nothing",
        [PATH_NO_EDGE] = "no edge of the table",
        [PATH_WRONG_WALKER] = "an edge that is not its to walk",
        [PATH_FORK] = "an edge off the path",
        [PATH_ANACHRONISM] = "an edge at an impossible time",
        [PATH_NOT_ALONE] = "a grant to a client that was left alone",
    };

    return names[fault];
}

/* PATH_EDGES_N: there is none. */
static size_t path_find_rule(const struct PathEdge *edge) {
    size_t i = 0;

    while (i < PATH_EDGES_N &&
           (WORD_STATE(edge->from) != path_rules[i].from || WORD_STATE(edge->to) != path_rules[i].to ||
            WORD_GENERATION(edge->to) != WORD_GENERATION(edge->from) + path_rules[i].step))
        i++;
    return i;
}

/* ------------------------------------------------------------------------------------------------ order */

static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

/* Of the edges from one word those that lead back to it come first: they stay in the generation, or do without the
 * recall bit. */
static int path_compare(const void *a, const void *b) {
    const struct PathEdge *x = a, *y = b;
    int r = compare(x->slot, y->slot);

    if (!r)
        r = compare(x->from, y->from);
    if (!r)
        r = compare(x->to, y->to);
    return r ? r : compare(x->after_ns, y->after_ns);
}

static int path_compare_time(const void *a, const void *b) {
    const struct PathEdge *const *x = a, *const *y = b;

    return compare((*x)->after_ns, (*y)->after_ns);
}

/* One slot's edges, and the same by the moments at which they had been walked. */
struct Path {
    struct PathEdge *edges;
    struct PathEdge **by_time;
    size_t n, n_certain; /* that are left; certain: that were walked beyond doubt */
    size_t oldest;       /* in by_time, the first that is left */
};

static size_t path_first_from(const struct Path *path, uint64_t word) {
    size_t low = 0, high = path->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (path->edges[middle].from < word)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t path_deadline(struct Path *path) {
    while (path->oldest < path->n && path->by_time[path->oldest]->is_used)
        path->oldest++;
    return path->oldest < path->n ? path->by_time[path->oldest]->after_ns : UINT64_MAX;
}

static bool path_is_certain(const struct PathEdge *edge) {
    return edge->after_ns != UINT64_MAX;
}

/* The next edge from the word: of those that lead the same way the one that had to be walked first, among those that
 * began before any other edge that is left had ended. One that is not certain serves where the path ends otherwise. */
static enum PathFault path_next(struct Path *path, uint64_t word, struct PathEdge **nextp) {
    uint64_t deadline_ns = path_deadline(path), late_to = UINT64_MAX;
    struct PathEdge *doubtful = NULL;

    for (size_t i = path_first_from(path, word); i < path->n && path->edges[i].from == word; i++) {
        struct PathEdge *edge = &path->edges[i];

        if (edge->is_used)
            continue;
        if (!path_is_certain(edge)) {
            doubtful = doubtful ? doubtful : edge;
            continue;
        }
        if (late_to != UINT64_MAX && edge->to != late_to)
            break;
        if (edge->before_ns <= deadline_ns) {
            *nextp = edge;
            return PATH_OK;
        }
        late_to = edge->to;
    }
    *nextp = doubtful;
    return doubtful ? PATH_OK : late_to != UINT64_MAX ? PATH_ANACHRONISM : PATH_FORK;
}

/* ------------------------------------------------------------------------------------------------ one slot */

/* With the first that is left, if nothing leads on. */
static enum PathFault path_stop(struct Path *path, enum PathFault fault, struct PathReport *report) {
    path_deadline(path);
    report->edge = *path->by_time[path->oldest];
    return fault;
}

/* A client walks the owner's edges only when it is left alone with its table: nobody grants there any more. */
static enum PathFault path_check_walker(const struct PathEdge *edge, size_t rule, bool *is_alone) {
    if (rule == PATH_EDGES_N)
        return PATH_NO_EDGE;
    if (path_rules[rule].from == WORD_VACANT && *is_alone)
        return PATH_NOT_ALONE;
    if (edge->walker & path_rules[rule].walker)
        return PATH_OK;
    if (edge->walker != PATH_client || path_rules[rule].from == WORD_VACANT)
        return PATH_WRONG_WALKER;
    *is_alone = true;
    return PATH_OK;
}

static enum PathFault path_follow(struct Path *path, struct PathReport *report) {
    uint64_t word = WORD(UINT64_C(0), WORD_VACANT);
    bool is_alone = false;

    while (path->n_certain) {
        struct PathEdge *edge;
        size_t rule;
        enum PathFault fault = path_next(path, word, &edge);

        if (fault)
            return path_stop(path, fault, report);
        rule = path_find_rule(edge);
        fault = path_check_walker(edge, rule, &is_alone);
        if (fault) {
            report->edge = *edge;
            return fault;
        }
        edge->is_used = true;
        path->n_certain -= path_is_certain(edge);
        report->counts[rule]++;
        report->n_edges++;
        word = edge->to;
    }
    return PATH_OK;
}

static enum PathFault path_check_slot(struct Path *path, struct PathReport *report) {
    for (size_t i = 0; i < path->n; i++) {
        path->by_time[i] = &path->edges[i];
        path->n_certain += path_is_certain(&path->edges[i]);
        if (path_find_rule(&path->edges[i]) == PATH_EDGES_N) {
            report->edge = path->edges[i];
            return PATH_NO_EDGE;
        }
    }
    qsort(path->by_time, path->n, sizeof(*path->by_time), path_compare_time);
    report->n_slots++;
    return path_follow(path, report);
}

enum PathFault path_check(struct PathEdge *edges, size_t n, struct PathReport *report) {
    struct PathEdge **by_time = calloc(n + 1, sizeof(*by_time));
    size_t begin = 0, end;

    *report = (struct PathReport){0};
    if (!by_time)
        abort();
    qsort(edges, n, sizeof(*edges), path_compare);
    for (; begin < n && !report->fault; begin = end) {
        for (end = begin; end < n && edges[end].slot == edges[begin].slot; end++)
            edges[end].is_used = false;
        report->fault = path_check_slot(
            &(struct Path){.edges = edges + begin, .n = end - begin, .by_time = by_time}, report);
    }
    free(by_time);
    return report->fault;
}
