/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/peer-image.h"

#include "shared/memfd.h"

#include <string.h>
#include <unistd.h>

uint64_t peer_ask_find(struct Peer *peer, const uint8_t hash[static HASH_BYTES], uint64_t bytes) {
    Wasmpool__FindImage find = WASMPOOL__FIND_IMAGE__INIT;

    find.hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)hash};
    find.bytes = bytes;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, FIND_IMAGE, find_image, &find));
    return peer->next_id;
}

uint64_t peer_ask_create(struct Peer *peer, uint64_t bytes) {
    Wasmpool__CreateImage create = WASMPOOL__CREATE_IMAGE__INIT;

    create.bytes = bytes;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, CREATE_IMAGE, create_image, &create));
    return peer->next_id;
}

uint64_t peer_ask_seal(struct Peer *peer, uint32_t image, const void *hash, size_t hash_bytes) {
    Wasmpool__SealImage seal = WASMPOOL__SEAL_IMAGE__INIT;

    seal.image = image;
    seal.hash = (ProtobufCBinaryData){hash_bytes, (uint8_t *)hash};
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, SEAL_IMAGE, seal_image, &seal));
    return peer->next_id;
}

void peer_release_image(struct Peer *peer, uint32_t image) {
    Wasmpool__ReleaseImage release = WASMPOOL__RELEASE_IMAGE__INIT;

    release.image = image;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(0, RELEASE_IMAGE, release_image, &release));
}

static void peer_take_fd(struct Peer *peer, struct WirePacket *packet, int (*check)(int fd, uint64_t bytes),
                         struct PeerImage *image) {
    image->fd = wire_packet_steal_fd(packet);
    host_demand(image->fd >= 0, "an image came without its fd");
    host_demand(!check(image->fd, image->bytes), "the image's memfd is not as agreed");
    peer_ack(peer);
}

bool peer_take_image(struct Peer *peer, uint64_t id, struct PeerImage *image) {
    struct WirePacket packet;

    *image = (struct PeerImage){.fd = -1};
    peer_expect(peer, id, WASMPOOL__PACKET__BODY_IMAGE_FOUND, &packet);
    image->id = packet.message->image_found->image;
    image->bytes = packet.message->image_found->bytes;
    if (image->id)
        peer_take_fd(peer, &packet, memfd_check_frozen, image);
    host_demand(image->id || !packet.n_fds, "an fd came of no image");
    wire_packet_deinit(&packet);
    return image->id;
}

bool peer_find_image(struct Peer *peer, const char *text, uint64_t bytes, struct PeerImage *image) {
    uint8_t hash[HASH_BYTES];

    peer_hash(text, bytes, hash);
    return peer_take_image(peer, peer_ask_find(peer, hash, bytes), image);
}

void peer_create_image(struct Peer *peer, uint64_t bytes, struct PeerImage *image) {
    struct WirePacket packet;

    peer_expect(peer, peer_ask_create(peer, bytes), WASMPOOL__PACKET__BODY_IMAGE_CREATED, &packet);
    *image = (struct PeerImage){.id = packet.message->image_created->image, .bytes = bytes, .fd = -1};
    host_demand(packet.message->image_created->bytes == bytes, "an image of %lu bytes, not %lu",
                packet.message->image_created->bytes, bytes);
    peer_take_fd(peer, &packet, memfd_check_open, image);
    wire_packet_deinit(&packet);
}

void peer_make_image(struct Peer *peer, const char *text, uint64_t bytes, struct PeerImage *image) {
    uint8_t hash[HASH_BYTES];

    peer_hash(text, bytes, hash);
    peer_create_image(peer, bytes, image);
    host_demand(pwrite(image->fd, text, strlen(text), 0) == (ssize_t)strlen(text), "an image cannot be filled");
    close(image->fd);
    host_demand(peer_take_image(peer, peer_ask_seal(peer, image->id, hash, HASH_BYTES), image), "it is not there");
}

void peer_close_image(struct PeerImage *image) {
    if (image->fd >= 0)
        close(image->fd);
    image->fd = -1;
}

void peer_hash(const char *text, uint64_t bytes, uint8_t hash[static HASH_BYTES]) {
    uint8_t page[HASH_PAGE_BYTES] = {0};
    struct Hash state;

    strcpy((char *)page, text);
    hash_begin(&state, bytes);
    hash_add(&state, 0, page, sizeof(page));
    hash_end(&state, hash);
}
