/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_VERSUS_H
#define TESTS_BENCH_VERSUS_H

/* Ours over Wasmtime's best, from what struct Peers holds. */

#include "tests/bench/peers.h"

struct Versus {
    double total;      /* of the row's costs, within one repetition; the median of that */
    double difference; /* of what the row costs more than its side's empty module; of the medians. NAN for that one */
};

/* `column` is PEER_EMBEDDED or PEER_DAEMON; of two at one time the latter. */
struct Versus versus_row(const struct Peers *peers, enum PeerMode mode, unsigned row, enum PeerColumn column);

/* What the oracle takes to reset the dirty pages over Wasmtime's best total, of one thread: nobody can be below it. 0
 * where nothing is touched. */
double versus_floor(const struct Peers *peers, unsigned row);

/* Of the growth of Pss. */
double versus_memory(const struct Peers *peers, unsigned fleet, enum PeerColumn column);

#endif
