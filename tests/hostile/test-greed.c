/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Clients that want more than their share, by every means that they have: whoever is honest gets his share all the
 * same, and the log is not filled. */

#include "tests/support/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

RIG_SUITE(greed);

#define SEED 20260207
#define TOTAL 8
#define SHARE (TOTAL / 2)
#define SLOTS 64 /* of the greedy one's slab */
#define TURNS 10 /* at least, in which the honest one gets his share */
#define BESIDE_MS 1000
#define WAIT_MS 10000 /* far longer than anything takes here */

static const char *const few[] = {"total_memories=8", NULL};

struct Greed {
    _Atomic bool ready, ends;
    _Atomic uint64_t sent; /* messages that the daemon took */
};

/* ------------------------------------------------------------------------------------------------ the honest one */

static void use_slot(struct Peer *peer, struct PeerSlab *slab) {
    uint32_t slot = peer_await_slot(peer, slab, WAIT_MS);
    uint8_t *base;

    cr_assert(slot != UINT32_MAX, "the honest one does not get his share");
    base = slab->base + shape_slot_offset(&slab->shape, slot);
    cr_assert_eq(*base, 0, "slot %u is not empty: %d", slot, *base);
    *base = 1;
}

/* A client that has nothing wants and uses so many slots, all at one time. */
static void expect_share(uint32_t share) {
    struct Shape shape = peer_shape(KIND_MEMORY, TOTAL);
    struct PeerSlab slab;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    peer_wait(&peer, &slab, share);
    for (uint32_t i = 0; i < share; i++)
        use_slot(&peer, &slab);
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
}

static void expect_bounds(void) {
    struct PeerStatus status = rig_status();

    cr_assert_leq(status.granted[KIND_MEMORY], TOTAL, "%lu granted of %d", status.granted[KIND_MEMORY], TOTAL);
    cr_assert_leq(status.granted_most, TOTAL, "%lu were granted of %d", status.granted_most, TOTAL);
}

/* While a greedy process is at work. Returns how many messages of its the daemon took. */
static uint64_t expect_fair_beside(void (*be_greedy)(void *)) {
    struct Greed *greed = host_share(sizeof(*greed));
    int64_t until_ms;
    unsigned lines;
    uint64_t sent;
    pid_t pid;

    rig_open(few);
    lines = rig_count_lines();
    pid = host_fork(be_greedy, greed);
    cr_assert(host_await(greed->ready, RIG_AWAIT_MS), "nobody is greedy");
    until_ms = host_now_ms() + BESIDE_MS;
    for (int turn = 0; turn < TURNS || host_now_ms() < until_ms; turn++) {
        expect_share(SHARE);
        rig_use_witness();
        expect_bounds();
    }
    greed->ends = true;
    expect_eq(host_join(pid), 0);
    sent = greed->sent;
    host_unshare(greed, sizeof(*greed));
    rig_await_granted(KIND_MEMORY, 0);
    expect_share(TOTAL);
    cr_expect_leq(rig_count_lines(), lines + 1, "%u lines were logged", rig_count_lines() - lines);
    rig_expect_sound();
    rig_close();
    return sent;
}

/* ------------------------------------------------------------------------------------------------ greedy ones */

static void greedy_open(struct Peer *peer, struct PeerSlab *slab) {
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);

    peer_open(peer, rig.daemon.socket);
    peer_open_slab(peer, &shape, 0, slab);
    peer_wait(peer, slab, TOTAL);
    host_demand(host_await(peer_count(peer, slab, LEASE_IDLE) == TOTAL, RIG_AWAIT_MS),
                "there was not everything to have");
}

/* As a client does that plays by the rules, whatever it may have done before. */
static void give_back(struct Peer *peer, struct PeerSlab *slab) {
    for (uint32_t i = 0; i < slab->shape.count; i++) {
        struct LeaseEntry *entry = peer_entry(peer, slab, i);
        uint64_t word = lease_load(entry);

        if (lease_state(word) == LEASE_BUSY && lease_release(entry, lease_generation(word)) == LEASE_E_RECALLED)
            peer_kick(peer);
    }
}

static void claim(void *argument) {
    struct Greed *greed = argument;
    struct PeerSlab slab;
    struct Peer peer;

    greedy_open(&peer, &slab);
    while (!greed->ends) {
        for (uint32_t i = 0; i < SLOTS; i++) {
            uint64_t word = lease_load(peer_entry(&peer, &slab, i));

            slab.base[shape_slot_offset(&slab.shape, i)] = 1;
            if (lease_state(word) == LEASE_VACANT)
                lease_walk(peer_entry(&peer, &slab, i), word, lease_word(lease_generation(word), LEASE_BUSY));
        }
        peer_wait(&peer, &slab, SLOTS);
        greed->ready = true;
        host_nap();
        give_back(&peer, &slab);
    }
}

Test(greed, that_takes_what_was_not_granted_leaves_others_their_share) {
    expect_fair_beside(claim);
}

/* A word of a state at random, and of a generation not far from the daemon's: one that is far from it keeps the slot,
 * and its charge, as well as BUSY does. */
static void scribble_word(struct LeaseEntry *entry, uint64_t *generation, uint64_t *written, unsigned *seed) {
    uint64_t least = *generation ? *generation - 1 : 0,
             word = lease_word(least + (uint64_t)rand_r(seed) % 3, (uint64_t)rand_r(seed) % 8),
             found = atomic_exchange(&entry->word, word);

    if (found != *written)
        *generation = lease_generation(found);
    *written = word;
}

static void scribble(void *argument) {
    struct Greed *greed = argument;
    uint64_t generations[SLOTS] = {0}, written[SLOTS] = {0};
    unsigned seed = SEED;
    struct PeerSlab slab;
    struct Peer peer;

    greedy_open(&peer, &slab);
    while (!greed->ends) {
        for (uint32_t i = 0; i < SLOTS; i++)
            scribble_word(peer_entry(&peer, &slab, i), &generations[i], &written[i], &seed);
        for (uint32_t i = 0; i < LEASE_SLABS_MAX; i++)
            atomic_store(&peer.table->header.targets[i], (uint32_t)rand_r(&seed) << 1);
        if (rand_r(&seed) % 64 == 0)
            peer_wait(&peer, &slab, (uint32_t)rand_r(&seed) % (2 * SLOTS));
        greed->ready = true;
    }
}

Test(greed, that_writes_random_words_leaves_others_their_share) {
    expect_fair_beside(scribble);
}

static void want_absurdly(void *argument) {
    static const uint32_t targets[] = {
        UINT32_MAX, LEASE_TARGET_SLOTS, LEASE_TARGET_WAIT, LEASE_TARGET_WAIT | 1, LEASE_TARGET_WAIT | LEASE_ENTRIES_MAX,
        SLOTS + 1};
    Wasmpool__Want want = WASMPOOL__WANT__INIT;
    struct Greed *greed = argument;
    struct PeerSlab slab;
    struct Peer peer;

    greedy_open(&peer, &slab);
    want.slab = slab.id;
    for (unsigned turn = 0; !greed->ends; turn++) {
        for (uint32_t i = 0; i < LEASE_SLABS_MAX; i++)
            atomic_store(&peer.table->header.targets[i], targets[turn % 6]);
        host_demand(!peer_send(&peer, &(WireMessage)WIRE_MESSAGE(0, WANT, want, &want)), "a Want was not taken");
        greed->ready = turn > 100;
        host_nap();
    }
}

Test(greed, that_wants_more_slots_than_there_can_be_leaves_others_their_share) {
    expect_fair_beside(want_absurdly);
}

/* Waits for everything and takes nothing: what it is granted beyond its share is idle. */
static void wait_only(void *argument) {
    struct Greed *greed = argument;
    struct PeerSlab slab;
    struct Peer peer;

    greedy_open(&peer, &slab);
    peer_wait(&peer, &slab, SLOTS);
    greed->ready = true;
    while (!greed->ends)
        host_nap();
}

Test(greed, that_waits_and_takes_nothing_leaves_others_their_share) {
    expect_fair_beside(wait_only);
}

/* ------------------------------------------------------------------------------------------------ floods */

/* One message after the other without reading an answer; no slot is held meanwhile. */
static void flood(struct Greed *greed, uint64_t id) {
    Wasmpool__Want want = WASMPOOL__WANT__INIT;
    struct PeerSlab slab;
    struct Peer peer;
    bool cut_off = false;

    greedy_open(&peer, &slab);
    want.slab = slab.id;
    while (!greed->ends && !cut_off) {
        uint8_t bytes[64];
        size_t n = wasmpool__packet__pack(&(WireMessage)WIRE_MESSAGE(id, WANT, want, &want), bytes);

        atomic_store(&peer.table->header.targets[slab.target], SLOTS | (id ? 0 : LEASE_TARGET_WAIT));
        for (int i = 0; i < 1000 && !cut_off; i++) {
            ssize_t sent = send(peer.socket, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

            greed->sent += sent > 0;
            cut_off = sent < 0 && errno != EAGAIN;
        }
        greed->ready = true;
    }
    greed->ready = true;
    while (!greed->ends)
        host_nap();
}

static void flood_one_way(void *greed) {
    flood(greed, 0);
}

static void flood_and_never_read(void *greed) {
    flood(greed, 7);
}

Test(greed, that_sends_as_many_wants_as_it_can_leaves_others_their_share) {
    uint64_t sent = expect_fair_beside(flood_one_way);

    cr_expect_geq(sent, 1000, "it sent %lu", sent);
}

Test(greed, that_never_reads_its_answers_leaves_others_their_share) {
    expect_fair_beside(flood_and_never_read);
}

/* ------------------------------------------------------------------------------------------------ bytes */

#define BUDGET_BYTES (16 << 20)
#define STOLEN 24 /* slots of 1 MiB */
#define NOTICE_MS (2 * 8000 + RIG_AWAIT_MS) /* the longest pauses of tick and gauges */

/* Fills what it was never granted, and stays. */
static void write_without_a_grant(void *argument) {
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);
    struct Greed *greed = argument;
    struct PeerSlab slab;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    for (uint32_t i = 0; i < STOLEN; i++)
        memset(slab.base + shape_slot_offset(&slab.shape, i), 1, 1 << 20);
    greed->ready = true;
    while (!greed->ends)
        host_nap();
    peer_goodbye(&peer);
}

Test(greed, that_fills_what_it_was_not_granted_loses_it) {
    const char *settings[] = {"log_level=info", "resident_bytes_max=16M", "idle_trim_ms=0", NULL};
    struct Greed *greed = host_share(sizeof(*greed));
    pid_t pid;

    rig_open(settings);
    pid = host_fork(write_without_a_grant, greed);
    cr_assert(host_await(greed->ready, RIG_AWAIT_MS), "nobody is greedy");
    cr_assert(host_await(host_count_log(&rig.daemon, " trimmed ", "why=resident_bytes_max") > 0, NOTICE_MS),
              "that pages were taken back is not in the log");
    cr_assert(host_await(rig_status().resident_bytes <= BUDGET_BYTES, RIG_AWAIT_MS), "%lu bytes are resident",
              rig_status().resident_bytes);
    expect_eq(rig_status().cut_off, 0);
    rig_use_witness();
    greed->ends = true;
    expect_eq(host_join(pid), 0);
    host_unshare(greed, sizeof(*greed));
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ the log */

#define REFUSALS (2 * 200) /* more than the log has lines for in a second */

static void ask_for_what_is_not_there(void *unused) {
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < REFUSALS; i++)
        peer_expect_error(&peer, peer_ask_want(&peer, UINT32_MAX), ERROR_PROTOCOL, NULL);
    peer_goodbye(&peer);
}

static void send_nonsense(void *unused) {
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    host_demand(!peer_send_bytes(&peer, "\xff\xff\xff", 3), "nothing was sent");
    peer_expect_cut_off(&peer, "");
    peer_close(&peer);
}

Test(greed, that_is_refused_over_and_over_leaves_others_their_lines_in_the_log) {
    const char *settings[] = {"log_level=info", NULL};

    rig_open(settings);
    rig_attack(ask_for_what_is_not_there, NULL);
    rig_attack(send_nonsense, NULL);
    cr_assert(host_await(host_count_log(&rig.daemon, "client-cut-off", NULL) == 1, RIG_AWAIT_MS),
              "that another was cut off is not in the log");
    expect_eq(host_count_log(&rig.daemon, "request-refused", NULL), 1);
    cr_expect_geq(rig_status().refused, REFUSALS);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ ends */

enum Ending {
    END_CONNECTED,
    END_WELCOMED,
    END_WITH_A_SLAB_NOT_ACKNOWLEDGED,
    END_WITH_IDLE_SLOTS,
    END_WITH_BUSY_SLOTS,
    END_WAITING,
    END_RECALLED,
    END_RELEASED_UNSAID,
    ENDINGS,
};

struct EndArgument {
    enum Ending ending;
    struct Greed *greed;
};

static void take_everything(struct Peer *peer, struct PeerSlab *slab) {
    for (uint32_t i = 0; i < TOTAL; i++)
        slab->base[shape_slot_offset(&slab->shape, peer_take(peer, slab))] = 1;
}

static bool is_recalled(struct Peer *peer, struct PeerSlab *slab) {
    for (uint32_t i = 0; i < SLOTS; i++)
        if (lease_load(peer_entry(peer, slab, i)) & LEASE_RECALL)
            return true;
    return false;
}

static void live_until(struct Peer *peer, const struct EndArgument *argument) {
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);
    struct PeerSlab slab;

    if (argument->ending == END_CONNECTED) {
        peer_connect(peer, rig.daemon.socket);
        return;
    }
    if (argument->ending <= END_WITH_A_SLAB_NOT_ACKNOWLEDGED) {
        peer_open(peer, rig.daemon.socket);
        if (argument->ending == END_WITH_A_SLAB_NOT_ACKNOWLEDGED)
            peer_ask_slab(peer, &shape, TOTAL);
        return;
    }
    greedy_open(peer, &slab);
    if (argument->ending >= END_WITH_BUSY_SLOTS)
        take_everything(peer, &slab);
    if (argument->ending >= END_WAITING)
        peer_wait(peer, &slab, SLOTS);
    argument->greed->ready = true; /* for the honest one, who wants what is busy */
    if (argument->ending >= END_RECALLED)
        host_demand(host_await(is_recalled(peer, &slab), RIG_AWAIT_MS), "nobody recalls");
    for (uint32_t i = 0; argument->ending == END_RELEASED_UNSAID && i < SLOTS; i++)
        lease_release(peer_entry(peer, &slab, i), lease_generation(lease_load(peer_entry(peer, &slab, i))));
}

static void live_and_die(void *argument) {
    struct Peer peer;

    live_until(&peer, argument);
    ((struct EndArgument *)argument)->greed->ready = true;
    kill(getpid(), SIGKILL);
}

Test(greed, that_dies_in_any_state_gives_everything_back) {
    struct Greed *greed = host_share(sizeof(*greed));
    struct EndArgument argument = {.greed = greed};

    rig_open(few);
    for (argument.ending = 0; argument.ending < ENDINGS; argument.ending++) {
        pid_t pid;

        greed->ready = false;
        pid = host_fork(live_and_die, &argument);
        cr_assert(host_await(greed->ready, RIG_AWAIT_MS), "ending %d does not come", argument.ending);
        expect_share(TOTAL);
        expect_eq(host_join(pid), 128 + SIGKILL);
        rig_await_granted(KIND_MEMORY, 0);
    }
    host_unshare(greed, sizeof(*greed));
    rig_expect_sound();
    rig_close();
}

/* What was granted to it while it waits stays its own, but no more than its share. */
Test(greed, that_is_stopped_while_it_waits_keeps_no_more_than_its_share) {
    struct Greed *greed = host_share(sizeof(*greed));
    pid_t pid;

    rig_open(few);
    pid = host_fork(wait_only, greed);
    cr_assert(host_await(greed->ready, RIG_AWAIT_MS), "nobody is greedy");
    kill(pid, SIGSTOP);
    for (int turn = 0; turn < TURNS; turn++)
        expect_share(SHARE);
    greed->ends = true;
    kill(pid, SIGCONT);
    expect_eq(host_join(pid), 0);
    host_unshare(greed, sizeof(*greed));
    rig_expect_sound();
    rig_close();
}
