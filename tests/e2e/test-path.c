/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The files that a daemon makes: who may use them, and who may take them over. */

#include "tests/support/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

RIG_SUITE(path);

static void expect_file(const char *path, const char *suffix, mode_t type, mode_t mode) {
    char name[200];
    struct stat st;

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    cr_assert(!lstat(name, &st), "%s: %s", name, strerror(errno));
    cr_assert((st.st_mode & S_IFMT) == type && (st.st_mode & 07777) == mode, "the mode of %s is %o", name, st.st_mode);
    expect_eq(st.st_uid, geteuid());
}

Test(path, of_each_file_has_its_mode) {
    mode_t before = umask(0);

    rig_open(NULL);
    expect_file(rig.daemon.socket, "", S_IFSOCK, 0660);
    expect_file(rig.daemon.admin, "", S_IFSOCK, 0600);
    expect_file(rig.daemon.socket, ".lock", S_IFREG, 0600);
    expect_file(rig.daemon.admin, ".lock", S_IFREG, 0600);
    rig_close();
    umask(before);
}

/* Another daemon in the same directory. Returns its exit status. */
static int run_second(char **errorsp) {
    const char *arguments[] = {"wasmpoold", "--config=/dev/null", "--runtime-dir", rig.daemon.directory, NULL};

    return host_run(arguments, 0, NULL, errorsp);
}

Test(path, in_use_is_refused_to_a_second_daemon) {
    struct Peer peer;
    char *errors;

    rig_open(NULL);
    for (int i = 0; i < 3; i++) {
        expect_eq(run_second(&errors), 1);
        expect_says(errors, "another daemon holds");
        expect_says(errors, rig.daemon.socket);
        free(errors);
        rig_expect_sound();
        rig_status();
        peer_open(&peer, rig.daemon.socket);
        peer_goodbye(&peer);
    }
    /* Also when only one of its two paths is in use. */
    unlink(rig.daemon.socket);
    expect_eq(run_second(&errors), 1);
    expect_says(errors, "another daemon holds");
    free(errors);
    rig_expect_sound();
    rig_close();
}

static void leave_stale_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind: %s", strerror(errno));
    close(fd);
}

Test(path, with_a_stale_socket_is_taken_over) {
    const char *settings[] = {"--config=/dev/null", "log_level=notice", NULL};

    rig_open(NULL);
    private_daemon_kill(&rig.daemon);
    peer_close(&rig.witness);
    expect_file(rig.daemon.socket, "", S_IFSOCK, 0660);
    unlink(rig.daemon.admin);
    leave_stale_socket(rig.daemon.admin);
    private_daemon_restart(&rig.daemon, settings);
    rig_settle();
    expect_eq(host_count_log(&rig.daemon, "stale-socket-removed", NULL), 2);
    expect_file(rig.daemon.socket, "", S_IFSOCK, 0660);
    expect_file(rig.daemon.admin, "", S_IFSOCK, 0600);
    rig_status();
    rig_expect_sound();
    rig_close();
}

/* Start in a directory of ours, with `path` in the socket's place. */
static void expect_not_served(const char *directory, const char *says) {
    const char *arguments[] = {"wasmpoold", "--config=/dev/null", "--runtime-dir", directory, NULL};
    char *errors;

    expect_eq(host_run(arguments, 0, NULL, &errors), 1);
    expect_says(errors, says);
    free(errors);
}

Test(path, with_something_else_is_left_alone) {
    char directory[] = "/tmp/wasmpool-path-XXXXXX", socket_path[64], lock[64], target[64];

    host_set_fail(rig_die);
    cr_assert(mkdtemp(directory));
    snprintf(socket_path, sizeof(socket_path), "%s/wasmpool.sock", directory);
    snprintf(lock, sizeof(lock), "%s/wasmpool.sock.lock", directory);
    snprintf(target, sizeof(target), "%s/target", directory);
    close(open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_not_served(directory, "is not a socket");
    expect_file(socket_path, "", S_IFREG, 0600);
    unlink(socket_path);
    /* A symbolic link in either place is nothing to follow. */
    cr_assert(!symlink(target, socket_path));
    expect_not_served(directory, "is not a socket");
    unlink(socket_path);
    cr_assert(!symlink(target, lock));
    expect_not_served(directory, "lock");
    cr_assert(access(target, F_OK) && errno == ENOENT, "a symbolic link was followed");
    unlink(lock);
    expect_eq(rmdir(directory), 0);
}
