/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/remote.h"

#include "client/image.h"
#include "client/pool.h"
#include "shared/memfd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Images from the daemon: one that is there, or one that is made for all. Whatever goes wrong, the caller keeps the
 * bytes that it has. */

/* -------------------------------------------------------------------------------------------------- uses */

static void remote_tell_release(struct Connection *connection, uint32_t id) {
    Wasmpool__ReleaseImage release = WASMPOOL__RELEASE_IMAGE__INIT;
    WireMessage message = WIRE_MESSAGE(0, RELEASE_IMAGE, release_image, &release);

    release.image = id;
    remote_result(connection, channel_tell(connection->channel, &message));
}

static void remote_end_use(struct Connection *connection, struct ImageUse **place) {
    struct ImageUse *use = *place;

    *place = use->next;
    remote_tell_release(connection, use->id);
    image_use_unref(use);
}

void remote_release_freed_images(struct Connection *connection) {
    struct ImageUse **place = &connection->image_uses;

    while (*place)
        if (image_use_is_freed(*place))
            remote_end_use(connection, place);
        else
            place = &(*place)->next;
}

void remote_release_image(struct wasmpool *pool, const struct Image *image) {
    struct Connection *connection = pool->connection;
    struct ImageUse **place = &connection->image_uses;

    while (*place && *place != image->use)
        place = &(*place)->next;
    if (*place)
        remote_end_use(connection, place);
}

/* -------------------------------------------------------------------------------------------------- found */

/* Map what came, in place of the image's own bytes. What cannot be mapped is given back. */
static bool remote_map_image(struct Connection *connection, struct Image *image, int fd, uint32_t id) {
    struct ImageUse *use = image_use_new(connection, id);
    uint8_t *bytes = use ? image_map(image, fd) : NULL;

    if (!bytes) {
        image_use_unref(image_use_unref(use));
        remote_tell_release(connection, id);
        return false;
    }
    image_adopt(image, bytes, use);
    use->next = connection->image_uses;
    connection->image_uses = use;
    return true;
}

static bool remote_image_found(struct Connection *connection, struct Image *image, struct WirePacket *answer) {
    const Wasmpool__ImageFound *found = answer->message->image_found;
    bool mapped;
    int fd;

    if (remote_check_fd(connection->channel, answer, memfd_check_frozen, image->end, &fd, NULL))
        return false;
    remote_ack(connection->channel);
    mapped = remote_map_image(connection, image, fd, found->image);
    if (mapped)
        image_keep_file(image, fd);
    else
        close(fd);
    return mapped;
}

/* Ask for an image, by FindImage or SealImage. True if it came; else *nonep says whether there is none. */
static bool remote_ask_image(struct Connection *connection, struct Image *image, WireMessage *request, bool *nonep) {
    struct WirePacket answer;
    bool found = false;

    *nonep = false;
    if (channel_call(connection->channel, request, 1, &answer, NULL))
        return false;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_IMAGE_FOUND)
        channel_reject(connection->channel, "answers about an image with something else", NULL);
    else if (!answer.message->image_found->image && answer.n_fds)
        channel_reject(connection->channel, "sent a file descriptor of no image", NULL);
    else if (!answer.message->image_found->image)
        *nonep = true;
    else
        found = remote_image_found(connection, image, &answer);
    wire_packet_deinit(&answer);
    return found;
}

static bool remote_find_image(struct Connection *connection, struct Image *image, const uint8_t *hash, bool *nonep) {
    Wasmpool__FindImage find = WASMPOOL__FIND_IMAGE__INIT;
    WireMessage request = WIRE_MESSAGE(0, FIND_IMAGE, find_image, &find);

    find.hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)hash};
    find.bytes = image->end;
    return remote_ask_image(connection, image, &request, nonep);
}

/* -------------------------------------------------------------------------------------------------- made */

/* A memfd to be filled. Returns it, or -1. */
static int remote_create_image(struct Connection *connection, const struct Image *image, uint32_t *idp) {
    Wasmpool__CreateImage create = WASMPOOL__CREATE_IMAGE__INIT;
    WireMessage request = WIRE_MESSAGE(0, CREATE_IMAGE, create_image, &create);
    struct WirePacket answer;
    int fd = -1;

    create.bytes = image->end;
    if (channel_call(connection->channel, &request, 1, &answer, NULL))
        return -1;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_IMAGE_CREATED)
        channel_reject(connection->channel, "answers CreateImage with something else", NULL);
    else if (!remote_check_fd(connection->channel, &answer, memfd_check_open, image->end, &fd, NULL)) {
        *idp = answer.message->image_created->image;
        remote_ack(connection->channel);
    }
    wire_packet_deinit(&answer);
    return fd;
}

static bool remote_make_image(struct Connection *connection, struct Image *image, const uint8_t *hash) {
    Wasmpool__SealImage seal = WASMPOOL__SEAL_IMAGE__INIT;
    WireMessage request = WIRE_MESSAGE(0, SEAL_IMAGE, seal_image, &seal);
    bool filled, none;
    int fd;

    /* Writing beyond RLIMIT_FSIZE would raise SIGXFSZ. */
    if (image->end > memfd_bytes_max())
        return false;
    fd = remote_create_image(connection, image, &seal.image);
    if (fd < 0)
        return false;
    filled = !image_fill(image, fd);
    close(fd);
    if (!filled) {
        remote_tell_release(connection, seal.image);
        return false;
    }
    seal.hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)hash};
    return remote_ask_image(connection, image, &request, &none);
}

bool remote_share_image(struct wasmpool *pool, struct Image *image, const uint8_t hash[static HASH_BYTES]) {
    struct Connection *connection = pool->connection;
    bool none, shared;

    /* A daemon that owes an answer is not asked for what can be done without. */
    if (connection->ended || channel_is_owed(connection->channel))
        return false;
    shared = remote_find_image(connection, image, hash, &none);
    if (none)
        shared = remote_make_image(connection, image, hash);
    remote_result(connection, 0);
    return shared;
}
