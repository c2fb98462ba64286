/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/features.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Younger than Debian 12's headers (kernel uapi: memfd.h, socket.h, fs.h, unistd.h). */
#define FEATURES_MFD_NOEXEC_SEAL 0x0008U
#define FEATURES_SO_PEERPIDFD 77
#define FEATURES_SO_PASSRIGHTS 83
#define FEATURES_SYS_CACHESTAT 451
#define FEATURES_PAGEMAP_SCAN _IOWR('f', 16, uint64_t[12])

const struct FeatureInfo FEATURE_INFOS[] = {
#define FEATURES_INFO(name, without) {#name, without, offsetof(struct Features, name)},
    FEATURES(FEATURES_INFO)
#undef FEATURES_INFO
};
const unsigned FEATURE_INFOS_N = sizeof(FEATURE_INFOS) / sizeof(FEATURE_INFOS[0]);

bool features_get(const struct Features *features, const struct FeatureInfo *info) {
    return *(const bool *)((const char *)features + info->offset);
}

int features_peer_pidfd(int socket, int pid) {
    int fd = -1;
    socklen_t bytes = sizeof(fd);

    /* The pidfd of the process that connected, even if its pid has been used again since. */
    if (!getsockopt(socket, SOL_SOCKET, FEATURES_SO_PEERPIDFD, &fd, &bytes))
        return fd;
    if (errno != ENOPROTOOPT)
        return -errno;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int features_refuse_rights(int socket) {
    int no = 0;

    return setsockopt(socket, SOL_SOCKET, FEATURES_SO_PASSRIGHTS, &no, sizeof(no)) ? -errno : 0;
}

static bool probe_noexec_seal(void) {
    int fd = memfd_create("wasmpool-probe", MFD_CLOEXEC | FEATURES_MFD_NOEXEC_SEAL);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static bool probe_cachestat(void) {
    uint64_t range[2] = {0, 0}, stat[5];
    int fd = memfd_create("wasmpool-probe", MFD_CLOEXEC);
    bool works = fd >= 0 && !syscall(FEATURES_SYS_CACHESTAT, fd, range, stat, 0);

    if (fd >= 0)
        close(fd);
    return works;
}

static bool probe_pagemap_scan(void) {
    uint64_t arg[12] = {sizeof(arg)};
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool works = fd >= 0 && ioctl(fd, FEATURES_PAGEMAP_SCAN, arg) >= 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static void probe_sockets(struct Features *features) {
    int pair[2], fd = -1;
    socklen_t bytes = sizeof(fd);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return;
    features->peer_pidfd = !getsockopt(pair[0], SOL_SOCKET, FEATURES_SO_PEERPIDFD, &fd, &bytes);
    if (fd >= 0)
        close(fd);
    features->pass_rights = !features_refuse_rights(pair[0]);
    close(pair[0]);
    close(pair[1]);
}

void features_probe(struct Features *features) {
    *features = (struct Features){0};
    features->noexec_seal = probe_noexec_seal();
    features->cachestat = probe_cachestat();
    features->pagemap_scan = probe_pagemap_scan();
    probe_sockets(features);
}
