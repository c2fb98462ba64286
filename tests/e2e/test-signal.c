/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* What the daemon does when it is told to end, or to read its configuration again. */

#include "tests/e2e/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

RIG_SUITE(signal);

/* The directory stays, to be looked at. */
static void end_daemon(int number) {
    siginfo_t info = {0};

    kill(rig.daemon.pid, number);
    cr_assert(host_await(!waitid(P_PID, (id_t)rig.daemon.pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid,
                         RIG_AWAIT_MS),
              "the daemon does not end");
    expect_eq(info.si_code, CLD_EXITED);
    expect_eq(info.si_status, 0);
}

static void expect_gone(const char *path, const char *suffix) {
    char name[200];

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    cr_assert(access(name, F_OK) && errno == ENOENT, "%s is left behind", name);
}

static void end_under_a_worker(int number) {
    struct wasmpool_instance *held[3], *more = NULL;
    struct wasmpool_error error;
    struct Worker worker;

    rig_open(NULL);
    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 3; i++)
        instance_fill(held[i] = worker_allocate(&worker), (uint8_t)(i + 1));
    end_daemon(number);
    expect_gone(rig.daemon.socket, "");
    expect_gone(rig.daemon.admin, "");
    expect_gone(rig.daemon.socket, ".lock");
    expect_gone(rig.daemon.admin, ".lock");
    for (int i = 0; i < 3; i++)
        cr_assert(instance_is(held[i], (uint8_t)(i + 1)), "instance %d has lost its bytes", i);
    for (int i = 0; i < 100; i++) {
        wasmpool_deallocate_module(&held[i % 3]);
        held[i % 3] = worker_allocate(&worker);
        cr_assert(instance_is(held[i % 3], 0));
    }
    while (!worker_try(&worker, &more, &error) && worker_metrics(&worker).memories < 64)
        ;
    expect_eq(error.code, WASMPOOL_E_UNAVAILABLE);
    peer_close(&rig.witness);
    worker_close(&worker);
    expect_eq(private_daemon_stop(&rig.daemon), 0);
}

Test(signal, term_ends_it_cleanly_and_what_is_granted_stays_good) {
    end_under_a_worker(SIGTERM);
}

Test(signal, int_does_the_same) {
    end_under_a_worker(SIGINT);
}

static void send_nothing_after_hello(void *argument) {
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    *(_Atomic bool *)argument = true;
    peer_expect_end(&peer);
}

Test(signal, term_ends_it_though_clients_are_connected_and_silent) {
    _Atomic bool *connected = host_share(sizeof(*connected));
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(send_nothing_after_hello, (void *)connected);
    expect_eq(host_await(*connected, RIG_AWAIT_MS), true);
    end_daemon(SIGTERM);
    expect_eq(host_join(pid), 0);
    peer_close(&rig.witness);
    expect_eq(private_daemon_stop(&rig.daemon), 0);
    host_unshare((void *)connected, sizeof(*connected));
}

/* ------------------------------------------------------------------------------------------------ reload */

struct ConfigFile {
    char directory[40], path[64], option[80];
};

static void config_write(const struct ConfigFile *file, const char *text) {
    FILE *stream = fopen(file->path, "we");

    cr_assert(stream && fputs(text, stream) >= 0 && !fclose(stream));
}

static void config_open(struct ConfigFile *file, const char *text) {
    strcpy(file->directory, "/tmp/wasmpool-conf-XXXXXX");
    cr_assert(mkdtemp(file->directory));
    snprintf(file->path, sizeof(file->path), "%s/conf", file->directory);
    snprintf(file->option, sizeof(file->option), "--config=%s", file->path);
    config_write(file, text);
}

static void config_close(const struct ConfigFile *file) {
    unlink(file->path);
    rmdir(file->directory);
}

static void reload(const char *event) {
    unsigned n = host_count_log(&rig.daemon, event, NULL);

    kill(rig.daemon.pid, SIGHUP);
    cr_assert(host_await(host_count_log(&rig.daemon, event, NULL) > n, RIG_AWAIT_MS), "no %s in the log", event);
}

Test(signal, hup_lowers_a_limit_for_new_grants_and_takes_nothing_back) {
    struct ConfigFile file;
    const char *settings[] = {file.option, "log_level=info", NULL};
    struct wasmpool_instance *held[4], *more = NULL;
    struct wasmpool_error error;
    struct Worker worker;

    config_open(&file, "[limits]\ntotal_memories = 4\n");
    rig_open(settings);
    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 4; i++)
        instance_fill(held[i] = worker_allocate(&worker), (uint8_t)(i + 1));
    config_write(&file, "[limits]\ntotal_memories = 2\n");
    reload(" reloaded ");
    expect_eq(rig_status().bound[KIND_MEMORY], 2);
    expect_eq(rig_status().granted[KIND_MEMORY], 4);
    expect_eq(host_count_log(&rig.daemon, "limit-changed name=total_memories from=4 to=2", NULL), 1);
    for (int i = 0; i < 4; i++)
        cr_assert(instance_is(held[i], (uint8_t)(i + 1)), "instance %d has lost its bytes", i);
    expect_eq(worker_try(&worker, &more, &error), WASMPOOL_E_LIMIT);
    expect_eq(error.bound, 2);
    expect_eq(error.use, 4);
    config_write(&file, "[limits]\ntotal_memories = 5\n");
    reload(" reloaded ");
    more = worker_allocate(&worker);
    wasmpool_deallocate_module(&more);
    for (int i = 0; i < 4; i++)
        wasmpool_deallocate_module(&held[i]);
    worker_close(&worker);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
    config_close(&file);
}

Test(signal, hup_with_a_wrong_file_changes_nothing) {
    struct ConfigFile file;
    const char *settings[] = {file.option, "log_level=info", NULL};

    config_open(&file, "[limits]\ntotal_memories = 4\n");
    rig_open(settings);
    config_write(&file, "[limits]\ntotal_memories = lots\n");
    reload("reload-failed");
    expect_eq(rig_status().bound[KIND_MEMORY], 4);
    unlink(file.path);
    reload("reload-failed");
    expect_eq(rig_status().bound[KIND_MEMORY], 4);
    rig_expect_sound();
    rig_close();
    config_close(&file);
}
