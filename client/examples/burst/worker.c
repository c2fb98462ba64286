/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/burst/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/examples/burst/tenant.h"
#include "client/examples/thumbs/demo-process.h"

#define LEAVE_MS_MAX 10000
#define SLEEP_MS_MAX 10000

static _Noreturn void live(unsigned number, const char *address, int socket, pid_t parent) {
    char name[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It may have died before that. */
    if (getppid() != parent)
        _exit(1);
    /* Ctrl-C reaches the whole foreground group; the driver decides what it means. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    snprintf(name, sizeof(name), "burst-%u", number);
    prctl(PR_SET_NAME, name);
    if (socket != STDERR_FILENO + 1 && dup2(socket, STDERR_FILENO + 1) < 0)
        _exit(1);
    close_range(STDERR_FILENO + 2, ~0U, 0);
    _exit(tenant_run(STDERR_FILENO + 1, name, address));
}

int worker_start(struct Worker *worker, unsigned number, const char *address) {
    pid_t parent = getpid();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    fflush(stdout);
    worker->pid = fork();
    if (worker->pid == 0)
        live(number, address, pair[1], parent);
    close(pair[1]);
    worker->socket = pair[0];
    worker->stopped = false;
    if (worker->pid < 0) {
        int r = -errno;

        close(pair[0]);
        worker->pid = 0;
        return r;
    }
    return 0;
}

void worker_end(struct Worker *worker) {
    if (!worker->pid)
        return;
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(worker->socket);
    *worker = (struct Worker){0};
}

bool worker_leave(struct Worker *worker) {
    struct pollfd end = {.fd = worker->socket, .events = POLLIN};
    int status = -1;

    if (!worker->pid)
        return false;
    shutdown(worker->socket, SHUT_WR);
    /* Its end of the socket is closed when it has ended. */
    if (poll(&end, 1, LEAVE_MS_MAX) == 1 && waitpid(worker->pid, &status, 0) == worker->pid) {
        close(worker->socket);
        *worker = (struct Worker){0};
    } else
        worker_end(worker);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool worker_order(struct Worker *worker, enum OrderKind kind, uint32_t instances) {
    struct Order order = {.kind = kind, .instances = instances};

    return send(worker->socket, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(order);
}

int worker_answer(struct Worker *worker, struct Answer *answerp, int ms) {
    struct pollfd poll_fd = {.fd = worker->socket, .events = POLLIN};
    struct Answer answer;
    ssize_t n;

    if (poll(&poll_fd, 1, ms) <= 0)
        return 0;
    n = recv(worker->socket, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n != sizeof(answer))
        return n < 0 ? -errno : -EPIPE;
    answer.message[sizeof(answer.message) - 1] = '\0';
    *answerp = answer;
    return 1;
}

bool worker_stop(struct Worker *worker) {
    int status;

    if (kill(worker->pid, SIGSTOP) || waitpid(worker->pid, &status, WUNTRACED) != worker->pid || !WIFSTOPPED(status))
        return false;
    worker->stopped = true;
    return true;
}

/* The letter of its state, or 0. */
static char worker_state(const struct Worker *worker) {
    char path[64], state = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)worker->pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    /* Its name has no parenthesis and no blank. */
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 0;
    fclose(file);
    return state;
}

bool worker_continue(struct Worker *worker) {
    int64_t deadline = process_now_ms() + SLEEP_MS_MAX;

    worker->stopped = false;
    if (kill(worker->pid, SIGCONT))
        return false;
    while (worker_state(worker) != 'S') {
        if (process_now_ms() > deadline)
            return false;
        process_pause_ms(1);
    }
    return true;
}

bool worker_is_stopped(const struct Worker *worker) {
    return worker_state(worker) == 'T';
}

bool worker_ran_ns(const struct Worker *worker, uint64_t *nsp) {
    char path[64];
    uint64_t ns;
    FILE *file;
    int n;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)worker->pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fscanf(file, "%" SCNu64, &ns);
    fclose(file);
    if (n != 1 || !ns)
        return false;
    *nsp = ns;
    return true;
}
