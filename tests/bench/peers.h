/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_PEERS_H
#define TESTS_BENCH_PEERS_H

/* Whole instances beside those of Wasmtime and of wasm2c's stock runtime: allocate, initialize, write to some pages and
 * free, the same on all sides. Wasmtime allocates on demand, from its pool by default, or from its pool in one of
 * several tunings, of which the best counts, row by row. Its instances come with a store each: so there is also what a
 * row costs more than its side's own empty module. */

#include "tests/bench/footprint.h"
#include "tests/bench/sample.h"

#define PEER_ROWS_N 24
extern const struct PeerRow {
    const char *title, *module;
    unsigned touch;
    unsigned stride; /* bytes */
} PEER_ROWS[PEER_ROWS_N];
#define PEER_ROW_EMPTY 0
#define PEER_ROW_LARGE 17 /* 4 pages, as far apart as can be */
#define PEER_TOUCH_FEW 16 /* up to here the bounds are closer */

enum PeerColumn {
    PEER_EMBEDDED,
    PEER_DAEMON,
    PEER_STOCK,
    PEER_DIRTY,  /* one memcpy of as many bytes as the touched pages have */
    PEER_ORACLE, /* the touched pages, each at its place */
    PEER_ON_DEMAND,
    PEER_POOLING,
    PEER_TUNED, /* and the tunings that follow */
    PEER_COLUMNS_N = PEER_TUNED + 4,
};
extern const struct PeerWay {
    const char *key, *title;
    const char *address; /* NULL: the daemon's, or it has none */
} PEER_WAYS[PEER_COLUMNS_N];

/* Two at one time: of one process, with one allocator, and of two processes. */
enum PeerMode { PEER_ONE, PEER_THREADS, PEER_PROCESSES, PEER_MODES_N };
extern const char *const PEER_MODE_NAMES[PEER_MODES_N];

/* Nanoseconds a cycle, one value for each repetition. */
struct PeerCell {
    struct Sample cost[PEER_MODES_N][PEER_COLUMNS_N]; /* of two: through the daemon, and of Wasmtime, some */
};

#define PEER_HELD 200
#define PEER_HELD_TOUCH 16
#define PEER_FLEETS_N 2
extern const unsigned PEER_FLEETS[PEER_FLEETS_N]; /* processes that hold so many instances each */

/* Bytes, one value for each repetition. */
struct PeerMemory {
    struct Sample before[FOOTPRINT_QUANTITIES_N], held[FOOTPRINT_QUANTITIES_N];
    struct Sample growth; /* of Pss */
};

struct Peers {
    const char *program, *address; /* bench-cycle; of the daemon */
    const char *wasmtime;          /* bench-wasmtime; NULL: not asked for */
    const char *modules;           /* where the binaries lie */
    pid_t daemon;
    bool one_processor; /* one at a time */
    struct PeerCell cells[PEER_ROWS_N];
    struct PeerMemory memory[PEER_FLEETS_N][PEER_COLUMNS_N]; /* empty for what is not measured */
};

/* So many repetitions of everything. 0 or a negative errno. */
int peers_repeat(struct Peers *peers, unsigned repetitions);

/* The tuning that costs least in this row and mode; PEER_POOLING where that is as good. */
enum PeerColumn peers_best(const struct Peers *peers, enum PeerMode mode, unsigned row);
enum PeerColumn peers_best_memory(const struct Peers *peers, unsigned fleet);

#endif
