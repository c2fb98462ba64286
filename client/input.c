/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void input_init_bytes(struct Input *input, const void *bytes, size_t size) {
    *input = (struct Input){.at = bytes, .window = bytes, .bound = size, .size = size, .fd = -1};
    input->end = input->window_end = input->window + size;
}

int input_init_file(struct Input *input, int fd) {
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    *input = (struct Input){.bound = (uint64_t)st.st_size,
                            .size = (uint64_t)st.st_size,
                            .fd = fd,
                            .modified = st.st_mtim,
                            .buffer = malloc(INPUT_WINDOW_BYTES),
                            .ask = INPUT_WINDOW_BYTES,
                            .pread = pread};
    if (!input->buffer)
        return -ENOMEM;
    input->at = input->end = input->window = input->window_end = input->buffer;
    return 0;
}

void input_deinit(struct Input *input) {
    free(input->buffer);
    *input = (struct Input){.fd = -1};
}

/* Not the time of change: that of a file that is unlinked or replaced by rename(2) moves too, and its bytes stay. */
int input_check(const struct Input *input) {
    struct stat st;

    if (input->fd < 0)
        return 0;
    if (fstat(input->fd, &st))
        return -errno;
    return (uint64_t)st.st_size == input->size && st.st_mtim.tv_sec == input->modified.tv_sec &&
                   st.st_mtim.tv_nsec == input->modified.tv_nsec
               ? 0
               : -EBUSY;
}

static void input_clip(struct Input *input) {
    uint64_t in_window = (uint64_t)(input->window_end - input->window), to_bound = input->bound - input->window_offset;

    input->end = input->window + (in_window < to_bound ? in_window : to_bound);
}

void input_bind(struct Input *input, uint64_t bound) {
    input->bound = bound;
    input_clip(input);
}

/* Go to where nothing is at hand. */
static void input_leap(struct Input *input, uint64_t offset, uint32_t ask) {
    input->at = input->end = input->window = input->window_end = input->buffer;
    input->window_offset = offset;
    input->ask = ask;
}

static int input_read(struct Input *input, uint8_t *to, size_t n, uint64_t offset) {
    size_t done = 0;

    while (done < n) {
        ssize_t got = input->pread(input->fd, to + done, n - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (!got)
            return -EBUSY;
        done += (size_t)got;
    }
    return 0;
}

int input_fill(struct Input *input) {
    uint64_t offset = input_offset(input), n = input->size - offset;
    int r;

    if (n > input->ask)
        n = input->ask;
    r = input_read(input, input->buffer, n, offset);
    if (r)
        return r;
    input->at = input->window = input->buffer;
    input->window_end = input->window + n;
    input->window_offset = offset;
    input_clip(input);
    input->ask = input->ask < INPUT_WINDOW_BYTES / 2 ? input->ask * 2 : INPUT_WINDOW_BYTES;
    return 0;
}

void input_skip(struct Input *input, uint64_t n) {
    if (n <= (uint64_t)(input->end - input->at))
        input->at += n;
    else
        input_leap(input, input_offset(input) + n, INPUT_LEAP_BYTES);
}

int input_copy(struct Input *input, void *to, size_t n) {
    uint8_t *rest = to;
    int r;

    for (;;) {
        size_t at_hand = (size_t)(input->end - input->at), now = n < at_hand ? n : at_hand;

        if (now) {
            memcpy(rest, input->at, now);
            input->at += now;
            rest += now;
            n -= now;
        }
        if (!n)
            return 0;
        if (n >= INPUT_WINDOW_BYTES) {
            uint64_t offset = input_offset(input);

            r = input_read(input, rest, n, offset);
            if (!r)
                input_leap(input, offset + n, INPUT_WINDOW_BYTES);
            return r;
        }
        r = input_fill(input);
        if (r)
            return r;
    }
}
