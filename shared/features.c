/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/features.h"

#include "shared/kernel.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

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
    if (!getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &bytes))
        return fd;
    if (errno != ENOPROTOOPT)
        return -errno;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int features_refuse_rights(int socket) {
    int no = 0;

    return setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) ? -errno : 0;
}

static bool probe_noexec_seal(void) {
    int fd = memfd_create("wasmpool-probe", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static bool probe_cachestat(void) {
    struct cachestat_range range = {0};
    struct cachestat stat;
    int fd = memfd_create("wasmpool-probe", MFD_CLOEXEC);
    bool works = fd >= 0 && !syscall(SYS_cachestat, fd, &range, &stat, 0);

    if (fd >= 0)
        close(fd);
    return works;
}

static bool probe_pagemap_scan(void) {
    struct pm_scan_arg scan = {.size = sizeof(scan)};
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool works = fd >= 0 && ioctl(fd, PAGEMAP_SCAN, &scan) >= 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static void probe_sockets(struct Features *features) {
    int pair[2], fd = -1;
    socklen_t bytes = sizeof(fd);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return;
    features->peer_pidfd = !getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &bytes);
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
