/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"

#include "tests/bench/runner.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EMPTY_NS 60
#define GAIN_LEAST 0.9
#define ROUND_TRIPS_MOST 4
#define HELD 64 /* a slab's memories */
#define READ_GB_S 0.5
/* The kernel counts resident pages for each processor apart, and adds them up when there are this many. */
#define PEAK_PAGES 64

void figures_add(struct Figures *figures, enum Outcome outcome, double value, double bound, const char *format, ...) {
    struct Figure *figure = &figures->at[figures->n++];
    va_list arguments;

    assert(figures->n <= FIGURES_MAX);
    *figure = (struct Figure){.outcome = outcome, .value = value, .bound = bound};
    va_start(arguments, format);
    vsnprintf(figure->text, sizeof(figure->text), format, arguments);
    va_end(arguments);
}

/* ------------------------------------------------------------------------------------------------ timed */

static void figures_add_cycles(struct Figures *figures, const struct Series *series, enum Column column) {
    const struct Sample *empty = &series->cells[ROW_EMPTY][column], *memory = &series->cells[ROW_MEMORY_64K][column],
                        *over = &series->over_bound[column];
    double zero = sample_median(&series->cells[ROW_MEMORY_64K][COLUMN_ZERO]);

    figures_add(figures, sample_median(empty) < EMPTY_NS ? FIGURE_OK : FIGURE_MISSED, sample_median(empty), EMPTY_NS,
                "%s: an empty module costs %.1f ns (quartiles %.1f..%.1f), must be under %d", COLUMN_NAMES[column],
                sample_median(empty), sample_quantile(empty, 0.25), sample_quantile(empty, 0.75), EMPTY_NS);
    figures_add(figures, sample_median(over) <= 1 ? FIGURE_OK : FIGURE_MISSED, sample_median(over), 1,
                "%s: a memory of 64 KiB costs %.0f ns, %.2f (%.2f..%.2f) of 1.5 x zeroing it (%.0f ns) + 300 ns, "
                "must be at most 1",
                COLUMN_NAMES[column], sample_median(memory), sample_median(over), sample_quantile(over, 0.25),
                sample_quantile(over, 0.75), zero);
}

void figures_add_timed(struct Figures *figures, const struct Series *series) {
    double ratio = sample_median(&series->gain_ratio);

    figures_add_cycles(figures, series, COLUMN_EMBEDDED);
    figures_add_cycles(figures, series, COLUMN_DAEMON);
    if (series->one_processor)
        figures_add(figures, FIGURE_SKIPPED, 0, GAIN_LEAST, "two processes: there is one processor only");
    else if (!series->gain_ratio.n)
        figures_add(figures, FIGURE_SKIPPED, 0, GAIN_LEAST, "two processes: others kept the processors busy");
    else
        figures_add(figures, ratio >= GAIN_LEAST ? FIGURE_OK : FIGURE_MISSED, ratio, GAIN_LEAST,
                    "daemon: two processes do %.2f x of one's 64 KiB cycles, zeroing alone %.2f x: %.2f (%.2f..%.2f) "
                    "of it, must be at least %.1f",
                    sample_median(&series->gain_cycle), sample_median(&series->gain_zero), ratio,
                    sample_quantile(&series->gain_ratio, 0.25), sample_quantile(&series->gain_ratio, 0.75), GAIN_LEAST);
}

/* ------------------------------------------------------------------------------------------------ reading */

static void figures_add_rate(struct Figures *figures, const struct Reading *reading, const struct Sample *rate,
                             const char *from) {
    figures_add(figures, sample_median(rate) >= READ_GB_S ? FIGURE_OK : FIGURE_MISSED, sample_median(rate), READ_GB_S,
                "reading %d data segments, %.1f MB, from %s: %.2f GB/s (%.2f..%.2f), must be at least %.1f",
                READING_SEGMENTS, (double)reading->bytes / 1e6, from, sample_median(rate), sample_quantile(rate, 0.25),
                sample_quantile(rate, 0.75), READ_GB_S);
}

void figures_add_reading(struct Figures *figures, const struct Reading *reading) {
    const struct Sample *small = &reading->bodies_peak[BODIES_SMALL], *large = &reading->bodies_peak[BODIES_LARGE];
    double pages = (sample_median(large) - sample_median(small)) / (double)sysconf(_SC_PAGESIZE);

    figures_add_rate(figures, reading, &reading->from_file, "a file");
    figures_add_rate(figures, reading, &reading->from_memory, "memory");
    figures_add(figures, pages <= PEAK_PAGES && pages >= -PEAK_PAGES ? FIGURE_OK : FIGURE_MISSED, pages, PEAK_PAGES,
                "reading functions of %.0f MB takes %.2f MB of memory (%.2f..%.2f), of %.0f MB %.2f MB (%.2f..%.2f): "
                "%+.0f pages, must be at most %d",
                (double)reading->body_bytes[BODIES_SMALL] / 1e6, sample_median(small) / 1e6,
                sample_quantile(small, 0.25) / 1e6, sample_quantile(small, 0.75) / 1e6,
                (double)reading->body_bytes[BODIES_LARGE] / 1e6, sample_median(large) / 1e6,
                sample_quantile(large, 0.25) / 1e6, sample_quantile(large, 0.75) / 1e6, pages, PEAK_PAGES);
}

/* ------------------------------------------------------------------------------------------------ capacity */

static void figures_add_line(struct Figures *figures, const struct CapacityLine *line,
                             const struct CapacityCell *cell) {
    const struct CapacityUnit *unit = line->unit;
    double over = sample_median(&cell->over_bound), value = sample_median(&cell->value) * unit->scale;
    bool met = line->at_least ? over >= 1 : over <= 1;

    figures_add(figures, met ? FIGURE_OK : FIGURE_MISSED, over, 1, "%s: %.*f %s, %.2f (%.2f..%.2f) of %s, must be at %s 1",
                line->title, unit->digits, value, unit->name, over, sample_quantile(&cell->over_bound, 0.25),
                sample_quantile(&cell->over_bound, 0.75), line->bound, line->at_least ? "least" : "most");
}

void figures_add_capacity(struct Figures *figures, const struct Capacity *capacity) {
    for (unsigned i = 0; i < CAPACITY_LINES_N; i++) {
        const struct CapacityLine *line = &CAPACITY_LINES[i];
        const struct CapacityCell *cell = &capacity->cells[i];

        if (!line->bound)
            continue;
        if (capacity->failed[line->experiment])
            figures_add(figures, FIGURE_FAILED, 0, 1, "%s: the run failed", line->title);
        else if (cell->over_bound.n)
            figures_add_line(figures, line, cell);
        else
            figures_add(figures, FIGURE_SKIPPED, 0, 1, "%s: %s", line->title, capacity->skipped[line->experiment]);
    }
}

/* ------------------------------------------------------------------------------------------------ counted */

struct Traffic {
    unsigned round_trips, fds, mappings;
};

static bool line_is(const char *line, const char *const *calls) {
    for (; *calls; calls++)
        if (!strncmp(line, *calls, strlen(*calls)))
            return true;
    return false;
}

static unsigned line_fds(const char *line) {
    const char *at = strstr(line, "SCM_RIGHTS, cmsg_data=[");
    unsigned n = 0;

    for (; at && *at && *at != ']'; at++)
        n += *at == '[' || *at == ',';
    /* The comma behind SCM_RIGHTS is not between two descriptors. */
    return n ? n - 1 : 0;
}

/* A round trip is an answer received after something was sent. Mappings of libraries are private; slabs are shared. */
static struct Traffic traffic_read(FILE *trace) {
    static const char *const sends[] = {"sendmsg(", "sendto(", "write(", NULL};
    static const char *const receives[] = {"recvmsg(", "recvfrom(", NULL};
    static const char *const creates[] = {"memfd_create(", NULL};
    static const char *const maps[] = {"mmap(", NULL};
    struct Traffic traffic = {0};
    bool asked = false;
    char line[4096];

    while (fgets(line, sizeof(line), trace)) {
        const char *result = strstr(line, " = ");

        for (const char *next = result; next; next = strstr(next + 1, " = "))
            result = next;
        if (!result || result[3] == '-')
            continue;
        if (line_is(line, sends)) {
            asked = true;
        } else if (line_is(line, receives)) {
            traffic.round_trips += asked;
            traffic.fds += line_fds(line);
            asked = false;
        } else if (line_is(line, creates)) {
            traffic.fds++;
        } else if (line_is(line, maps) && strstr(line, "MAP_SHARED") && !strstr(line, ", -1, 0)")) {
            traffic.mappings++;
        }
    }
    return traffic;
}

static int traffic_of(const struct Series *series, const char *address, const char *module, unsigned hold,
                      struct Traffic *trafficp) {
    struct Task task = {.work = "pool", .module = module, .address = address, .hold = hold};
    FILE *trace;
    int r = runner_trace(series->program, &task,
                         "trace=sendmsg,sendto,recvmsg,recvfrom,memfd_create,mmap", &trace);

    if (r)
        return r;
    rewind(trace);
    *trafficp = traffic_read(trace);
    fclose(trace);
    return 0;
}

/* What the memories add to what their instances need anyway. */
static void figures_add_slab(struct Figures *figures, const struct Series *series, const char *name,
                             const char *address) {
    struct Traffic without, with;
    unsigned fds, mappings;

    if (traffic_of(series, address, "empty", HELD, &without) || traffic_of(series, address, "memory64k", HELD, &with)) {
        figures_add(figures, FIGURE_FAILED, 0, 1, "%s: %d instances at one time: the run failed", name, HELD);
        return;
    }
    fds = with.fds - without.fds;
    mappings = with.mappings - without.mappings;
    figures_add(figures, fds == 1 && mappings == 1 ? FIGURE_OK : FIGURE_FAILED, fds, 1,
                "%s: %d memories at one time take %u file descriptor and %u mmap, must be one each", name, HELD, fds,
                mappings);
}

void figures_add_counted(struct Figures *figures, const struct Series *series) {
    struct Traffic traffic;
    char reason[256];

    if (!runner_can_trace(reason, sizeof(reason))) {
        figures_add(figures, FIGURE_SKIPPED, 0, ROUND_TRIPS_MOST, "round trips, descriptors and mappings: %s", reason);
        return;
    }
    if (traffic_of(series, series->address, "memory64k", 1, &traffic))
        figures_add(figures, FIGURE_FAILED, 0, ROUND_TRIPS_MOST, "daemon: connection, first slab: the run failed");
    else
        figures_add(figures,
                    traffic.round_trips && traffic.round_trips <= ROUND_TRIPS_MOST ? FIGURE_OK : FIGURE_FAILED,
                    traffic.round_trips, ROUND_TRIPS_MOST,
                    "daemon: connection, first slab and first instance take %u round trips, must be under %d",
                    traffic.round_trips, ROUND_TRIPS_MOST + 1);
    figures_add_slab(figures, series, COLUMN_NAMES[COLUMN_EMBEDDED], "embedded:");
    figures_add_slab(figures, series, COLUMN_NAMES[COLUMN_DAEMON], series->address);
}
