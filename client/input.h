/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H

/* Where the bytes of a binary come from: memory, which is one window, or a file, which is seen through a window of at
 * most INPUT_WINDOW_BYTES and never mapped: a file that is truncated while it is mapped would be a SIGBUS. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define INPUT_WINDOW_BYTES 65536
#define INPUT_LEAP_BYTES                                                                                               \
    4096 /* the first window behind what was stepped over: little of what is not wanted is read                        \
          */

struct Input {
    const uint8_t *at, *end; /* bytes at hand: of the window, and not beyond the bound */
    const uint8_t *window, *window_end;
    uint64_t window_offset;
    uint64_t bound; /* an offset: nothing may be read beyond */
    uint64_t size;
    /* Of a file: */
    int fd; /* the caller's, or -1 */
    struct timespec modified;
    uint8_t *buffer;
    uint32_t ask;                                               /* bytes of the next window */
    ssize_t (*pread)(int fd, void *to, size_t n, off_t offset); /* pread(2); tests put another in its place */
};

void input_init_bytes(struct Input *input, const void *bytes, size_t size);

/* A regular file, with the size that it has now. 0, -EISDIR, -EINVAL when it is neither, or fstat(2)'s errno. */
int input_init_file(struct Input *input, int fd);
void input_deinit(struct Input *input);

/* Is a file what it was at first? 0, or -EBUSY: its size or its time of modification is another. */
int input_check(const struct Input *input);

/* The offset beyond which nothing is read; at most the size, and not before the place that was reached. */
void input_bind(struct Input *input, uint64_t bound);

static inline uint64_t input_offset(const struct Input *input) {
    return input->window_offset + (uint64_t)(input->at - input->window);
}

/* Bytes up to the bound. */
static inline uint64_t input_left(const struct Input *input) {
    return input->bound - input_offset(input);
}

/* With nothing at hand and something left: get more at hand. 0, -EBUSY when the file has become shorter, or an errno.
 */
int input_fill(struct Input *input);

/* `n` bytes, which must be left: step over them, or copy them. Errors as above. */
void input_skip(struct Input *input, uint64_t n);
int input_copy(struct Input *input, void *to, size_t n);

#endif
