/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_RIG_H
#define TESTS_SUPPORT_RIG_H

/* What tests of a running daemon share: a private one, and a well-behaved client beside it that notices when it
 * suffers. */

#include "tests/support/peer.h"
#include "tests/support/test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RIG_AWAIT_MS 5000

static struct {
    struct PrivateDaemon daemon;
    struct Peer witness;
    int n_fds; /* of the daemon, at rest */
} rig;

static inline void rig_die(const char *message) {
    cr_assert_fail("%s", message);
}

#define RIG_SUITE(NOUN) TestSuite(NOUN, .timeout = 60)

/* Open a slab, use a slot of it, and give everything back. Of tables: tests play with the totals of memories. */
static inline void rig_use_witness(void) {
    struct Shape shape = peer_shape(KIND_TABLE, 4);
    struct PeerSlab slab;
    uint64_t *word;
    uint32_t slot;

    peer_reopen_slab(&rig.witness, &shape, 1, &slab);
    expect_eq(slab.granted, 1);
    slot = peer_take(&rig.witness, &slab);
    word = (uint64_t *)(slab.base + shape_slot_offset(&slab.shape, slot));
    expect_eq(*word, 0);
    *word = 42;
    peer_release(&rig.witness, &slab, slot);
    peer_close_slab(&rig.witness, &slab);
}

/* The least of several looks: for moments the daemon holds one more, to tell the service manager something. */
static inline int rig_count_fds(void) {
    int least = host_count_fds(rig.daemon.pid);

    for (int i = 0; i < 20; i++) {
        int n = host_count_fds(rig.daemon.pid);

        least = n < least ? n : least;
        host_nap();
    }
    return least;
}

/* At rest before the witness's first use, whose memfd goes in a thread. */
static inline void rig_settle(void) {
    peer_open(&rig.witness, rig.daemon.socket);
    rig.n_fds = rig_count_fds();
    cr_assert(rig.n_fds > 0 || getuid(), "the daemon's fds cannot be counted");
    rig_use_witness();
}

/* Settings come behind log_level=notice: what is written then is about attacks. */
static inline void rig_open(const char *const *settings) {
    /* What the machine has in /etc is not to matter. */
    const char *all[24] = {"--config=/dev/null", "log_level=notice"};

    for (int i = 2; settings && *settings && i < 23; i++)
        all[i] = *settings++;
    host_set_fail(rig_die);
    private_daemon_start(&rig.daemon, all);
    rig_settle();
}

/* Tests that need to count the daemon's fds are for root: true after having skipped one. */
static inline bool rig_is_blind(void) {
    if (!getuid())
        return false;
    cr_skip_test("only root can count the fds of a daemon that is not dumpable");
    return true;
}

static inline bool rig_daemon_lives(void) {
    return waitpid(rig.daemon.pid, NULL, WNOHANG) == 0;
}

/* Memfds are punched and closed in a thread: until the daemon has as many fds as before. Whoever cannot see them gives
 * it a moment. */
static inline void rig_await_fds(void) {
    if (rig.n_fds > 0)
        cr_assert(host_await(host_count_fds(rig.daemon.pid) == rig.n_fds, RIG_AWAIT_MS),
                  "the daemon has %d fds, not %d as before", host_count_fds(rig.daemon.pid), rig.n_fds);
    else
        host_await(false, 50);
}

/* Whatever happened: the daemon lives, others can work, and it has as many fds as before. */
static inline void rig_expect_sound(void) {
    cr_assert(rig_daemon_lives(), "the daemon has died");
    rig_await_fds();
    rig_use_witness();
    rig_await_fds();
}

/* Run an attack in a process of its own, which ends with it, and see that nothing is left. */
static inline void rig_attack(void (*attack)(void *), void *argument) {
    expect_eq(host_join(host_fork(attack, argument)), 0);
    rig_expect_sound();
}

static inline struct PeerStatus rig_status(void) {
    struct PeerStatus status;

    peer_status(rig.daemon.admin, &status);
    return status;
}

/* Until the daemon's ledger says that `n` slots of a kind are granted. */
static inline void rig_await_granted(enum Kind kind, uint64_t n) {
    cr_assert(host_await(rig_status().granted[kind] == n, RIG_AWAIT_MS), "%lu slots of kind %s are granted, not %lu",
              rig_status().granted[kind], kind_name(kind), n);
}

/* The attack wrote exactly one line, and that says `part`. Lines written before are in `before`. */
static inline void rig_expect_line(unsigned before, const char *part) {
    cr_assert(host_await(host_count_log(&rig.daemon, NULL, NULL) > before, RIG_AWAIT_MS), "nothing was logged of '%s'",
              part);
    expect_eq(host_count_log(&rig.daemon, NULL, NULL), before + 1);
    cr_assert(host_count_log(&rig.daemon, part, NULL), "no line says '%s'", part);
}

static inline unsigned rig_count_lines(void) {
    return host_count_log(&rig.daemon, NULL, NULL);
}

/* How a client breaks the protocol, on a connection that it opens, and what the daemon says of it when it cuts it off.
 */
struct Violation {
    void (*commit)(struct Peer *peer);
    const char *says;
};

static inline void rig_violate(void *argument) {
    const struct Violation *violation = argument;
    struct Peer peer;

    violation->commit(&peer);
    peer_expect_cut_off(&peer, violation->says);
    peer_close(&peer);
}

/* Each ends its connection with one line in the log, and nothing else. */
static inline void rig_expect_cut_off(const struct Violation *violations, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned lines = rig_count_lines();

        rig_attack(rig_violate, (void *)&violations[i]);
        rig_expect_line(lines, violations[i].says);
    }
    expect_eq(rig_status().cut_off, n);
}

static inline void rig_close(void) {
    peer_goodbye(&rig.witness);
    expect_eq(private_daemon_stop(&rig.daemon), 0);
}

#endif
