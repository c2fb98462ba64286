/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* File descriptors that nobody asked for; on this kernel, and on an older one that a filter of system calls plays. */

#include "shared/features.h"
#include "shared/kernel.h"
#include "tests/support/refusal.h"
#include "tests/support/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

RIG_SUITE(rights);

#define RIGHTS_MAX 64

/* One byte, or a Hello, with fds. Returns 0 or a negative errno. */
static int send_fds(const struct Peer *peer, unsigned n_fds, const void *bytes, size_t n) {
    char control[CMSG_SPACE(sizeof(int) * RIGHTS_MAX)] = {0};
    struct iovec vector = {(void *)bytes, n};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *cmsg;
    int fds[RIGHTS_MAX];

    header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
    cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    for (unsigned i = 0; i < n_fds; i++)
        fds[i] = peer->socket; /* the worst kind: its own end of this very connection */
    memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
    return sendmsg(peer->socket, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

struct Gift {
    bool greeted;
    bool administration;
    unsigned n_fds;
    size_t bytes;
    bool refused_by_kernel;
};

static void give(void *argument) {
    const struct Gift *gift = argument;
    static const char hello[] = {0x08, 1, 0x12, 2, 0x08, WIRE_MAJOR};
    const char *path = gift->administration ? rig.daemon.admin : rig.daemon.socket;
    struct Peer peer;
    int r;

    if (gift->greeted)
        peer_open(&peer, path);
    else
        peer_connect(&peer, path);
    r = send_fds(&peer, gift->n_fds, hello, gift->bytes);
    if (gift->refused_by_kernel)
        host_demand(r == -EPERM, "the kernel lets fds pass: %s", strerror(-r));
    else
        peer_expect_cut_off(&peer, "file descriptors");
    peer_close(&peer);
}

static void give_all(bool refused_by_kernel) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned lines = rig_count_lines();
        struct Gift gift = {.greeted = i & 1,
                            .administration = i & 2,
                            .n_fds = i & 4 ? RIGHTS_MAX : 1,
                            .bytes = i & 8 ? 1 : 6,
                            .refused_by_kernel = refused_by_kernel};

        rig_attack(give, &gift);
        if (refused_by_kernel)
            expect_eq(rig_count_lines(), lines);
        else
            rig_expect_line(lines, "file descriptors");
    }
}

Test(rights, of_a_sender_are_refused_by_the_kernel) {
    struct Features features;

    features_probe(&features);
    if (!features.pass_rights)
        cr_skip_test("this kernel has no SO_PASSRIGHTS (Linux 6.16)");
    rig_open(NULL);
    give_all(true);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ older kernel */

/* What Linux 6.1 answers: no SO_PASSRIGHTS, no SO_PEERPIDFD, no MFD_NOEXEC_SEAL, no cachestat. */
static void play_older_kernel(void) {
    static const struct Refusal refusals[] = {
        {SYS_setsockopt, 2, SO_PASSRIGHTS, ENOPROTOOPT},
        {SYS_getsockopt, 2, SO_PEERPIDFD, ENOPROTOOPT},
        {SYS_memfd_create, 1, MFD_CLOEXEC | MFD_NOEXEC_SEAL, EINVAL},
        {SYS_memfd_create, 1, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL, EINVAL},
        {SYS_cachestat, REFUSAL_ANY, 0, ENOSYS},
    };

    if (!refusals_install(refusals, sizeof(refusals) / sizeof(refusals[0])))
        _exit(HOST_EXIT_FAILED);
}

static void try_filter(void *unused) {
    (void)unused;
    play_older_kernel();
}

static void open_on_older_kernel(void) {
    if (host_join(host_fork(try_filter, NULL)))
        cr_skip_test("this machine allows no seccomp filter to play an older kernel with");
    private_daemon_prepare = play_older_kernel;
    rig_open(NULL);
}

Test(rights, of_a_sender_end_the_connection_on_an_older_kernel) {
    open_on_older_kernel();
    give_all(false);
    rig_close();
}

static void hold_and_die(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct PeerSlab slab;
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 2, &slab);
    slab.base[shape_slot_offset(&slab.shape, peer_take(&peer, &slab))] = 1;
    raise(SIGKILL);
}

Test(rights, are_not_all_that_works_on_an_older_kernel) {
    char *output;
    const char *arguments[] = {"wasmpoolctl", "--socket", rig.daemon.admin, "status", NULL};

    open_on_older_kernel();
    expect_eq(host_join(host_fork(hold_and_die, NULL)), 128 + SIGKILL);
    rig_await_granted(KIND_MEMORY, 0);
    rig_expect_sound();
    expect_eq(host_run(arguments, 0, &output, NULL), 0);
    expect_says(output, "no: fds that clients send are dropped");
    expect_says(output, "no: a client's process is found by its pid");
    free(output);
    rig_close();
}
