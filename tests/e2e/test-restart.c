/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A daemon that is killed, and started again, under workers that hold instances. */

#include "tests/e2e/fleet.h"

RIG_SUITE(restart);

#define HELD 5

/* Allocate until the daemon would have to be asked. Returns how many; the rest is NULL. */
static unsigned allocate_what_is_granted(const struct Worker *worker, struct wasmpool_instance *instances[64],
                                         struct wasmpool_error *error) {
    unsigned n = 0;

    memset(instances, 0, 64 * sizeof(*instances));
    while (n < 64 && !worker_try(worker, &instances[n], error))
        n++;
    return n;
}

static void deallocate_all(struct wasmpool_instance **instances, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        wasmpool_deallocate_module(&instances[i]);
}

static void open_and_hold(struct Worker *worker, struct wasmpool_instance *held[HELD]) {
    worker_open(worker, rig.daemon.address);
    for (int i = 0; i < HELD; i++)
        instance_fill(held[i] = worker_allocate(worker), (uint8_t)(i + 1));
}

static void expect_intact(struct wasmpool_instance *held[HELD]) {
    for (int i = 0; i < HELD; i++)
        cr_assert(instance_is(held[i], (uint8_t)(i + 1)), "instance %d has lost its bytes", i);
}

static void kill_daemon(void) {
    private_daemon_kill(&rig.daemon);
    peer_close(&rig.witness);
}

static void restart_daemon(void) {
    const char *settings[] = {"--config=/dev/null", "log_level=notice", NULL};

    private_daemon_restart(&rig.daemon, settings);
    rig_settle();
}

Test(restart, is_not_needed_for_what_is_granted) {
    struct wasmpool_instance *held[HELD], *more[64];
    struct wasmpool_error error = {0};
    struct wasmpool_metrics before, after;
    struct Worker worker;
    unsigned n;

    rig_open(NULL);
    open_and_hold(&worker, held);
    before = worker_metrics(&worker);
    kill_daemon();
    for (int i = 0; i < 1000; i++) {
        wasmpool_deallocate_module(&held[HELD - 1]);
        held[HELD - 1] = worker_allocate(&worker);
        cr_assert(instance_is(held[HELD - 1], 0));
        instance_fill(held[HELD - 1], HELD);
    }
    expect_intact(held);
    n = allocate_what_is_granted(&worker, more, &error);
    expect_eq(n, before.idle_memories < before.idle_instances ? before.idle_memories : before.idle_instances);
    expect_eq(error.code, WASMPOOL_E_UNAVAILABLE);
    expect_says(error.message, rig.daemon.socket);
    after = worker_metrics(&worker);
    expect_eq(after.memories, before.memories + n);
    expect_eq(after.connections, 1);
    deallocate_all(more, n);
    expect_intact(held);
    deallocate_all(held, HELD);
    worker_close(&worker);
    private_daemon_stop(&rig.daemon);
}

Test(restart, brings_a_fresh_connection_and_drains_the_old_slabs) {
    struct wasmpool_instance *held[HELD], *more[64];
    struct wasmpool_error error = {0};
    struct wasmpool_metrics metrics;
    struct Worker worker;
    unsigned maps, n = 0;

    rig_open(NULL);
    maps = leak_count_maps("wasmpool-memory");
    open_and_hold(&worker, held);
    kill_daemon();
    restart_daemon();
    expect_eq(host_count_log(&rig.daemon, "stale-socket-removed", NULL), 2);
    /* More than was granted: somebody must be asked. */
    for (; worker_metrics(&worker).connections == 1 && n < 64; n++)
        more[n] = worker_allocate(&worker);
    metrics = worker_metrics(&worker);
    expect_eq(metrics.connections, 2);
    expect_eq(metrics.memories, HELD + n);
    expect_intact(held);
    /* The new daemon knows of what it granted itself. */
    cr_assert(rig_status().busy[KIND_MEMORY] < HELD + n);
    deallocate_all(more, n);
    expect_intact(held);
    deallocate_all(held, HELD);
    metrics = worker_metrics(&worker);
    expect_eq(metrics.memories, 0);
    expect_eq(metrics.core_instances, 0);
    expect_eq(metrics.slabs, 2);
    more[0] = worker_allocate(&worker);
    expect_eq(worker_try(&worker, &more[1], &error), 0);
    deallocate_all(more, 2);
    worker_close(&worker);
    expect_eq(leak_count_maps("wasmpool-memory"), maps);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
}

/* The idle memories of the first connection are forgotten when a table is what makes the second one: no number of
 * theirs may come to mean a slot of that table's slab. */
Test(restart, never_turns_a_table_into_a_memory) {
    static const struct wasmpool_memory_type memory_type = {.minimum = 1};
    static const struct wasmpool_table_type table_type = {.minimum = 10};
    struct wasmpool_memory memories[6];
    struct wasmpool_table tables[6];
    struct PeerStatus status;
    struct Worker worker;

    rig_open(NULL);
    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 6; i++)
        expect_eq(wasmpool_allocate_memory(worker.pool, &memory_type, NULL, &memories[i], NULL), 0);
    for (int i = 0; i < 6; i++)
        wasmpool_deallocate_memory(worker.pool, &memories[i]);
    kill_daemon();
    restart_daemon();
    for (int i = 0; i < 6; i++)
        expect_eq(wasmpool_allocate_table(worker.pool, &table_type, NULL, &tables[i], NULL), 0);
    expect_eq(worker_metrics(&worker).connections, 2);
    for (int i = 0; i < 6; i++)
        wasmpool_deallocate_table(worker.pool, &tables[i]);
    for (int i = 0; i < 6; i++)
        expect_eq(wasmpool_allocate_memory(worker.pool, &memory_type, NULL, &memories[i], NULL), 0);
    status = rig_status();
    expect_eq(status.busy[KIND_MEMORY], 6);
    expect_eq(status.busy[KIND_TABLE], 0);
    for (int i = 0; i < 6; i++) {
        memset(memories[i].base, i, 65536);
        wasmpool_deallocate_memory(worker.pool, &memories[i]);
    }
    worker_close(&worker);
    rig_expect_nothing_granted();
    rig_close();
}

Test(restart, many_times_loses_nothing) {
    struct wasmpool_instance *held[HELD];
    struct Worker worker;

    rig_open(NULL);
    open_and_hold(&worker, held);
    for (unsigned round = 1; round <= 10; round++) {
        struct wasmpool_instance *more[64];
        unsigned n = 0;

        kill_daemon();
        restart_daemon();
        for (; worker_metrics(&worker).connections == round && n < 64; n++)
            more[n] = worker_allocate(&worker);
        expect_eq(worker_metrics(&worker).connections, round + 1);
        expect_intact(held);
        deallocate_all(more, n);
        /* One of the first goes, and a new one takes its place. */
        wasmpool_deallocate_module(&held[round % HELD]);
        held[round % HELD] = worker_allocate(&worker);
        cr_assert(instance_is(held[round % HELD], 0));
        instance_fill(held[round % HELD], (uint8_t)(round % HELD + 1));
    }
    expect_intact(held);
    deallocate_all(held, HELD);
    expect_eq(worker_metrics(&worker).memories, 0);
    expect_eq(worker_metrics(&worker).slabs, 2);
    worker_close(&worker);
    rig_expect_nothing_granted();
    rig_close();
}
