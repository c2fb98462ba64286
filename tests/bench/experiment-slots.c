/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <wasmpool.h>

/* Many granted slots beside few: memories with a small reservation, idle, over several processes; one that is opened is
 * two mappings of its process (vm.max_map_count). What a take and release of a memory of 64 KiB costs, what a grant
 * costs where there is room and where another client has to lose one, and the daemon's memory. */

#define SLOTS_FEW 100
#define SLOTS_MANY 100000
#define SLOTS_PROCESSES 4
#define SLOTS_SPARE 64 /* of the pool beyond them: one slab's */
#define SLOTS_BATCH 16 /* what a Want is granted at once */
#define SLOTS_SLICES 40
#define SLOTS_CYCLES 20000
#define SLOTS_SLABS 30
#define SLOTS_REVOKES 40
#define SLOTS_TIMEOUT_MS 60000

struct SlotsBoard {
    const char *address;
    unsigned n_each;
    atomic_uint n_ready;
    atomic_bool run; /* one slice, by the first process; it clears it */
    double cycle_ns;
};

/* A daemon with so many slots out. */
struct SlotsSide {
    struct PrivateDaemon daemon;
    struct SlotsBoard *board;
    pid_t pids[SLOTS_PROCESSES];
    double bytes; /* of the daemon, for the slots */
    struct Peer peer;
    struct Times cycle, grant, revoke;
};

/* ------------------------------------------------------------------------------------------------ processes */

static struct wasmpool *slots_open(const char *address) {
    static const char *const settings[] = {"memory_reservation=65536", "memory_guard_size=65536",
                                           "guard_before_linear_memory=0", NULL};
    struct wasmpool_options options = {.address = address, .settings = settings, .name = "slots"};
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    host_demand(!wasmpool_open(&pool, &options, &error), "wasmpool_open: %s", error.message);
    return pool;
}

static void slots_allocate(struct wasmpool *pool, uint64_t wasm_pages, struct wasmpool_memory *memory) {
    struct wasmpool_memory_type type = {.minimum = wasm_pages};
    struct wasmpool_error error;

    host_demand(!wasmpool_allocate_memory(pool, &type, "slots", memory, &error), "a memory: %s", error.message);
}

/* Have as many at one time as are to be granted to this process. They have no bytes yet: they would be pages. */
static void slots_fill(struct wasmpool *pool, unsigned n) {
    struct wasmpool_memory *memories = calloc(n, sizeof(*memories));

    host_demand(memories, "no memory");
    for (unsigned i = 0; i < n; i++)
        slots_allocate(pool, 0, &memories[i]);
    for (unsigned i = 0; i < n; i++)
        wasmpool_deallocate_memory(pool, &memories[i]);
    free(memories);
}

static void slots_work(void *argument) {
    struct SlotsBoard *board = argument;
    struct wasmpool *pool = slots_open(board->address);
    bool first;

    slots_fill(pool, board->n_each);
    first = !atomic_fetch_add(&board->n_ready, 1);
    while (!first)
        pause();
    for (;;) {
        struct wasmpool_memory memory;
        uint64_t start_ns;

        while (!atomic_load(&board->run))
            host_nap();
        start_ns = experiment_now_ns();
        for (unsigned i = 0; i < SLOTS_CYCLES; i++) {
            slots_allocate(pool, 1, &memory);
            wasmpool_deallocate_memory(pool, &memory);
        }
        board->cycle_ns = (double)(experiment_now_ns() - start_ns) / SLOTS_CYCLES;
        atomic_store(&board->run, false);
    }
}

/* ------------------------------------------------------------------------------------------------ sides */

static double slots_daemon_bytes(const struct SlotsSide *side) {
    return (double)experiment_bytes_of(side->daemon.pid, "smaps_rollup", "Rss");
}

static void slots_start(struct SlotsSide *side, unsigned n, const char *total) {
    const char *const settings[] = {total, NULL};

    private_daemon_start(&side->daemon, settings);
    side->bytes = slots_daemon_bytes(side);
    side->board = host_share(sizeof(*side->board));
    side->board->address = side->daemon.address;
    side->board->n_each = n / SLOTS_PROCESSES;
    for (unsigned i = 0; i < SLOTS_PROCESSES; i++)
        side->pids[i] = host_fork(slots_work, side->board);
    host_demand(host_await(atomic_load(&side->board->n_ready) == SLOTS_PROCESSES, SLOTS_TIMEOUT_MS),
                "%u slots are not granted in time", n);
    side->bytes = slots_daemon_bytes(side) - side->bytes;
    peer_open(&side->peer, side->daemon.socket);
}

static void slots_stop(struct SlotsSide *side) {
    for (unsigned i = 0; i < SLOTS_PROCESSES; i++) {
        kill(side->pids[i], SIGKILL);
        host_join(side->pids[i]);
    }
    peer_goodbye(&side->peer);
    private_daemon_stop(&side->daemon);
    host_unshare(side->board, sizeof(*side->board));
}

static struct Shape slots_shape(void) {
    return (struct Shape){.kind = KIND_MEMORY, .count = SLOTS_SPARE, .reservation = 65536, .guard = 65536};
}

static void slots_cycle(struct SlotsSide *side) {
    atomic_store(&side->board->run, true);
    host_demand(host_await(!atomic_load(&side->board->run), SLOTS_TIMEOUT_MS), "a process has ended");
    side->cycle.ns[side->cycle.n++] = side->board->cycle_ns;
}

/* A slab of what is left in the pool, a batch at a time. */
static void slots_grant(struct SlotsSide *side) {
    struct Shape shape = slots_shape();
    struct PeerSlab slab;
    struct Error error;

    peer_reopen_slab(&side->peer, &shape, 0, &slab);
    for (uint32_t target = SLOTS_BATCH; target <= SLOTS_SPARE; target += SLOTS_BATCH) {
        uint64_t start_ns = experiment_now_ns();
        uint32_t n = peer_want(&side->peer, &slab, target, &error);

        host_demand(n == SLOTS_BATCH, "%u slots were granted, not a batch: %s", n, error.message);
        times_add(&side->grant, start_ns);
    }
    peer_close_slab(&side->peer, &slab);
}

/* What is left is in use: each slot is taken from the processes, where it is idle. */
static void slots_revoke(struct SlotsSide *few, struct SlotsSide *many) {
    struct SlotsSide *sides[] = {few, many};
    struct Shape shape = slots_shape();
    struct Peer holders[2];
    struct PeerSlab held, slabs[2];
    struct Error error;

    for (unsigned s = 0; s < 2; s++) {
        peer_open(&holders[s], sides[s]->daemon.socket);
        peer_reopen_slab(&holders[s], &shape, 0, &held);
        for (uint32_t target = SLOTS_BATCH; target <= SLOTS_SPARE; target += SLOTS_BATCH)
            peer_want(&holders[s], &held, target, &error);
        for (uint32_t i = 0; i < SLOTS_SPARE; i++)
            peer_take(&holders[s], &held);
        peer_reopen_slab(&sides[s]->peer, &shape, 0, &slabs[s]);
    }
    for (uint32_t target = 1; target <= SLOTS_REVOKES; target++)
        for (unsigned s = 0; s < 2; s++) {
            uint64_t start_ns = experiment_now_ns();
            uint32_t n = peer_want(&sides[s]->peer, &slabs[s], target, &error);

            host_demand(n == 1, "slot %u is not granted, though others are idle: %s", target, error.message);
            times_add(&sides[s]->revoke, start_ns);
        }
    for (unsigned s = 0; s < 2; s++)
        peer_close(&holders[s]);
}

/* ------------------------------------------------------------------------------------------------ lines */

static void slots_print(const char *key, struct Times *few, struct Times *many, double per, double most) {
    double floor = times_quantile(few, 0.5) / per;

    experiment_print(key, times_quantile(many, 0.5) / per, floor, most * floor);
}

static void slots_run(void) {
    static struct SlotsSide few, many;

    slots_start(&few, SLOTS_FEW, "total_memories=164");
    slots_start(&many, SLOTS_MANY, "total_memories=100064");
    for (unsigned i = 0; i < SLOTS_SLICES; i++) {
        slots_cycle(&few);
        slots_cycle(&many);
    }
    /* Both daemons as far from us as each other. */
    if (experiment_pin(few.daemon.pid, 0) && experiment_pin(many.daemon.pid, 0))
        experiment_pin(0, 0);
    for (unsigned i = 0; i < SLOTS_SLABS; i++) {
        slots_grant(&few);
        slots_grant(&many);
    }
    slots_revoke(&few, &many);
    experiment_unpin();
    slots_stop(&few);
    slots_stop(&many);
    slots_print("slots-cycle", &few.cycle, &many.cycle, 1, 1.2);
    slots_print("slots-grant", &few.grant, &many.grant, SLOTS_BATCH, 1.5);
    slots_print("slots-revoke", &few.revoke, &many.revoke, 1, 1.5);
    experiment_print("slots-memory", many.bytes / SLOTS_MANY, sizeof(struct LeaseEntry), 200);
}

const struct Experiment EXPERIMENT_SLOTS = {
    .name = "slots",
    .meaning = "100,000 granted slots beside 100",
    .seconds_max = 150,
    .run = slots_run,
};
