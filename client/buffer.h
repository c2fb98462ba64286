/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_BUFFER_H
#define CLIENT_BUFFER_H

/* An array that grows by doubling with what is really put into it. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct Buffer {
    uint8_t *at;
    size_t n, capacity; /* bytes */
};

/* Room for `more` bytes behind the last. 0, or -ENOMEM and nothing has changed. */
int buffer_grow(struct Buffer *buffer, size_t more);

/* The contents, cut to their size, which are then the caller's to free(3); NULL if there are none. */
void *buffer_steal(struct Buffer *buffer);

/* Idempotent. */
void buffer_deinit(struct Buffer *buffer);

static inline int buffer_reserve(struct Buffer *buffer, size_t more) {
    return buffer->capacity - buffer->n >= more ? 0 : buffer_grow(buffer, more);
}

static inline int buffer_add(struct Buffer *buffer, const void *bytes, size_t n) {
    int r = buffer_reserve(buffer, n);

    if (r)
        return r;
    memcpy(buffer->at + buffer->n, bytes, n);
    buffer->n += n;
    return 0;
}

#endif
