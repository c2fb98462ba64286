/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* File descriptors in flight. The kernel bounds them by the sender's RLIMIT_NOFILE, over all its sockets: who does not
 * read what it is sent could keep the daemon from sending any to others. */

#include "tests/support/rig.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

RIG_SUITE(flight);

#define FDS_MAX 128

/* Of the daemon: a privileged one is not bound, and what one user has in flight counts together. */
static uid_t daemon_uid;

static void be_bound(void) {
    struct rlimit limit = {FDS_MAX, FDS_MAX};

    if (setrlimit(RLIMIT_NOFILE, &limit))
        _exit(HOST_EXIT_FAILED);
    if (getuid())
        return;
    if (chown(rig.daemon.directory, daemon_uid, daemon_uid) || setgroups(0, NULL) || setgid(daemon_uid) ||
        setuid(daemon_uid))
        _exit(HOST_EXIT_FAILED);
}

/* In one go and without reading: a slab, the lie that its fd has come, and the slab's end, so that no bound on slabs
 * helps. */
static bool send_lie(struct Peer *peer, uint32_t slab) {
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;
    WireMessage messages[] = {WIRE_MESSAGE(slab, OPEN_SLAB, open_slab, &open_slab), WIRE_MESSAGE(0, ACK, ack, &ack),
                              WIRE_MESSAGE(0, CLOSE_SLAB, close_slab, &close_slab)};
    struct Shape shape = peer_shape(KIND_TABLE, 1);

    wire_shape_put(&open_slab, &shape);
    close_slab.slab = slab;
    for (int i = 0; i < 3; i++) {
        uint8_t bytes[64];
        size_t n = wasmpool__packet__pack(&messages[i], bytes);

        if (!host_await(send(peer->socket, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n || errno == EPIPE, 100))
            return false;
    }
    return true;
}

static void never_receive(void *argument) {
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    for (uint32_t slab = 1; slab < 1000 && send_lie(&peer, slab); slab++)
        ;
    *(_Atomic bool *)argument = true;
    for (;;)
        pause();
}

/* What a closed connection brought is in flight as long as the peer keeps its end. */
static void leave_unreceived(void *argument) {
    static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR}, goodbye[] = {0x5a, 0};
    struct Peer peer;

    for (int i = 0; i < 2 * FDS_MAX; i++) {
        struct pollfd poll_fd = {.events = POLLIN};

        peer_connect(&peer, rig.daemon.socket);
        poll_fd.fd = peer.socket;
        send(peer.socket, hello, sizeof(hello), MSG_NOSIGNAL);
        /* Until the fd has been sent. Nothing comes any more once the daemon can send none. */
        if (poll(&poll_fd, 1, 300) != 1)
            break;
        send(peer.socket, goodbye, sizeof(goodbye), MSG_NOSIGNAL);
        poll_fd.events = POLLRDHUP;
        poll(&poll_fd, 1, 300);
    }
    *(_Atomic bool *)argument = true;
    for (;;)
        pause();
}

static void expect_nobody_held_up(void (*attack)(void *)) {
    _Atomic bool *full = host_share(sizeof(*full));
    pid_t pid;

    daemon_uid = 10000 + (uid_t)getpid();
    private_daemon_prepare = be_bound;
    rig_open(NULL);
    pid = host_fork(attack, (void *)full);
    expect_eq(host_await(*full, 20000), true);
    /* A slab brings an fd. */
    rig_use_witness();
    kill(pid, SIGKILL);
    expect_eq(host_join(pid), 128 + SIGKILL);
    rig_expect_sound();
    host_unshare((void *)full, sizeof(*full));
    rig_close();
}

Test(flight, of_fds_that_are_acknowledged_unread_holds_nobody_up) {
    expect_nobody_held_up(never_receive);
}

Test(flight, of_fds_left_behind_by_goodbyes_holds_nobody_up) {
    expect_nobody_held_up(leave_unreceived);
}
