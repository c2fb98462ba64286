/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Four processes and room for two: nobody gets more, each is told why, and each has its turn. */

#include "tests/e2e/fleet.h"

RIG_SUITE(total);

#define PROCESSES 4
#define CYCLES 200

struct Turns {
    _Atomic unsigned inside, most, refusals, cycles;
};

static void count_in(struct Turns *turns) {
    unsigned n = atomic_fetch_add(&turns->inside, 1) + 1, most = turns->most;

    while (n > most && !atomic_compare_exchange_weak(&turns->most, &most, n))
        ;
    host_demand(n <= 2, "%u processes have a memory at one time", n);
}

static void expect_refusal(const struct wasmpool_error *error) {
    host_demand(error->code == WASMPOOL_E_LIMIT && !strcmp(error->limit, "total_memories") && error->bound == 2 &&
                    error->use == 2 && error->ask >= 1,
                "the refusal is '%s' (limit %s, bound %lu, use %lu)", error->message, error->limit, error->bound,
                error->use);
    host_demand(strstr(error->message, "total_memories") && strchr(error->message, '2'), "'%s' names nothing",
                error->message);
}

static void take_a_turn(void *argument) {
    struct Turns *turns = argument;
    struct Worker worker;

    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < CYCLES;) {
        struct wasmpool_instance *instance = NULL;
        struct wasmpool_error error;

        if (worker_try(&worker, &instance, &error)) {
            expect_refusal(&error);
            turns->refusals++;
            host_nap();
            continue;
        }
        count_in(turns);
        host_demand(instance_is(instance, 0), "a fresh memory is not zero");
        instance_fill(instance, 1);
        /* Who is first holds on until another has been refused: the processes overlap, however they are scheduled. */
        host_demand(host_await(turns->refusals > 0, RIG_AWAIT_MS), "nobody was ever refused");
        turns->inside--;
        wasmpool_deallocate_module(&instance);
        turns->cycles++;
        i++;
    }
    worker_close(&worker);
}

Test(total, of_two_memories_is_kept_by_four_processes) {
    const char *settings[] = {"total_memories=2", NULL};
    struct Turns *turns = host_share(sizeof(*turns));
    pid_t pids[PROCESSES];

    rig_open(settings);
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = host_fork(take_a_turn, turns);
    while (waitpid(pids[0], NULL, WNOHANG | WNOWAIT) == 0 && turns->cycles < PROCESSES * CYCLES) {
        struct PeerStatus status = rig_status();

        cr_assert(status.granted[KIND_MEMORY] <= 2 && status.granted_most <= 2, "%lu granted, %lu at most",
                  status.granted[KIND_MEMORY], status.granted_most);
        host_nap();
    }
    for (int i = 0; i < PROCESSES; i++)
        expect_eq(host_join(pids[i]), 0);
    expect_eq(turns->cycles, PROCESSES * CYCLES);
    expect_eq(rig_status().granted_most, 2);
    rig_expect_nothing_granted();
    rig_expect_sound();
    host_unshare(turns, sizeof(*turns));
    rig_close();
}

Test(total, exhausted_works_again_after_one_release_in_the_same_connection) {
    const char *settings[] = {"total_memories=2", NULL};
    struct wasmpool_instance *held[2], *more = NULL;
    struct wasmpool_error error;
    struct Worker worker;

    rig_open(settings);
    worker_open(&worker, rig.daemon.address);
    held[0] = worker_allocate(&worker);
    held[1] = worker_allocate(&worker);
    for (int i = 0; i < 50; i++) {
        expect_eq(worker_try(&worker, &more, &error), WASMPOOL_E_LIMIT);
        expect_refusal(&error);
        cr_assert(!more);
        wasmpool_deallocate_module(&held[i % 2]);
        held[i % 2] = worker_allocate(&worker);
    }
    wasmpool_deallocate_module(&held[0]);
    wasmpool_deallocate_module(&held[1]);
    worker_close(&worker);
    rig_expect_nothing_granted();
    rig_close();
}
