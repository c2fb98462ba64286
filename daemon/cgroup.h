/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_CGROUP_H
#define DAEMON_CGROUP_H

/* Cgroups with memory limits that clients' processes are in. The pages of a slab are charged to the cgroup of the
 * process that touched them first, and the kernel cannot reclaim them without swap: a worker whose idle slots fill its
 * cgroup is killed there, while the host as a whole is not short of memory, and its PSI says nothing.
 *
 * A process' own cgroup and all above it count, each for itself: any of them may have the limit that matters. Source:
 * Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files" and "Memory Ownership"; cgroups(7). Where the
 * memory controller is in a version 1 hierarchy, its files by their older names are read. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct Client;

#define CGROUP_PATH_BYTES 4096
#define CGROUPS_MAX 4096  /* that are watched at one time: processes of more are served, and not watched */
#define CGROUP_DEPTH_MAX 32

struct Cgroup {
    struct Cgroup *next;
    struct Cgroup *parent;   /* NULL: the root, which has no limits */
    uint64_t n_refs;         /* of clients, and of those whose parent it is */
    uint64_t resident_bytes; /* of the slabs of its clients, and of the clients of those below */
    uint64_t limit_bytes;    /* as it was seen last; UINT64_MAX: none */
    /* See pressure.h. */
    uint64_t look_ms, looked_ms, pause_ms;
    uint64_t seen_resident_bytes, seen_working_bytes, seen_stalled_us;
    char path[]; /* of its directory */
};

struct Cgroups {
    char root[CGROUP_PATH_BYTES]; /* where the hierarchy with the memory controller is mounted; empty: nowhere */
    bool is_v1;
    struct Cgroup *all; /* list, parents before children */
    uint32_t n;
};

/* What the kernel says of a cgroup. What cannot be read is as if there were no limit and no use. */
struct CgroupUse {
    uint64_t limit_bytes;   /* the lower of memory.max and memory.high; UINT64_MAX: none */
    uint64_t working_bytes; /* memory.current less the page cache, which the kernel takes back by itself */
    uint64_t shmem_bytes;   /* of these, memfds, all slabs among them */
    uint64_t stalled_us;    /* "some" of memory.pressure: how long anyone in it has waited for memory; 0 in version 1 */
};

/* Find the hierarchy in a file like /proc/self/mounts. */
void cgroups_init(struct Cgroups *cgroups, const char *mounts);

/* The cgroup that a file like /proc/PID/cgroup names, with one more reference. NULL: it is the root, or one that we do
 * not see, or there is no room or memory. */
struct Cgroup *cgroup_ref(struct Cgroups *cgroups, const char *file);
/* NULL is fine; returns NULL. */
struct Cgroup *cgroup_unref(struct Cgroups *cgroups, struct Cgroup *cgroup);

/* Add to the resident bytes of it and all above. NULL is fine. */
void cgroup_charge(struct Cgroup *cgroup, uint64_t delta_bytes);

/* Is the client's process in it, or below? `data` is the cgroup: a TrimFilter. */
bool cgroup_has(const struct Client *client, const void *data);

/* The limit alone, which is one file or two, and all. */
uint64_t cgroup_read_limit(const struct Cgroups *cgroups, const struct Cgroup *cgroup);
void cgroup_read(const struct Cgroups *cgroups, const struct Cgroup *cgroup, struct CgroupUse *use);

#endif
