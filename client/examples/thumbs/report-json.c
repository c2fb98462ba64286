/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/report.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static json_t *json_outcomes(const struct Report *report) {
    json_t *json = json_object();

    json_object_set_new(json, "total", json_integer((json_int_t)report->total));
    for (unsigned i = 0; i < OUTCOMES; i++)
        json_object_set_new(json, outcome_name(i), json_integer((json_int_t)report->outcomes[i]));
    return json;
}

static json_t *json_refusals(const struct Report *report) {
    const struct wasmpool_error *error = &report->last_refusal;
    json_t *json = json_pack("{s:I, s:I}", "limit", (json_int_t)report->refused_limit, "unavailable",
                             (json_int_t)report->refused_unavailable);

    if (report->refused_limit || report->refused_unavailable)
        json_object_set_new(json, "last", json_pack("{s:i, s:s, s:I, s:I, s:I, s:s}", "code", error->code, "limit",
                                                    error->limit, "bound", (json_int_t)error->bound, "use",
                                                    (json_int_t)error->use, "ask", (json_int_t)error->ask, "message",
                                                    error->message));
    return json;
}

static json_t *json_workers(const struct Report *report) {
    json_t *json = json_array();

    for (uint32_t i = 0; i < report->workers_n; i++) {
        const struct ReportWorker *worker = &report->workers[i];

        json_array_append_new(json, json_pack("{s:I, s:I, s:I, s:f, s:f, s:I}", "pid", (json_int_t)worker->pid,
                                              "images", (json_int_t)worker->images, "instances",
                                              (json_int_t)worker->instances, "cycle_p50_us",
                                              report_percentile_us(worker, 50), "cycle_p99_us",
                                              report_percentile_us(worker, 99), "pages_most",
                                              (json_int_t)worker->pages_most));
    }
    return json;
}

static json_t *json_report(const struct Report *report, const struct Settings *settings) {
    double seconds = (double)(report->end_ms - report->begin_ms) / 1000;
    double handled = (double)(report->total - report->outcomes[OUTCOME_PENDING]);
    json_t *json = json_object();

    json_object_set_new(json, "images", json_outcomes(report));
    json_object_set_new(json, "refusals", json_refusals(report));
    json_object_set_new(json, "restarts", json_integer((json_int_t)report->restarts));
    json_object_set_new(json, "retried", json_integer((json_int_t)report->retried));
    if (settings->verify)
        json_object_set_new(json, "verify", json_pack("{s:I, s:I, s:I}", "same", (json_int_t)report->same, "differ",
                                                      (json_int_t)report->differ, "unverified",
                                                      (json_int_t)report->unverified));
    json_object_set_new(json, "seconds", json_real(seconds));
    json_object_set_new(json, "images_per_second", json_real(seconds > 0 ? handled / seconds : 0));
    json_object_set_new(json, "workers", json_workers(report));
    return json;
}

static int dump_file(const json_t *json, const char *path) {
    char partial[PATH_MAX];

    if (snprintf(partial, sizeof(partial), "%s.part", path) >= (int)sizeof(partial))
        return -ENAMETOOLONG;
    errno = 0;
    if (json_dump_file(json, partial, JSON_INDENT(2))) {
        unlink(partial);
        return errno ? -errno : -EIO;
    }
    return rename(partial, path) ? -errno : 0;
}

int report_json(const struct Report *report, const struct Settings *settings) {
    json_t *json = json_report(report, settings);
    int r = 0;

    if (!json)
        return -ENOMEM;
    if (strcmp(settings->json, "-")) {
        r = dump_file(json, settings->json);
    } else if (json_dumpf(json, stdout, JSON_INDENT(2)) || fputc('\n', stdout) == EOF || fflush(stdout)) {
        r = -EIO;
    }
    json_decref(json);
    return r;
}
