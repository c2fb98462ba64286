/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Clients that die, stop, or leave a child behind. */

#include "tests/support/rig.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

RIG_SUITE(death);

enum Stage {
    STAGE_CONNECTED,
    STAGE_HALF_HELLO,
    STAGE_UNREAD_WELCOME,
    STAGE_UNACKED,
    STAGE_READY,
    STAGE_SLAB_UNREAD,
    STAGE_SLAB_UNACKED,
    STAGE_IDLE,
    STAGE_BUSY,
    STAGE_WANTING,
    STAGE_CLOSED_BEFORE,
    STAGE_N,
};

static void say_hello(struct Peer *peer) {
    static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR};

    peer_send_bytes(peer, hello, sizeof(hello));
}

static void receive_alone(struct Peer *peer) {
    struct WirePacket packet;

    host_demand(!peer_receive(peer, &packet), "no answer");
}

static void reach_early_stage(struct Peer *peer, enum Stage stage) {
    peer_connect(peer, rig.daemon.socket);
    if (stage == STAGE_HALF_HELLO)
        peer_send_bytes(peer, "\x08", 1);
    if (stage >= STAGE_UNREAD_WELCOME)
        say_hello(peer);
    if (stage >= STAGE_UNACKED)
        receive_alone(peer);
}

static void reach_late_stage(struct Peer *peer, enum Stage stage) {
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;

    peer_open(peer, rig.daemon.socket);
    if (stage == STAGE_SLAB_UNREAD || stage == STAGE_SLAB_UNACKED)
        peer_ask_slab(peer, &shape, 2);
    if (stage == STAGE_SLAB_UNACKED)
        receive_alone(peer);
    if (stage < STAGE_IDLE)
        return;
    peer_open_slab(peer, &shape, 2, &slab);
    if (stage >= STAGE_BUSY)
        memset(slab.base + shape_slot_offset(&slab.shape, peer_take(peer, &slab)), 1, 1 << 20);
    if (stage == STAGE_WANTING) {
        atomic_store(&peer->table->header.targets[slab.target], 8);
        for (int i = 0; i < 20; i++)
            peer_ask_want(peer, slab.id);
    }
    if (stage == STAGE_CLOSED_BEFORE)
        close(peer->socket);
}

static void die_at_stage(void *argument) {
    enum Stage stage = *(enum Stage *)argument;
    struct Peer peer;

    if (stage <= STAGE_UNACKED)
        reach_early_stage(&peer, stage);
    else
        reach_late_stage(&peer, stage);
    raise(SIGKILL);
}

Test(death, at_any_stage_leaves_nothing) {
    rig_open(NULL);
    for (enum Stage stage = 0; stage < STAGE_N; stage++) {
        expect_eq(host_join(host_fork(die_at_stage, &stage)), 128 + SIGKILL);
        rig_await_granted(KIND_MEMORY, 0);
        expect_eq(host_await(rig_status().connections == 1, RIG_AWAIT_MS), true);
        rig_expect_sound();
    }
    expect_eq(rig_status().resident_bytes, 0);
    expect_eq(rig_status().disconnected, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ stopped */

struct Stopped {
    _Atomic bool holds, goes_on;
};

static void hold_while_stopped(void *argument) {
    struct Stopped *stopped = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;
    struct Peer peer;
    uint8_t *slot;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 2, &slab);
    slot = slab.base + shape_slot_offset(&slab.shape, peer_take(&peer, &slab));
    memset(slot, 0x5a, 65536);
    stopped->holds = true;
    host_demand(host_await(stopped->goes_on, 20000), "nobody said to go on");
    for (int i = 0; i < 65536; i++)
        host_demand(slot[i] == 0x5a, "byte %d is %#x", i, slot[i]);
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
}

/* Longer than any of the daemon's timers. */
Test(death, is_not_being_stopped) {
    const char *settings[] = {"hello_deadline_ms=200", NULL};
    struct Stopped *stopped = host_share(sizeof(*stopped));
    pid_t pid;

    rig_open(settings);
    pid = host_fork(hold_while_stopped, stopped);
    expect_eq(host_await(stopped->holds, RIG_AWAIT_MS), true);
    kill(pid, SIGSTOP);
    expect_eq(host_await(rig_status().granted[KIND_MEMORY] != 2, 2500), false);
    expect_eq(rig_status().busy[KIND_MEMORY], 1);
    expect_eq(rig_status().disconnected, 0);
    stopped->goes_on = true;
    kill(pid, SIGCONT);
    expect_eq(host_join(pid), 0);
    rig_await_granted(KIND_MEMORY, 0);
    rig_expect_sound();
    host_unshare(stopped, sizeof(*stopped));
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ disconnected */

struct Cut {
    _Atomic bool cut, release, ends;
};

/* The socket goes, the process lives: one slot idle, one busy. */
static void cut_and_live(void *argument) {
    struct Cut *cut = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;
    struct Peer peer;
    uint32_t slot;
    uint8_t *base;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 2, &slab);
    slot = peer_take(&peer, &slab);
    base = slab.base + shape_slot_offset(&slab.shape, slot);
    memset(base, 0x5a, 65536);
    close(peer.socket);
    peer.socket = -1;
    cut->cut = true;
    host_demand(host_await(peer_count(&peer, &slab, LEASE_IDLE) == 0, 5000), "the idle slot is not revoked");
    host_demand(host_await(cut->release, 20000), "nobody said to release");
    for (int i = 0; i < 65536; i++)
        host_demand(base[i] == 0x5a, "byte %d is %#x", i, base[i]);
    peer_release(&peer, &slab, slot);
    host_demand(host_await(peer_count(&peer, &slab, LEASE_IDLE) == 0, 5000), "what was released is not revoked");
    /* Sparse again: its pages went back. */
    host_demand(host_await(base[0] == 0, 5000), "what was revoked is not emptied");
    host_demand(host_await(cut->ends, 20000), "nobody said to end");
}

Test(death, is_not_a_closed_socket) {
    struct Cut *cut = host_share(sizeof(*cut));
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(cut_and_live, cut);
    expect_eq(host_await(cut->cut, RIG_AWAIT_MS), true);
    rig_await_granted(KIND_MEMORY, 1);
    expect_eq(rig_status().disconnected, 1);
    expect_eq(rig_status().connections, 2);
    expect_eq(host_await(rig_status().busy[KIND_MEMORY] != 1, 1500), false);
    cut->release = true;
    rig_await_granted(KIND_MEMORY, 0);
    /* With nothing granted there is nothing to keep, though the process lives. */
    expect_eq(host_await(rig_status().disconnected == 0, RIG_AWAIT_MS), true);
    cut->ends = true;
    expect_eq(host_join(pid), 0);
    rig_expect_sound();
    host_unshare(cut, sizeof(*cut));
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ forked */

struct Stray {
    _Atomic bool mapped, reads_zero, failed;
    _Atomic pid_t pid;
};

/* The child of a client: it holds the socket and maps the slab when its parent is gone. */
static void stay_behind(struct Stray *stray, struct Peer *peer, const uint8_t *base) {
    stray->pid = getpid();
    stray->mapped = base[0] == 0x5a;
    stray->failed = !host_await(base[0] == 0 && base[65535] == 0, 10000);
    stray->reads_zero = !stray->failed;
    /* What it says is not heard any more. */
    peer_ask_want(peer, 1);
    _exit(0);
}

static void leave_a_child(void *argument) {
    struct Stray *stray = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;
    struct Peer peer;
    uint8_t *base;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 2, &slab);
    base = slab.base + shape_slot_offset(&slab.shape, peer_take(&peer, &slab));
    memset(base, 0x5a, 65536);
    if (!fork())
        stay_behind(stray, &peer, base);
    host_demand(host_await(stray->mapped, 5000), "the child does not see the memory");
    raise(SIGKILL);
}

Test(death, of_a_parent_empties_what_its_child_still_maps) {
    struct Stray *stray = host_share(sizeof(*stray));

    rig_open(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    expect_eq(host_join(host_fork(leave_a_child, stray)), 128 + SIGKILL);
    rig_await_granted(KIND_MEMORY, 0);
    expect_eq(host_await(stray->reads_zero || stray->failed, 15000), true);
    expect_eq(stray->failed, false);
    expect_eq(host_join(stray->pid), 0);
    expect_eq(rig_status().connections, 1);
    expect_eq(rig_status().resident_bytes, 0);
    rig_expect_sound();
    host_unshare(stray, sizeof(*stray));
    rig_close();
}
