/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* with-daemon DAEMON [OPTION...] -- COMMAND [ARGUMENT...]
 *
 * Run a command beside a private daemon in a directory of its own, and leave nothing of either behind. The command
 * finds BENCH_ADDRESS and BENCH_DAEMON_PID in its environment. Ends with the command's status; with 125 when the daemon
 * does not start, or ends in another way than asked to. */

#define STATUS_DAEMON 125
#define READY_MS 10000

struct Host {
    char directory[64]; /* short enough for a socket's path in it */
    char notify[96];
    char log[96];
    int notify_fd, signal_fd;
    pid_t daemon, command;
    int daemon_status;
    bool daemon_ended;
};

static void say(const char *what, const char *why) {
    fprintf(stderr, "with-daemon: %s: %s\n", what, why);
}

/* ------------------------------------------------------------------------------------------------ directory */

static int directory_open(struct Host *host) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(host->directory, sizeof(host->directory), "/tmp/wasmpool-bench-XXXXXX");
    if (!mkdtemp(host->directory)) {
        say(host->directory, strerror(errno));
        host->directory[0] = 0;
        return -1;
    }
    snprintf(host->notify, sizeof(host->notify), "%s/notify", host->directory);
    snprintf(host->log, sizeof(host->log), "%s/log", host->directory);
    memcpy(address.sun_path, host->notify, strlen(host->notify) + 1);
    host->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (host->notify_fd >= 0 && !bind(host->notify_fd, (struct sockaddr *)&address, sizeof(address)))
        return 0;
    say(host->notify, strerror(errno));
    return -1;
}

static void directory_remove(const char *path) {
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    if (rmdir(path))
        say(path, strerror(errno));
}

/* ------------------------------------------------------------------------------------------------ processes */

static _Noreturn void child_exec(char **argv, int death_signal, pid_t parent) {
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent)
        _exit(STATUS_DAEMON);
    execvp(argv[0], argv);
    say(argv[0], strerror(errno));
    _exit(127);
}

static pid_t daemon_start(struct Host *host, char **options, int n) {
    pid_t parent = getpid(), pid;
    char **argv = calloc((size_t)n + 3, sizeof(*argv));
    int fd;

    if (!argv)
        return -1;
    memcpy(argv, options, (size_t)n * sizeof(*argv));
    argv[n] = "--runtime-dir";
    argv[n + 1] = host->directory;
    pid = fork();
    if (!pid) {
        fd = open(host->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(127);
        setenv("NOTIFY_SOCKET", host->notify, 1);
        child_exec(argv, SIGTERM, parent);
    }
    free(argv);
    return pid;
}

static pid_t command_start(struct Host *host, char **argv) {
    char address[128], number[16];
    pid_t parent = getpid(), pid = fork();

    if (pid)
        return pid;
    snprintf(address, sizeof(address), "unix:%s/wasmpool.sock", host->directory);
    snprintf(number, sizeof(number), "%d", (int)host->daemon);
    setenv("BENCH_ADDRESS", address, 1);
    setenv("BENCH_DAEMON_PID", number, 1);
    child_exec(argv, SIGTERM, parent);
}

/* The log is of interest only when something went wrong. */
static void daemon_blame(const struct Host *host, const char *why) {
    char text[4096];
    size_t n;
    FILE *log = fopen(host->log, "re");

    say("the daemon", why);
    if (!log)
        return;
    while ((n = fread(text, 1, sizeof(text), log)))
        fwrite(text, 1, n, stderr);
    fclose(log);
}

/* ------------------------------------------------------------------------------------------------ waiting */

static int signals_open(void) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Collect who has ended. Returns true when the command has, with its status. */
static bool reap(struct Host *host, int *statusp) {
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == host->daemon) {
            host->daemon_ended = true;
            host->daemon_status = status;
        } else if (pid == host->command) {
            host->command = -1;
            *statusp = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            ended = true;
        }
    }
    return ended;
}

static int wait_ready(struct Host *host) {
    struct pollfd fds[] = {{.fd = host->notify_fd, .events = POLLIN}, {.fd = host->signal_fd, .events = POLLIN}};
    char message[512];
    ssize_t n;

    while (poll(fds, 2, READY_MS) > 0) {
        if (fds[1].revents) {
            daemon_blame(host, "ended, or a signal came, before it was ready");
            return -1;
        }
        n = recv(host->notify_fd, message, sizeof(message) - 1, 0);
        message[n > 0 ? n : 0] = 0;
        if (strstr(message, "READY=1"))
            return 0;
    }
    daemon_blame(host, "is not ready after 10 s");
    return -1;
}

/* What the daemon says of itself meanwhile is of no interest, but it waits for ever when nobody reads it: the kernel
 * keeps some ten messages. */
static void drain_notify(const struct Host *host) {
    char message[512];

    while (recv(host->notify_fd, message, sizeof(message), MSG_DONTWAIT) >= 0)
        continue;
}

/* The next signal; false when there is none to be had. */
static bool wait_signal(const struct Host *host, struct signalfd_siginfo *info) {
    struct pollfd fds[] = {{.fd = host->notify_fd, .events = POLLIN}, {.fd = host->signal_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) > 0) {
        if (fds[0].revents)
            drain_notify(host);
        if (fds[1].revents)
            return read(host->signal_fd, info, sizeof(*info)) == sizeof(*info);
    }
    return false;
}

static int wait_command(struct Host *host) {
    struct signalfd_siginfo info;
    int status = STATUS_DAEMON;

    while (wait_signal(host, &info)) {
        if (info.ssi_signo != SIGCHLD) {
            if (host->command > 0)
                kill(host->command, (int)info.ssi_signo);
            continue;
        }
        if (reap(host, &status))
            break;
    }
    return status;
}

/* Returns whether the daemon ended well. */
static bool daemon_stop(struct Host *host, bool ready) {
    if (host->daemon <= 0)
        return false;
    if (!host->daemon_ended) {
        kill(host->daemon, SIGTERM);
        waitpid(host->daemon, &host->daemon_status, 0);
        if (WIFEXITED(host->daemon_status) && !WEXITSTATUS(host->daemon_status))
            return true;
    }
    if (ready)
        daemon_blame(host, "did not end with status 0 when it was asked to");
    return false;
}

int main(int argc, char **argv) {
    struct Host host = {.notify_fd = -1, .daemon = -1, .command = -1};
    int split = 1, status = STATUS_DAEMON;
    bool ready = false;

    while (split < argc && strcmp(argv[split], "--"))
        split++;
    if (split < 2 || split + 1 >= argc) {
        fprintf(stderr, "usage: with-daemon DAEMON [OPTION...] -- COMMAND [ARGUMENT...]\n");
        return 2;
    }
    host.signal_fd = signals_open();
    if (!directory_open(&host)) {
        host.daemon = daemon_start(&host, argv + 1, split - 1);
        ready = host.daemon > 0 && !wait_ready(&host);
        if (ready) {
            host.command = command_start(&host, argv + split + 1);
            if (host.command > 0)
                status = wait_command(&host);
        }
        if (!daemon_stop(&host, ready))
            status = STATUS_DAEMON;
    }
    if (host.directory[0])
        directory_remove(host.directory);
    return status;
}
