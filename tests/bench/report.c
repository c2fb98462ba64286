/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report.h"

#include "tests/bench/report-part.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const OUTCOMES[FIGURE_OUTCOMES_N] = {"ok", "MISSED", "skipped", "FAILED"};

/* ------------------------------------------------------------------------------------------------ text */

static void report_sample(const struct Sample *sample) {
    report_part_sample(sample, 1, sample->n && sample_median(sample) < 100);
}

static void report_series(const struct Series *series) {
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
}

static void report_instances(const struct Instances *instances) {
    static const char *const titles[] = {"embedded", "daemon", "floor", "embedded / floor", "daemon / floor"};

    printf("\nNanoseconds a cycle of a binary (allocate, initialize and deallocate an instance), beside the sum of\n"
           "its floors (copy of the VMContext's template + of the table + of the dirty pages):\n\n%-27s",
           "");
    for (unsigned i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        printf(" %22s", titles[i]);
    printf("  floors\n");
    for (unsigned i = 0; i < INSTANCES_N; i++) {
        const struct InstanceCell *cell = &instances->cells[i];

        printf("%-27s", INSTANCE_ROWS[i].title);
        for (unsigned column = 0; column < INSTANCE_COLUMNS_N; column++)
            report_sample(&cell->cost[column]);
        report_sample(&cell->floor);
        for (unsigned column = 0; column < INSTANCE_COLUMNS_N; column++)
            report_part_sample(&cell->ratio[column], 1, 2);
        printf(" ");
        for (unsigned part = 0; part < PARTS_N; part++)
            printf("%s%.1f", part ? " + " : " ", cell->parts[part].n ? sample_median(&cell->parts[part]) : 0);
        printf("\n");
    }
}

static void report_reading(const struct Reading *reading) {
    printf("\nReading %d data segments, %.1f MB, once, with the process that does it: %.1f ms (%.1f..%.1f), %.1f MB\n"
           "of memory; wasm-objdump -h of the same file: %.1f ms (%.1f..%.1f)\n\n",
           READING_SEGMENTS, (double)reading->bytes / 1e6, sample_median(&reading->command_ns) / 1e6,
           sample_quantile(&reading->command_ns, 0.25) / 1e6, sample_quantile(&reading->command_ns, 0.75) / 1e6,
           sample_median(&reading->segments_peak) / 1e6, sample_median(&reading->objdump_ns) / 1e6,
           sample_quantile(&reading->objdump_ns, 0.25) / 1e6, sample_quantile(&reading->objdump_ns, 0.75) / 1e6);
}

static void report_scaled(const struct Sample *sample, const struct CapacityUnit *unit) {
    char spread[40];

    snprintf(spread, sizeof(spread), "%.*f..%.*f", unit->digits, sample_quantile(sample, 0.25) * unit->scale,
             unit->digits, sample_quantile(sample, 0.75) * unit->scale);
    printf(" %9.*f %17s", unit->digits, sample_median(sample) * unit->scale, spread);
}

static void report_capacity(const struct Capacity *capacity) {
    printf("Capacity that moves, median and quartiles of %u repetitions (%u where it takes long):\n\n"
           "%-36s %27s %-5s %27s\n",
           capacity->cells[0].value.n, CAPACITY_LONG_REPETITIONS, "", "measured", "", "floor");
    for (unsigned i = 0; i < CAPACITY_LINES_N; i++) {
        const struct CapacityLine *line = &CAPACITY_LINES[i];
        const struct CapacityCell *cell = &capacity->cells[i];

        if (!cell->value.n)
            continue;
        printf("%-36s", line->title);
        report_scaled(&cell->value, line->unit);
        printf(" %-5s", line->unit->name);
        if (cell->floor.n) {
            report_scaled(&cell->floor, line->unit);
            printf("  %s", line->floor);
        }
        printf("\n");
    }
    printf("\n");
}

static void report_outcomes(const struct Figures *figures) {
    unsigned n[FIGURE_OUTCOMES_N] = {0};

    for (unsigned i = 0; i < figures->n; i++) {
        n[figures->at[i].outcome]++;
        printf("%-7s  %s\n", OUTCOMES[figures->at[i].outcome], figures->at[i].text);
    }
    printf("\n%u of %u lines are met; %u missed, %u failed, %u skipped\n", n[FIGURE_OK], figures->n, n[FIGURE_MISSED],
           n[FIGURE_FAILED], n[FIGURE_SKIPPED]);
}

void report_text(const struct Report *report) {
    if (report->cycles) {
        report_series(report->series);
        report_instances(report->instances);
        report_reset_text(report->reset);
        report_steady_text(report->steady);
        report_reading(report->reading);
    }
    if (report->versus) {
        report_peers_text(report->peers);
        printf("\n");
    }
    if (report->moves)
        report_capacity(report->capacity);
    if (report->whole)
        report_gallery_text(report->gallery);
    report_outcomes(report->figures);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *report_json_cycles(const struct Series *series) {
    static const char *const keys[COLUMNS_N] = {"embedded", "daemon", "stock", "zeroing"};
    json_t *cycles = json_array();

    for (unsigned i = 0; i < ROWS_N; i++) {
        json_t *row = json_pack("{s:s, s:s, s:i}", "title", ROWS[i].title, "module", ROWS[i].module, "touched_pages",
                                (int)ROWS[i].touch);

        for (unsigned column = 0; column < COLUMNS_N; column++)
            json_object_set_new(row, keys[column], report_part_json(&series->cells[i][column]));
        json_array_append_new(cycles, row);
    }
    return cycles;
}

static json_t *report_json_instances(const struct Instances *instances) {
    json_t *array = json_array();

    for (unsigned i = 0; i < INSTANCES_N; i++) {
        const struct InstanceCell *cell = &instances->cells[i];

        json_array_append_new(
            array, json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}}",
                             "title", INSTANCE_ROWS[i].title, "module", INSTANCE_ROWS[i].module,
                             "touched_pages", (int)INSTANCE_ROWS[i].touch,
                             "embedded", report_part_json(&cell->cost[INSTANCE_EMBEDDED]),
                             "daemon", report_part_json(&cell->cost[INSTANCE_DAEMON]),
                             "floor", report_part_json(&cell->floor),
                             "embedded_over_floor", report_part_json(&cell->ratio[INSTANCE_EMBEDDED]),
                             "daemon_over_floor", report_part_json(&cell->ratio[INSTANCE_DAEMON]), "floors",
                             "template", report_part_json(&cell->parts[PART_TEMPLATE]),
                             "table", report_part_json(&cell->parts[PART_TABLE]),
                             "pages", report_part_json(&cell->parts[PART_PAGES])));
    }
    return array;
}

static json_t *report_json_bodies(const struct Reading *reading) {
    json_t *array = json_array();

    for (unsigned i = 0; i < BODIES_N; i++)
        json_array_append_new(array, json_pack("{s:I, s:o, s:o}", "bytes", (json_int_t)reading->body_bytes[i],
                                               "peak_bytes", report_part_json(&reading->bodies_peak[i]),
                                               "ns", report_part_json(&reading->bodies_ns[i])));
    return array;
}

static json_t *report_json_reading(const struct Reading *reading) {
    return json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "data_segments", READING_SEGMENTS, "bytes", (json_int_t)reading->bytes,
                     "file_bytes_per_ns", report_part_json(&reading->from_file),
                     "memory_bytes_per_ns", report_part_json(&reading->from_memory),
                     "peak_bytes", report_part_json(&reading->segments_peak),
                     "command_ns", report_part_json(&reading->command_ns),
                     "objdump_ns", report_part_json(&reading->objdump_ns), "bodies", report_json_bodies(reading));
}

static json_t *report_json_capacity(const struct Capacity *capacity) {
    json_t *array = json_array();

    for (unsigned i = 0; i < CAPACITY_LINES_N; i++) {
        const struct CapacityLine *line = &CAPACITY_LINES[i];
        const struct CapacityCell *cell = &capacity->cells[i];

        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s, s:f, s:s?, s:s?, s:o, s:o, s:o}",
                             "key", line->key, "title", line->title, "display_unit", line->unit->name,
                             "display_scale", line->unit->scale, "floor_is", line->floor, "bound_is", line->bound,
                             "value", report_part_json(&cell->value), "floor", report_part_json(&cell->floor),
                             "value_over_bound", report_part_json(&cell->over_bound)));
    }
    return array;
}

static json_t *report_json_figures(const struct Figures *figures) {
    json_t *array = json_array();

    for (unsigned i = 0; i < figures->n; i++)
        json_array_append_new(array, json_pack("{s:s, s:f, s:f, s:s}", "outcome", OUTCOMES[figures->at[i].outcome],
                                               "value", figures->at[i].value, "bound", figures->at[i].bound, "text",
                                               figures->at[i].text));
    return array;
}

int report_json(const struct Report *report, const char *path) {
    const struct Series *series = report->series;
    json_t *root, *floors = json_object();
    struct utsname host;
    int r;

    uname(&host);
    for (unsigned i = 0; i < FLOORS_N; i++)
        json_object_set_new(floors, FLOORS[i].work, report_part_json(&series->floors[i]));
    root = json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:o}",
                     "version", WASMPOOL_VERSION, "kernel", host.release, "machine", host.machine,
                     "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "unit", "ns",
                     "cycles", report_json_cycles(series), "floors", floors, "second_process",
                     "gain_of_zeroing", report_part_json(&series->gain_zero),
                     "gain_of_cycles", report_part_json(&series->gain_cycle),
                     "ratio", report_part_json(&series->gain_ratio),
                     "instances", report_json_instances(report->instances),
                     "reset", report_reset_json(report->reset),
                     "steady", report_steady_json(report->steady),
                     "peers", report->versus ? report_peers_json(report->peers) : json_null(),
                     "reading", report_json_reading(report->reading),
                     "capacity", report_json_capacity(report->capacity),
                     "thumbs", report->whole ? report_gallery_json(report->gallery) : json_null(),
                     "checks", report_json_figures(report->figures));
    if (!root)
        return -ENOMEM;
    r = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) ? -EIO : 0;
    json_decref(root);
    return r;
}
