/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A worker's cgroup, of which idle slots take most: what its process needs besides is not there. */

#include "tests/support/memcg.h"
#include "tests/support/rig.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statfs.h>

RIG_SUITE(pressure);

#define MIB (UINT64_C(1) << 20)
#define LIMIT_BYTES (96 * MIB)
#define SLOTS 64
#define SLOT_BYTES MIB         /* of peer_shape */
#define PRIVATE_BYTES (40 * MIB)
#define THRASH_BYTES (16 * MIB)
#define KILLED (128 + SIGKILL)

/* What a worker is to do, and where it is. */
struct Worker {
    struct Memcg memcg;
    _Atomic bool warm, go_on;
    int fd; /* of the file to read over and over */
    pid_t pid;
};

static void worker_fill(struct Peer *peer, struct PeerSlab *slab) {
    struct Error error = {0};
    uint32_t slots[SLOTS];

    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!peer_count(peer, slab, LEASE_IDLE))
            host_demand(peer_want(peer, slab, SLOTS, &error), "%s", error.message);
        slots[i] = peer_take(peer, slab);
        memset(slab->base + shape_slot_offset(&slab->shape, slots[i]), 1, SLOT_BYTES);
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        peer_release(peer, slab, slots[i]);
}

/* Fills slots and leaves them idle; and then needs memory of its own, which together with them is beyond the limit. */
static void worker_run(void *argument) {
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);
    struct Worker *worker = argument;
    struct PeerSlab slab;
    struct Peer peer;
    void *own;

    memcg_enter(&worker->memcg);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, SLOTS, &slab);
    worker_fill(&peer, &slab);
    worker->warm = true;
    host_demand(host_await(worker->go_on, RIG_AWAIT_MS), "the worker was not told to go on");
    own = mmap(NULL, PRIVATE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    host_demand(own != MAP_FAILED, "mmap");
    memset(own, 1, PRIVATE_BYTES);
}

/* One at a time: they make the host stall, or count on it that it does not. */
#define PressureTest(SENTENCE)                                                                                         \
    static void SENTENCE(void);                                                                                        \
    Test(pressure, SENTENCE) {                                                                                         \
        int lock = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);                                                       \
                                                                                                                       \
        cr_assert(lock >= 0 && !flock(lock, LOCK_EX));                                                                 \
        SENTENCE();                                                                                                    \
        close(lock);                                                                                                   \
    }                                                                                                                  \
    static void SENTENCE(void)

/* A worker that has filled its slots, in a cgroup of LIMIT_BYTES. NULL: skipped. */
static struct Worker *worker_start(const char *const *settings) {
    struct Worker *worker = host_share(sizeof(*worker));
    const char *why = memcg_open(&worker->memcg, LIMIT_BYTES);

    if (why) {
        host_unshare(worker, sizeof(*worker));
        cr_skip_test("%s", why);
        return NULL;
    }
    rig_open(settings);
    worker->pid = host_fork(worker_run, worker);
    cr_assert(host_await(worker->warm, RIG_AWAIT_MS), "the worker has not filled its slots");
    return worker;
}

/* Let it need its own memory. Returns how it ended. */
static int worker_end(struct Worker *worker) {
    int r;

    worker->go_on = true;
    r = host_join(worker->pid);
    expect_eq(memcg_count_killed(&worker->memcg), r == KILLED);
    memcg_close(&worker->memcg);
    host_unshare(worker, sizeof(*worker));
    rig_expect_sound();
    rig_close();
    return r;
}

static uint64_t count_trims(const char *why) {
    char line[64];

    snprintf(line, sizeof(line), "why=\"%s\"", why);
    return host_count_log(&rig.daemon, "trimmed", line);
}

/* Since boot. */
static uint64_t host_stalled_us(void) {
    unsigned long total = 0;
    FILE *file = fopen("/proc/pressure/memory", "re");

    if (file && fscanf(file, "some avg10=%*f avg60=%*f avg300=%*f total=%lu", &total) != 1)
        total = 0;
    if (file)
        fclose(file);
    return total;
}

/* Reads a file over and over that is larger than its cgroup: the kernel reclaims all the time, and tasks wait for it.
 */
static void thrash(void *argument) {
    static char buffer[1 << 16];
    struct Worker *worker = argument;

    memcg_enter(&worker->memcg);
    for (uint64_t bytes = 0; bytes < 2 * THRASH_BYTES; bytes += sizeof(buffer))
        host_demand(write(worker->fd, buffer, sizeof(buffer)) == sizeof(buffer), "no room for a temporary file");
    while (!worker->go_on) {
        lseek(worker->fd, 0, SEEK_SET);
        while (!worker->go_on && read(worker->fd, buffer, sizeof(buffer)) > 0)
            continue;
    }
}

/* What it needs: NULL, or why it can not be had here. */
static const char *thrash_open(struct Worker *worker) {
    struct statfs fs;

    if (access("/proc/pressure/memory", R_OK))
        return "this kernel has no PSI";
    worker->fd = open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (worker->fd < 0 || fstatfs(worker->fd, &fs) || fs.f_type == TMPFS_MAGIC)
        return "/var/tmp is on no disk, from which the kernel could read again";
    return memcg_open(&worker->memcg, THRASH_BYTES);
}

static void thrash_close(struct Worker *worker, bool opened) {
    if (opened)
        memcg_close(&worker->memcg);
    if (worker->fd >= 0)
        close(worker->fd);
    host_unshare(worker, sizeof(*worker));
}

/* ------------------------------------------------------------------------------------------------ tests */

/* What this is about: the host as a whole is not short of memory, and its PSI says so. */
PressureTest(in_a_cgroup_kills_a_worker_whose_idle_slots_nobody_trims) {
    static const char *const settings[] = {"log_level=info",          "total_memories=64",      "idle_trim_ms=0",
                                           "budget_high_percent=100", "warm_share_percent=100",
                                           "stall_percent=100",      NULL};
    uint64_t stalled_us = host_stalled_us();
    int64_t start_ms = host_now_ms();
    struct Worker *worker = worker_start(settings);

    if (!worker)
        return;
    expect_eq(worker_end(worker), KILLED);
    cr_expect_lt(host_stalled_us() - stalled_us, 1000 + (uint64_t)(host_now_ms() - start_ms) * 100,
                 "the host stalled for %lu us of %ld ms", host_stalled_us() - stalled_us, host_now_ms() - start_ms);
}

PressureTest(in_a_cgroup_is_relieved_before_its_worker_needs_more) {
    /* What other tests make the host stall meanwhile is not to be the reason. */
    static const char *const settings[] = {"log_level=info", "total_memories=64", "idle_trim_ms=0", "stall_percent=100", NULL};
    struct Worker *worker = worker_start(settings);

    if (!worker)
        return;
    kill(worker->pid, SIGSTOP); /* none wakes for it */
    cr_expect(host_await(rig_status().resident_bytes <= LIMIT_BYTES / 2, RIG_AWAIT_MS), "%lu bytes are still resident",
              rig_status().resident_bytes);
    cr_expect(host_await(count_trims("a worker's cgroup is short of memory"), RIG_AWAIT_MS), "nothing was logged");
    cr_expect(host_await(rig_status().granted[KIND_MEMORY] == SLOTS, RIG_AWAIT_MS), "a trimmed slot is not granted");
    kill(worker->pid, SIGCONT);
    expect_eq(worker_end(worker), 0);
}

PressureTest(on_the_host_takes_half_of_what_is_idle) {
    static const char *const settings[] = {"log_level=info", "idle_trim_ms=0", "stall_percent=1", NULL};
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);
    struct Worker *worker = host_share(sizeof(*worker));
    const char *why;
    struct PeerSlab slab;
    struct Peer peer;

    worker->fd = -1;
    why = thrash_open(worker);
    if (why) {
        thrash_close(worker, false);
        cr_skip_test("%s", why);
        return;
    }
    rig_open(settings);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, SLOTS, &slab);
    worker_fill(&peer, &slab);
    expect_eq(rig_status().resident_bytes, SLOTS * SLOT_BYTES);
    worker->pid = host_fork(thrash, worker);
    cr_expect(host_await(rig_status().resident_bytes <= SLOTS * SLOT_BYTES / 2, 4 * RIG_AWAIT_MS),
              "%lu bytes are still resident, tasks stalled for %lu us", rig_status().resident_bytes, host_stalled_us());
    worker->go_on = true;
    expect_eq(host_join(worker->pid), 0);
    cr_expect(host_await(count_trims("the host is short of memory"), RIG_AWAIT_MS), "nothing was logged");
    thrash_close(worker, true);
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
    rig_expect_sound();
    rig_close();
}
