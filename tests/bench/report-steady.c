/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report-part.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------------------------ reset */

void report_reset_text(const struct Reset *reset) {
    static const char *const titles[] = {"daemon", "getrusage + hot pages", "hot pages", "all of it", "daemon / floor"};

    printf("\nMicroseconds of giving a memory back when the same pages were written to each time, beside what it\n"
           "costs to copy or zero what must be; the floor is the cheaper of the second and the fourth, up to 64 KiB\n"
           "the fourth:\n\n"
           "%-27s",
           "");
    for (unsigned i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        printf(" %22s", titles[i]);
    printf("\n");
    for (unsigned i = 0; i < RESET_SIZES_N; i++)
        for (unsigned h = 0; h < RESET_HOT_N; h++) {
            const struct ResetCell *cell = &reset->cells[i][h];
            char title[64];

            if (!cell->cost.n)
                continue;
            snprintf(title, sizeof(title), "%s, %u hot", RESET_SIZES[i].title, RESET_HOT[h]);
            printf("%-27s", title);
            report_part_sample(&cell->cost, 1e-3, 2);
            report_part_sample(&cell->gate, 1e-3, 2);
            report_part_sample(&cell->oracle, 1e-3, 2);
            report_part_sample(&reset->all[i], 1e-3, 2);
            report_part_sample(&cell->over_floor, 1, 2);
            printf("\n");
        }
}

json_t *report_reset_json(const struct Reset *reset) {
    json_t *array = json_array();

    for (unsigned i = 0; i < RESET_SIZES_N; i++)
        for (unsigned h = 0; h < RESET_HOT_N; h++) {
            const struct ResetCell *cell = &reset->cells[i][h];

            if (!cell->cost.n)
                continue;
            json_array_append_new(
                array, json_pack("{s:s, s:s, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o}",
                                 "title", RESET_SIZES[i].title, "module", RESET_SIZES[i].module,
                                 "wasm_pages", (int)RESET_SIZES[i].wasm_pages, "hot_pages", (int)RESET_HOT[h],
                                 "data", RESET_SIZES[i].data, "daemon", report_part_json(&cell->cost),
                                 "getrusage_and_hot_pages", report_part_json(&cell->gate),
                                 "hot_pages_alone", report_part_json(&cell->oracle),
                                 "all", report_part_json(&reset->all[i]),
                                 "over_floor", report_part_json(&cell->over_floor)));
        }
    return array;
}

/* ------------------------------------------------------------------------------------------------ steady */

static const char *const PAIRS[STEADY_PAIRS_N] = {"two threads", "two processes"};

static void report_tails(const struct Steady *steady) {
    static const char *const titles[STEADY_COLUMNS_N] = {"embedded", "daemon", "memset of 64 KiB"};

    printf("\nNanoseconds of single warm cycles, p50 and p99, beside those of a memset loop:\n\n%-27s", "");
    for (unsigned column = 0; column < STEADY_COLUMNS_N; column++)
        printf(" %16s p50 %18s p99", titles[column], "");
    printf("\n");
    for (unsigned i = 0; i < STEADY_ROWS_N; i++) {
        printf("%-27s", STEADY_ROWS[i].title);
        for (unsigned column = 0; column < STEADY_COLUMNS_N; column++) {
            report_part_sample(&steady->cells[i].p50[column], 1, 0);
            report_part_sample(&steady->cells[i].p99[column], 1, 0);
        }
        printf("\n");
    }
}

static void report_gains(const struct Steady *steady) {
    printf("\nCycles through the daemon that two do, over those of one, beside what a memset loop gains, and what one "
           "getrusage\nand writing the pages:\n\n%-27s", "");
    for (unsigned pair = 0; pair < STEADY_PAIRS_N; pair++)
        printf(" %22s %22s %22s", PAIRS[pair], "memset", "getrusage, pages");
    printf("\n");
    for (unsigned i = 0; i < STEADY_ROWS_N; i++) {
        printf("%-27s", STEADY_ROWS[i].title);
        for (unsigned pair = 0; pair < STEADY_PAIRS_N; pair++) {
            report_part_sample(&steady->cells[i].gain_cycle[pair], 1, 2);
            report_part_sample(&steady->cells[i].gain_memset[pair], 1, 2);
            report_part_sample(&steady->cells[i].gain_floor[pair], 1, 2);
        }
        printf("\n");
    }
}

void report_steady_text(const struct Steady *steady) {
    report_tails(steady);
    if (!steady->one_processor)
        report_gains(steady);
}

static json_t *report_tail_json(const struct SteadyCell *cell, enum SteadyColumn column) {
    return json_pack("{s:o, s:o, s:o, s:o}", "p50", report_part_json(&cell->p50[column]), "p99",
                     report_part_json(&cell->p99[column]), "p99_over_p50", report_part_json(&cell->tail[column]),
                     "own_p99_over_p50", report_part_json(&cell->own_tail[column]));
}

static json_t *report_gain_json(const struct SteadyCell *cell, enum SteadyPair pair) {
    return json_pack("{s:o, s:o, s:o, s:o}", "gain_of_cycles", report_part_json(&cell->gain_cycle[pair]),
                     "gain_of_memset", report_part_json(&cell->gain_memset[pair]), "gain_of_getrusage_and_pages",
                     report_part_json(&cell->gain_floor[pair]), "ratio", report_part_json(&cell->gain_ratio[pair]));
}

json_t *report_steady_json(const struct Steady *steady) {
    json_t *array = json_array();

    for (unsigned i = 0; i < STEADY_ROWS_N; i++) {
        const struct SteadyCell *cell = &steady->cells[i];

        json_array_append_new(
            array, json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o}",
                             "title", STEADY_ROWS[i].title, "module", STEADY_ROWS[i].module,
                             "touched_pages", (int)STEADY_ROWS[i].touch,
                             "embedded", report_tail_json(cell, STEADY_EMBEDDED),
                             "daemon", report_tail_json(cell, STEADY_DAEMON),
                             "memset", report_tail_json(cell, STEADY_MEMSET),
                             "two_threads", report_gain_json(cell, STEADY_THREADS),
                             "two_processes", report_gain_json(cell, STEADY_PROCESSES)));
    }
    return array;
}
