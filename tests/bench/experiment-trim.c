/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasmpool.h>

/* Memory that lies idle in several processes goes back to the kernel while they sleep: how fast, beside plain punches
 * of the same slots with the same pages; and what a worker that is busy meanwhile feels of either. */

#define TRIM_PROCESSES 8
#define TRIM_SLOTS_MAX 64 /* of each: with them 4 GiB */
#define TRIM_SLOTS_MIN 8
#define TRIM_SLOT_BYTES (UINT64_C(8) << 20)
#define TRIM_FREE_BYTES (UINT64_C(10) << 30) /* that the machine has to have for TRIM_SLOTS_MAX */
#define TRIM_LEFT (1 / 256.) /* of the bytes: daemons look at what is worth it */
#define TRIM_QUIET_NS 500000000
#define TRIM_LOOK_NS 500000
#define TRIM_TIMEOUT_MS 60000

/* What the busy worker's cycles are counted for. */
enum TrimWindow { TRIM_NONE, TRIM_QUIET, TRIM_PUNCHING, TRIM_TRIMMING, TRIM_WINDOWS_N };

#define TRIM_CYCLE_NS_MAX 65536

struct TrimBoard {
    const struct PrivateDaemon *daemon;
    uint32_t n_slots;        /* of each process */
    int fds[TRIM_PROCESSES]; /* of the slabs, in their processes */
    uint64_t origin, stride; /* of their slots */
    atomic_uint n_ready;
    atomic_uint phase; /* of the processes: 1: fill again, 2: release */
    _Atomic enum TrimWindow window;
    uint64_t cycles[TRIM_WINDOWS_N][TRIM_CYCLE_NS_MAX]; /* by their nanoseconds */
};

struct TrimWorker {
    struct TrimBoard *board;
    unsigned self;
};

/* ------------------------------------------------------------------------------------------------ processes */

static void trim_await(const atomic_uint *number, unsigned value) {
    host_demand(host_await(atomic_load(number) == value, TRIM_TIMEOUT_MS), "a process does not go on");
}

static void trim_fill(const struct PeerSlab *slab) {
    for (uint32_t i = 0; i < slab->shape.count; i++)
        memset(slab->base + shape_slot_offset(&slab->shape, i), 1, TRIM_SLOT_BYTES);
}

static void trim_open(const struct TrimBoard *board, struct Peer *peer, struct PeerSlab *slab) {
    struct Shape shape = {.kind = KIND_MEMORY, .count = board->n_slots, .reservation = TRIM_SLOT_BYTES};
    struct Error error;

    peer_open(peer, board->daemon->socket);
    peer_open_slab(peer, &shape, shape.count, slab);
    while (peer_count(peer, slab, LEASE_IDLE) < shape.count)
        host_demand(peer_want(peer, slab, shape.count, &error), "slots are not granted: %s", error.message);
    for (uint32_t i = 0; i < shape.count; i++)
        peer_take(peer, slab);
}

static void trim_hold(void *argument) {
    struct TrimWorker *worker = argument;
    struct TrimBoard *board = worker->board;
    struct PeerSlab slab;
    struct Peer peer;

    trim_open(board, &peer, &slab);
    trim_fill(&slab);
    board->fds[worker->self] = slab.fd;
    board->origin = slab.shape.origin;
    board->stride = slab.shape.stride;
    atomic_fetch_add(&board->n_ready, 1);
    trim_await(&board->phase, 1);
    trim_fill(&slab);
    atomic_fetch_add(&board->n_ready, 1);
    trim_await(&board->phase, 2);
    for (uint32_t i = 0; i < slab.shape.count; i++) {
        atomic_store(&peer_entry(&peer, &slab, i)->taken_ns, experiment_now_ns());
        peer_release(&peer, &slab, i);
    }
    for (;;)
        pause();
}

/* Take, touch a page and release, one timed after the other. */
static void trim_cycle(void *argument) {
    struct TrimBoard *board = argument;
    struct wasmpool_memory_type type = {.minimum = 1};
    struct wasmpool_options options = {.address = board->daemon->address, .name = "busy"};
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    host_demand(!wasmpool_open(&pool, &options, &error), "wasmpool_open: %s", error.message);
    for (;;) {
        uint64_t start_ns = experiment_now_ns(), ns;
        struct wasmpool_memory memory;

        host_demand(!wasmpool_allocate_memory(pool, &type, NULL, &memory, &error), "a memory: %s", error.message);
        *(volatile uint8_t *)memory.base = 1;
        wasmpool_deallocate_memory(pool, &memory);
        ns = experiment_now_ns() - start_ns;
        board->cycles[atomic_load(&board->window)][ns < TRIM_CYCLE_NS_MAX ? ns : TRIM_CYCLE_NS_MAX - 1]++;
    }
}

static double trim_p99(const struct TrimBoard *board, enum TrimWindow window) {
    const uint64_t *cycles = board->cycles[window];
    uint64_t all = 0, seen = 0;
    unsigned ns = 0;

    for (unsigned i = 0; i < TRIM_CYCLE_NS_MAX; i++)
        all += cycles[i];
    host_demand(all >= 1000, "the busy worker did no more than %lu cycles", all);
    while ((seen += cycles[ns]) < all - all / 100)
        ns++;
    return ns;
}

/* ------------------------------------------------------------------------------------------------ steps */

static void trim_open_fds(const struct TrimBoard *board, const pid_t *pids, int *fds) {
    char path[64];

    for (unsigned i = 0; i < TRIM_PROCESSES; i++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pids[i], board->fds[i]);
        fds[i] = open(path, O_RDWR | O_CLOEXEC);
        host_demand(fds[i] >= 0, "%s: %s", path, strerror(errno));
    }
}

static double trim_resident(const int *fds) {
    double bytes = 0;
    struct stat st;

    for (unsigned i = 0; i < TRIM_PROCESSES; i++) {
        host_demand(!fstat(fds[i], &st), "fstat: %s", strerror(errno));
        bytes += 512. * (double)st.st_blocks;
    }
    return bytes;
}

/* Bytes a nanosecond of one thread. */
static double trim_punch(const struct TrimBoard *board, const int *fds, double bytes) {
    uint64_t start_ns = experiment_now_ns();

    for (unsigned i = 0; i < TRIM_PROCESSES; i++)
        for (uint32_t slot = 0; slot < board->n_slots; slot++)
            host_demand(!fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   (off_t)(board->origin + slot * board->stride), (off_t)TRIM_SLOT_BYTES),
                        "fallocate: %s", strerror(errno));
    return bytes / (double)(experiment_now_ns() - start_ns);
}

static void trim_nap(uint64_t ns) {
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* Bytes a nanosecond from the first that went to the last. */
static double trim_watch(struct TrimBoard *board, const int *fds, double bytes) {
    int64_t until_ms = host_now_ms() + TRIM_TIMEOUT_MS;
    double left = bytes;
    uint64_t start_ns = 0;

    while (left > bytes * TRIM_LEFT) {
        host_demand(host_now_ms() < until_ms, "of %.0f idle bytes %.0f are not trimmed in %d s", bytes, left,
                    TRIM_TIMEOUT_MS / 1000);
        left = trim_resident(fds);
        if (!start_ns && left < bytes) {
            start_ns = experiment_now_ns() - TRIM_LOOK_NS;
            atomic_store(&board->window, TRIM_TRIMMING);
        }
        trim_nap(TRIM_LOOK_NS);
    }
    atomic_store(&board->window, TRIM_NONE);
    return (bytes - left) / (double)(experiment_now_ns() - start_ns);
}

static void trim_measure(struct TrimBoard *board, const pid_t *pids) {
    int fds[TRIM_PROCESSES];
    double bytes, punched, trimmed;

    trim_await(&board->n_ready, TRIM_PROCESSES);
    trim_open_fds(board, pids, fds);
    bytes = trim_resident(fds);
    atomic_store(&board->window, TRIM_QUIET);
    trim_nap(TRIM_QUIET_NS);
    atomic_store(&board->window, TRIM_PUNCHING);
    punched = trim_punch(board, fds, bytes);
    atomic_store(&board->window, TRIM_NONE);
    atomic_store(&board->phase, 1);
    trim_await(&board->n_ready, 2 * TRIM_PROCESSES);
    bytes = trim_resident(fds);
    atomic_store(&board->phase, 2);
    trimmed = trim_watch(board, fds, bytes);
    experiment_print("trim-rate", trimmed, punched, NAN);
    experiment_print("trim-bytes", bytes, NAN, NAN);
    experiment_print("trim-p99", trim_p99(board, TRIM_TRIMMING), trim_p99(board, TRIM_QUIET),
                     2 * trim_p99(board, TRIM_QUIET));
    experiment_print("trim-p99-punch", trim_p99(board, TRIM_PUNCHING), trim_p99(board, TRIM_QUIET), NAN);
    for (unsigned i = 0; i < TRIM_PROCESSES; i++)
        close(fds[i]);
}

static uint64_t trim_available_bytes(void) {
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];

    while (file && !kilobytes && fgets(line, sizeof(line), file))
        sscanf(line, "MemAvailable: %llu kB", &kilobytes);
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static void trim_run(void) {
    static const char *const settings[] = {"idle_trim_ms=500", NULL};
    static struct TrimWorker workers[TRIM_PROCESSES];
    struct TrimBoard *board = host_share(sizeof(*board));
    uint64_t n = trim_available_bytes() * TRIM_SLOTS_MAX / TRIM_FREE_BYTES;
    struct PrivateDaemon daemon;
    pid_t pids[TRIM_PROCESSES + 1];

    if (n < TRIM_SLOTS_MIN) {
        experiment_skip("there is too little free memory");
        return;
    }
    private_daemon_start(&daemon, settings);
    board->daemon = &daemon;
    board->n_slots = n < TRIM_SLOTS_MAX ? (uint32_t)n : TRIM_SLOTS_MAX;
    for (unsigned i = 0; i < TRIM_PROCESSES; i++) {
        workers[i] = (struct TrimWorker){board, i};
        pids[i] = host_fork(trim_hold, &workers[i]);
    }
    pids[TRIM_PROCESSES] = host_fork(trim_cycle, board);
    trim_measure(board, pids);
    for (unsigned i = 0; i <= TRIM_PROCESSES; i++) {
        kill(pids[i], SIGKILL);
        host_join(pids[i]);
    }
    private_daemon_stop(&daemon);
}

const struct Experiment EXPERIMENT_TRIM = {
    .name = "trim",
    .meaning = "giving 4 GiB of idle memory back to the kernel",
    .seconds_max = 120,
    .run = trim_run,
};
