/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* An endless recursion of a guest must end at some stack's end, also under `ulimit -s unlimited`. */
#define CHILD_STACK_BYTES_MAX ((rlim_t)8 << 20)
/* Above every number that a child's files get. */
#define CHILD_FD_HIGH 16

static void limit_stack(void) {
    struct rlimit limit;

    if (!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur > CHILD_STACK_BYTES_MAX) {
        limit.rlim_cur = CHILD_STACK_BYTES_MAX;
        setrlimit(RLIMIT_STACK, &limit);
    }
}

/* Two steps, because the numbers wanted may be in use by the very files that are to move there. */
static int move_fds(int socket, int audit_fd) {
    int high_socket = fcntl(socket, F_DUPFD, CHILD_FD_HIGH);
    int high_audit = audit_fd < 0 ? -1 : fcntl(audit_fd, F_DUPFD, CHILD_FD_HIGH);
    bool audit = high_audit >= 0;

    if (high_socket < 0 || (audit_fd >= 0 && !audit) || dup2(high_socket, JOB_SOCKET) < 0 ||
        (audit && dup2(high_audit, JOB_AUDIT) < 0))
        return -errno;
    return close_range(audit ? JOB_AUDIT + 1 : JOB_SOCKET + 1, ~0U, 0) ? -errno : 0;
}

static void signals_default(void) {
    sigset_t none;

    /* Ctrl-C reaches the whole foreground group; the supervisor decides what it means. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void live(const struct Child *child, const struct WorkerSettings *settings, int socket, int audit_fd,
                           pid_t supervisor) {
    signals_default();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It may have died before that. */
    if (getppid() != supervisor)
        _exit(1);
    prctl(PR_SET_NAME, child->oracle ? "thumbs-oracle" : "thumbs-worker");
    limit_stack();
    if (move_fds(socket, audit_fd))
        _exit(1);
    _exit(child->oracle ? oracle_run() : worker_run(settings));
}

int child_spawn(struct Child *child, const struct WorkerSettings *settings, int audit_fd) {
    pid_t supervisor = getpid();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    child->pid = fork();
    if (child->pid < 0) {
        int r = -errno;

        close(pair[0]);
        close(pair[1]);
        return r;
    }
    if (!child->pid)
        live(child, settings, pair[1], audit_fd, supervisor);
    close(pair[1]);
    child->fd = pair[0];
    child->state = CHILD_IDLE;
    child->spawns++;
    return 0;
}

int child_ask(struct Child *child, const struct Job *job, int64_t deadline_ms) {
    ssize_t n = send(child->fd, job, sizeof(*job), MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n != (ssize_t)sizeof(*job))
        return n < 0 ? -errno : -EIO;
    child->state = child->oracle ? CHILD_BUSY : CHILD_ASKED;
    child->image = job->id;
    child->deadline_ms = deadline_ms;
    return 0;
}

int child_receive(struct Child *child, struct Reply *reply) {
    ssize_t n = recv(child->fd, reply, sizeof(*reply), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE;
    if (n != (ssize_t)sizeof(*reply) || reply->kind >= REPLY_KINDS || child->state < CHILD_ASKED ||
        reply->id != child->image) return -EPROTO;
    reply->why[sizeof(reply->why) - 1] = '\0';
    reply->error.limit[sizeof(reply->error.limit) - 1] = '\0';
    reply->error.message[sizeof(reply->error.message) - 1] = '\0';
    return 1;
}

void child_reap(struct Child *child) {
    if (child->state == CHILD_OFF)
        return;
    /* Not yet waited for, so the pid is still this child's. */
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(child->fd);
    child->fd = -1;
    child->state = CHILD_OFF;
}

void child_dismiss(struct Child *child) {
    if (child->state != CHILD_OFF)
        shutdown(child->fd, SHUT_WR);
}
