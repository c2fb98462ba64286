/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report-part.h"
#include "tests/bench/versus.h"

#include <math.h>
#include <stdio.h>

#define US 1e-3
#define MIB (1. / (1 << 20))

/* ------------------------------------------------------------------------------------------------ one thread */

static void report_one(const struct Peers *peers) {
    printf("\nMicroseconds of a whole instance (allocate, initialize, write to some pages, free), beside Wasmtime's,\n"
           "each with its store: from its pool by default, and from its pool at the best of %d tunings. Quotients are\n"
           "those of the totals, and of what a row costs more than its side's own empty module:\n\n"
           "%-24s %22s %22s %22s %22s %-8s %17s %17s\n",
           PEER_COLUMNS_N - PEER_TUNED, "", PEER_WAYS[PEER_EMBEDDED].title, PEER_WAYS[PEER_DAEMON].title,
           "Wasmtime, pooling", "at its best", "by", "embedded / best", "daemon / best");
    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        const struct Sample *cost = peers->cells[row].cost[PEER_ONE];
        enum PeerColumn best = peers_best(peers, PEER_ONE, row);

        printf("%-24s", PEER_ROWS[row].title);
        report_part_sample(&cost[PEER_EMBEDDED], US, 2);
        report_part_sample(&cost[PEER_DAEMON], US, 2);
        report_part_sample(&cost[PEER_POOLING], US, 2);
        report_part_sample(&cost[best], US, 2);
        printf(" %-8s", PEER_WAYS[best].title);
        for (unsigned column = PEER_EMBEDDED; column <= PEER_DAEMON; column++) {
            struct Versus versus = versus_row(peers, PEER_ONE, row, column);

            if (isnan(versus.difference))
                printf(" %8.2f %8s", versus.total, "");
            else
                printf(" %8.2f %8.2f", versus.total, versus.difference);
        }
        printf("\n");
    }
}

static void report_others(const struct Peers *peers) {
    static const enum PeerColumn columns[] = {PEER_ON_DEMAND, PEER_STOCK, PEER_DIRTY, PEER_ORACLE};

    printf("\nThe same work by others, and floors: one memcpy of as many bytes as the touched pages have, and copying\n"
           "or zeroing those pages, each at its place:\n\n%-24s %22s %22s %22s %22s\n",
           "", "Wasmtime, on demand", "stock wasm2c", "dirty bytes", "dirty pages");
    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        printf("%-24s", PEER_ROWS[row].title);
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
            report_part_sample(&peers->cells[row].cost[PEER_ONE][columns[i]], US, 2);
        printf("\n");
    }
}

/* ------------------------------------------------------------------------------------------------ two */

static void report_two(const struct Peers *peers) {
    printf("\nMicroseconds for each of two at one time, through the daemon; Wasmtime's best:\n\n%-24s", "");
    for (unsigned mode = PEER_ONE + 1; mode < PEER_MODES_N; mode++)
        printf(" %22s %22s %-8s %8s", PEER_MODE_NAMES[mode], "Wasmtime", "", "daemon /");
    printf("\n");
    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        printf("%-24s", PEER_ROWS[row].title);
        for (unsigned mode = PEER_ONE + 1; mode < PEER_MODES_N; mode++) {
            const struct Sample *cost = peers->cells[row].cost[mode];
            enum PeerColumn best = peers_best(peers, mode, row);

            report_part_sample(&cost[PEER_DAEMON], US, 2);
            report_part_sample(&cost[best], US, 2);
            printf(" %-8s %8.2f", PEER_WAYS[best].title, versus_row(peers, mode, row, PEER_DAEMON).total);
        }
        printf("\n");
    }
}

/* ------------------------------------------------------------------------------------------------ memory */

static void report_memory(const struct Peers *peers) {
    printf("\nMiB of %d instances in each process, 17 wasm pages with data, %d host pages touched (the daemon's own\n"
           "with them): Pss, how much of it is the instances', page tables, and address space:\n\n"
           "%-24s %-14s %10s %10s %10s %14s\n",
           PEER_HELD, PEER_HELD_TOUCH, "", "", "Pss", "growth", "tables", "address space");
    for (unsigned fleet = 0; fleet < PEER_FLEETS_N; fleet++)
        for (unsigned column = 0; column < PEER_COLUMNS_N; column++) {
            const struct PeerMemory *memory = &peers->memory[fleet][column];
            char title[32];

            if (!memory->growth.n)
                continue;
            snprintf(title, sizeof(title), "%u process%s", PEER_FLEETS[fleet], PEER_FLEETS[fleet] == 1 ? "" : "es");
            printf("%-24s %-14s %10.2f %10.2f %10.2f %14.0f\n", title, PEER_WAYS[column].title,
                   sample_median(&memory->held[FOOTPRINT_PSS]) * MIB, sample_median(&memory->growth) * MIB,
                   sample_median(&memory->held[FOOTPRINT_PAGE_TABLES]) * MIB,
                   sample_median(&memory->held[FOOTPRINT_VM_SIZE]) * MIB);
        }
}

void report_peers_text(const struct Peers *peers) {
    report_one(peers);
    report_others(peers);
    if (!peers->one_processor)
        report_two(peers);
    report_memory(peers);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *report_mode_json(const struct Peers *peers, enum PeerMode mode, unsigned row) {
    const struct Sample *cost = peers->cells[row].cost[mode];
    json_t *object = json_object();

    for (unsigned column = 0; column < PEER_COLUMNS_N; column++)
        if (cost[column].n)
            json_object_set_new(object, PEER_WAYS[column].key, report_part_json(&cost[column]));
    json_object_set_new(object, "wasmtime_best", json_string(PEER_WAYS[peers_best(peers, mode, row)].key));
    for (unsigned column = PEER_EMBEDDED; column <= PEER_DAEMON; column++) {
        struct Versus versus = versus_row(peers, mode, row, column);
        char key[40];

        if (!cost[column].n)
            continue;
        snprintf(key, sizeof(key), "%s_over_best", PEER_WAYS[column].key);
        json_object_set_new(object, key, json_pack("{s:f, s:o}", "total", versus.total, "difference",
                                                   isnan(versus.difference) ? json_null()
                                                                            : json_real(versus.difference)));
    }
    return object;
}

static json_t *report_rows_json(const struct Peers *peers) {
    static const char *const keys[PEER_MODES_N] = {"one_thread", "two_threads", "two_processes"};
    json_t *array = json_array();

    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        const struct PeerRow *of = &PEER_ROWS[row];
        json_t *object = json_pack("{s:s, s:s, s:i, s:i}", "title", of->title, "module", of->module,
                                   "touched_pages", (int)of->touch, "stride", (int)of->stride);

        for (unsigned mode = 0; mode < PEER_MODES_N && (mode == PEER_ONE || !peers->one_processor); mode++)
            json_object_set_new(object, keys[mode], report_mode_json(peers, mode, row));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *report_memory_json(const struct Peers *peers) {
    json_t *array = json_array();

    for (unsigned fleet = 0; fleet < PEER_FLEETS_N; fleet++)
        for (unsigned column = 0; column < PEER_COLUMNS_N; column++) {
            const struct PeerMemory *memory = &peers->memory[fleet][column];

            if (!memory->growth.n)
                continue;
            json_array_append_new(
                array, json_pack("{s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o}",
                                 "allocator", PEER_WAYS[column].key, "processes", (int)PEER_FLEETS[fleet],
                                 "instances_each", PEER_HELD, "touched_pages", PEER_HELD_TOUCH,
                                 "pss_bytes", report_part_json(&memory->held[FOOTPRINT_PSS]),
                                 "pss_growth_bytes", report_part_json(&memory->growth),
                                 "page_table_bytes", report_part_json(&memory->held[FOOTPRINT_PAGE_TABLES]),
                                 "vm_size_bytes", report_part_json(&memory->held[FOOTPRINT_VM_SIZE])));
        }
    return array;
}

json_t *report_peers_json(const struct Peers *peers) {
    json_t *tunings = json_object();

    for (unsigned column = PEER_ON_DEMAND; column < PEER_COLUMNS_N; column++)
        json_object_set_new(tunings, PEER_WAYS[column].key, json_string(PEER_WAYS[column].address));
    return json_pack("{s:o, s:o, s:o}", "wasmtime", tunings, "rows", report_rows_json(peers), "memory",
                     report_memory_json(peers));
}
