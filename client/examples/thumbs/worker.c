/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A worker: takes one image at a time, makes a fresh sandbox for each, writes the thumbnail. It opens its own pool,
 * at its first image, and again after a failure to open. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/examples/thumbs/audit.h"
#include "client/examples/thumbs/job.h"
#include "client/examples/thumbs/sandbox.h"

struct Worker {
    const struct WorkerSettings *settings;
    struct SandboxPool pool;
    struct Job job;
    struct Reply reply;
    uint8_t *image;
    size_t image_bytes;
};

static int write_all(int fd, const uint8_t *bytes, size_t size) {
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The thumbnail appears whole or not at all. */
static int write_thumbnail(const struct Job *job, const struct SandboxThumbnail *thumbnail) {
    int fd = open(job->partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666), r;

    if (fd < 0)
        return -errno;
    r = write_all(fd, thumbnail->png, thumbnail->png_bytes);
    if (close(fd) && !r)
        r = -errno;
    if (!r && rename(job->partial, job->thumbnail))
        r = -errno;
    if (r)
        unlink(job->partial);
    return r;
}

static void say(struct Worker *worker, enum ReplyKind kind, const char *what, int r) {
    worker->reply.kind = kind;
    snprintf(worker->reply.why, sizeof(worker->reply.why), "%s%s", what, r < 0 ? strerror(-r) : "");
}

static void make_thumbnail(struct Worker *worker, struct Sandbox *sandbox) {
    struct Job *job = &worker->job;
    struct SandboxThumbnail thumbnail;
    int r;

    switch (sandbox_thumbnail(sandbox, worker->image, worker->image_bytes, job->box, job->pixels_max, &thumbnail)) {
    case 0:
        r = write_thumbnail(job, &thumbnail);
        if (r)
            say(worker, REPLY_UNREADABLE, "cannot write the thumbnail: ", r);
        else
            say(worker, REPLY_DONE, "", 0);
        break;
    case SANDBOX_E_TRAPPED:
        say(worker, REPLY_TRAPPED, thumbnail.why, 0);
        break;
    default:
        say(worker, REPLY_REJECTED, thumbnail.why, 0);
        break;
    }
    worker->reply.pages = sandbox_pages(sandbox);
}

static int take_sandbox(struct Worker *worker, struct Sandbox **sandboxp) {
    int r = 0;

    if (!worker->pool.pool)
        r = sandbox_pool_open(&worker->pool, worker->settings->address, &worker->reply.error);
    if (!r)
        r = sandbox_new(sandboxp, &worker->pool, "thumbnail", &worker->reply.error);
    if (!r)
        return 0;
    worker->reply.kind = REPLY_REFUSED;
    worker->reply.error.code = r;
    if (!worker->reply.error.message[0])
        snprintf(worker->reply.error.message, sizeof(worker->reply.error.message), "%s", wasmpool_strerror(r));
    return r;
}

/* Leaves the final reply in worker->reply. Negative errno: the supervisor is gone. */
static int handle(struct Worker *worker) {
    struct Sandbox *sandbox = NULL;
    struct Reply started;
    int r;

    worker->reply = (struct Reply){.id = worker->job.id};
    r = job_read_file(worker->job.image, &worker->image, &worker->image_bytes);
    if (r) {
        say(worker, REPLY_UNREADABLE, "cannot read: ", r);
        return 0;
    }
    if (!take_sandbox(worker, &sandbox)) {
        started = (struct Reply){.id = worker->job.id, .kind = REPLY_STARTED};
        r = job_reply(&started);
        if (!r && worker->settings->audit)
            audit_append(JOB_AUDIT, sandbox_memory_base(sandbox), sandbox_table_base(sandbox), worker->job.image);
        if (!r)
            make_thumbnail(worker, sandbox);
        sandbox = sandbox_free(sandbox, &worker->reply.cycle_ns);
    }
    free(worker->image);
    return r;
}

int worker_run(const struct WorkerSettings *settings) {
    struct Worker *worker = calloc(1, sizeof(*worker));
    int r = 0;

    if (!worker)
        return 1;
    worker->settings = settings;
    while (!r && job_receive(&worker->job)) {
        r = handle(worker);
        if (!r)
            r = job_reply(&worker->reply);
    }
    sandbox_pool_close(&worker->pool);
    free(worker);
    return 0;
}
