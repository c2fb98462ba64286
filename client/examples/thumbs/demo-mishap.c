/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* What goes wrong on request: a worker or the daemon is killed with -9 in the middle of the run. Each moment is one
 * that is seen, not one that is guessed: a worker that is stopped and then still busy, a daemon that four workers
 * use. */

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "client/examples/thumbs/demo.h"

/* Sandboxes made before the daemon is killed, and then without it. */
#define SANDBOXES_BEFORE 8
#define SANDBOXES_WITHOUT 8
#define WITHOUT_MS_MAX 20000

/* A worker by its pidfd, or -1: its pid is the daemon's word, so it must still be a child of our wasmpool-thumbs,
 * and a pid that is used again must not be hit. */
static int worker_open(const struct Demo *demo, pid_t pid) {
    int fd = pid > 0 ? pidfd_open(pid, 0) : -1, parent = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fd < 0 ? NULL : fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1)
        parent = 0;
    if (file)
        fclose(file);
    if (fd >= 0 && parent != demo->thumbs.pid) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* A stopped worker stays in the middle of what it does: if its memory is busy now, it has an image. */
static void kill_worker(struct Demo *demo) {
    pid_t pid = demo->watch.busy_pid;
    int worker = worker_open(demo, pid);

    if (worker < 0)
        return;
    pidfd_send_signal(worker, SIGSTOP, NULL, 0);
    if (watch_has_pid(&demo->watch, pid, true)) {
        pidfd_send_signal(worker, SIGKILL, NULL, 0);
        demo->victim = pid;
        demo->happened = true;
        printf("-- killed worker %d with a busy memory\n", (int)pid);
    } else {
        pidfd_send_signal(worker, SIGCONT, NULL, 0); /* next time */
    }
    close(worker);
}

static bool wait_for(struct Demo *demo, bool (*condition)(struct Demo *, const char *, uint64_t), const char *file,
                     uint64_t number) {
    int64_t deadline = process_now_ms() + WITHOUT_MS_MAX;

    while (!condition(demo, file, number)) {
        if (process_ended(&demo->thumbs) || process_now_ms() > deadline || demo_interrupted())
            return false;
        process_pause_ms(5);
    }
    return true;
}

static bool has_lines(struct Demo *demo, const char *file, uint64_t lines) {
    return demo_file_lines(demo_path(demo, file)) >= lines;
}

static bool has_refusal(struct Demo *demo, const char *file, uint64_t unused) {
    (void)unused;
    return demo_file_has(demo_path(demo, file), "no sandbox yet");
}

/* A worker that starts while there is no daemon needs one: its demand must fail clearly. */
static void kill_daemon(struct Demo *demo, const char *run) {
    int worker = worker_open(demo, demo->watch.busy_pid);
    char audit[64], errors[64];
    uint64_t before, after;
    bool went_on;

    snprintf(audit, sizeof(audit), "%s.audit", run);
    snprintf(errors, sizeof(errors), "%s.log", run);
    if (worker < 0)
        return;
    if (!has_lines(demo, audit, SANDBOXES_BEFORE)) {
        close(worker);
        return;
    }
    process_kill(&demo->daemon);
    demo->happened = true;
    before = demo_file_lines(demo_path(demo, audit));
    printf("-- killed the daemon after %llu sandboxes\n", (unsigned long long)before);
    went_on = wait_for(demo, has_lines, audit, before + SANDBOXES_WITHOUT);
    after = demo_file_lines(demo_path(demo, audit));
    demo_check(demo, went_on, "workers go on with what they were granted: %llu sandboxes without a daemon",
               (unsigned long long)(after - before));
    pidfd_send_signal(worker, SIGKILL, NULL, 0);
    close(worker);
    printf("-- killed worker %d, so that a new one needs the daemon\n", (int)demo->watch.busy_pid);
    demo_check(demo, wait_for(demo, has_refusal, errors, 0), "a new demand fails clearly while the daemon is down");
    demo_daemon_start(demo);
    printf("-- started the daemon again\n");
}

void mishap_step(struct Demo *demo, const char *run) {
    uint32_t pids = demo->limit && demo->limit < DEMO_WORKERS ? 1 : DEMO_WORKERS;

    if (demo->happened || demo->mishap == MISHAP_NONE || demo->watch.busy_pids.count < pids)
        return;
    if (demo->mishap == MISHAP_WORKER)
        kill_worker(demo);
    else
        kill_daemon(demo, run);
}

/* True: nothing of the dead worker is left in the daemon. */
static bool is_gone(struct Demo *demo, const char *unused, uint64_t pid) {
    (void)unused;
    return !watch_has_pid(&demo->watch, (pid_t)pid, false);
}

void mishap_settle(struct Demo *demo) {
    if (demo->victim)
        demo_check(demo, wait_for(demo, is_gone, NULL, (uint64_t)demo->victim),
                   "the slots of worker %d came back while the others kept theirs", (int)demo->victim);
}

void mishap_check(struct Demo *demo, struct json_t *report) {
    json_t *refusals = json_object_get(report, "refusals");
    long long retried = json_integer_value(json_object_get(report, "retried"));
    long long unavailable = json_integer_value(json_object_get(refusals, "unavailable"));

    if (demo->mishap == MISHAP_NONE)
        return;
    demo_check(demo, demo->happened, "the %s was killed in the middle",
               demo->mishap == MISHAP_WORKER ? "worker" : "daemon");
    if (demo->mishap == MISHAP_WORKER) {
        demo_check(demo, retried >= 1, "the dead worker's image was given to another one (%lld retried)", retried);
    } else {
        demo_check(demo, unavailable >= 1, "a demand without a daemon was refused as unavailable and retried (%lld)",
                   unavailable);
    }
}
