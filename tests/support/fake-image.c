/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/fake-part.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct FakeImage *fake_lookup_image(struct FakeDaemon *fake, const ProtobufCBinaryData *hash, uint64_t bytes) {
    for (uint32_t i = 0; i < fake->n_images; i++) {
        struct FakeImage *image = &fake->images[i];

        if (image->sealed && image->bytes == bytes && hash->len == HASH_BYTES &&
            !memcmp(image->hash, hash->data, HASH_BYTES))
            return image;
    }
    return NULL;
}

static bool fake_is_wrong_fd(int mischief) {
    return mischief == FAKE_NOT_A_MEMFD || mischief == FAKE_WITHOUT_SEALS || mischief == FAKE_WITHOUT_SHRINK ||
           mischief == FAKE_WITHOUT_WRITE || mischief == FAKE_WITHOUT_SEAL || mischief == FAKE_TOO_LARGE ||
           mischief == FAKE_TOO_SMALL;
}

static void fake_send_unsupported(struct FakeConnection *connection, uint64_t id) {
    fake_send_error(connection->socket, id,
                    &(struct Error){.code = ERROR_UNSUPPORTED, .message = "the daemon does not know this message"});
}

/* `image` NULL: there is none. */
static void fake_answer_image(struct FakeDaemon *fake, struct FakeConnection *connection, int mischief, uint64_t id,
                              const struct FakeImage *image) {
    Wasmpool__ImageFound found = WASMPOOL__IMAGE_FOUND__INIT;
    WireMessage answer = WIRE_MESSAGE(id, IMAGE_FOUND, image_found, &found);
    int fd = -1;

    if (image) {
        found.image = (uint32_t)(image - fake->images) + 1;
        found.bytes = image->bytes;
        fd = fake_is_wrong_fd(mischief) ? fake_make_fd("wasmpool-image", image->bytes, FAKE_SEALS | F_SEAL_WRITE, mischief)
                                        : fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
    }
    if (mischief == FAKE_OLDER)
        fake_send_unsupported(connection, id);
    else
        fake_answer(fake, connection, mischief == FAKE_NONE_WITH_FD ? FAKE_FD_UNASKED : mischief, &answer, fd);
    if (fd >= 0)
        close(fd);
}

static void fake_on_find_image(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *request) {
    int mischief = atomic_load(&fake->at_find);

    fake_count(fake, &fake->seen.finds);
    fake_answer_image(fake, connection, mischief, request->id,
                      mischief == FAKE_NONE_WITH_FD
                          ? NULL
                          : fake_lookup_image(fake, &request->find_image->hash, request->find_image->bytes));
}

static void fake_on_create_image(struct FakeDaemon *fake, struct FakeConnection *connection,
                                 const WireMessage *request) {
    int mischief = atomic_load(&fake->at_create);
    Wasmpool__ImageCreated created = WASMPOOL__IMAGE_CREATED__INIT;
    WireMessage answer = WIRE_MESSAGE(request->id, IMAGE_CREATED, image_created, &created);
    struct FakeImage *image = &fake->images[fake->n_images];

    fake_count(fake, &fake->seen.creates);
    if (fake->n_images == FAKE_IMAGES_MAX)
        fake_give_up("an image that the fake daemon has no room for");
    *image = (struct FakeImage){.bytes = request->create_image->bytes};
    image->fd = fake_make_fd("wasmpool-image", image->bytes, FAKE_SEALS & ~F_SEAL_SEAL, mischief);
    created.image = ++fake->n_images;
    created.bytes = image->bytes;
    if (mischief == FAKE_OLDER)
        fake_send_unsupported(connection, request->id);
    else
        fake_answer(fake, connection, mischief, &answer, image->fd);
}

/* It believes what it is told of the hash. Of a file that is still mapped it makes a scene. */
static void fake_on_seal_image(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *request) {
    const Wasmpool__SealImage *seal = request->seal_image;
    struct FakeImage *image = &fake->images[seal->image - 1];

    if (seal->image - 1 >= fake->n_images || seal->hash.len != HASH_BYTES || image->sealed)
        fake_give_up("a SealImage that makes no sense");
    if (fcntl(image->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL))
        fake_give_up("the seal of a fake image");
    image->sealed = true;
    memcpy(image->hash, seal->hash.data, HASH_BYTES);
    fake_count(fake, &fake->seen.seals);
    fake_answer_image(fake, connection, atomic_load(&fake->at_seal), request->id, image);
}

void fake_forget_images(struct FakeDaemon *fake) {
    for (uint32_t i = 0; i < fake->n_images; i++)
        close(fake->images[i].fd);
    fake->n_images = 0;
}

void fake_on_image_packet(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *message) {
    switch (message->body_case) {
    case WASMPOOL__PACKET__BODY_FIND_IMAGE:
        fake_on_find_image(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_CREATE_IMAGE:
        fake_on_create_image(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_SEAL_IMAGE:
        fake_on_seal_image(fake, connection, message);
        break;
    case WASMPOOL__PACKET__BODY_RELEASE_IMAGE:
        fake_count(fake, &fake->seen.releases);
        break;
    default:
        break;
    }
}
