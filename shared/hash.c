/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/hash.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <sodium/core.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define HASH_READ_BYTES (16 * HASH_PAGE_BYTES) /* at a time, on a thread's stack */

static_assert(HASH_READ_BYTES % HASH_PAGE_BYTES == 0, "whole pages");

static void hash_add_number(struct Hash *hash, uint64_t number) {
    uint64_t little = htole64(number);

    crypto_generichash_update(&hash->state, (const uint8_t *)&little, sizeof(little));
}

void hash_begin(struct Hash *hash, uint64_t length) {
    assert(length % HASH_PAGE_BYTES == 0);
    /* Finds the fastest code for this processor; safe from any thread, and cheap the second time. Without it the slow
     * code is used, so it cannot fail for us. */
    (void)!sodium_init();
    crypto_generichash_init(&hash->state, NULL, 0, HASH_BYTES);
    hash_add_number(hash, length);
}

static bool page_is_zero(const uint8_t *page) {
    return !page[0] && !memcmp(page, page + 1, HASH_PAGE_BYTES - 1);
}

void hash_add(struct Hash *hash, uint64_t offset, const uint8_t *bytes, uint64_t n) {
    uint8_t digest[HASH_BYTES];

    assert(offset % HASH_PAGE_BYTES == 0 && n % HASH_PAGE_BYTES == 0);
    for (uint64_t at = 0; at < n; at += HASH_PAGE_BYTES) {
        if (page_is_zero(bytes + at))
            continue;
        crypto_generichash(digest, sizeof(digest), bytes + at, HASH_PAGE_BYTES, NULL, 0);
        hash_add_number(hash, (offset + at) / HASH_PAGE_BYTES);
        crypto_generichash_update(&hash->state, digest, sizeof(digest));
    }
}

void hash_end(struct Hash *hash, uint8_t digest[static HASH_BYTES]) {
    crypto_generichash_final(&hash->state, digest, HASH_BYTES);
}

/* ------------------------------------------------------------------------------------------------ files */

static int read_whole(int fd, uint8_t *bytes, uint64_t n, uint64_t offset) {
    for (uint64_t done = 0; done < n;) {
        ssize_t r = pread(fd, bytes + done, n - done, (off_t)(offset + done));

        if (r < 0 && errno != EINTR)
            return -errno;
        if (!r)
            return -ENODATA;
        done += r > 0 ? (uint64_t)r : 0;
    }
    return 0;
}

/* From one page that is there to the hole behind it, in whole pages: larger ones than ours are no matter. */
static int hash_extent(struct Hash *hash, int fd, uint64_t from, uint64_t to) {
    uint8_t bytes[HASH_READ_BYTES];

    for (uint64_t at = from; at < to;) {
        uint64_t n = to - at < sizeof(bytes) ? to - at : sizeof(bytes);
        int r = read_whole(fd, bytes, n, at);

        if (r)
            return r;
        hash_add(hash, at, bytes, n);
        at += n;
    }
    return 0;
}

static uint64_t page_down(uint64_t offset) {
    return offset - offset % HASH_PAGE_BYTES;
}

int hash_file(int fd, uint64_t length, uint8_t digest[static HASH_BYTES]) {
    struct Hash hash;
    uint64_t at = 0;

    hash_begin(&hash, length);
    while (at < length) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;
        uint64_t end;
        int r;

        if (data < 0 && errno == ENXIO)
            break;
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        if ((uint64_t)data >= length)
            break;
        end = page_down((uint64_t)hole + HASH_PAGE_BYTES - 1);
        r = hash_extent(&hash, fd, page_down((uint64_t)data), end < length ? end : length);
        if (r)
            return r;
        at = end;
    }
    hash_end(&hash, digest);
    return 0;
}

const char *hash_format(char text[static HASH_TEXT_BYTES], const uint8_t digest[static HASH_BYTES]) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < HASH_BYTES; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * HASH_BYTES] = '\0';
    return text;
}
