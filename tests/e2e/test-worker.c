/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Workers that are killed at any moment: what they had comes back, by the daemon's ledger and by the words of another
 * connection's lease table. */

#include "tests/e2e/fleet.h"

#include <stdlib.h>
#include <time.h>

RIG_SUITE(worker);

#define SEED 20260131
#define WORKERS 4
#define KILLS 100
#define ROUND 20 /* kills between two audits */
#define MEMORIES 12

static void work(void *argument) {
    unsigned seed = *(unsigned *)argument;
    struct wasmpool_instance *held[3] = {NULL};
    struct wasmpool_error error;
    struct Worker worker;

    worker_open(&worker, rig.daemon.address);
    for (;;) {
        unsigned i = (unsigned)rand_r(&seed) % 3;

        if (held[i]) {
            host_demand(instance_is(held[i], (uint8_t)(i + 1)), "another's bytes in a memory");
            wasmpool_deallocate_module(&held[i]);
            continue;
        }
        if (worker_try(&worker, &held[i], &error)) {
            host_demand(error.code == WASMPOOL_E_LIMIT && !strcmp(error.limit, "total_memories"), "refused: %s",
                        error.message);
            continue;
        }
        host_demand(instance_is(held[i], 0), "a fresh memory is not zero");
        instance_fill(held[i], (uint8_t)(i + 1));
    }
}

/* The moment is random; nothing depends on it. */
static void let_work(unsigned *seed) {
    nanosleep(&(struct timespec){.tv_nsec = (long)rand_r(seed) % 8000000}, NULL);
}

/* With no worker alive, another client can have every slot there is, and finds each one empty. */
static void audit(struct Peer *survivor, unsigned kills) {
    struct Shape shape = peer_shape(KIND_MEMORY, 64);
    struct PeerSlab slab;
    struct Error error;

    rig_expect_nothing_granted();
    cr_assert(host_await(rig_status().connections == 2, RIG_AWAIT_MS), "after %u kills there are %lu connections",
              kills, rig_status().connections);
    peer_open_slab(survivor, &shape, MEMORIES, &slab);
    expect_eq(slab.granted, MEMORIES);
    expect_eq(peer_count(survivor, &slab, LEASE_IDLE), MEMORIES);
    expect_eq(peer_want(survivor, &slab, MEMORIES + 1, &error), 0);
    expect_str(error.limit, "total_memories");
    for (uint32_t i = 0; i < MEMORIES; i++)
        expect_eq(slab.base[shape_slot_offset(&slab.shape, peer_take(survivor, &slab))], 0);
    expect_eq(rig_status().busy[KIND_MEMORY], MEMORIES);
    peer_close_slab(survivor, &slab);
    rig_expect_nothing_granted();
}

Test(worker, killed_at_random_moments_gives_everything_back) {
    const char *settings[] = {"total_memories=12", "memory_reservation=4G", NULL};
    unsigned seed = SEED, kills = 0;
    struct Peer survivor;
    pid_t pids[WORKERS];

    rig_open(settings);
    peer_open(&survivor, rig.daemon.socket);
    while (kills < KILLS) {
        for (int i = 0; i < WORKERS; i++) {
            seed++;
            pids[i] = host_fork(work, &seed);
        }
        for (int i = 0; i < ROUND - WORKERS; i++, kills++) {
            unsigned victim = (unsigned)rand_r(&seed) % WORKERS;

            let_work(&seed);
            kill(pids[victim], SIGKILL);
            expect_eq(host_join(pids[victim]), 128 + SIGKILL);
            pids[victim] = host_fork(work, &seed);
        }
        for (int i = 0; i < WORKERS; i++, kills++) {
            kill(pids[i], SIGKILL);
            expect_eq(host_join(pids[i]), 128 + SIGKILL);
        }
        audit(&survivor, kills);
    }
    cr_assert(rig_status().grants > KILLS, "the workers did not work: %lu grants", rig_status().grants);
    cr_assert(rig_status().granted_most <= MEMORIES);
    peer_goodbye(&survivor);
    rig_expect_sound();
    expect_eq(rig_status().resident_bytes, 0);
    rig_close();
}
