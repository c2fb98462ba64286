/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/buffer.h"

#include <errno.h>
#include <stdlib.h>

#define BUFFER_BYTES_MIN 64

int buffer_grow(struct Buffer *buffer, size_t more) {
    size_t capacity = buffer->capacity > BUFFER_BYTES_MIN / 2 ? buffer->capacity * 2 : BUFFER_BYTES_MIN, needed;
    uint8_t *at;

    if (__builtin_add_overflow(buffer->n, more, &needed))
        return -ENOMEM;
    if (capacity < needed)
        capacity = needed;
    at = realloc(buffer->at, capacity);
    if (!at)
        return -ENOMEM;
    buffer->at = at;
    buffer->capacity = capacity;
    return 0;
}

void *buffer_steal(struct Buffer *buffer) {
    /* Should the cut fail, what there is serves as well. */
    void *at = buffer->n ? realloc(buffer->at, buffer->n) : NULL;

    if (!buffer->n)
        free(buffer->at);
    else if (!at)
        at = buffer->at;
    *buffer = (struct Buffer){0};
    return at;
}

void buffer_deinit(struct Buffer *buffer) {
    free(buffer->at);
    *buffer = (struct Buffer){0};
}
