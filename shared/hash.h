/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_HASH_H
#define SHARED_HASH_H

/* The name of an image: a hash of its contents that costs nothing for holes. It is BLAKE2b-256 over the length (u64,
 * little-endian) and, for each 4 KiB page that is not all zero, in order, its index (u64) and its BLAKE2b-256. So a
 * page that was never written and one full of zeros are the same, and where there is nothing, nothing is read. */

#include <sodium/crypto_generichash.h>
#include <stdint.h>

#define HASH_BYTES 32
#define HASH_PAGE_BYTES UINT64_C(4096) /* whatever the host's are */
#define HASH_TEXT_BYTES (2 * HASH_BYTES + 1)

struct Hash {
    crypto_generichash_state state;
};

/* Of contents of `length` bytes, a multiple of HASH_PAGE_BYTES. */
void hash_begin(struct Hash *hash, uint64_t length);

/* What lies at `offset`: whole pages, behind all that was added before. What is left out is zero. */
void hash_add(struct Hash *hash, uint64_t offset, const uint8_t *bytes, uint64_t n);

void hash_end(struct Hash *hash, uint8_t digest[static HASH_BYTES]);

/* Of the contents of a file of `length` bytes, which nobody writes any more. Reads only what is there, and not through
 * a mapping: holes stay holes. That it has this length is the caller's to check. 0 or a negative errno. */
int hash_file(int fd, uint64_t length, uint8_t digest[static HASH_BYTES]);

/* In hexadecimal; returns `text`. */
const char *hash_format(char text[static HASH_TEXT_BYTES], const uint8_t digest[static HASH_BYTES]);

#endif
