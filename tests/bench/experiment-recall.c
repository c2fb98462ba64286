/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Recall: a client holds all slots, releases them after each hold, and has them again within a microsecond. Another one
 * wants a slot and waits: from its Want until it has taken what it was granted. */

#define RECALL_SLOTS 2
#define RECALL_TIMEOUT_MS 5000

static const struct RecallCase {
    const char *name;
    uint64_t hold_ns;
    unsigned tries;
} RECALL_CASES[] = {
    {"50us", 50000, 200},
    {"1ms", 1000000, 100},
    {"20ms", 20000000, 20},
};

struct RecallBoard {
    const struct PrivateDaemon *daemon;
    uint64_t hold_ns;
    atomic_bool refill; /* the holder is to get back what it lost; it says when it has */
};

static unsigned recall_take(const struct Peer *peer, const struct PeerSlab *slab, uint64_t *generations, bool *taken) {
    unsigned n = 0;

    for (uint32_t i = 0; i < RECALL_SLOTS; i++)
        n += taken[i] = !lease_take(peer_entry(peer, slab, i), &generations[i]);
    return n;
}

static void recall_release(struct Peer *peer, const struct PeerSlab *slab, const uint64_t *generations,
                           const bool *taken) {
    for (uint32_t i = 0; i < RECALL_SLOTS; i++)
        if (taken[i] && lease_release(peer_entry(peer, slab, i), generations[i]) == LEASE_E_RECALLED)
            peer_kick(peer);
}

static void recall_refill(struct Peer *peer, const struct PeerSlab *slab) {
    int64_t until_ms = host_now_ms() + RECALL_TIMEOUT_MS;
    struct Error error;

    while (peer_count(peer, slab, LEASE_VACANT)) {
        host_demand(host_now_ms() < until_ms, "a slot that is idle again is not granted back");
        if (!peer_want(peer, slab, RECALL_SLOTS, &error))
            host_nap();
    }
}

static void recall_hold(void *argument) {
    struct RecallBoard *board = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, RECALL_SLOTS);
    uint64_t generations[RECALL_SLOTS];
    bool taken[RECALL_SLOTS];
    struct PeerSlab slab;
    struct Peer peer;

    peer_open(&peer, board->daemon->socket);
    peer_open_slab(&peer, &shape, RECALL_SLOTS, &slab);
    for (;;) {
        if (atomic_load(&board->refill)) {
            recall_refill(&peer, &slab);
            atomic_store(&board->refill, false);
        }
        recall_take(&peer, &slab, generations, taken);
        experiment_spin(board->hold_ns);
        recall_release(&peer, &slab, generations, taken);
    }
}

static void recall_refilled(struct RecallBoard *board) {
    atomic_store(&board->refill, true);
    host_demand(host_await(!atomic_load(&board->refill), RECALL_TIMEOUT_MS), "the holder has ended");
}

static void recall_try(struct RecallBoard *board, struct Peer *peer, const struct PeerSlab *slab, struct Times *times) {
    uint64_t start_ns;
    uint32_t slot;

    /* At any moment of a hold. */
    experiment_spin((uint64_t)rand() % board->hold_ns);
    start_ns = experiment_now_ns();
    peer_wait(peer, slab, 1);
    slot = peer_await_slot(peer, slab, RECALL_TIMEOUT_MS);
    times_add(times, start_ns);
    host_demand(slot != UINT32_MAX, "a recalled slot does not come within %d ms", RECALL_TIMEOUT_MS);
    atomic_store(&peer->table->header.targets[slab->target], 0);
    peer_release(peer, slab, slot);
    recall_refilled(board);
}

static void recall_run_case(struct RecallBoard *board, const struct RecallCase *holds, double trip_ns) {
    static struct Times times;
    struct Shape shape = peer_shape(KIND_MEMORY, 1);
    struct PeerSlab slab;
    struct Peer peer;
    char key[32];
    pid_t holder;

    times.n = 0;
    board->hold_ns = holds->hold_ns;
    holder = host_fork(recall_hold, board);
    recall_refilled(board);
    peer_open(&peer, board->daemon->socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    for (unsigned i = 0; i < holds->tries; i++)
        recall_try(board, &peer, &slab, &times);
    kill(holder, SIGKILL);
    host_join(holder);
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
    snprintf(key, sizeof(key), "recall-%s", holds->name);
    experiment_print(key, times_quantile(&times, 0.95), (double)holds->hold_ns + trip_ns,
                     2 * (double)holds->hold_ns + 1e6);
    snprintf(key, sizeof(key), "recall-%s-p50", holds->name);
    experiment_print(key, times_quantile(&times, 0.5), (double)holds->hold_ns / 2 + trip_ns, NAN);
}

static double recall_trip_ns(void) {
    static struct Times times;
    struct Echo echo;

    echo_open(&echo);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t start_ns = experiment_now_ns();

        echo_trip(&echo);
        times_add(&times, start_ns);
    }
    echo_close(&echo);
    return times_quantile(&times, 0.5);
}

static void recall_run(void) {
    static const char *const settings[] = {"total_memories=2", NULL};
    struct RecallBoard *board = host_share(sizeof(*board));
    struct PrivateDaemon daemon;
    double trip_ns = recall_trip_ns();

    private_daemon_start(&daemon, settings);
    board->daemon = &daemon;
    for (size_t i = 0; i < sizeof(RECALL_CASES) / sizeof(RECALL_CASES[0]); i++)
        recall_run_case(board, &RECALL_CASES[i], trip_ns);
    private_daemon_stop(&daemon);
}

const struct Experiment EXPERIMENT_RECALL = {
    .name = "recall",
    .meaning = "wanting a slot while another client has all of them and hardly ever lets go",
    .seconds_max = 60,
    .run = recall_run,
};
