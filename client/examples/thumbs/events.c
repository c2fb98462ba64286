/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/events.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A refused worker's next try; the longest is short enough to take up what another one leaves. */
#define BACKOFF_MS_MIN 5
#define BACKOFF_MS_MAX 200
/* Of workers that died of one image: once may be an accident (someone's kill). */
#define DEATHS_MAX 2
int64_t supervisor_now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void events_partial_path(const struct Supervisor *supervisor, const struct Child *child, char *path) {
    snprintf(path, PATH_MAX, "%s/.wasmpool-thumbs-%d.part", supervisor->settings->out, (int)child->pid);
}

static void settle(struct Supervisor *supervisor, uint32_t index, enum Outcome outcome, const char *why) {
    struct Image *image = &supervisor->images->at[index];

    image->outcome = outcome;
    supervisor->report->outcomes[OUTCOME_PENDING]--;
    report_outcome(supervisor->report, supervisor->settings, image->path, outcome, why);
    /* Both decoders must agree on what is no image; where the sandbox trapped there is nothing to compare. */
    if (supervisor->settings->verify && (outcome == OUTCOME_DONE || outcome == OUTCOME_REJECTED))
        queue_push(&supervisor->verify, index);
    else
        supervisor->pending--;
}

static void settle_verdict(struct Supervisor *supervisor, uint32_t index, enum ReplyKind kind, const char *why) {
    struct Report *report = supervisor->report;

    supervisor->pending--;
    if (kind == REPLY_SAME) {
        report->same++;
        return;
    }
    if (kind == REPLY_DIFFER)
        report->differ++;
    else
        report->unverified++;
    report_say(report, "%s: %s: %s", supervisor->images->at[index].path,
               kind == REPLY_DIFFER ? "differs" : "not verified", why);
}

static void lost(struct Supervisor *supervisor, struct Child *child, const char *how) {
    struct Image *image = &supervisor->images->at[child->image];
    uint8_t *deaths = child->oracle ? &image->oracle_deaths : &image->deaths;

    if (++*deaths < DEATHS_MAX) {
        queue_push(child->oracle ? &supervisor->verify : &supervisor->work, child->image);
        supervisor->report->retried += !child->oracle;
    } else if (child->oracle) {
        settle_verdict(supervisor, child->image, REPLY_UNREADABLE, how);
    } else {
        settle(supervisor, child->image, OUTCOME_KILLED, how);
    }
}

void events_reap(struct Supervisor *supervisor, struct Child *child) {
    char partial[PATH_MAX];

    events_partial_path(supervisor, child, partial);
    child_reap(child);
    if (!child->oracle)
        unlink(partial);
}

void events_on_death(struct Supervisor *supervisor, struct Child *child) {
    bool had_job = child->state >= CHILD_ASKED;

    events_reap(supervisor, child);
    if (had_job)
        lost(supervisor, child, child->oracle ? "the native decoder died of it" : "workers died of it");
}

void events_on_deadline(struct Supervisor *supervisor, struct Child *child) {
    enum ChildState state = child->state;

    events_reap(supervisor, child);
    if (state == CHILD_ASKED)
        /* Not the image's fault: the pool did not answer at all. events_patience_is_over ends this. */
        queue_push(&supervisor->work, child->image);
    else if (child->oracle)
        settle_verdict(supervisor, child->image, REPLY_UNREADABLE, "the native decoder timed out");
    else
        settle(supervisor, child->image, OUTCOME_TIMED_OUT, "its worker was killed");
}

bool events_patience_is_over(const struct Supervisor *supervisor, int64_t now) {
    for (uint32_t i = 0; i < supervisor->children_n; i++)
        if (!supervisor->children[i].oracle && supervisor->children[i].state == CHILD_BUSY)
            return false;
    return now - supervisor->progress_ms > (int64_t)supervisor->settings->patience_ms;
}

static void on_refused(struct Supervisor *supervisor, struct Child *child, const struct wasmpool_error *error) {
    bool passing = error->code == WASMPOOL_E_LIMIT || error->code == WASMPOOL_E_UNAVAILABLE;
    int64_t now = supervisor_now_ms();

    queue_push(&supervisor->work, child->image);
    if (!passing) {
        report_say(supervisor->report, "the pool is unusable: %s: %s", wasmpool_strerror(error->code), error->message);
        supervisor->failed = true;
        return;
    }
    report_refusal(supervisor->report, supervisor->settings, error);
    child->backoff_ms = child->backoff_ms ? 2 * child->backoff_ms : BACKOFF_MS_MIN;
    if (child->backoff_ms > BACKOFF_MS_MAX)
        child->backoff_ms = BACKOFF_MS_MAX;
    child->not_before_ms = now + child->backoff_ms;
}

static void on_final(struct Supervisor *supervisor, struct Child *child, const struct Reply *reply) {
    static const enum Outcome outcomes[REPLY_KINDS] = {
        [REPLY_DONE] = OUTCOME_DONE,
        [REPLY_REJECTED] = OUTCOME_REJECTED,
        [REPLY_TRAPPED] = OUTCOME_TRAPPED,
        [REPLY_UNREADABLE] = OUTCOME_UNREADABLE,
    };
    struct ReportWorker *row = report_find(supervisor->report, child->pid);

    if (row) {
        row->images++;
        if (reply->pages > row->pages_most)
            row->pages_most = reply->pages;
        if (reply->cycle_ns && report_cycle(row, reply->cycle_ns))
            report_say(supervisor->report, "no memory to count a cycle, ignoring");
    }
    settle(supervisor, child->image, outcomes[reply->kind], reply->why);
}

bool events_reply_is_expected(const struct Child *child, enum ReplyKind kind) {
    switch (kind) {
    case REPLY_STARTED:
    case REPLY_REFUSED:
        return !child->oracle && child->state == CHILD_ASKED;
    case REPLY_UNREADABLE:
        return true;
    case REPLY_SAME:
    case REPLY_DIFFER:
        return child->oracle;
    default:
        return !child->oracle && child->state == CHILD_BUSY;
    }
}

void events_on_reply(struct Supervisor *supervisor, struct Child *child, const struct Reply *reply) {
    struct ReportWorker *row;

    supervisor->progress_ms = reply->kind == REPLY_REFUSED ? supervisor->progress_ms : supervisor_now_ms();
    if (reply->kind == REPLY_STARTED) {
        row = report_find(supervisor->report, child->pid);
        if (row)
            row->instances++;
        child->state = CHILD_BUSY;
        child->deadline_ms = supervisor_now_ms() + supervisor->settings->timeout_ms;
        child->backoff_ms = 0;
        return;
    }
    child->state = CHILD_IDLE;
    if (reply->kind == REPLY_REFUSED)
        on_refused(supervisor, child, &reply->error);
    else if (child->oracle)
        settle_verdict(supervisor, child->image, reply->kind, reply->why);
    else
        on_final(supervisor, child, reply);
}
