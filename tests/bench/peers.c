/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/peers.h"

#include <limits.h>
#include <string.h>

#define PEER_MS 20
#define PEER_WARM 200
#define PEER_STOCK_CYCLES 150 /* the stock runtime is slow, and leaks address space */
#define PEER_PAIRS_SHARE 2    /* of two at one time there are so many times fewer repetitions */
#define PEER_MEMORY_REPETITIONS 3

#define PAGE 4096 /* one behind the other */
#define MIB (1 << 20)

const struct PeerRow PEER_ROWS[PEER_ROWS_N] = {
    [PEER_ROW_EMPTY] = {"empty", "empty", 0, 0},
    {"small_memory, 1 page", "memory64k", 1, PAGE},
    {"small_memory, 4 pages", "memory64k", 4, PAGE},
    {"small_memory, 16 pages", "memory64k", 16, PAGE},
    {"data_segments, 1 page", "data430", 1, PAGE},
    {"data_segments, 4 pages", "data430", 4, PAGE},
    {"data_segments, 16 pages", "data430", 16, PAGE},
    {"data_segments, 64 pages", "data430", 64, PAGE},
    {"table, 1 page", "table17", 1, PAGE},
    {"table, 4 pages", "table17", 4, PAGE},
    {"table, 16 pages", "table17", 16, PAGE},
    {"table, 64 pages", "table17", 64, PAGE},
    {"image1m, 1 page", "image1m", 1, PAGE},
    {"image1m, 4 pages", "image1m", 4, PAGE},
    {"image1m, 16 pages", "image1m", 16, PAGE},
    {"image1m, 64 pages", "image1m", 64, PAGE},
    {"large, 1 page", "zero64m", 1, 64 * MIB},
    [PEER_ROW_LARGE] = {"large, 4 pages", "zero64m", 4, 16 * MIB},
    {"large, 16 pages", "zero64m", 16, 4 * MIB},
    {"large, 64 pages", "zero64m", 64, 1 * MIB},
    {"thumbs, untouched", "thumbs", 0, PAGE},
    {"thumbs, 1 page", "thumbs", 1, PAGE},
    {"thumbs, 4 pages", "thumbs", 4, PAGE},
    {"thumbs, 16 pages", "thumbs", 16, PAGE},
};

#define KEPT "pooling,linear_memory_keep_resident=16777216,table_keep_resident=1048576"

const struct PeerWay PEER_WAYS[PEER_COLUMNS_N] = {
    [PEER_EMBEDDED] = {"embedded", "embedded", "embedded:"},
    [PEER_DAEMON] = {"daemon", "daemon", NULL},
    [PEER_STOCK] = {"stock", "stock wasm2c", NULL},
    [PEER_DIRTY] = {"dirty_bytes", "dirty bytes", NULL},
    [PEER_ORACLE] = {"oracle", "oracle", NULL},
    [PEER_ON_DEMAND] = {"on_demand", "on demand", "on-demand"},
    [PEER_POOLING] = {"pooling", "pooling", "pooling"},
    [PEER_TUNED] = {"kept", "kept", KEPT},
    {"kept_scanned", "scanned", KEPT ",pagemap_scan=auto"},
    {"kept_scanned_warm", "warm", KEPT ",pagemap_scan=auto,max_unused_warm_slots=1000,decommit_batch_size=16"},
    {"few_kept_scanned", "few kept",
     "pooling,linear_memory_keep_resident=262144,table_keep_resident=65536,pagemap_scan=auto"},
};

const char *const PEER_MODE_NAMES[PEER_MODES_N] = {"one thread", "two threads", "two processes"};
const unsigned PEER_FLEETS[PEER_FLEETS_N] = {1, 4};

static bool peer_is_wasmtime(enum PeerColumn column) {
    return column >= PEER_ON_DEMAND;
}

/* ------------------------------------------------------------------------------------------------ time */

static bool peer_is_measured(enum PeerMode mode, enum PeerColumn column, const struct PeerRow *row) {
    if (column == PEER_DIRTY || column == PEER_ORACLE)
        return mode == PEER_ONE && row->touch;
    return mode == PEER_ONE || column == PEER_DAEMON || column >= PEER_POOLING;
}

static int peers_measure(struct Peers *peers, enum PeerMode mode, const struct PeerRow *row, enum PeerColumn column,
                         struct Sample *sample) {
    static const char *const works[PEER_COLUMNS_N] = {
        [PEER_STOCK] = "stock", [PEER_DIRTY] = "copy-dirty", [PEER_ORACLE] = "reset-oracle"};
    const char *address = PEER_WAYS[column].address ? PEER_WAYS[column].address : peers->address;
    bool wasmtime = peer_is_wasmtime(column);
    char file[PATH_MAX];
    struct Task task = {
        .work = works[column] ? works[column] : "instance",
        .file = file,
        .address = works[column] ? NULL : address,
        .touch = row->touch,
        .stride = row->stride,
        .warm = PEER_WARM,
        .ms = PEER_MS,
        .processes = mode == PEER_ONE ? 1 : 2,
        .threads = mode == PEER_THREADS,
    };
    struct Rate rate;
    int r;

    if (column == PEER_STOCK) {
        task.ms = 0;
        task.warm = 10;
        task.cycles = PEER_STOCK_CYCLES;
    }
    snprintf(file, sizeof(file), "%s/%s.%s", peers->modules, row->module, wasmtime ? "cwasm" : "wasm");
    r = runner_measure(wasmtime ? peers->wasmtime : peers->program, &task, &rate);
    if (!r)
        sample_add(sample, rate.ns);
    return r;
}

/* Each row by all in turn, in the opposite order each other time. */
static int peers_repeat_mode(struct Peers *peers, enum PeerMode mode, unsigned repetition) {
    bool backwards = repetition % 2;

    for (unsigned i = 0; i < PEER_ROWS_N; i++) {
        unsigned row = backwards ? PEER_ROWS_N - 1 - i : i;

        for (unsigned j = 0; j < PEER_COLUMNS_N; j++) {
            unsigned column = backwards ? PEER_COLUMNS_N - 1 - j : j;
            int r;

            if (!peer_is_measured(mode, column, &PEER_ROWS[row]))
                continue;
            r = peers_measure(peers, mode, &PEER_ROWS[row], column, &peers->cells[row].cost[mode][column]);
            if (r)
                return r;
        }
    }
    return 0;
}

enum PeerColumn peers_best(const struct Peers *peers, enum PeerMode mode, unsigned row) {
    const struct Sample *cost = peers->cells[row].cost[mode];
    enum PeerColumn best = PEER_POOLING;

    for (unsigned column = PEER_TUNED; column < PEER_COLUMNS_N; column++)
        if (sample_median(&cost[column]) < sample_median(&cost[best]))
            best = column;
    return best;
}

/* ------------------------------------------------------------------------------------------------ memory */

static int peers_repeat_memory_of(struct Peers *peers, unsigned fleet, enum PeerColumn column) {
    struct PeerMemory *memory = &peers->memory[fleet][column];
    bool wasmtime = peer_is_wasmtime(column);
    const char *address = PEER_WAYS[column].address ? PEER_WAYS[column].address : peers->address;
    char file[PATH_MAX];
    struct Task task = {
        .work = "instance",
        .file = file,
        .address = address,
        .touch = PEER_HELD_TOUCH,
        .stride = PAGE,
        .hold = PEER_HELD,
    };
    struct Footprint footprint;
    int r;

    snprintf(file, sizeof(file), "%s/data430.%s", peers->modules, wasmtime ? "cwasm" : "wasm");
    r = footprint_measure(wasmtime ? peers->wasmtime : peers->program, &task, PEER_FLEETS[fleet],
                          column == PEER_DAEMON ? peers->daemon : 0, &footprint);
    if (r)
        return r;
    for (unsigned i = 0; i < FOOTPRINT_QUANTITIES_N; i++) {
        sample_add(&memory->before[i], footprint.before[i]);
        sample_add(&memory->held[i], footprint.held[i]);
    }
    sample_add(&memory->growth, footprint.held[FOOTPRINT_PSS] - footprint.before[FOOTPRINT_PSS]);
    return 0;
}

static int peers_repeat_memory(struct Peers *peers) {
    static const enum PeerColumn columns[] = {PEER_EMBEDDED,  PEER_DAEMON, PEER_ON_DEMAND,
                                              PEER_POOLING, PEER_TUNED,  PEER_TUNED + 1};
    int r = 0;

    for (unsigned fleet = 0; fleet < PEER_FLEETS_N; fleet++)
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]) && !r; i++)
            r = peers_repeat_memory_of(peers, fleet, columns[i]);
    return r;
}

enum PeerColumn peers_best_memory(const struct Peers *peers, unsigned fleet) {
    const struct PeerMemory *memory = peers->memory[fleet];
    enum PeerColumn best = PEER_POOLING;

    for (unsigned column = PEER_TUNED; column < PEER_COLUMNS_N; column++)
        if (memory[column].growth.n && sample_median(&memory[column].growth) < sample_median(&memory[best].growth))
            best = column;
    return best;
}

/* ------------------------------------------------------------------------------------------------ */

int peers_repeat(struct Peers *peers, unsigned repetitions) {
    unsigned modes = peers->one_processor ? PEER_ONE + 1 : PEER_MODES_N;
    int r = 0;

    for (unsigned i = 0; i < repetitions && !r; i++) {
        r = peers_repeat_mode(peers, PEER_ONE, i);
        for (unsigned mode = PEER_ONE + 1; mode < modes && !r && i % PEER_PAIRS_SHARE == 0; mode++)
            r = peers_repeat_mode(peers, mode, i / PEER_PAIRS_SHARE);
    }
    for (unsigned i = 0; i < PEER_MEMORY_REPETITIONS && !r; i++)
        r = peers_repeat_memory(peers);
    return r;
}
