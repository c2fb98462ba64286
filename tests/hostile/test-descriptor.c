/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A daemon that runs out of file descriptors: it says so, does not spin, and recovers. */

#include "tests/support/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

RIG_SUITE(descriptor);

static rlim_t low_limit;

static void lower_limit(void) {
    struct rlimit limit = {low_limit, low_limit};

    if (setrlimit(RLIMIT_NOFILE, &limit))
        _exit(HOST_EXIT_FAILED);
}

/* One uid may have as many connections as there are. */
static const char *const both_for_one[] = {"connections_per_user_max=1024", NULL};

static void open_with_limit(rlim_t n, const char *const *settings) {
    low_limit = n;
    private_daemon_prepare = lower_limit;
    rig_open(settings);
}

static void set_limit(rlim_t n) {
    struct rlimit limit;

    cr_assert(!prlimit(rig.daemon.pid, RLIMIT_NOFILE, NULL, &limit));
    limit.rlim_cur = n;
    cr_assert(!prlimit(rig.daemon.pid, RLIMIT_NOFILE, &limit, NULL), "prlimit: %s", strerror(errno));
}

/* ------------------------------------------------------------------------------------------------ at start */

struct Start {
    rlim_t n;
    int errors; /* a memfd */
};

static void start_with_few(void *argument) {
    const struct Start *start = argument;
    struct rlimit limit = {start->n, start->n};
    char program[600];

    host_find_program(program, sizeof(program), "wasmpoold");
    dup2(start->errors, STDERR_FILENO);
    setrlimit(RLIMIT_NOFILE, &limit);
    /* A directory that cannot be made: it must end by itself, whatever the limit. */
    execl(program, "wasmpoold", "--config=/dev/null", "--log-level=error", "--runtime-dir=/proc/nowhere", (char *)NULL);
    _exit(HOST_EXIT_FAILED);
}

Test(descriptor, limits_too_low_to_start_end_with_a_reason) {
    for (rlim_t n = 3; n < 60; n += n < 16 ? 1 : 8) {
        struct Start start = {n, memfd_create("errors", MFD_CLOEXEC)};
        int status = host_join(host_fork(start_with_few, &start));
        char errors[1024] = "";

        pread(start.errors, errors, sizeof(errors) - 1, 0);
        close(start.errors);
        /* With fewer than a handful the dynamic loader itself gives up. */
        cr_assert(status == 1 || (status == 127 && n < 8), "with %lu fds: status %d", (unsigned long)n, status);
        if (status == 1)
            expect_says(errors, n < 50 ? "RLIMIT_NOFILE" : "/proc/nowhere");
    }
}

static void take_both_places(void *unused) {
    struct Error error;
    struct Peer peer, more;
    char who[32];

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_connect(&more, rig.daemon.socket);
    peer_expect_error(&more, 0, ERROR_LIMIT, &error);
    snprintf(who, sizeof(who), "pid %d, ", (int)getpid());
    host_demand(strstr(error.message, who) == error.message, "'%s' does not name %s", error.message, who);
    host_demand(!strcmp(error.limit, "connections_max") && error.bound == 2, "the refusal is '%s'", error.message);
    peer_expect_end(&more);
    peer_close(&more);
    peer_close(&peer);
}

Test(descriptor, limits_of_the_host_lower_the_bounds_and_say_so) {
    open_with_limit(64, both_for_one);
    expect_eq(host_count_log(&rig.daemon, "bounds-lowered", "connections_max=2"), 1);
    rig_attack(take_both_places, NULL);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ exhausted */

static void open_slabs_until_refused(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct PeerSlab slab;
    struct Error error;
    struct Peer peer;
    uint32_t last = 0;
    int n;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (n = 0; n < 100; n++) {
        struct WirePacket packet;
        uint64_t id = peer_ask_slab(&peer, &shape, 0);

        host_demand(!peer_receive(&peer, &packet) && packet.message->id == id, "no answer");
        if (packet.message->body_case == WASMPOOL__PACKET__BODY_ERROR) {
            wire_error_get(&error, packet.message->error);
            wire_packet_deinit(&packet);
            break;
        }
        last = packet.message->slab_opened->slab;
        wire_packet_deinit(&packet);
        peer_ack(&peer);
    }
    host_demand(n > 0 && n < 100, "%d slabs were opened", n);
    host_demand(error.code == ERROR_LIMIT && !strcmp(error.limit, "slabs_max"), "the refusal is '%s'", error.message);
    peer_close_slab_id(&peer, last);
    peer_reopen_slab(&peer, &shape, 1, &slab);
    host_demand(slab.granted == 1, "nothing was granted");
    peer_unmap_slab(&slab);
    peer_close(&peer);
}

Test(descriptor, shortage_shows_in_slabs_refused_by_name) {
    open_with_limit(64, both_for_one);
    rig_attack(open_slabs_until_refused, NULL);
    rig_close();
}

/* The daemon's bounds keep it away from EMFILE: the limit must come down while it runs. */
Test(descriptor, shortage_turns_connections_away_by_name_and_passes) {
    struct Error error;
    struct Peer peer;

    if (rig_is_blind())
        return;
    rig_open(NULL);
    set_limit((rlim_t)rig.n_fds);
    for (int i = 0; i < 20; i++) {
        peer_connect(&peer, rig.daemon.socket);
        peer_expect_error(&peer, 0, ERROR_LIMIT, &error);
        expect_str(error.limit, "fds");
        expect_says(error.message, "file descriptor");
        peer_expect_end(&peer);
        peer_close(&peer);
    }
    expect_eq(host_await(host_count_log(&rig.daemon, "connection-refused", "file descriptor") == 20, RIG_AWAIT_MS),
              true);
    set_limit(1024);
    rig_expect_sound();
    peer_open(&peer, rig.daemon.socket);
    peer_goodbye(&peer);
    rig_expect_sound();
    rig_close();
}

/* One fd more each time: the socket, but no pidfd; both, but no lease table; that too, but no slab. */
Test(descriptor, shortage_at_each_step_is_refused_and_leaves_nothing) {
    if (rig_is_blind())
        return;
    rig_open(NULL);
    for (int more = 1; more < 4; more++) {
        struct Shape shape = peer_shape(KIND_MEMORY, 4);
        struct Error error;
        struct Peer peer;

        set_limit((rlim_t)(rig.n_fds + more));
        peer_connect(&peer, rig.daemon.socket);
        if (more == 1) {
            peer_expect_error(&peer, 0, ERROR_LIMIT, &error);
        } else if (more == 2) {
            static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR};

            peer_send_bytes(&peer, hello, sizeof(hello));
            peer_expect_error(&peer, 1, ERROR_HOST, &error);
            peer_expect_end(&peer);
        } else {
            peer_hello(&peer);
            peer_expect_error(&peer, peer_ask_slab(&peer, &shape, 1), ERROR_LIMIT, &error);
            expect_says(error.limit, "fds");
            expect_eq(atomic_load(&peer.table->header.targets[0]), 0);
        }
        expect_says(error.message, more < 3 ? "Too many open files" : "no file descriptor left");
        if (more == 3)
            peer_goodbye(&peer);
        else
            peer_close(&peer);
        set_limit(1024);
        rig_expect_sound();
    }
    rig_close();
}

/* When not even the reserve can be had, connections wait in the backlog. */
Test(descriptor, shortage_of_everything_pauses_without_spinning_and_resumes) {
    uint64_t before_ns;
    struct Peer peers[5];

    if (rig_is_blind())
        return;
    rig_open(NULL);
    set_limit(3);
    for (int i = 0; i < 5; i++)
        peer_connect(&peers[i], rig.daemon.socket);
    expect_eq(host_await(host_count_log(&rig.daemon, "listener-paused", NULL), RIG_AWAIT_MS), true);
    before_ns = host_cpu_ns(rig.daemon.pid);
    expect_eq(host_await(!rig_daemon_lives(), 1200), false);
    cr_assert(host_cpu_ns(rig.daemon.pid) - before_ns < 100000000, "%lu ms of CPU in a second",
              (host_cpu_ns(rig.daemon.pid) - before_ns) / 1000000);
    expect_eq(host_count_log(&rig.daemon, "listener-paused", NULL), 1);
    /* Who is connected already goes on, as far as it needs no fd. */
    peer_expect_error(&rig.witness, peer_ask_want(&rig.witness, 4711), ERROR_PROTOCOL, NULL);
    set_limit(1024);
    for (int i = 0; i < 5; i++) {
        struct WirePacket packet;
        int r;

        /* The first was turned away with the reserve, or accepted now. */
        static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR};

        peer_send_bytes(&peers[i], hello, sizeof(hello));
        r = peer_receive(&peers[i], &packet);
        expect_eq(r, 0);
        if (i > 1)
            expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY_WELCOME);
        wire_packet_deinit(&packet);
        peer_goodbye(&peers[i]);
    }
    rig_expect_sound();
    rig_close();
}

static void hoard(void *argument) {
    struct Peer peers[40];

    for (int i = 0; i < 40; i++)
        peer_connect(&peers[i], rig.daemon.socket);
    *(_Atomic bool *)argument = true;
    for (;;)
        pause();
}

Test(descriptor, shortage_by_a_hoarder_ends_with_it) {
    _Atomic bool *full = host_share(sizeof(*full));
    struct Peer peer;
    pid_t pid;

    if (rig_is_blind())
        return;
    rig_open(NULL);
    set_limit((rlim_t)rig.n_fds + 21);
    pid = host_fork(hoard, full);
    expect_eq(host_await(*full, RIG_AWAIT_MS), true);
    expect_eq(host_await(host_count_log(&rig.daemon, "connection-refused", NULL), RIG_AWAIT_MS), true);
    kill(pid, SIGKILL);
    host_join(pid);
    expect_eq(host_await(host_count_fds(rig.daemon.pid) == rig.n_fds, RIG_AWAIT_MS), true);
    peer_open(&peer, rig.daemon.socket);
    peer_goodbye(&peer);
    rig_expect_sound();
    host_unshare(full, sizeof(*full));
    rig_close();
}
