/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The daemon under a service manager, which hands sockets over (sd_listen_fds(3)) and is told what happens
 * (sd_notify(3)). The test is the manager: it keeps the sockets open, as systemd does. */

#include "shared/features.h"
#include "tests/support/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

RIG_SUITE(activation);

#define GIVEN_MAX 2
#define GIVEN_HIGH 20 /* above what is handed over */
#define GIVEN_FIRST 3
#define TOLD_BYTES 512

static struct {
    int notify;
    char notify_path[PRIVATE_DAEMON_PATH_BYTES];
    int given[GIVEN_MAX], n_given;
    char names[64];          /* LISTEN_FDNAMES */
    const char *count;       /* LISTEN_FDS; NULL: the truth */
    pid_t pid;               /* LISTEN_PID; 0: the truth */
    int errors;              /* -1, or a file for the daemon's */
    char status[TOLD_BYTES]; /* the last one told */
} manager;

static int bind_socket(int type, const void *address, size_t bytes) {
    const struct sockaddr *name = address;
    int fd = socket(name->sa_family, type | SOCK_CLOEXEC, 0);

    cr_assert(fd >= 0 && !bind(fd, name, (socklen_t)bytes), "bind: %s", strerror(errno));
    return fd;
}

static int bind_path(int type, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    return bind_socket(type, &address, sizeof(address));
}

static void manager_open(void) {
    memset(&manager, 0, sizeof(manager));
    manager.errors = -1;
    host_set_fail(rig_die);
    private_daemon_init(&rig.daemon);
    snprintf(manager.notify_path, sizeof(manager.notify_path), "%s/notify", rig.daemon.directory);
    manager.notify = bind_path(SOCK_DGRAM, manager.notify_path);
}

static void manager_give(const char *name, int fd) {
    manager.given[manager.n_given++] = fd;
    if (*manager.names)
        strcat(manager.names, ":");
    strcat(manager.names, name);
}

/* Blocking, as systemd hands them over. */
static void manager_listen(const char *name, const char *path, mode_t mode) {
    int fd = bind_path(SOCK_SEQPACKET, path);

    cr_assert(!chmod(path, mode) && !listen(fd, 8), "listen: %s", strerror(errno));
    manager_give(name, fd);
}

static void manager_close(void) {
    while (manager.n_given)
        close(manager.given[--manager.n_given]);
    close(manager.notify);
    expect_eq(private_daemon_stop(&rig.daemon), 0);
    private_daemon_prepare = NULL;
}

/* In the process that becomes the daemon. */
static void hand_over(void) {
    char number[16];

    setenv("NOTIFY_SOCKET", manager.notify_path, true);
    if (!manager.n_given && !manager.count)
        return;
    for (int i = 0; i < manager.n_given; i++)
        manager.given[i] = fcntl(manager.given[i], F_DUPFD_CLOEXEC, GIVEN_HIGH);
    for (int i = 0; i < manager.n_given; i++)
        dup2(manager.given[i], GIVEN_FIRST + i);
    snprintf(number, sizeof(number), "%d", manager.n_given);
    setenv("LISTEN_FDS", manager.count ? manager.count : number, true);
    snprintf(number, sizeof(number), "%d", (int)(manager.pid ? manager.pid : getpid()));
    setenv("LISTEN_PID", number, true);
    setenv("LISTEN_FDNAMES", manager.names, true);
}

/* ------------------------------------------------------------------------------------------------ what it is told */

/* The next message that is no mere status. */
static void await_told(const char *first_line) {
    char message[TOLD_BYTES];

    do {
        struct pollfd poll_fd = {.fd = manager.notify, .events = POLLIN};
        ssize_t n;

        cr_assert(poll(&poll_fd, 1, RIG_AWAIT_MS) == 1, "the manager was not told %s", first_line);
        n = recv(manager.notify, message, sizeof(message) - 1, 0);
        cr_assert(n > 0);
        message[n] = '\0';
        if (!strncmp(message, "STATUS=", 7))
            strcpy(manager.status, message + 7);
    } while (!strncmp(message, "STATUS=", 7));
    if (!strcmp(first_line, "RELOADING=1")) {
        int64_t us = -1;

        expect_eq(sscanf(message, "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &us), 1);
        cr_assert(us / 1000 <= host_now_ms() && us / 1000 > host_now_ms() - RIG_AWAIT_MS, "%" PRId64 " us is no time",
                  us);
        message[strcspn(message, "\n")] = '\0';
    }
    expect_str(message, first_line);
}

static void manager_start_with(const char *const *settings) {
    private_daemon_prepare = hand_over;
    private_daemon_restart(&rig.daemon, settings);
    await_told("READY=1");
}

static void manager_start(void) {
    manager_start_with((const char *[]){"--config=/dev/null", "log_level=info", NULL});
}

/* Its directory stays, to be looked at. */
static void manager_stop(void) {
    siginfo_t info = {0};

    kill(rig.daemon.pid, SIGTERM);
    await_told("STOPPING=1");
    cr_assert(host_await(!waitid(P_PID, (id_t)rig.daemon.pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid,
                         RIG_AWAIT_MS),
              "the daemon does not end");
    expect_eq(info.si_code, CLD_EXITED);
    expect_eq(info.si_status, 0);
    private_daemon_kill(&rig.daemon); /* it is dead: this waits for it */
}

static void expect_there(const char *path, const char *suffix, bool there) {
    char name[200];

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    expect_eq(access(name, F_OK) ? errno : 0, there ? 0 : ENOENT);
}

/* ------------------------------------------------------------------------------------------------ good sockets */

Test(activation, sockets_are_served_and_stay) {
    struct Peer waiting;

    manager_open();
    manager_listen("admin", rig.daemon.admin, 0600);
    manager_listen("tenants", rig.daemon.socket, 0660);
    for (int i = 0; i < 2; i++) {
        peer_connect(&waiting, rig.daemon.socket); /* there is no daemon yet, or no more */
        manager_start();
        expect_says(manager.status, "0 clients; 0 memories");
        peer_hello(&waiting);
        peer_goodbye(&waiting);
        rig_settle();
        rig_expect_sound();
        expect_eq(rig_status().connections, 1);
        expect_there(rig.daemon.socket, ".lock", true);
        expect_there(rig.daemon.admin, ".lock", true);
        peer_goodbye(&rig.witness);
        manager_stop();
        expect_there(rig.daemon.socket, "", true);
        expect_there(rig.daemon.admin, "", true);
        expect_there(rig.daemon.socket, ".lock", false);
        expect_there(rig.daemon.admin, ".lock", false);
    }
    expect_eq(host_count_log(&rig.daemon, "socket-given name=tenants", rig.daemon.socket), 2);
    expect_eq(host_count_log(&rig.daemon, "socket-given name=admin", rig.daemon.admin), 2);
    expect_eq(host_count_log(&rig.daemon, "socket-unsafe", NULL), 0);
    manager_close();
}

/* Each alone; the daemon makes the other one, and that one goes with it. */
static void give_one(const char *name, const char *path, mode_t mode, const char *other) {
    struct stat st;

    manager_listen(name, path, mode);
    manager_start();
    rig_settle();
    rig_expect_sound();
    rig_status();
    cr_assert(!stat(other, &st) && S_ISSOCK(st.st_mode));
    peer_goodbye(&rig.witness);
    manager_stop();
    expect_there(path, "", true);
    expect_there(other, "", false);
    manager_close();
}

Test(activation, of_tenants_alone_leaves_the_other_to_the_daemon) {
    manager_open();
    give_one("tenants", rig.daemon.socket, 0660, rig.daemon.admin);
}

Test(activation, of_admin_alone_leaves_the_other_to_the_daemon) {
    manager_open();
    give_one("admin", rig.daemon.admin, 0600, rig.daemon.socket);
}

Test(activation, meant_for_another_process_is_none) {
    manager_open();
    manager.pid = getpid();
    manager.count = "2";
    manager_start();
    rig_settle();
    expect_eq(host_count_log(&rig.daemon, "socket-given", NULL), 0);
    peer_goodbye(&rig.witness);
    manager_stop();
    expect_there(rig.daemon.socket, "", false);
    manager_close();
}

Test(activation, where_others_may_connect_is_warned_of) {
    manager_open();
    manager_listen("tenants", rig.daemon.socket, 0660);
    manager_listen("admin", rig.daemon.admin, 0666);
    manager_start();
    expect_eq(host_count_log(&rig.daemon, "socket-unsafe", rig.daemon.admin), 1);
    expect_eq(host_count_log(&rig.daemon, "socket-unsafe", NULL), 1);
    manager_stop();
    manager_close();
}

static int send_fd(const struct Peer *peer) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec vector = {"x", 1};
    struct msghdr header = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    memcpy(CMSG_DATA(&control.header), &peer->socket, sizeof(int));
    return sendmsg(peer->socket, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

Test(activation, lets_nobody_send_fds_who_connected_before) {
    struct Features features;
    struct Peer waiting;

    features_probe(&features);
    if (!features.pass_rights) {
        cr_skip_test("this kernel cannot keep clients from sending fds");
        return;
    }
    manager_open();
    manager_listen("tenants", rig.daemon.socket, 0660);
    peer_connect(&waiting, rig.daemon.socket);
    manager_start();
    peer_hello(&waiting);
    expect_eq(send_fd(&waiting), -EPERM);
    peer_goodbye(&waiting);
    manager_stop();
    manager_close();
}

/* ------------------------------------------------------------------------------------------------ reload */

static void write_file(const char *path, const char *text) {
    FILE *stream = fopen(path, "we");

    cr_assert(stream && fputs(text, stream) >= 0 && !fclose(stream));
}

Test(activation, reloads_are_told_failed_ones_too) {
    char path[PRIVATE_DAEMON_PATH_BYTES], option[PRIVATE_DAEMON_PATH_BYTES + 16];

    manager_open();
    snprintf(path, sizeof(path), "%s/conf", rig.daemon.directory);
    snprintf(option, sizeof(option), "--config=%s", path);
    write_file(path, "[limits]\ntotal_memories = 4\n");
    manager_start_with((const char *[]){option, NULL});
    write_file(path, "[limits]\ntotal_memories = lots\n");
    kill(rig.daemon.pid, SIGHUP);
    await_told("RELOADING=1");
    await_told("READY=1");
    expect_says(manager.status, "reload failed");
    expect_eq(rig_status().bound[KIND_MEMORY], 4);
    write_file(path, "[limits]\ntotal_memories = 5\n");
    kill(rig.daemon.pid, SIGHUP);
    await_told("RELOADING=1");
    await_told("READY=1");
    cr_assert(!strstr(manager.status, "reload failed"), "the status is still '%s'", manager.status);
    expect_eq(rig_status().bound[KIND_MEMORY], 5);
    manager_stop();
    manager_close();
}

/* ------------------------------------------------------------------------------------------------ wrong sockets */

static void become_daemon(void *argument) {
    const char *arguments[] = {"wasmpoold", "--config=/dev/null", "--runtime-dir", rig.daemon.directory, NULL};
    char path[600];

    (void)argument;
    host_find_program(path, sizeof(path), arguments[0]);
    dup2(manager.errors, STDERR_FILENO);
    hand_over();
    execv(path, (char *const *)arguments);
    _exit(HOST_EXIT_FAILED);
}

/* A daemon started with what was given ends with 1, and says why. */
static void expect_refused(const char *says) {
    char text[4096] = {0};

    manager.errors = memfd_create("errors", MFD_CLOEXEC);
    expect_eq(host_join(host_fork(become_daemon, NULL)), 1);
    cr_assert(pread(manager.errors, text, sizeof(text) - 1, 0) > 0, "it says nothing");
    expect_says(text, says);
    close(manager.errors);
    cr_assert(recv(manager.notify, text, sizeof(text), MSG_DONTWAIT) < 0, "the manager was told: %s", text);
}

/* And nothing is left. */
static void refuse(const char *name, int fd, const char *says) {
    manager_give(name, fd);
    expect_refused(says);
    expect_there(rig.daemon.socket, ".lock", false);
    expect_there(rig.daemon.admin, ".lock", false);
    manager_close();
}

/* As many messages as its socket holds, which it does not read. */
static void manager_fill(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, manager.notify_path);
    cr_assert(!connect(fd, (const struct sockaddr *)&address, sizeof(address)));
    while (send(fd, "STATUS=full", 11, 0) == 11)
        continue;
    expect_eq(errno, EAGAIN);
    close(fd);
}

/* Nobody waits for a manager that does not listen: clients are served, and it is told again once it does. */
Test(activation, of_a_manager_that_does_not_read_stops_nobody) {
    char message[TOLD_BYTES];

    manager_open();
    manager_start();
    manager_fill();
    kill(rig.daemon.pid, SIGHUP);
    cr_assert(host_await(host_count_log(&rig.daemon, "does not read its socket", NULL), RIG_AWAIT_MS));
    expect_eq(rig_status().connections, 0);
    while (recv(manager.notify, message, sizeof(message), MSG_DONTWAIT) > 0)
        continue;
    kill(rig.daemon.pid, SIGHUP);
    await_told("RELOADING=1");
    await_told("READY=1");
    manager_stop();
    manager_close();
}

Test(activation, with_a_pipe_is_refused) {
    int ends[2];

    manager_open();
    cr_assert(!pipe2(ends, O_CLOEXEC));
    close(ends[1]);
    refuse("tenants", ends[0], "fd 3, 'tenants', is no good: not a socket");
}

Test(activation, with_a_socket_of_the_internet_is_refused) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    manager_open();
    refuse("tenants", bind_socket(SOCK_STREAM, &address, sizeof(address)), "not a Unix socket");
}

Test(activation, with_a_stream_socket_is_refused) {
    int fd;

    manager_open();
    fd = bind_path(SOCK_STREAM, rig.daemon.socket);
    cr_assert(!listen(fd, 8));
    refuse("tenants", fd, "ListenSequentialPacket=");
    manager_open();
    refuse("admin", bind_path(SOCK_DGRAM, rig.daemon.admin), "ListenSequentialPacket=");
}

Test(activation, with_a_socket_that_does_not_listen_is_refused) {
    manager_open();
    refuse("admin", bind_path(SOCK_SEQPACKET, rig.daemon.admin), "fd 3, 'admin', is no good: not listening");
}

/* Anybody could connect there. */
Test(activation, with_an_abstract_address_is_refused) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    manager_open();
    strcpy(address.sun_path + 1, rig.daemon.directory);
    fd = bind_socket(SOCK_SEQPACKET, &address, sizeof(address));
    cr_assert(!listen(fd, 8));
    refuse("tenants", fd, "not bound to a path");
}

Test(activation, with_another_name_is_refused) {
    int fd;

    manager_open();
    fd = bind_path(SOCK_SEQPACKET, rig.daemon.socket);
    cr_assert(!listen(fd, 8));
    refuse("wasmpoold.socket", fd, "calls fd 3 'wasmpoold.socket': name it with FileDescriptorName=tenants");
}

Test(activation, with_one_name_twice_is_refused) {
    int fd;

    manager_open();
    manager_listen("tenants", rig.daemon.socket, 0660);
    fd = bind_path(SOCK_SEQPACKET, rig.daemon.admin);
    cr_assert(!listen(fd, 8));
    refuse("tenants", fd, "calls both fd 3 and fd 4 'tenants'");
}

Test(activation, with_fewer_fds_than_names_is_refused) {
    int fd;

    manager_open();
    manager.count = "2";
    fd = bind_path(SOCK_SEQPACKET, rig.daemon.socket);
    cr_assert(!listen(fd, 8));
    refuse("tenants", fd, "cannot take the service manager's sockets");
}

/* ------------------------------------------------------------------------------------------------ two daemons */

Test(activation, with_sockets_that_a_daemon_has_is_refused) {
    manager_open();
    manager_listen("tenants", rig.daemon.socket, 0660);
    manager_start();
    expect_refused("another daemon holds");
    rig_settle();
    rig_expect_sound();
    peer_goodbye(&rig.witness);
    manager_stop();
    manager_close();
}

/* While the manager's daemon is down, its socket is not a stale one. */
Test(activation, is_not_undone_by_a_daemon_started_by_hand) {
    const char *arguments[] = {"wasmpoold", "--config=/dev/null", "--runtime-dir", NULL, NULL};
    const char *paths[] = {rig.daemon.admin, rig.daemon.socket};
    char *errors;

    for (int i = 0; i < 2; i++) {
        manager_open();
        manager_listen("one", paths[i], 0660);
        arguments[3] = rig.daemon.directory;
        expect_eq(host_run(arguments, 0, NULL, &errors), 1);
        expect_says(errors, "somebody listens at");
        expect_says(errors, paths[i]);
        free(errors);
        expect_there(paths[i], "", true);
        expect_there(paths[!i], "", false);
        manager_close();
    }
}
