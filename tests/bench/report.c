/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const OUTCOMES[] = {"ok", "MISSED", "skipped"};

/* ------------------------------------------------------------------------------------------------ text */

static void report_sample(const struct Sample *sample) {
    char spread[40];

    if (!sample->n) {
        printf(" %22s", "");
        return;
    }
    snprintf(spread, sizeof(spread), "%.*f..%.*f", sample_median(sample) < 100, sample_quantile(sample, 0.25),
             sample_median(sample) < 100, sample_quantile(sample, 0.75));
    printf(" %8.*f %13s", sample_median(sample) < 100, sample_median(sample), spread);
}

void report_text(const struct Series *series, const struct Figures *figures) {
    printf("Nanoseconds a cycle (allocate and deallocate an instance, or instantiate and free one), median and\n"
           "quartiles of %u repetitions in fresh processes:\n\n%-27s",
           series->cells[0][0].n, "");
    for (unsigned column = 0; column < COLUMNS_N; column++)
        printf(" %22s", COLUMN_NAMES[column]);
    printf("\n");
    for (unsigned i = 0; i < ROWS_N; i++) {
        printf("%-27s", ROWS[i].title);
        for (unsigned column = 0; column < COLUMNS_N; column++)
            report_sample(&series->cells[i][column]);
        printf("\n");
    }
    printf("\n");
    for (unsigned i = 0; i < FLOORS_N; i++) {
        printf("%-27s", FLOORS[i].title);
        report_sample(&series->floors[i]);
        printf("\n");
    }
    printf("\n");
    for (unsigned i = 0; i < figures->n; i++)
        printf("%-7s  %s\n", OUTCOMES[figures->at[i].outcome], figures->at[i].text);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *report_json_sample(const struct Sample *sample) {
    json_t *all = json_array();

    if (!sample->n) {
        json_decref(all);
        return json_null();
    }
    for (unsigned i = 0; i < sample->n; i++)
        json_array_append_new(all, json_real(sample->at[i]));
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "median", sample_median(sample), "minimum",
                     sample_quantile(sample, 0), "lower_quartile", sample_quantile(sample, 0.25), "upper_quartile",
                     sample_quantile(sample, 0.75), "maximum", sample_quantile(sample, 1), "repetitions", all);
}

static json_t *report_json_cycles(const struct Series *series) {
    static const char *const keys[COLUMNS_N] = {"embedded", "daemon", "stock", "zeroing"};
    json_t *cycles = json_array();

    for (unsigned i = 0; i < ROWS_N; i++) {
        json_t *row = json_pack("{s:s, s:s, s:i}", "title", ROWS[i].title, "module", ROWS[i].module, "touched_pages",
                                (int)ROWS[i].touch);

        for (unsigned column = 0; column < COLUMNS_N; column++)
            json_object_set_new(row, keys[column], report_json_sample(&series->cells[i][column]));
        json_array_append_new(cycles, row);
    }
    return cycles;
}

static json_t *report_json_figures(const struct Figures *figures) {
    json_t *array = json_array();

    for (unsigned i = 0; i < figures->n; i++)
        json_array_append_new(array, json_pack("{s:s, s:f, s:f, s:s}", "outcome", OUTCOMES[figures->at[i].outcome],
                                               "value", figures->at[i].value, "bound", figures->at[i].bound, "text",
                                               figures->at[i].text));
    return array;
}

int report_json(const struct Series *series, const struct Figures *figures, const char *path) {
    json_t *report, *floors = json_object();
    struct utsname host;
    int r;

    uname(&host);
    for (unsigned i = 0; i < FLOORS_N; i++)
        json_object_set_new(floors, FLOORS[i].work, report_json_sample(&series->floors[i]));
    report = json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:{s:o, s:o, s:o}, s:o}",
                       "version", WASMPOOL_VERSION, "kernel", host.release, "machine", host.machine,
                       "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "unit", "ns",
                       "cycles", report_json_cycles(series), "floors", floors, "second_process",
                       "gain_of_zeroing", report_json_sample(&series->gain_zero),
                       "gain_of_cycles", report_json_sample(&series->gain_cycle),
                       "ratio", report_json_sample(&series->gain_ratio), "checks", report_json_figures(figures));
    if (!report)
        return -ENOMEM;
    r = json_dump_file(report, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) ? -EIO : 0;
    json_decref(report);
    return r;
}
