/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/events.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How long dismissed children may take to give back what they hold. */
#define DISMISS_MS_MAX 5000

static int open_files(struct Supervisor *supervisor) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct Settings *settings = supervisor->settings;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    supervisor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd < 0)
        return -errno;
    if (!settings->audit)
        return 0;
    supervisor->audit_fd = open(settings->audit, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    return supervisor->audit_fd < 0 ? -errno : 0;
}

int supervisor_init(struct Supervisor *supervisor, const struct Settings *settings, struct Images *images,
                    struct Report *report) {
    uint32_t oracles = settings->verify ? (settings->workers + 1) / 2 : 0;
    int r;

    *supervisor = (struct Supervisor){.settings = settings, .images = images, .report = report,
                                      .pending = images->count, .signal_fd = -1, .audit_fd = -1};
    r = open_files(supervisor);
    if (!r)
        r = queue_init(&supervisor->work, images->count);
    if (!r)
        r = queue_init(&supervisor->verify, images->count);
    if (r)
        return r;
    supervisor->children = calloc(settings->workers + oracles, sizeof(*supervisor->children));
    if (!supervisor->children)
        return -ENOMEM;
    supervisor->children_n = settings->workers + oracles;
    for (uint32_t i = 0; i < supervisor->children_n; i++) {
        supervisor->children[i].oracle = i >= settings->workers;
        supervisor->children[i].fd = -1;
    }
    for (uint32_t i = 0; i < images->count; i++)
        queue_push(&supervisor->work, i);
    report->outcomes[OUTCOME_PENDING] = images->count;
    return 0;
}

static void job_fill(struct Supervisor *supervisor, const struct Child *child, uint32_t index, struct Job *job) {
    const struct Settings *settings = supervisor->settings;
    const struct Image *image = &supervisor->images->at[index];

    *job = (struct Job){.id = index, .box = settings->box, .pixels_max = settings->pixels_max,
                        .want_rejected = image->outcome == OUTCOME_REJECTED};
    snprintf(job->image, sizeof(job->image), "%s", image->path);
    snprintf(job->thumbnail, sizeof(job->thumbnail), "%s/%s", settings->out, image->name);
    events_partial_path(supervisor, child, job->partial);
}

static int spawn(struct Supervisor *supervisor, struct Child *child) {
    struct WorkerSettings settings = {.address = supervisor->settings->address, .audit = supervisor->audit_fd >= 0};
    int r = child_spawn(child, &settings, child->oracle ? -1 : supervisor->audit_fd);

    if (r) {
        report_say(supervisor->report, "cannot start a %s: %s", child->oracle ? "verifier" : "worker", strerror(-r));
        supervisor->failed = true;
        return r;
    }
    if (child->spawns > 1)
        supervisor->report->restarts++;
    return child->oracle ? 0 : report_worker(supervisor->report, child->pid);
}

static void dispatch(struct Supervisor *supervisor, int64_t now) {
    for (uint32_t i = 0; i < supervisor->children_n && !supervisor->failed; i++) {
        struct Child *child = &supervisor->children[i];
        struct Queue *queue = child->oracle ? &supervisor->verify : &supervisor->work;
        int64_t wait_ms = child->oracle ? supervisor->settings->timeout_ms : supervisor->settings->patience_ms;
        struct Job job;

        if (!queue->count || child->not_before_ms > now || child->state > CHILD_IDLE)
            continue;
        if (child->state == CHILD_OFF && spawn(supervisor, child))
            return;
        job_fill(supervisor, child, queue_pop(queue), &job);
        if (child_ask(child, &job, now + wait_ms)) {
            /* It died idle; the image has nothing to do with it. */
            queue_push(queue, job.id);
            events_reap(supervisor, child);
        }
    }
}

static int next_timeout_ms(const struct Supervisor *supervisor, int64_t now) {
    int64_t next = now + 1000; /* for the progress */

    for (uint32_t i = 0; i < supervisor->children_n; i++) {
        const struct Child *child = &supervisor->children[i];
        const struct Queue *queue = child->oracle ? &supervisor->verify : &supervisor->work;

        if (child->state >= CHILD_ASKED && child->deadline_ms < next)
            next = child->deadline_ms;
        if (child->state <= CHILD_IDLE && queue->count && child->not_before_ms < next)
            next = child->not_before_ms;
    }
    return next > now ? (int)(next - now) : 0;
}

static void read_signal(struct Supervisor *supervisor) {
    struct signalfd_siginfo info;

    if (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        supervisor->signal = (int)info.ssi_signo;
}

static void serve(struct Supervisor *supervisor, struct Child *child, bool readable) {
    struct Reply reply;
    int r = 0;

    while (readable && child->state != CHILD_OFF && (r = child_receive(child, &reply)) > 0) {
        if (!events_reply_is_expected(child, reply.kind)) {
            r = -EPROTO;
            break;
        }
        events_on_reply(supervisor, child, &reply);
    }
    if (r < 0)
        events_on_death(supervisor, child);
    if (child->state >= CHILD_ASKED && child->deadline_ms <= supervisor_now_ms())
        events_on_deadline(supervisor, child);
}

static int poll_children(struct Supervisor *supervisor, struct pollfd *fds, int timeout_ms) {
    fds[0] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
    for (uint32_t i = 0; i < supervisor->children_n; i++) /* poll skips the -1 of those that are off */
        fds[i + 1] = (struct pollfd){.fd = supervisor->children[i].fd, .events = POLLIN};
    return poll(fds, supervisor->children_n + 1, timeout_ms) < 0 && errno != EINTR ? -errno : 0;
}

static void loop(struct Supervisor *supervisor, struct pollfd *fds) {
    while (supervisor->pending && !supervisor->failed && !supervisor->signal) {
        int64_t now = supervisor_now_ms();

        dispatch(supervisor, now);
        report_progress(supervisor->report, supervisor->settings, now);
        if (supervisor->failed || poll_children(supervisor, fds, next_timeout_ms(supervisor, now)))
            return;
        if (fds[0].revents)
            read_signal(supervisor);
        for (uint32_t i = 0; i < supervisor->children_n; i++)
            serve(supervisor, &supervisor->children[i], fds[i + 1].revents);
        if (supervisor->work.count && events_patience_is_over(supervisor, supervisor_now_ms())) {
            report_say(supervisor->report, "no worker got a sandbox for %u ms, giving up: %s",
                       supervisor->settings->patience_ms, supervisor->report->last_refusal.message);
            supervisor->failed = true;
        }
    }
}

int supervisor_run(struct Supervisor *supervisor) {
    struct pollfd *fds = calloc(supervisor->children_n + 1, sizeof(*fds));

    if (!fds)
        return 1;
    supervisor->report->begin_ms = supervisor->progress_ms = supervisor_now_ms();
    loop(supervisor, fds);
    supervisor->report->end_ms = supervisor_now_ms();
    free(fds);
    if (supervisor->report->terminal && !supervisor->settings->quiet)
        fputs("\r\033[K", stderr);
    return supervisor->pending ? 1 : 0;
}

void supervisor_hold(struct Supervisor *supervisor) {
    struct pollfd fds[2] = {{.fd = supervisor->signal_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char ignored[256];

    while (!supervisor->signal) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            read_signal(supervisor);
        if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
            return;
    }
}

/* Dismissed, children give their slots back themselves; whoever takes too long is killed. */
static void dismiss(struct Supervisor *supervisor) {
    int64_t deadline_ms = supervisor_now_ms() + DISMISS_MS_MAX;

    for (uint32_t i = 0; i < supervisor->children_n; i++)
        child_dismiss(&supervisor->children[i]);
    for (uint32_t i = 0; i < supervisor->children_n; i++) {
        struct Child *child = &supervisor->children[i];
        struct pollfd fd = {.fd = child->fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - supervisor_now_ms();

        if (child->state == CHILD_IDLE)
            poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);
    }
}

void supervisor_deinit(struct Supervisor *supervisor) {
    if (!supervisor->failed && !supervisor->signal)
        dismiss(supervisor);
    for (uint32_t i = 0; i < supervisor->children_n; i++)
        if (supervisor->children[i].state != CHILD_OFF)
            events_reap(supervisor, &supervisor->children[i]);
    free(supervisor->children);
    queue_deinit(&supervisor->work);
    queue_deinit(&supervisor->verify);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    if (supervisor->audit_fd >= 0)
        close(supervisor->audit_fd);
    supervisor->children = NULL;
    supervisor->children_n = 0;
    supervisor->signal_fd = supervisor->audit_fd = -1;
}
