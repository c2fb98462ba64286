/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/session-image.h"

#include "daemon/log.h"
#include "daemon/sealing.h"

/* Each of these requests may bring an fd: see Ack. */
static bool session_may_ask(struct Session *session, uint64_t id) {
    if (session->state != SESSION_UNACKED)
        return true;
    session_cut_off(session, id, "asked for an image before it acknowledged the last message with an fd");
    return false;
}

static bool session_check_hash(struct Session *session, uint64_t id, const ProtobufCBinaryData *hash) {
    struct Error error;
    int r;

    if (hash->len == HASH_BYTES)
        return true;
    r = error_set(&error, ERROR_INVALID, "a hash of %zu bytes: it has %d", hash->len, HASH_BYTES);
    session_answer_failure(session, id, r, &error);
    return false;
}

static void session_answer_image(struct Session *session, uint64_t id, const struct ImageUse *use) {
    answer_image_found(&session->answer, id, use);
    if (use)
        session_enter(session, SESSION_UNACKED);
    session_send(session);
}

void session_find_image(struct Session *session, uint64_t id, const Wasmpool__FindImage *asked) {
    const struct ImageUse *use;
    struct Error error = {0};
    int r;

    if (!session_may_ask(session, id) || !session_check_hash(session, id, &asked->hash))
        return;
    r = image_find(session->client, asked->hash.data, asked->bytes, uv_now(&session->server->loop), &use, &error);
    if (r)
        session_answer_failure(session, id, r, &error);
    else
        session_answer_image(session, id, use);
}

void session_create_image(struct Session *session, uint64_t id, const Wasmpool__CreateImage *asked) {
    struct Error error = {0};
    struct Image *image;
    int r;

    if (!session_may_ask(session, id))
        return;
    r = image_create(session->client, asked->bytes, &image, &error);
    if (r) {
        session_answer_failure(session, id, r, &error);
        return;
    }
    answer_image_created(&session->answer, id, image);
    session_enter(session, SESSION_UNACKED);
    session_send(session);
}

void session_seal_image(struct Session *session, uint64_t id, const Wasmpool__SealImage *asked) {
    struct Error error = {0};
    int r;

    if (!session_may_ask(session, id) || !session_check_hash(session, id, &asked->hash))
        return;
    r = image_seal(session->client, asked->image, asked->hash.data, &error);
    if (r) {
        session_answer_failure(session, id, r, &error);
        return;
    }
    session->seal_id = id;
    link_pause(&session->link);
    sealing_begin(session->server);
}

void session_image_sealed(struct Session *session, int r, const struct ImageUse *use, struct Error *error) {
    uint64_t id = session->seal_id;

    session->seal_id = 0;
    if (r) {
        session_answer_failure(session, id, r, error);
        return;
    }
    log_event(LOG_LEVEL_DEBUG, "image-sealed", "connection=%lu image=%u bytes=%lu hits=%lu", session->client->id,
              use->id, use->image->bytes, use->image->n_hits);
    session_answer_image(session, id, use);
}

void session_release_image(struct Session *session, const Wasmpool__ReleaseImage *asked) {
    struct Error error;

    if (image_release(session->client, asked->image, &error))
        session_cut_off(session, 0, "released an image that it does not have");
}
