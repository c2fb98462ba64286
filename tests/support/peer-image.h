/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_PEER_IMAGE_H
#define TESTS_SUPPORT_PEER_IMAGE_H

/* What a raw client says about images. */

#include "shared/hash.h"
#include "tests/support/peer.h"

struct PeerImage {
    uint32_t id;
    uint64_t bytes;
    int fd; /* -1: none */
};

/* The requests alone; return their ids. */
uint64_t peer_ask_find(struct Peer *peer, const uint8_t hash[static HASH_BYTES], uint64_t bytes);
uint64_t peer_ask_create(struct Peer *peer, uint64_t bytes);
uint64_t peer_ask_seal(struct Peer *peer, uint32_t image, const void *hash, size_t hash_bytes);
/* One-way. */
void peer_release_image(struct Peer *peer, uint32_t image);

/* The answer to FindImage or SealImage of that id; false and nothing more if there is none. The fd is checked and
 * acknowledged. */
bool peer_take_image(struct Peer *peer, uint64_t id, struct PeerImage *image);

bool peer_find_image(struct Peer *peer, const char *text, uint64_t bytes, struct PeerImage *image);
/* One to be filled. */
void peer_create_image(struct Peer *peer, uint64_t bytes, struct PeerImage *image);
/* Fill one with `text` at its beginning, close it, and have it sealed. */
void peer_make_image(struct Peer *peer, const char *text, uint64_t bytes, struct PeerImage *image);
void peer_close_image(struct PeerImage *image);

/* The hash of a file of so many bytes that begins with `text`, of which all else is zero. */
void peer_hash(const char *text, uint64_t bytes, uint8_t hash[static HASH_BYTES]);

#endif
