/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAEMON_SETTINGS_MAX 32
#define DAEMON_READY_MS 20000 /* generous: sanitizers, two cores, and others that use them */
#define DAEMON_END_MS 20000

/* For the exit handler. A test has one daemon at a time, now and then two. */
static struct PrivateDaemon *running[4];
static pid_t running_owner;

void (*private_daemon_prepare)(void);

static void daemon_give_up(const struct PrivateDaemon *daemon, const char *what) {
    char *log = private_daemon_read_log(daemon);

    fprintf(stderr, "wasmpoold in %s %s. It said:\n%s\n", daemon->directory, what, log);
    free(log);
    abort();
}

char *private_daemon_read_log(const struct PrivateDaemon *daemon) {
    FILE *file = fopen(daemon->log, "re"), *stream;
    char *text = NULL, line[1024];
    size_t bytes;

    stream = open_memstream(&text, &bytes);
    while (file && fgets(line, sizeof(line), file))
        fputs(line, stream);
    if (file)
        fclose(file);
    fclose(stream);
    return text;
}

static void daemon_remove_directory(const struct PrivateDaemon *daemon) {
    DIR *directory = opendir(daemon->directory);

    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    rmdir(daemon->directory);
}

static int daemon_reap(struct PrivateDaemon *daemon) {
    int status = 0;

    while (waitpid(daemon->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(daemon->pidfd);
    daemon->pid = 0;
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
        if (running[i] == daemon)
            running[i] = NULL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A test that fails jumps over its end. Its children run this too and must not. */
static void daemon_at_exit(void) {
    if (getpid() != running_owner)
        return;
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
        struct PrivateDaemon *daemon = running[i];

        if (!daemon)
            continue;
        private_daemon_kill(daemon);
        daemon_remove_directory(daemon);
    }
}

static void daemon_register(struct PrivateDaemon *daemon) {
    if (running_owner != getpid()) {
        memset(running, 0, sizeof(running));
        running_owner = getpid();
        atexit(daemon_at_exit);
    }
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
        if (!running[i]) {
            running[i] = daemon;
            return;
        }
}

/* Is somebody listening at a path? As the kernel sees it: a connection made to find out would be counted. */
static bool daemon_listens(const char *path) {
    FILE *file = fopen("/proc/net/unix", "re");
    char line[512];
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file)) {
        unsigned long flags;
        char *at = strchr(line, '/');

        line[strcspn(line, "\n")] = 0;
        found = at && !strcmp(at, path) && sscanf(line, "%*s %*s %*s %lx", &flags) == 1 && flags & 0x10000;
    }
    if (file)
        fclose(file);
    return found;
}

static bool daemon_has_ended(const struct PrivateDaemon *daemon, int timeout_ms) {
    struct pollfd pidfd = {.fd = daemon->pidfd, .events = POLLIN};

    return poll(&pidfd, 1, timeout_ms) > 0;
}

static int64_t daemon_now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void daemon_exec(const struct PrivateDaemon *daemon, const char *const *settings, pid_t parent) {
    const char *program = getenv("WASMPOOL_DAEMON");
    const char *arguments[4 + 2 * DAEMON_SETTINGS_MAX];
    int n = 0, log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), image;

    if (!program || !*program)
        program = TEST_DAEMON;
    /* Opened by this user: another, who it may be prepared to be, need not be let into the directories before it. */
    image = open(program, O_RDONLY | O_CLOEXEC);
    /* A test that crashes runs no exit handlers. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    arguments[n++] = program;
    arguments[n++] = "--runtime-dir";
    arguments[n++] = daemon->directory;
    for (; settings && *settings && n < 3 + 2 * DAEMON_SETTINGS_MAX; settings++) {
        if (**settings != '-')
            arguments[n++] = "--set";
        arguments[n++] = *settings;
    }
    arguments[n] = NULL;
    dup2(log, STDERR_FILENO);
    dup2(log, STDOUT_FILENO);
    unsetenv("NOTIFY_SOCKET");
    if (private_daemon_prepare)
        private_daemon_prepare();
    fexecve(image, (char *const *)arguments, environ);
    perror(program);
    _exit(127);
}

static void daemon_launch(struct PrivateDaemon *daemon, const char *const *settings) {
    int64_t deadline_ms = daemon_now_ms() + DAEMON_READY_MS;
    pid_t parent = getpid();

    daemon->pid = fork();
    if (!daemon->pid)
        daemon_exec(daemon, settings, parent);
    if (daemon->pid < 0)
        daemon_give_up(daemon, "cannot be forked");
    daemon->pidfd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
    fcntl(daemon->pidfd, F_SETFD, FD_CLOEXEC);
    daemon_register(daemon);
    while (!daemon_listens(daemon->socket) || !daemon_listens(daemon->admin)) {
        if (daemon_has_ended(daemon, 1))
            daemon_give_up(daemon, "ended before it was ready");
        if (daemon_now_ms() > deadline_ms)
            daemon_give_up(daemon, "does not listen in time");
    }
}

void private_daemon_init(struct PrivateDaemon *daemon) {
    const char *base = getenv("TMPDIR");

    *daemon = (struct PrivateDaemon){.pidfd = -1};
    /* A socket's path is short. */
    if (!base || strlen(base) > 40)
        base = "/tmp";
    snprintf(daemon->directory, sizeof(daemon->directory), "%s/wasmpool-XXXXXX", base);
    if (!mkdtemp(daemon->directory)) {
        perror(daemon->directory);
        abort();
    }
    snprintf(daemon->socket, sizeof(daemon->socket), "%s/wasmpool.sock", daemon->directory);
    snprintf(daemon->admin, sizeof(daemon->admin), "%s/admin.sock", daemon->directory);
    snprintf(daemon->address, sizeof(daemon->address), "unix:%s", daemon->socket);
    snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->directory);
}

void private_daemon_start(struct PrivateDaemon *daemon, const char *const *settings) {
    private_daemon_init(daemon);
    daemon_launch(daemon, settings);
}

void private_daemon_restart(struct PrivateDaemon *daemon, const char *const *settings) {
    daemon_launch(daemon, settings);
}

void private_daemon_kill(struct PrivateDaemon *daemon) {
    if (!daemon->pid)
        return;
    kill(daemon->pid, SIGKILL);
    daemon_reap(daemon);
}

int private_daemon_stop(struct PrivateDaemon *daemon) {
    int status = 0;

    if (daemon->pid) {
        kill(daemon->pid, SIGTERM);
        if (!daemon_has_ended(daemon, DAEMON_END_MS))
            daemon_give_up(daemon, "does not end when it is asked to");
        status = daemon_reap(daemon);
    }
    if (*daemon->directory)
        daemon_remove_directory(daemon);
    *daemon->directory = 0;
    return status;
}
