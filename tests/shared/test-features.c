/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/features.h"
#include "shared/wire.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Test(features, infos_name_every_feature_once) {
    for (unsigned i = 0; i < FEATURE_INFOS_N; i++) {
        struct Features features = {0};

        *(bool *)((char *)&features + FEATURE_INFOS[i].offset) = true;
        for (unsigned j = 0; j < FEATURE_INFOS_N; j++)
            cr_expect_eq(features_get(&features, &FEATURE_INFOS[j]), i == j, "%s is mixed up with %s",
                         FEATURE_INFOS[i].name, FEATURE_INFOS[j].name);
        cr_expect_neq(*FEATURE_INFOS[i].without, 0);
    }
    expect_eq(FEATURE_INFOS_N, sizeof(struct Features));
}

/* Each feature came with a version and went into no older one that we know of: found by trying, both must agree. */
Test(features, probe_finds_what_this_kernels_version_has) {
    static const struct {
        const char *name;
        unsigned version;
    } since[] = {
        {"noexec_seal", 603}, {"peer_pidfd", 605}, {"pass_rights", 616}, {"cachestat", 605}, {"pagemap_scan", 607}};
    struct Features features;
    struct utsname uts;
    unsigned major = 0, minor = 0;

    memset(&features, 0xa5, sizeof(features));
    features_probe(&features);
    cr_assert_eq(uname(&uts), 0);
    cr_assert_eq(sscanf(uts.release, "%u.%u", &major, &minor), 2);
    for (unsigned i = 0; i < FEATURE_INFOS_N; i++)
        for (size_t j = 0; j < sizeof(since) / sizeof(since[0]); j++)
            if (!strcmp(FEATURE_INFOS[i].name, since[j].name) && major * 100 + minor < since[j].version)
                cr_expect(!features_get(&features, &FEATURE_INFOS[i]), "%s was found on Linux %s", since[j].name,
                          uts.release);
}

Test(features, peer_pidfd_is_the_process_that_connected) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t bytes = sizeof(sa_family_t);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), accepted, pidfd;
    struct pollfd poll_fd;
    pid_t child;
    char byte;

    /* An abstract address that the kernel chooses. */
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, bytes), 0);
    cr_assert_eq(listen(listener, 1), 0);
    bytes = sizeof(address);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    child = fork();
    if (!child) {
        int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (connect(socket_fd, (struct sockaddr *)&address, bytes))
            _exit(1);
        read(socket_fd, &byte, 1);
        _exit(0);
    }
    accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pidfd = features_peer_pidfd(accepted, child);
    cr_assert_geq(pidfd, 0, "%s", strerror(-pidfd));
    expect_eq(fcntl(pidfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    poll_fd = (struct pollfd){.fd = pidfd, .events = POLLIN};
    expect_eq(poll(&poll_fd, 1, 0), 0);
    expect_eq(write(accepted, "x", 1), 1);
    expect_eq(poll(&poll_fd, 1, 10000), 1);
    expect_eq(waitpid(child, NULL, 0), child);
    close(pidfd);
    close(accepted);
    close(listener);
}

static int send_fd(int socket) {
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;
    WireMessage message = WIRE_MESSAGE(0, ACK, ack, &ack);
    int fd = STDERR_FILENO;

    return wire_send(socket, &message, &fd, 1);
}

Test(features, refuse_rights_makes_the_sender_fail) {
    struct Features features;
    struct WirePacket packet;
    int pair[2];

    features_probe(&features);
    if (!features.pass_rights)
        cr_skip_test("this kernel has no SO_PASSRIGHTS (Linux 6.16)");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    expect_eq(send_fd(pair[0]), 0);
    expect_eq(wire_recv(pair[1], 1, &packet), 0);
    wire_packet_deinit(&packet);
    expect_eq(features_refuse_rights(pair[1]), 0);
    expect_eq(send_fd(pair[0]), -EPERM);
    expect_eq(wire_recv(pair[1], 1, &packet), WIRE_E_AGAIN);
    close(pair[0]);
    close(pair[1]);
}

/* Set on the listener it holds for those who wait to be accepted too. */
Test(features, refuse_rights_of_a_listener_covers_who_is_not_accepted_yet) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof(sa_family_t);
    struct Features features;

    features_probe(&features);
    if (!features.pass_rights)
        cr_skip_test("this kernel has no SO_PASSRIGHTS (Linux 6.16)");
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, bytes), 0);
    expect_eq(features_refuse_rights(listener), 0);
    cr_assert_eq(listen(listener, 1), 0);
    bytes = sizeof(address);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, bytes), 0);
    expect_eq(send_fd(client), -EPERM);
    close(client);
    close(listener);
}
