/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/memcg.h"

#include "tests/support/host.h"

#include <errno.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool memcg_write(const char *directory, const char *name, const char *text) {
    char path[MEMCG_PATH_BYTES + 64];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "we");
    if (!file)
        return false;
    fputs(text, file);
    return !fclose(file);
}

static bool memcg_has(const char *directory, const char *name) {
    char path[MEMCG_PATH_BYTES + 64];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return !access(path, F_OK);
}

/* Where the hierarchies are mounted. */
static bool memcg_find(char root[static MEMCG_PATH_BYTES], bool v1) {
    FILE *file = setmntent("/proc/self/mounts", "re");
    const struct mntent *mount;

    *root = '\0';
    while (file && !*root && (mount = getmntent(file)))
        if (!strcmp(mount->mnt_type, v1 ? "cgroup" : "cgroup2") && (!v1 || hasmntopt(mount, "memory")))
            snprintf(root, MEMCG_PATH_BYTES, "%s", mount->mnt_dir);
    if (file)
        endmntent(file);
    return *root;
}

const char *memcg_open(struct Memcg *memcg, uint64_t limit_bytes) {
    static unsigned n;
    char root[MEMCG_PATH_BYTES], limit[32];

    if (getuid())
        return "only root can make a cgroup";
    memcg->is_v1 = memcg_find(root, true);
    if (!memcg->is_v1 && !memcg_find(root, false))
        return "no hierarchy of cgroups is mounted";
    if (!memcg->is_v1)
        memcg_write(root, "cgroup.subtree_control", "+memory");
    if (snprintf(memcg->path, sizeof(memcg->path), "%s/wasmpool-test-%d-%u", root, (int)getpid(), n++) >=
            (int)sizeof(memcg->path) ||
        mkdir(memcg->path, 0700))
        return "a cgroup cannot be made here";
    snprintf(limit, sizeof(limit), "%" PRIu64, limit_bytes);
    if (!memcg_write(memcg->path, memcg->is_v1 ? "memory.limit_in_bytes" : "memory.max", limit)) {
        rmdir(memcg->path);
        return "cgroups have no memory controller here";
    }
    /* What does not fit is not to be swapped out, where there is swap. */
    if (memcg->is_v1 && memcg_has(memcg->path, "memory.memsw.limit_in_bytes"))
        memcg_write(memcg->path, "memory.memsw.limit_in_bytes", limit);
    if (!memcg->is_v1 && memcg_has(memcg->path, "memory.swap.max"))
        memcg_write(memcg->path, "memory.swap.max", "0");
    return NULL;
}

/* A process that has ended may still count for a moment. */
void memcg_close(const struct Memcg *memcg) {
    host_demand(host_await(!rmdir(memcg->path) || errno == ENOENT, 5000), "%s: %s", memcg->path, strerror(errno));
}

void memcg_enter(const struct Memcg *memcg) {
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    host_demand(memcg_write(memcg->path, "cgroup.procs", pid), "%s cannot be entered", memcg->path);
}

uint64_t memcg_count_killed(const struct Memcg *memcg) {
    char path[MEMCG_PATH_BYTES + 64], name[64];
    uint64_t number, killed = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", memcg->path, memcg->is_v1 ? "memory.oom_control" : "memory.events");
    file = fopen(path, "re");
    host_demand(file, "%s cannot be read", path);
    while (fscanf(file, "%63s %" SCNu64, name, &number) == 2)
        if (!strcmp(name, "oom_kill"))
            killed = number;
    fclose(file);
    return killed;
}
