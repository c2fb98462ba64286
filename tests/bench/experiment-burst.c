/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <wasmpool.h>

/* Bursts: so many workers, one after the other, have as many instances as the pool allows for at one time, write to
 * them, and give them back; the others sleep with what they had. In one pool, and in a private pool for each. */

#define BURST_WORKERS 16
#define BURST_INSTANCES 200
#define BURST_WASM_PAGES 17
#define BURST_PAGES 16
#define BURST_TIMEOUT_MS 20000

struct BurstBoard {
    const char *address;
    atomic_uint turn;    /* of worker turn - 1, to burst */
    atomic_bool holding; /* it has all that it gets */
    atomic_bool release; /* it may give it back */
    atomic_bool done;    /* it has */
    atomic_uint n_allocated;
};

struct BurstResult {
    unsigned n_allocated;
    double first_bytes, peak_bytes, last_bytes;
};

/* ------------------------------------------------------------------------------------------------ workers */

struct BurstWorker {
    struct BurstBoard *board;
    unsigned turn;
    struct wasmpool *pool;
    struct wasmpool_request request;
    struct wasmpool_instance *instances[BURST_INSTANCES];
};

static void burst_open(struct BurstWorker *worker) {
    static const char *const settings[] = {"total_core_instances=200", "total_memories=200", NULL};
    struct wasmpool_options options = {.address = worker->board->address, .name = "burst"};
    struct wasmpool_memory_type memory = {.minimum = BURST_WASM_PAGES};
    struct wasmpool_module_description description = {.name = "burst", .memories = &memory, .n_memories = 1};
    struct wasmpool_error error = {0};
    struct wasmpool_module *module;

    /* A daemon's totals are its own. */
    if (worker->board->address[0] == 'e')
        options.settings = settings;
    host_demand(!wasmpool_open(&worker->pool, &options, &error), "wasmpool_open: %s", error.message);
    host_demand(!wasmpool_module_describe(&module, &description, &error), "a module: %s", error.message);
    worker->request.module = module;
}

static void burst_await(const atomic_bool *flag) {
    host_demand(host_await(atomic_load(flag), BURST_TIMEOUT_MS), "the experiment has ended");
}

static void burst_once(struct BurstWorker *worker) {
    struct BurstBoard *board = worker->board;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct wasmpool_error error;
    unsigned n = 0;

    for (unsigned i = 0; i < BURST_INSTANCES; i++) {
        struct wasmpool_memory *memory;

        if (wasmpool_allocate_module(worker->pool, &worker->request, &worker->instances[i], &error)) {
            fprintf(stderr, "bench-capacity: burst: worker %u, instance %u: %s\n", worker->turn, i, error.message);
            break;
        }
        memory = wasmpool_instance_memory(worker->instances[i], 0);
        for (unsigned p = 0; p < BURST_PAGES; p++)
            *(volatile uint8_t *)(memory->base + p * page) = 1;
        n++;
    }
    atomic_store(&board->n_allocated, n);
    atomic_store(&board->holding, true);
    burst_await(&board->release);
    while (n)
        wasmpool_deallocate_module(&worker->instances[--n]);
    atomic_store(&board->done, true);
}

static void burst_work(void *argument) {
    struct BurstWorker *worker = argument;

    burst_open(worker);
    while (atomic_load(&worker->board->turn) != worker->turn)
        host_nap();
    burst_once(worker);
    for (;;)
        pause();
}

/* ------------------------------------------------------------------------------------------------ watching */

/* Of a daemon the bytes of all slabs, mapped or not; of private pools what the workers have mapped of theirs. */
static double burst_look(const struct PrivateDaemon *daemon, const pid_t *pids, struct BurstResult *result) {
    double bytes = 0;

    if (daemon) {
        struct PeerStatus status;

        peer_status(daemon->admin, &status);
        bytes = (double)status.resident_bytes;
    } else {
        for (unsigned i = 0; i < BURST_WORKERS; i++)
            bytes += (double)experiment_bytes_of(pids[i], "status", "RssShmem");
    }
    if (bytes > result->peak_bytes)
        result->peak_bytes = bytes;
    return bytes;
}

static void burst_watch(const struct PrivateDaemon *daemon, const pid_t *pids, const atomic_bool *until,
                        struct BurstResult *result) {
    int64_t until_ms = host_now_ms() + BURST_TIMEOUT_MS;

    while (!atomic_load(until)) {
        host_demand(host_now_ms() < until_ms, "a worker does not go on");
        burst_look(daemon, pids, result);
        host_nap();
    }
}

static void burst_turn(struct BurstBoard *board, unsigned turn, const struct PrivateDaemon *daemon, const pid_t *pids,
                       struct BurstResult *result) {
    atomic_store(&board->holding, false);
    atomic_store(&board->release, false);
    atomic_store(&board->done, false);
    atomic_store(&board->turn, turn);
    burst_watch(daemon, pids, &board->holding, result);
    result->n_allocated += atomic_load(&board->n_allocated);
    result->last_bytes = burst_look(daemon, pids, result);
    if (turn == 1)
        result->first_bytes = result->last_bytes;
    atomic_store(&board->release, true);
    burst_watch(daemon, pids, &board->done, result);
}

static struct BurstResult burst_all(const struct PrivateDaemon *daemon) {
    static struct BurstWorker workers[BURST_WORKERS];
    struct BurstBoard *board = host_share(sizeof(*board));
    struct BurstResult result = {0};
    pid_t pids[BURST_WORKERS];

    board->address = daemon ? daemon->address : "embedded:";
    for (unsigned i = 0; i < BURST_WORKERS; i++) {
        workers[i] = (struct BurstWorker){.board = board, .turn = i + 1};
        pids[i] = host_fork(burst_work, &workers[i]);
    }
    for (unsigned i = 0; i < BURST_WORKERS; i++)
        burst_turn(board, i + 1, daemon, pids, &result);
    for (unsigned i = 0; i < BURST_WORKERS; i++) {
        kill(pids[i], SIGKILL);
        host_join(pids[i]);
    }
    host_unshare(board, sizeof(*board));
    return result;
}

static void burst_run(void) {
    static const char *const settings[] = {"total_core_instances=200", "total_memories=200", NULL};
    struct BurstResult one, private;
    struct PrivateDaemon daemon;

    private_daemon_start(&daemon, settings);
    one = burst_all(&daemon);
    private_daemon_stop(&daemon);
    private = burst_all(NULL);
    host_demand(private.n_allocated == BURST_WORKERS * BURST_INSTANCES, "a private pool is exhausted");
    experiment_print("burst-allocated", one.n_allocated, NAN, BURST_WORKERS * BURST_INSTANCES);
    experiment_print("burst-peak", one.peak_bytes, one.first_bytes, 1.25 * one.first_bytes);
    experiment_print("burst-private", private.peak_bytes, private.first_bytes, NAN);
}

const struct Experiment EXPERIMENT_BURST = {
    .name = "burst",
    .meaning = "workers that use the whole pool one after the other",
    .seconds_max = 90,
    .run = burst_run,
};
