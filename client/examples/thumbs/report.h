/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_REPORT_H
#define THUMBS_REPORT_H

/* What came of a run: counted while it runs, and told at the end as a table for people or as JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "client/examples/thumbs/images.h"
#include "client/examples/thumbs/settings.h"
#include "client/wasmpool.h"

/* One worker process. */
struct ReportWorker {
    pid_t pid;
    uint64_t images;    /* that it finished: done, rejected, trapped or unreadable */
    uint64_t instances; /* sandboxes that it began */
    uint64_t *cycles_ns; /* instantiate + free of each that it finished */
    uint32_t cycles_n, cycles_capacity;
    uint32_t pages_most; /* wasm pages */
};

struct Report {
    uint64_t total, outcomes[OUTCOMES];
    struct ReportWorker *workers;
    uint32_t workers_n;
    uint64_t refused_limit, refused_unavailable;
    struct wasmpool_error last_refusal;
    uint64_t restarts; /* of workers and oracles that had died or were killed */
    uint64_t retried;  /* images whose worker died, given to another one */
    uint64_t same, differ, unverified;
    int64_t begin_ms, end_ms;
    bool terminal;       /* progress goes to a terminal, */
    int64_t progress_ms; /* and was last shown */
};

void report_init(struct Report *report, uint64_t total);
void report_deinit(struct Report *report);

/* A new worker process. 0, or -ENOMEM. */
int report_worker(struct Report *report, pid_t pid);

/* The row of a process; NULL when there is none. */
struct ReportWorker *report_find(struct Report *report, pid_t pid);

/* A cycle's time. 0, or -ENOMEM. */
int report_cycle(struct ReportWorker *worker, uint64_t cycle_ns);

/* A worker got no sandbox and will try again. The first of each kind is said on the standard error, unless quiet. */
void report_refusal(struct Report *report, const struct Settings *settings, const struct wasmpool_error *error);

/* An image's outcome is counted; what is not done is said on the standard error, unless quiet. */
void report_outcome(struct Report *report, const struct Settings *settings, const char *path, enum Outcome outcome,
                    const char *why);

/* A line of progress on the standard error, if it is time. */
void report_progress(struct Report *report, const struct Settings *settings, int64_t now_ms);

/* A line for people on the standard error, past the line of progress. */
void report_say(struct Report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

void report_table(const struct Report *report, const struct Settings *settings, FILE *file);

/* To settings->json; a file appears whole. 0 or a negative errno. */
int report_json(const struct Report *report, const struct Settings *settings);

/* The p-th percentile, nearest rank, in microseconds; 0 when there is none. Sorts. */
double report_percentile_us(const struct ReportWorker *worker, unsigned p);

#endif
