/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_FEATURES_H
#define SHARED_FEATURES_H

/* What this kernel can, found by trying, never by its version. The last three are for the daemon to find. */

#include <stdbool.h>

/* X(name, what happens without it) */
#define FEATURES(X)                                                                                                    \
    X(noexec_seal, "memfds are made non-executable by their mode only (Linux 6.3)")                                    \
    X(peer_pidfd, "a client's process is found by its pid, which can be used again (Linux 6.5)")                       \
    X(pass_rights, "fds that clients send are dropped after they came in (Linux 6.16)")                                \
    X(cachestat, "resident bytes of a slot are counted extent by extent, up to a bound (Linux 6.5)")                   \
    X(pagemap_scan, "of a released memory all pages are written (Linux 6.7)")                                          \
    X(psi, "the daemon does not see when the host is short of memory")                                                 \
    X(psi_trigger, "the host's PSI, if any, is read every second or less often (Linux 6.5, or CAP_SYS_RESOURCE)")      \
    X(cgroup_memory, "memory limits of workers' cgroups are not seen")

struct Features {
#define FEATURES_FIELD(name, without) bool name;
    FEATURES(FEATURES_FIELD)
#undef FEATURES_FIELD
};

struct FeatureInfo {
    const char *name, *without;
    unsigned long offset; /* in struct Features */
};

extern const struct FeatureInfo FEATURE_INFOS[];
extern const unsigned FEATURE_INFOS_N;

void features_probe(struct Features *features);
bool features_get(const struct Features *features, const struct FeatureInfo *info);

/* Younger than Debian 12's headers; see features.c for what they do. */
int features_peer_pidfd(int socket, int pid); /* an fd, CLOEXEC; or a negative errno */
int features_refuse_rights(int socket);       /* senders get EPERM from then on; 0 or negative errno */

#endif
