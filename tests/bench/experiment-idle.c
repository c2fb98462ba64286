/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Connections that do nothing for some time, each with a slot that is idle and has a page: how much of a processor they
 * cost the daemon, and how much memory. Beside a daemon that has no connection. */

#define IDLE_CONNECTIONS 1000
#define IDLE_SETTLE_NS UINT64_C(16000000000) /* then the daemon has seen that nothing happens */
#define IDLE_NS UINT64_C(16000000000)
#define IDLE_FDS 8192

/* CPU time of all threads. */
static double idle_cpu_ns(pid_t pid) {
    char path[64];
    double ns = 0;
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    directory = opendir(path);
    host_demand(directory, "%s cannot be read", path);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (*entry->d_name != '.') {
            unsigned long long ran = 0;
            char name[336];
            FILE *file;

            snprintf(name, sizeof(name), "%s/%s/schedstat", path, entry->d_name);
            file = fopen(name, "re");
            host_demand(file && fscanf(file, "%llu", &ran) == 1, "%s cannot be read", name);
            fclose(file);
            ns += (double)ran;
        }
    closedir(directory);
    return ns;
}

static void idle_connect(const struct PrivateDaemon *daemon) {
    struct Shape shape = peer_shape(KIND_MEMORY, 1);
    static struct Peer peers[IDLE_CONNECTIONS];
    struct PeerSlab slab;

    for (unsigned i = 0; i < IDLE_CONNECTIONS; i++) {
        uint32_t slot;

        peer_open(&peers[i], daemon->socket);
        peer_open_slab(&peers[i], &shape, 1, &slab);
        slot = peer_take(&peers[i], &slab);
        atomic_store(&peer_entry(&peers[i], &slab, slot)->taken_ns, experiment_now_ns());
        slab.base[shape_slot_offset(&slab.shape, slot)] = 1;
        peer_release(&peers[i], &slab, slot);
        /* Descriptors are for the daemon to have. */
        peer_unmap_slab(&slab);
        close(peers[i].table_fd);
        peers[i].table_fd = -1;
    }
}

static void idle_sleep(uint64_t ns) {
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}, NULL);
}

static void idle_raise_fds(void) {
    struct rlimit fds;

    if (getrlimit(RLIMIT_NOFILE, &fds) || fds.rlim_cur >= IDLE_FDS)
        return;
    fds.rlim_cur = fds.rlim_max < IDLE_FDS ? fds.rlim_max : IDLE_FDS;
    setrlimit(RLIMIT_NOFILE, &fds);
}

static void idle_run(void) {
    static const char *const settings[] = {"connections_max=1100", "connections_per_user_max=1100",
                                           "total_memories=1100", NULL};
    struct PrivateDaemon daemon, alone;
    double memory, cpu, cpu_alone, start_ns, ns;

    idle_raise_fds();
    private_daemon_start(&daemon, settings);
    private_daemon_start(&alone, settings);
    memory = (double)experiment_bytes_of(daemon.pid, "smaps_rollup", "Rss");
    idle_connect(&daemon);
    idle_sleep(IDLE_SETTLE_NS);
    memory = (double)experiment_bytes_of(daemon.pid, "smaps_rollup", "Rss") - memory;
    start_ns = (double)experiment_now_ns();
    cpu = idle_cpu_ns(daemon.pid);
    cpu_alone = idle_cpu_ns(alone.pid);
    idle_sleep(IDLE_NS);
    cpu = idle_cpu_ns(daemon.pid) - cpu;
    cpu_alone = idle_cpu_ns(alone.pid) - cpu_alone;
    ns = (double)experiment_now_ns() - start_ns;
    experiment_print("idle-cpu", cpu / ns, cpu_alone / ns, 0.001);
    experiment_print("idle-memory", memory / IDLE_CONNECTIONS, 2 * (double)sysconf(_SC_PAGESIZE), 65536);
    private_daemon_stop(&alone);
    private_daemon_stop(&daemon);
}

const struct Experiment EXPERIMENT_IDLE = {
    .name = "idle",
    .meaning = "connections that do nothing",
    .seconds_max = 120,
    .run = idle_run,
};
