/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* --verify: the same decoder, compiled natively, must come to the same thumbnail. It runs in a process of its own,
 * which the image may well crash: that is what the sandbox is there for. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client/examples/thumbs/job.h"
#include "client/examples/thumbs/thumb.h"

/* As much as the guest's memory may grow to, and room for the program itself. */
#define ORACLE_BYTES_MAX ((rlim_t)3 << 30)

static void limit_memory(void) {
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory alone is larger */
    struct rlimit limit;

    if (!getrlimit(RLIMIT_AS, &limit)) {
        limit.rlim_cur = limit.rlim_max < ORACLE_BYTES_MAX ? limit.rlim_max : ORACLE_BYTES_MAX;
        setrlimit(RLIMIT_AS, &limit);
    }
#endif
}

static void verdict(struct Reply *reply, enum ReplyKind kind, const char *why) {
    reply->kind = kind;
    snprintf(reply->why, sizeof(reply->why), "%s", why);
}

static void compare(const struct Job *job, const struct Thumb *thumb, struct Reply *reply) {
    uint8_t *bytes;
    size_t size;
    int r = job_read_file(job->thumbnail, &bytes, &size);

    if (r) {
        verdict(reply, REPLY_UNREADABLE, strerror(-r));
        return;
    }
    if (size == thumb->png_bytes && !memcmp(bytes, thumb->png, size))
        verdict(reply, REPLY_SAME, "");
    else
        verdict(reply, REPLY_DIFFER, "the native thumbnail is another one");
    free(bytes);
}

static void verify(const struct Job *job, struct Reply *reply) {
    struct Thumb thumb;
    uint8_t *image;
    size_t image_bytes;
    int r = job_read_file(job->image, &image, &image_bytes);

    if (r) {
        verdict(reply, REPLY_UNREADABLE, strerror(-r));
        return;
    }
    r = thumb_make(&thumb, image, image_bytes, job->box, job->pixels_max);
    if (r && job->want_rejected)
        verdict(reply, REPLY_SAME, "");
    else if (r)
        verdict(reply, REPLY_DIFFER, "the native decoder rejects it");
    else if (job->want_rejected)
        verdict(reply, REPLY_DIFFER, "the native decoder takes it");
    else
        compare(job, &thumb, reply);
    free(thumb.png);
    free(image);
}

int oracle_run(void) {
    struct Job *job = malloc(sizeof(*job));
    struct Reply reply;

    if (!job)
        return 1;
    limit_memory();
    while (job_receive(job)) {
        reply = (struct Reply){.id = job->id};
        verify(job, &reply);
        if (job_reply(&reply))
            break;
    }
    free(job);
    return 0;
}
