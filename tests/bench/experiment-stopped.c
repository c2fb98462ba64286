/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/memfd.h"
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* All capacity lies idle in a process that is stopped, each slot with pages: how long a Want takes that gets a slot of
 * it. Each one beside one round trip and one punch of as many pages, that the same process has mapped. */

#define STOPPED_SLOTS 64
#define STOPPED_PAGES 16
#define STOPPED_ROUNDS 8
#define STOPPED_ROUNDS_NEAR 32 /* where nothing is waited for but the want, and more of them say more */

struct StoppedCase {
    const struct PrivateDaemon *daemon;
    int floor_fd; /* a file like the slab's */
    struct Echo echo;
    struct Times want, trip, punch;
};

static size_t stopped_bytes(void) {
    return STOPPED_PAGES * (size_t)sysconf(_SC_PAGESIZE);
}

static void stopped_fill(uint8_t *base, const struct Shape *shape) {
    for (uint32_t i = 0; i < STOPPED_SLOTS; i++)
        memset(base + shape_slot_offset(shape, i), 1, stopped_bytes());
}

static void stopped_fill_floor(int fd, const struct Shape *shape) {
    void *base = mmap(NULL, shape->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    host_demand(base != MAP_FAILED, "mmap: %s", strerror(errno));
    stopped_fill(base, shape);
}

/* Have everything granted, write to it, leave it idle, and stop. */
static void stopped_hold(void *argument) {
    const struct StoppedCase *all = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, STOPPED_SLOTS);
    int64_t until_ms = host_now_ms() + PEER_TIMEOUT_MS;
    struct PeerSlab slab;
    struct Error error;
    struct Peer peer;

    peer_open(&peer, all->daemon->socket);
    peer_reopen_slab(&peer, &shape, STOPPED_SLOTS, &slab);
    while (peer_count(&peer, &slab, LEASE_IDLE) < STOPPED_SLOTS) {
        host_demand(host_now_ms() < until_ms, "the slots are not granted: %s", error.message);
        if (!peer_want(&peer, &slab, STOPPED_SLOTS, &error))
            host_nap();
    }
    stopped_fill(slab.base, &slab.shape);
    stopped_fill_floor(all->floor_fd, &slab.shape);
    raise(SIGSTOP);
}

static void stopped_try(struct StoppedCase *all, struct Peer *peer, const struct PeerSlab *slab, uint32_t i) {
    uint64_t start_ns = experiment_now_ns();
    struct Error error;

    echo_trip(&all->echo);
    times_add(&all->trip, start_ns);
    start_ns = experiment_now_ns();
    host_demand(!memfd_punch(all->floor_fd, shape_slot_offset(&slab->shape, i), slab->shape.stride), "fallocate: %s",
                strerror(errno));
    times_add(&all->punch, start_ns);
    start_ns = experiment_now_ns();
    host_demand(peer_want(peer, slab, i + 1, &error) == 1, "slot %u was not granted: %s", i, error.message);
    times_add(&all->want, start_ns);
}

static void stopped_round(struct StoppedCase *all) {
    struct Shape shape = peer_shape(KIND_MEMORY, STOPPED_SLOTS);
    pid_t holder = host_fork(stopped_hold, all);
    struct PeerSlab slab;
    struct Peer peer;
    int status;

    host_demand(waitpid(holder, &status, WUNTRACED) == holder && WIFSTOPPED(status), "the holder has ended");
    peer_open(&peer, all->daemon->socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    for (uint32_t i = 0; i < STOPPED_SLOTS; i++)
        stopped_try(all, &peer, &slab, i);
    kill(holder, SIGKILL);
    host_join(holder);
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
}

/* Where the daemon runs, and who sends back what it gets, beside who wants. Left to the scheduler, the one may be near
 * and the other far, whose round trips cost four times as much: that says nothing of the daemon, and has no bound. */
enum StoppedPlace { STOPPED_ANYWHERE, STOPPED_NEAR, STOPPED_FAR };

static bool stopped_pin(const struct StoppedCase *all, enum StoppedPlace place) {
    unsigned processor = place == STOPPED_FAR;

    return place == STOPPED_ANYWHERE ||
           (experiment_pin(all->daemon->pid, processor) && experiment_pin(all->echo.pid, processor) &&
            experiment_pin(0, 0));
}

static void stopped_measure(struct StoppedCase *all, enum StoppedPlace place) {
    static const char *const settings[] = {"total_memories=64", NULL};
    struct PrivateDaemon daemon;

    all->want.n = all->trip.n = all->punch.n = 0;
    private_daemon_start(&daemon, settings);
    all->daemon = &daemon;
    echo_open(&all->echo);
    if (stopped_pin(all, place))
        for (unsigned i = 0; i < (place == STOPPED_NEAR ? STOPPED_ROUNDS_NEAR : STOPPED_ROUNDS); i++)
            stopped_round(all);
    echo_close(&all->echo);
    private_daemon_stop(&daemon);
    experiment_unpin();
}

static double stopped_floor_ns(struct StoppedCase *all) {
    return times_quantile(&all->trip, 0.5) + times_quantile(&all->punch, 0.5);
}

static void stopped_print(struct StoppedCase *all, const char *place, bool bounded) {
    double floor_ns = stopped_floor_ns(all);
    char key[32];

    snprintf(key, sizeof(key), "%s-p50", place);
    experiment_print(key, times_quantile(&all->want, 0.5), floor_ns, bounded ? 1.5 * floor_ns : NAN);
    snprintf(key, sizeof(key), "%s-p99", place);
    experiment_print(key, times_quantile(&all->want, 0.99), floor_ns, bounded ? 4 * floor_ns : NAN);
}

static void stopped_run(void) {
    struct Shape shape = peer_shape(KIND_MEMORY, STOPPED_SLOTS);
    static struct StoppedCase all;

    host_demand(!shape_finish(&shape, NULL) && !memfd_new("floor", shape.file_bytes, &all.floor_fd), "memfd: %s",
                strerror(errno));
    stopped_measure(&all, STOPPED_ANYWHERE);
    stopped_print(&all, "stopped", false);
    stopped_measure(&all, STOPPED_NEAR);
    stopped_print(&all, "stopped-near", true);
    stopped_measure(&all, STOPPED_FAR);
    if (all.want.n)
        stopped_print(&all, "stopped-far", true);
}

const struct Experiment EXPERIMENT_STOPPED = {
    .name = "stopped",
    .meaning = "wanting a slot while all lie idle, with pages, in a process that is stopped",
    .seconds_max = 60,
    .run = stopped_run,
};
