/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often progress is shown: on a terminal, and as lines elsewhere. */
#define PROGRESS_TERMINAL_MS 100
#define PROGRESS_LINES_MS 5000

void report_init(struct Report *report, uint64_t total) {
    *report = (struct Report){.total = total, .terminal = isatty(STDERR_FILENO)};
}

void report_deinit(struct Report *report) {
    for (uint32_t i = 0; i < report->workers_n; i++)
        free(report->workers[i].cycles_ns);
    free(report->workers);
    *report = (struct Report){0};
}

int report_worker(struct Report *report, pid_t pid) {
    struct ReportWorker *workers = reallocarray(report->workers, report->workers_n + 1, sizeof(*workers));

    if (!workers)
        return -ENOMEM;
    report->workers = workers;
    workers[report->workers_n++] = (struct ReportWorker){.pid = pid};
    return 0;
}

struct ReportWorker *report_find(struct Report *report, pid_t pid) {
    /* From the end: a pid may be used again by a later worker. */
    for (uint32_t i = report->workers_n; i-- > 0;)
        if (report->workers[i].pid == pid)
            return &report->workers[i];
    return NULL;
}

int report_cycle(struct ReportWorker *worker, uint64_t cycle_ns) {
    if (worker->cycles_n == worker->cycles_capacity) {
        uint32_t capacity = worker->cycles_capacity ? 2 * worker->cycles_capacity : 64;
        uint64_t *cycles_ns = reallocarray(worker->cycles_ns, capacity, sizeof(*cycles_ns));

        if (!cycles_ns)
            return -ENOMEM;
        worker->cycles_ns = cycles_ns;
        worker->cycles_capacity = capacity;
    }
    worker->cycles_ns[worker->cycles_n++] = cycle_ns;
    return 0;
}

static int u64_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

double report_percentile_us(const struct ReportWorker *worker, unsigned p) {
    uint32_t rank = (uint32_t)(((uint64_t)worker->cycles_n * p + 99) / 100);

    if (!worker->cycles_n)
        return 0;
    qsort(worker->cycles_ns, worker->cycles_n, sizeof(*worker->cycles_ns), u64_compare);
    return (double)worker->cycles_ns[rank ? rank - 1 : 0] / 1000;
}

void report_say(struct Report *report, const char *format, ...) {
    va_list args;

    if (report->terminal)
        fputs("\r\033[K", stderr);
    fputs("wasmpool-thumbs: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    report->progress_ms = 0;
}

void report_refusal(struct Report *report, const struct Settings *settings, const struct wasmpool_error *error) {
    uint64_t *count = error->code == WASMPOOL_E_LIMIT ? &report->refused_limit : &report->refused_unavailable;

    if (!(*count)++ && !settings->quiet)
        report_say(report, "no sandbox yet, trying again: %s: %s", wasmpool_strerror(error->code), error->message);
    report->last_refusal = *error;
}

void report_outcome(struct Report *report, const struct Settings *settings, const char *path, enum Outcome outcome,
                    const char *why) {
    report->outcomes[outcome]++;
    if (outcome != OUTCOME_DONE && !settings->quiet)
        report_say(report, "%s: %s: %s", path, outcome == OUTCOME_TIMED_OUT ? "timed out" : outcome_name(outcome), why);
}

void report_progress(struct Report *report, const struct Settings *settings, int64_t now_ms) {
    int64_t every_ms = report->terminal ? PROGRESS_TERMINAL_MS : PROGRESS_LINES_MS;
    uint64_t handled = 0;

    if (settings->quiet || now_ms - report->progress_ms < every_ms)
        return;
    if (!report->terminal && !report->progress_ms) {
        report->progress_ms = now_ms; /* the first line after a while, not at once */
        return;
    }
    for (unsigned i = OUTCOME_PENDING + 1; i < OUTCOMES; i++)
        handled += report->outcomes[i];
    fprintf(stderr, "%s%" PRIu64 "/%" PRIu64 " images, %" PRIu64 " done%s",
            report->terminal ? "\r\033[K" : "wasmpool-thumbs: ",
            handled, report->total, report->outcomes[OUTCOME_DONE], report->terminal ? "" : "\n");
    report->progress_ms = now_ms;
}

static void table_workers(const struct Report *report, FILE *file) {
    fprintf(file, "%10s %8s %10s %27s %11s\n", "worker pid", "images", "instances", "instantiate+free p50/p99 us",
            "peak pages");
    for (uint32_t i = 0; i < report->workers_n; i++) {
        const struct ReportWorker *worker = &report->workers[i];

        fprintf(file, "%10d %8" PRIu64 " %10" PRIu64 " %16.1f /%9.1f %11" PRIu32 "\n", (int)worker->pid, worker->images,
                worker->instances, report_percentile_us(worker, 50), report_percentile_us(worker, 99),
                worker->pages_most);
    }
}

static void table_refusals(const struct Report *report, FILE *file) {
    const struct wasmpool_error *error = &report->last_refusal;

    if (!report->refused_limit && !report->refused_unavailable)
        return;
    fprintf(file, "refused and tried again: %" PRIu64 " at a limit, %" PRIu64 " without a daemon; the last: %s",
            report->refused_limit, report->refused_unavailable, error->message);
    if (error->limit[0])
        fprintf(file, " (limit %s, bound %" PRIu64 ", in use %" PRIu64 ", asked %" PRIu64 ")", error->limit,
                error->bound, error->use, error->ask);
    fputc('\n', file);
}

void report_table(const struct Report *report, const struct Settings *settings, FILE *file) {
    const uint64_t *outcomes = report->outcomes;
    double seconds = (double)(report->end_ms - report->begin_ms) / 1000;
    uint64_t handled = report->total - outcomes[OUTCOME_PENDING];

    fprintf(file,
            "%" PRIu64 " images: %" PRIu64 " done, %" PRIu64 " rejected by the decoder, %" PRIu64 " trapped, %" PRIu64
            " timed out, %" PRIu64 " given up (killed workers), %" PRIu64 " unreadable",
            report->total, outcomes[OUTCOME_DONE], outcomes[OUTCOME_REJECTED], outcomes[OUTCOME_TRAPPED],
            outcomes[OUTCOME_TIMED_OUT], outcomes[OUTCOME_KILLED], outcomes[OUTCOME_UNREADABLE]);
    if (outcomes[OUTCOME_PENDING])
        fprintf(file, ", %" PRIu64 " not handled", outcomes[OUTCOME_PENDING]);
    fprintf(file, "\n%.2f s, %.1f images/s, %" PRIu64 " processes restarted, %" PRIu64 " images retried\n", seconds,
            seconds > 0 ? (double)handled / seconds : 0, report->restarts, report->retried);
    table_refusals(report, file);
    if (settings->verify)
        fprintf(file,
                "verified against the native decoder: %" PRIu64 " same, %" PRIu64 " differ, %" PRIu64 " not verified\n",
                report->same, report->differ, report->unverified);
    table_workers(report, file);
    fflush(file);
}
