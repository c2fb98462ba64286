/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Capacity moves between processes: at once where it is idle, and in turn where it is busy. */

#include "tests/e2e/fleet.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>

RIG_SUITE(want);

#define TOTAL 8
#define NOT_IN_TIME UINT32_MAX
#define WAIT_MS 10000 /* far longer than anything takes here */

static const char *const few[] = {"total_memories=8", NULL};

/* A process that has all there is, with a byte in each slot, and does what it is told. */
enum Order { ORDER_NONE, ORDER_RELEASE_ONE, ORDER_RELEASE_UNSAID, ORDER_CHURN, ORDER_END };

struct Holder {
    _Atomic int order;
    _Atomic uint32_t granted;
    _Atomic bool idle;  /* it is to release everything before it says that it is ready */
    _Atomic bool ready;
    _Atomic uint64_t cycles;
    pid_t pid;
};

static void holder_fill(struct Peer *peer, struct PeerSlab *slab) {
    struct Error error = {0};

    for (uint32_t n = 0; n < TOTAL; n++) {
        uint32_t slot;

        if (!peer_count(peer, slab, LEASE_IDLE))
            host_demand(peer_want(peer, slab, TOTAL, &error), "%s", error.message);
        slot = peer_take(peer, slab);
        slab->base[shape_slot_offset(&slab->shape, slot)] = 1;
    }
}

/* As lease_release says: a recalled slot has to be said. */
static bool holder_release(struct Peer *peer, struct PeerSlab *slab, uint32_t slot, bool say) {
    struct LeaseEntry *entry = peer_entry(peer, slab, slot);
    uint64_t word = lease_load(entry);

    if (lease_state(word) != LEASE_BUSY)
        return false;
    if (lease_release(entry, lease_generation(word)) == LEASE_E_RECALLED && say)
        peer_kick(peer);
    return true;
}

static void holder_release_some(struct Peer *peer, struct PeerSlab *slab, uint32_t most, bool say) {
    for (uint32_t i = 0; i < TOTAL && most; i++)
        most -= holder_release(peer, slab, i, say);
}

static void holder_churn(struct Holder *holder, struct Peer *peer, struct PeerSlab *slab) {
    uint64_t generation;

    for (uint32_t i = 0; holder->order == ORDER_CHURN; i = (i + 1) % TOTAL) {
        holder_release(peer, slab, i, true);
        lease_take(peer_entry(peer, slab, i), &generation);
        holder->cycles++;
    }
}

static void hold(void *argument) {
    struct Holder *holder = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, TOTAL);
    struct PeerSlab slab;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    holder_fill(&peer, &slab);
    if (holder->idle)
        holder_release_some(&peer, &slab, TOTAL, true);
    holder->ready = true;
    while (holder->order != ORDER_END) {
        int order = atomic_exchange(&holder->order, ORDER_NONE);

        if (order == ORDER_END)
            break;
        if (order == ORDER_RELEASE_ONE || order == ORDER_RELEASE_UNSAID) {
            /* Of those that were recalled, as the daemon's luck will have it: all, one after the other. */
            holder_release_some(&peer, &slab, TOTAL, order == ORDER_RELEASE_ONE);
        } else if (order == ORDER_CHURN) {
            holder->order = ORDER_CHURN;
            holder_churn(holder, &peer, &slab);
        }
        host_nap();
    }
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
}

static struct Holder *holder_start(bool idle) {
    struct Holder *holder = host_share(sizeof(*holder));

    holder->idle = idle;
    holder->pid = host_fork(hold, holder);
    cr_assert(host_await(holder->ready, RIG_AWAIT_MS), "nobody holds the slots");
    return holder;
}

static void holder_end(struct Holder *holder) {
    holder->order = ORDER_END;
    expect_eq(host_join(holder->pid), 0);
    host_unshare(holder, sizeof(*holder));
}

static void wanter_open(struct Peer *peer, struct PeerSlab *slab) {
    struct Shape shape = peer_shape(KIND_MEMORY, TOTAL);

    peer_open(peer, rig.daemon.socket);
    peer_open_slab(peer, &shape, 0, slab);
}

static void wanter_close(struct Peer *peer, struct PeerSlab *slab) {
    peer_unmap_slab(slab);
    peer_goodbye(peer);
}

/* ------------------------------------------------------------------------------------------------ at once */

Test(want, is_met_from_a_process_that_is_stopped) {
    struct Error error = {0};
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;

    rig_open(few);
    holder = holder_start(true);
    kill(holder->pid, SIGSTOP);
    wanter_open(&peer, &slab);
    for (uint32_t n = 0; n < TOTAL;) {
        uint32_t granted = peer_want(&peer, &slab, TOTAL, &error);

        cr_assert(granted, "with %u of %d: %s", n, TOTAL, error.message);
        n += granted;
    }
    /* And what it had there goes back to the kernel, while it sleeps. */
    cr_expect(host_await(rig_status().resident_bytes == 0, RIG_AWAIT_MS), "%lu bytes are still resident",
              rig_status().resident_bytes);
    kill(holder->pid, SIGCONT);
    wanter_close(&peer, &slab);
    holder_end(holder);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ in turn */

Test(want, that_waits_is_woken_when_a_busy_slot_is_released) {
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;
    uint32_t slot;

    rig_open(few);
    holder = holder_start(false);
    wanter_open(&peer, &slab);
    peer_wait(&peer, &slab, 1);
    cr_assert(host_await(rig_status().busy[KIND_MEMORY] == TOTAL, RIG_AWAIT_MS));
    expect_eq(peer_count(&peer, &slab, LEASE_IDLE), 0);
    holder->order = ORDER_RELEASE_ONE;
    slot = peer_await_slot(&peer, &slab, WAIT_MS);
    cr_assert(slot != NOT_IN_TIME, "nobody woke the one that waits");
    expect_eq(slab.base[shape_slot_offset(&slab.shape, slot)], 0);
    wanter_close(&peer, &slab);
    holder_end(holder);
    rig_expect_sound();
    rig_close();
}

Test(want, that_waits_does_not_depend_on_a_kick) {
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;

    rig_open(few);
    holder = holder_start(false);
    wanter_open(&peer, &slab);
    peer_wait(&peer, &slab, 1);
    holder->order = ORDER_RELEASE_UNSAID;
    cr_assert(peer_await_slot(&peer, &slab, WAIT_MS) != NOT_IN_TIME, "without a kick the slot is lost");
    wanter_close(&peer, &slab);
    holder_end(holder);
    rig_close();
}

Test(want, that_waits_is_met_by_a_process_that_never_rests) {
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;

    rig_open(few);
    holder = holder_start(false);
    holder->order = ORDER_CHURN;
    cr_assert(host_await(holder->cycles > 1000, RIG_AWAIT_MS));
    wanter_open(&peer, &slab);
    for (uint32_t n = 1; n <= TOTAL / 2; n++) {
        peer_wait(&peer, &slab, n);
        cr_assert(peer_await_slot(&peer, &slab, WAIT_MS) != NOT_IN_TIME, "slot %u does not come", n);
    }
    wanter_close(&peer, &slab);
    holder_end(holder);
    rig_close();
}

Test(want, that_waits_is_met_when_the_holder_is_killed) {
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;

    rig_open(few);
    holder = holder_start(false);
    kill(holder->pid, SIGSTOP);
    wanter_open(&peer, &slab);
    peer_wait(&peer, &slab, 1);
    cr_assert(host_await(rig_status().connections == 3, RIG_AWAIT_MS));
    expect_eq(peer_count(&peer, &slab, LEASE_IDLE), 0);
    kill(holder->pid, SIGKILL);
    cr_assert(peer_await_slot(&peer, &slab, WAIT_MS) != NOT_IN_TIME, "a dead process keeps its slots");
    expect_eq(host_join(holder->pid), 128 + SIGKILL);
    host_unshare(holder, sizeof(*holder));
    wanter_close(&peer, &slab);
    rig_close();
}

Test(want, that_is_withdrawn_costs_the_holder_nothing_more) {
    struct Holder *holder;
    struct PeerSlab slab;
    struct Peer peer;
    struct PeerStatus status;

    rig_open(few);
    holder = holder_start(false);
    wanter_open(&peer, &slab);
    peer_wait(&peer, &slab, 1);
    atomic_store(&peer.table->header.targets[slab.target], 0);
    peer_wait(&peer, &slab, 0);
    holder->order = ORDER_RELEASE_ONE;
    cr_assert(host_await((status = rig_status()).busy[KIND_MEMORY] == 0, RIG_AWAIT_MS));
    cr_expect(status.granted[KIND_MEMORY] >= TOTAL - 2, "%lu of %d slots are left", status.granted[KIND_MEMORY], TOTAL);
    expect_eq(peer_count(&peer, &slab, LEASE_IDLE), 0);
    wanter_close(&peer, &slab);
    holder_end(holder);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ fairness */

#define USERS 3
#define USER_FIRST 23456 /* uids that are nobody's */

struct Greed {
    _Atomic uint32_t held[USERS];
    _Atomic bool ends;
    _Atomic int n_started;
    int next;
};

/* Wants everything all the time, and releases and takes again what it has. */
static void be_greedy(void *argument) {
    struct Greed *greed = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, TOTAL);
    struct PeerSlab slab;
    struct Peer peer;
    int me = greed->next;

    if (!getuid())
        host_demand(!setgroups(0, NULL) && !setgid(USER_FIRST + (gid_t)me) && !setuid(USER_FIRST + (uid_t)me),
                    "setuid: %s", strerror(errno));
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    greed->n_started++;
    while (!greed->ends) {
        uint64_t generation;
        uint32_t held = 0;

        for (uint32_t i = 0; i < TOTAL; i++) {
            lease_take(peer_entry(&peer, &slab, i), &generation);
            held += lease_state(lease_load(peer_entry(&peer, &slab, i))) == LEASE_BUSY;
        }
        greed->held[me] = held;
        if (held < TOTAL)
            peer_wait(&peer, &slab, TOTAL);
        host_nap();
        for (uint32_t i = 0; i < TOTAL; i++)
            holder_release(&peer, &slab, i, true);
    }
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
}

static bool greed_is_fair(const struct Greed *greed, const uint32_t *least, const uint32_t *most) {
    for (int i = 0; i < USERS; i++)
        if (greed->held[i] < least[i] || greed->held[i] > most[i])
            return false;
    return true;
}

static void expect_fair(const char *const *settings, const uint32_t *least, const uint32_t *most) {
    struct Greed *greed = host_share(sizeof(*greed));
    pid_t pids[USERS];

    rig_open(settings);
    chmod(rig.daemon.directory, 0755);
    chmod(rig.daemon.socket, 0666);
    for (greed->next = 0; greed->next < USERS; greed->next++) {
        pids[greed->next] = host_fork(be_greedy, greed);
        cr_assert(host_await(greed->n_started == greed->next + 1, RIG_AWAIT_MS));
    }
    /* Fair, and for a while. */
    for (int looks = 0; looks < 20; looks++) {
        cr_assert(host_await(greed_is_fair(greed, least, most), RIG_AWAIT_MS), "shares of %d: %u, %u, %u", TOTAL,
                  greed->held[0], greed->held[1], greed->held[2]);
        host_nap();
    }
    greed->ends = true;
    for (int i = 0; i < USERS; i++)
        expect_eq(host_join(pids[i]), 0);
    host_unshare(greed, sizeof(*greed));
    rig_expect_sound();
    rig_close();
}

Test(want, of_greedy_processes_ends_with_equal_shares) {
    static const uint32_t least[] = {2, 2, 2}, most[] = {3, 3, 3};

    expect_fair(few, least, most);
}

Test(want, of_greedy_users_ends_with_shares_by_weight) {
    static const char *const settings[] = {"total_memories=8", "user.23457.weight=2", "user.23458.weight=5", NULL};
    static const uint32_t least[] = {1, 2, 5}, most[] = {1, 2, 5};

    if (getuid()) {
        cr_skip_test("only root can play several users");
        return;
    }
    expect_fair(settings, least, most);
}

/* ------------------------------------------------------------------------------------------------ trim */

Test(want, of_nobody_still_gives_back_what_a_stopped_process_does_not_use) {
    static const char *const settings[] = {"total_memories=8", "idle_trim_ms=1", NULL};
    struct Holder *holder;

    rig_open(settings);
    holder = holder_start(true);
    kill(holder->pid, SIGSTOP);
    cr_expect(host_await(rig_status().resident_bytes == 0, RIG_AWAIT_MS), "%lu bytes are still resident",
              rig_status().resident_bytes);
    cr_assert(host_await(rig_status().granted[KIND_MEMORY] == TOTAL, RIG_AWAIT_MS), "%lu of %d slots are left",
              rig_status().granted[KIND_MEMORY], TOTAL);
    kill(holder->pid, SIGCONT);
    holder_end(holder);
    rig_expect_sound();
    rig_close();
}
