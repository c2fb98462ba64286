/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A worker that lives and loses its socket: it keeps what it uses, and has a fresh connection when it next asks. */

#include "tests/e2e/fleet.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

RIG_SUITE(disconnect);

struct Steps {
    _Atomic int reached, wanted;
};

static void step(struct Steps *steps) {
    int next = ++steps->reached;

    host_demand(host_await(steps->wanted >= next, 20000), "nobody asked for step %d", next);
}

static void await_step(struct Steps *steps, int n) {
    cr_assert(host_await(steps->reached >= n, RIG_AWAIT_MS), "step %d is not reached", n);
}

/* The sockets of this process that are connected to the tenants' socket, the witness's not included. */
static void shut_sockets_down(void) {
    DIR *directory = opendir("/proc/self/fd");

    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name), type = 0;
        socklen_t bytes = sizeof(type);

        if (*entry->d_name != '.' && fd != rig.witness.socket &&
            !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) && type == SOCK_SEQPACKET)
            shutdown(fd, SHUT_RDWR);
    }
    closedir(directory);
}

static void lose_the_socket(void *argument) {
    struct Steps *steps = argument;
    struct wasmpool_instance *held[3], *fresh[3];
    struct Worker worker;
    struct wasmpool_metrics metrics;

    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 3; i++)
        instance_fill(held[i] = worker_allocate(&worker), (uint8_t)(i + 1));
    wasmpool_deallocate_module(&held[2]);
    shut_sockets_down();
    step(steps); /* 1: one or more idle, two busy */
    for (int i = 0; i < 2; i++)
        host_demand(instance_is(held[i], (uint8_t)(i + 1)), "instance %d has lost its bytes", i);
    for (int i = 0; i < 3; i++)
        instance_fill(fresh[i] = worker_allocate(&worker), 9);
    metrics = worker_metrics(&worker);
    host_demand(metrics.connections == 2, "%lu connections", metrics.connections);
    host_demand(metrics.slabs == 4, "%lu slabs are mapped: two that drain and two new ones", metrics.slabs);
    step(steps); /* 2: two busy of old, three of new */
    for (int i = 0; i < 2; i++) {
        host_demand(instance_is(held[i], (uint8_t)(i + 1)), "instance %d has lost its bytes", i);
        wasmpool_deallocate_module(&held[i]);
    }
    metrics = worker_metrics(&worker);
    host_demand(metrics.slabs == 2, "%lu slabs are mapped, those drained included", metrics.slabs);
    step(steps); /* 3: nothing of old */
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_module(&fresh[i]);
    worker_close(&worker);
    step(steps); /* 4: goodbye said on the new connection only */
}

Test(disconnect, leaves_busy_slots_charged_until_they_come_back) {
    struct Steps *steps = host_share(sizeof(*steps));
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(lose_the_socket, steps);
    await_step(steps, 1);
    rig_await_granted(KIND_MEMORY, 2);
    rig_await_granted(KIND_INSTANCE, 2);
    expect_eq(rig_status().disconnected, 1);
    expect_eq(rig_status().busy[KIND_MEMORY], 2);
    steps->wanted = 1;
    await_step(steps, 2);
    expect_eq(host_await(rig_status().busy[KIND_MEMORY] == 5, RIG_AWAIT_MS), true);
    steps->wanted = 2;
    await_step(steps, 3);
    expect_eq(host_await(rig_status().busy[KIND_MEMORY] == 3, RIG_AWAIT_MS), true);
    steps->wanted = 3;
    await_step(steps, 4);
    rig_expect_nothing_granted();
    expect_eq(host_await(rig_status().disconnected == 0, RIG_AWAIT_MS), true);
    steps->wanted = 4;
    expect_eq(host_join(pid), 0);
    expect_eq(host_await(rig_status().connections == 1 && !rig_status().disconnected, RIG_AWAIT_MS), true);
    rig_expect_sound();
    host_unshare(steps, sizeof(*steps));
    rig_close();
}

/* Who waits for slots when the connection ends is told by the table: its epoch and its futex have moved. */
Test(disconnect, wakes_who_waits_for_slots) {
    struct Shape shape = peer_shape(KIND_MEMORY, 1);
    struct PeerSlab slab;
    struct Peer peer;
    uint32_t seen, epoch;

    rig_open(NULL);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 1, &slab);
    peer_take(&peer, &slab); /* so that it is not let go at once */
    seen = atomic_load(&peer.table->header.futex);
    epoch = atomic_load(&peer.table->header.epoch);
    peer_close_slab_id(&peer, slab.id + 1); /* it has no such slab: it is cut off */
    while (atomic_load(&peer.table->header.epoch) == epoch) {
        cr_assert_eq(lease_wait(peer.table, seen, RIG_AWAIT_MS * UINT64_C(1000000)), 0, "nobody woke it");
        seen = atomic_load(&peer.table->header.futex);
    }
    expect_eq(atomic_load(&peer.table->header.epoch), epoch + 1);
    peer_unmap_slab(&slab);
    peer_close(&peer);
    rig_close();
}
