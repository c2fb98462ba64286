/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Several users and one daemon. */

#include "tests/e2e/fleet.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

RIG_SUITE(user);

#define STRANGER 12345 /* a uid that is nobody's */

static bool is_root(void) {
    if (!getuid())
        return true;
    cr_skip_test("only root can play several users");
    return false;
}

static void become(uid_t uid, gid_t gid) {
    host_demand(!setgroups(0, NULL) && !setgid(gid) && !setuid(uid), "setuid: %s", strerror(errno));
}

struct Steps {
    _Atomic bool holds, ends;
};

static void hold_as_a_stranger(void *argument) {
    struct Steps *steps = argument;
    struct wasmpool_instance *instance;
    struct Worker worker;

    become(STRANGER, STRANGER);
    worker_open(&worker, rig.daemon.address);
    instance_fill(instance = worker_allocate(&worker), 1);
    steps->holds = true;
    host_demand(host_await(steps->ends, 20000), "nobody said to end");
    host_demand(instance_is(instance, 1), "its bytes are lost");
    wasmpool_deallocate_module(&instance);
    worker_close(&worker);
}

/* A process that changed its uid may not look at its own pages, and says so. */
static void expect_tracks_nothing(void) {
    const char *arguments[] = {"wasmpoolctl", "--socket", rig.daemon.admin, "clients", "--json", NULL};
    char *output;

    expect_eq(host_run(arguments, 0, &output, NULL), 0);
    expect_says(output, "\"way\": \"none\"");
    expect_says(output, "\"why\": \"/proc/self/pagemap may not be read");
    free(output);
}

Test(user, of_each_slot_is_shown) {
    struct Steps *steps;
    struct PeerStatus status;
    char *output;
    pid_t pid;

    if (!is_root())
        return;
    steps = host_share(sizeof(*steps));
    rig_open(NULL);
    chmod(rig.daemon.directory, 0755);
    chmod(rig.daemon.socket, 0666);
    pid = host_fork(hold_as_a_stranger, steps);
    expect_eq(host_await(steps->holds, RIG_AWAIT_MS), true);
    status = rig_status();
    expect_eq(status.users, 2);
    expect_eq(status.busy[KIND_MEMORY], 1);
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "list", NULL}, 0, &output, NULL),
              0);
    expect_says(output, " 12345 fleet ");
    free(output);
    expect_tracks_nothing();
    steps->ends = true;
    expect_eq(host_join(pid), 0);
    rig_expect_nothing_granted();
    expect_eq(host_await(rig_status().users == 1, RIG_AWAIT_MS), true);
    rig_expect_sound();
    host_unshare(steps, sizeof(*steps));
    rig_close();
}

static void be_refused(void *unused) {
    struct wasmpool_options options = {.address = rig.daemon.address};
    struct wasmpool_error error;
    struct wasmpool *pool;

    (void)unused;
    become(STRANGER, STRANGER);
    host_demand(wasmpool_open(&pool, &options, &error) == WASMPOOL_E_REFUSED, "the result is %s: %s",
                wasmpool_strerror(error.code), error.message);
    host_demand(strstr(error.message, rig.daemon.socket) && strstr(error.message, "permission"), "'%s' is not clear",
                error.message);
}

Test(user, that_is_a_stranger_may_connect_to_neither_socket) {
    const char *arguments[] = {"wasmpoolctl", "--socket", rig.daemon.admin, "status", NULL};
    char *errors;

    if (!is_root())
        return;
    rig_open(NULL);
    chmod(rig.daemon.directory, 0755);
    expect_eq(host_join(host_fork(be_refused, NULL)), 0);
    chmod(rig.daemon.socket, 0666);
    expect_eq(host_run(arguments, STRANGER, NULL, &errors), 1);
    expect_says(errors, "no permission to connect to");
    expect_says(errors, "only root and the user that wasmpoold runs as");
    free(errors);
    rig_expect_sound();
    rig_close();
}

static void connect_by_group(void *argument) {
    struct Peer peer;

    become(STRANGER, *(gid_t *)argument);
    peer_open(&peer, rig.daemon.socket);
    peer_goodbye(&peer);
}

Test(user, of_the_group_may_connect) {
    const char *settings[] = {"group=users", NULL};
    struct group *group = getgrnam("users");
    struct stat st;
    gid_t gid;

    if (!is_root())
        return;
    if (!group)
        cr_skip_test("this machine has no group called users");
    gid = group->gr_gid;
    rig_open(settings);
    chmod(rig.daemon.directory, 0755);
    cr_assert(!stat(rig.daemon.socket, &st));
    expect_eq(st.st_gid, gid);
    cr_assert(!stat(rig.daemon.admin, &st));
    expect_eq(st.st_gid, getgid());
    expect_eq(host_join(host_fork(connect_by_group, &gid)), 0);
    rig_expect_sound();
    rig_close();
}

Test(user, group_that_does_not_exist_is_named) {
    const char *arguments[] = {"wasmpoold", "--config=/dev/null", "--runtime-dir=/nowhere/at/all", "--group",
                               "no-such-group", NULL};
    char *errors;

    host_set_fail(rig_die);
    expect_eq(host_run(arguments, 0, NULL, &errors), 1);
    expect_says(errors, "no-such-group");
    free(errors);
}
