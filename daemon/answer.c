/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/answer.h"

#include "daemon/reclaim.h"

#include <errno.h>
#include <string.h>

static void answer_init(struct Answer *answer, uint64_t id, Wasmpool__Packet__BodyCase body_case) {
    wasmpool__packet__init(&answer->message);
    answer->message.id = id;
    answer->message.body_case = body_case;
    answer->fd = -1;
}

void answer_welcome(struct Answer *answer, uint64_t id, uint64_t connection, const struct Limits *limits, int table_fd,
                    uint32_t entries) {
    Wasmpool__Welcome *welcome = &answer->body.welcome;

    answer_init(answer, id, WASMPOOL__PACKET__BODY_WELCOME);
    wasmpool__welcome__init(welcome);
    wasmpool__limits__init(&answer->limits);
    wire_limits_put(&answer->limits, limits);
    welcome->major = WIRE_MAJOR;
    welcome->minor = WIRE_MINOR;
    welcome->features = WIRE_FEATURES;
    welcome->connection = connection;
    welcome->limits = &answer->limits;
    welcome->entries = entries;
    answer->message.welcome = welcome;
    answer->fd = table_fd;
}

void answer_slab_opened(struct Answer *answer, uint64_t id, const struct Slab *slab, uint32_t granted) {
    Wasmpool__SlabOpened *opened = &answer->body.slab_opened;

    answer_init(answer, id, WASMPOOL__PACKET__BODY_SLAB_OPENED);
    wasmpool__slab_opened__init(opened);
    opened->slab = slab->id;
    opened->first_entry = slab->first_entry;
    opened->target = slab->target;
    opened->file_bytes = slab->shape.file_bytes;
    opened->granted = granted;
    answer->message.slab_opened = opened;
    answer->fd = slab->fd;
}

void answer_granted(struct Answer *answer, uint64_t id, uint32_t slots) {
    answer_init(answer, id, WASMPOOL__PACKET__BODY_GRANTED);
    wasmpool__granted__init(&answer->body.granted);
    answer->body.granted.slots = slots;
    answer->message.granted = &answer->body.granted;
}

void answer_image_found(struct Answer *answer, uint64_t id, const struct ImageUse *use) {
    Wasmpool__ImageFound *found = &answer->body.image_found;

    answer_init(answer, id, WASMPOOL__PACKET__BODY_IMAGE_FOUND);
    wasmpool__image_found__init(found);
    answer->message.image_found = found;
    if (!use)
        return;
    found->image = use->id;
    found->bytes = use->image->bytes;
    answer->fd = use->image->backing->fd;
}

void answer_image_created(struct Answer *answer, uint64_t id, const struct Image *image) {
    Wasmpool__ImageCreated *created = &answer->body.image_created;

    answer_init(answer, id, WASMPOOL__PACKET__BODY_IMAGE_CREATED);
    wasmpool__image_created__init(created);
    created->image = image->id;
    created->bytes = image->bytes;
    answer->message.image_created = created;
    answer->fd = image->backing->fd;
}

void answer_error(struct Answer *answer, uint64_t id, const struct Error *error) {
    answer_init(answer, id, WASMPOOL__PACKET__BODY_ERROR);
    wasmpool__error__init(&answer->body.error);
    answer->error = *error;
    wire_error_put(&answer->body.error, &answer->error);
    answer->message.error = &answer->body.error;
}

void answer_failure(struct Answer *answer, uint64_t id, int r, struct Error *error) {
    if (r < 0 && !*error->message)
        answer_host_error(error, r, "the daemon cannot do this");
    else if (r < 0)
        error->code = ERROR_HOST;
    answer_error(answer, id, error);
}

int answer_host_error(struct Error *error, int r, const char *doing) {
    error_set(error, r == -EMFILE || r == -ENFILE ? ERROR_LIMIT : ERROR_HOST, "%s: %s", doing, strerror(-r));
    if (error->code == ERROR_LIMIT)
        strcpy(error->limit, "fds");
    return error->code;
}
