/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/sealing.h"

#include "daemon/client.h"
#include "daemon/session-image.h"
#include "daemon/session.h"

#include <errno.h>
#include <stdlib.h>

struct SealJob {
    uv_work_t work;
    struct Server *server;
    struct Image *image;
};

static void seal_on_work(uv_work_t *work) {
    struct SealJob *job = work->data;

    image_run(job->image);
}

/* NULL: its process has died meanwhile. */
static struct Session *sealing_session(const struct Server *server, const struct Client *client) {
    struct Session *session = client ? server->session_list : NULL;

    while (session && session->client != client)
        session = session->next;
    return session;
}

static void sealing_finish(struct Server *server, struct Image *image) {
    struct Session *session = sealing_session(server, image->client);
    const struct ImageUse *use = NULL;
    struct Error error = {0};
    int r = image_finish(image, uv_now(&server->loop), &use, &error);

    if (session)
        session_image_sealed(session, r, use, &error);
}

static void seal_on_done(uv_work_t *work, int status) {
    struct SealJob *job = work->data;
    struct Server *server = job->server;

    (void)status;
    sealing_finish(server, job->image);
    free(job);
    sealing_begin(server);
}

static int sealing_queue(struct Server *server, struct Image *image) {
    struct SealJob *job = calloc(1, sizeof(*job));
    int r;

    if (!job)
        return -1;
    *job = (struct SealJob){.work.data = job, .server = server, .image = image};
    r = uv_queue_work(&server->loop, &job->work, seal_on_work, seal_on_done);
    if (r)
        free(job);
    return r;
}

void sealing_begin(struct Server *server) {
    struct Image *image;

    while ((image = images_next(&server->pool)))
        if (sealing_queue(server, image)) {
            image->result = -ENOMEM;
            sealing_finish(server, image);
        }
}
