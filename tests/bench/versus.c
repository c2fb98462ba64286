/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/versus.h"

#include <math.h>

static double versus_quotient(const struct Sample *ours, const struct Sample *theirs) {
    struct Sample quotients = {.n = 0};

    for (unsigned i = 0; i < ours->n && i < theirs->n; i++)
        sample_add(&quotients, ours->at[i] / theirs->at[i]);
    return sample_median(&quotients);
}

/* In ns, and one at least: a row may cost as much as none. */
static double versus_difference(const struct Peers *peers, enum PeerMode mode, unsigned row, enum PeerColumn column) {
    double more = sample_median(&peers->cells[row].cost[mode][column]) -
                  sample_median(&peers->cells[PEER_ROW_EMPTY].cost[mode][column]);

    return more > 1 ? more : 1;
}

struct Versus versus_row(const struct Peers *peers, enum PeerMode mode, unsigned row, enum PeerColumn column) {
    const struct Sample *cost = peers->cells[row].cost[mode];
    enum PeerColumn best = peers_best(peers, mode, row);

    return (struct Versus){
        .total = versus_quotient(&cost[column], &cost[best]),
        .difference = row == PEER_ROW_EMPTY ? NAN
                                            : versus_difference(peers, mode, row, column) /
                                                  versus_difference(peers, mode, row, best),
    };
}

double versus_floor(const struct Peers *peers, unsigned row) {
    const struct Sample *cost = peers->cells[row].cost[PEER_ONE];

    return cost[PEER_ORACLE].n ? versus_quotient(&cost[PEER_ORACLE], &cost[peers_best(peers, PEER_ONE, row)]) : 0;
}

double versus_memory(const struct Peers *peers, unsigned fleet, enum PeerColumn column) {
    const struct PeerMemory *memory = peers->memory[fleet];

    return versus_quotient(&memory[column].growth, &memory[peers_best_memory(peers, fleet)].growth);
}
