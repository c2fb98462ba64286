/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Connections that are too many, too quick, too silent, or never read. */

#include "tests/support/rig.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

RIG_SUITE(connection);

#define STRANGER 12345 /* a uid that is nobody's */

static void expect_turned_away(const char *limit, uint64_t bound) {
    struct Error error;
    struct Peer peer;

    peer_connect(&peer, rig.daemon.socket);
    peer_expect_error(&peer, 0, ERROR_LIMIT, &error);
    host_demand(!strcmp(error.limit, limit) && error.bound == bound && error.use == bound && error.ask == 1,
                "the refusal is '%s'", error.message);
    peer_expect_end(&peer);
    peer_close(&peer);
}

/* The witness is one of the three. */
static void fill_three_places(const char *limit) {
    struct Peer first, second;

    peer_open(&first, rig.daemon.socket);
    peer_open(&second, rig.daemon.socket);
    expect_turned_away(limit, 3);
    expect_turned_away(limit, 3);
    rig_use_witness();
    peer_goodbye(&first);
    expect_eq(host_await(rig_status().connections == 2, RIG_AWAIT_MS), true);
    peer_open(&first, rig.daemon.socket);
    expect_turned_away(limit, 3);
    peer_goodbye(&first);
    peer_goodbye(&second);
    rig_expect_sound();
    expect_eq(rig_status().refused, 3);
}

Test(connection, beyond_the_bound_is_refused_by_name_until_one_leaves) {
    const char *settings[] = {"connections_max=3", "connections_per_user_max=3", NULL};
    unsigned lines;

    rig_open(settings);
    lines = rig_count_lines();
    fill_three_places("connections_max");
    expect_eq(rig_count_lines(), lines + 3);
    rig_close();
}

static void connect_as_a_stranger(void *unused) {
    struct Peer peer;

    (void)unused;
    host_demand(!setgid(STRANGER) && !setuid(STRANGER), "setuid: %s", strerror(errno));
    peer_open(&peer, rig.daemon.socket);
    peer_goodbye(&peer);
}

Test(connection, beyond_the_bound_of_a_user_is_refused_to_that_user) {
    const char *settings[] = {"connections_per_user_max=3", NULL};
    struct Peer peers[2];

    rig_open(settings);
    fill_three_places("connections_per_user_max");
    if (getuid()) {
        rig_close();
        cr_skip_test("only root can play another user, whom the first does not shut out");
    }
    chmod(rig.daemon.directory, 0755);
    chmod(rig.daemon.socket, 0666);
    peer_open(&peers[0], rig.daemon.socket);
    peer_open(&peers[1], rig.daemon.socket);
    expect_turned_away("connections_per_user_max", 3);
    expect_eq(host_join(host_fork(connect_as_a_stranger, NULL)), 0);
    peer_goodbye(&peers[0]);
    peer_goodbye(&peers[1]);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ storms */

static void storm(void *unused) {
    static const char part_of_hello[] = {0x08, 1, 0x12};

    (void)unused;
    for (int i = 0; i < 2000; i++) {
        struct Peer peer;

        peer_connect(&peer, rig.daemon.socket);
        if (i % 3 == 1)
            send(peer.socket, part_of_hello, sizeof(part_of_hello), MSG_NOSIGNAL);
        peer_close(&peer);
    }
}

Test(connection, made_and_closed_thousands_of_times_leaves_nothing) {
    rig_open(NULL);
    rig_attack(storm, NULL);
    expect_eq(host_await(rig_status().connections == 1, RIG_AWAIT_MS), true);
    rig_close();
}

static void storm_administration(void *unused) {
    (void)unused;
    for (int i = 0; i < 500; i++) {
        struct Peer peer;

        peer_connect(&peer, rig.daemon.admin);
        peer_close(&peer);
    }
}

/* Until the closed ones have been looked at they count. */
static bool administration_answers(void) {
    static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR};
    struct WirePacket packet;
    struct Peer peer;
    bool welcome;

    peer_connect(&peer, rig.daemon.admin);
    peer_send_bytes(&peer, hello, sizeof(hello));
    expect_eq(peer_receive(&peer, &packet), 0);
    welcome = packet.message->body_case == WASMPOOL__PACKET__BODY_WELCOME;
    wire_packet_deinit(&packet);
    peer_close(&peer);
    return welcome;
}

Test(connection, to_administration_made_and_closed_many_times_leaves_nothing) {
    rig_open(NULL);
    rig_attack(storm_administration, NULL);
    expect_eq(host_await(administration_answers(), RIG_AWAIT_MS), true);
    rig_status();
    rig_close();
}

static void crowd_administration(void *unused) {
    struct Peer peers[16];
    struct Error error;
    struct Peer more;

    (void)unused;
    for (int i = 0; i < 16; i++)
        peer_open(&peers[i], rig.daemon.admin);
    peer_connect(&more, rig.daemon.admin);
    peer_expect_error(&more, 0, ERROR_LIMIT, &error);
    host_demand(!strcmp(error.limit, "admin_connections_max") && error.bound == 16, "the refusal is '%s'",
                error.message);
    peer_expect_end(&more);
    peer_close(&more);
    for (int i = 0; i < 16; i++)
        peer_close(&peers[i]);
}

Test(connection, to_administration_beyond_the_bound_is_refused_by_name) {
    rig_open(NULL);
    rig_attack(crowd_administration, NULL);
    rig_status();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ silent */

static void be_silent(void *argument) {
    int64_t before_ms = host_now_ms();
    struct Peer peer;

    peer_connect(&peer, argument);
    peer_expect_cut_off(&peer, "did not say hello in time");
    host_demand(host_now_ms() - before_ms >= 190, "cut off after %ld ms", (long)(host_now_ms() - before_ms));
    peer_close(&peer);
}

Test(connection, that_says_no_hello_is_closed_at_the_deadline) {
    const char *settings[] = {"hello_deadline_ms=200", NULL};
    unsigned lines;

    rig_open(settings);
    for (int i = 0; i < 2; i++) {
        lines = rig_count_lines();
        rig_attack(be_silent, i ? rig.daemon.admin : rig.daemon.socket);
        rig_expect_line(lines, "did not say hello in time");
    }
    /* Who has said it may be silent. */
    expect_eq(host_await(rig_status().connections != 1, 500), false);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ never reading */

static bool has_room(const struct Peer *peer) {
    struct pollfd poll_fd = {.fd = peer->socket, .events = POLLOUT};

    return poll(&poll_fd, 1, 200) == 1;
}

/* Ask without reading until nothing more can be sent. Returns the number of requests. */
static uint64_t ask_until_full(struct Peer *peer, bool administration) {
    uint64_t n = 0;

    while (has_room(peer) && n < 100000) {
        Wasmpool__Status status = WASMPOOL__STATUS__INIT;
        Wasmpool__Want want = WASMPOOL__WANT__INIT;
        WireMessage message = WIRE_MESSAGE(++peer->next_id, WANT, want, &want);
        uint8_t bytes[64];
        size_t size;

        if (administration)
            message = (WireMessage)WIRE_MESSAGE(peer->next_id, STATUS, status, &status);
        size = wasmpool__packet__pack(&message, bytes);
        if (send(peer->socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
            n++;
        else
            peer->next_id--;
    }
    return n;
}

static void never_read(void *argument) {
    bool administration = argument;
    struct Peer peer;
    uint64_t n, first;

    peer_open(&peer, administration ? rig.daemon.admin : rig.daemon.socket);
    first = peer.next_id + 1;
    n = ask_until_full(&peer, administration);
    host_demand(n > 10 && n < 100000, "%lu requests were taken", n);
    for (uint64_t i = 0; i < n; i++) {
        struct WirePacket packet;
        int r = peer_receive(&peer, &packet);

        host_demand(!r && packet.message->id == first + i, "answer %lu of %lu: the daemon %s", i, n,
                    wire_outcome_phrase(r));
        wire_packet_deinit(&packet);
    }
    peer_close(&peer);
}

Test(connection, that_does_not_read_waits_alone_and_gets_each_answer_in_order) {
    rig_open(NULL);
    for (int i = 0; i < 2; i++) {
        pid_t pid = host_fork(never_read, i ? "administration" : NULL);

        while (waitpid(pid, NULL, WNOHANG | WNOWAIT) == 0 && !host_await(false, 20))
            rig_use_witness();
        expect_eq(host_join(pid), 0);
        rig_expect_sound();
    }
    rig_close();
}

static void stop_when_full(void *argument) {
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    ask_until_full(&peer, false);
    *(_Atomic bool *)argument = true;
    for (;;)
        pause();
}

Test(connection, that_never_reads_costs_no_time) {
    _Atomic bool *full = host_share(sizeof(*full));
    uint64_t before_ns;
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(stop_when_full, full);
    expect_eq(host_await(*full, RIG_AWAIT_MS), true);
    before_ns = host_cpu_ns(rig.daemon.pid);
    expect_eq(host_await(!rig_daemon_lives(), 1000), false);
    cr_assert(host_cpu_ns(rig.daemon.pid) - before_ns < 100000000, "%lu ms of CPU in a second",
              (host_cpu_ns(rig.daemon.pid) - before_ns) / 1000000);
    kill(pid, SIGKILL);
    expect_eq(host_join(pid), 128 + SIGKILL);
    rig_expect_sound();
    host_unshare(full, sizeof(*full));
    rig_close();
}
