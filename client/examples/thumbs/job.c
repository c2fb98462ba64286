/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_open_file(int fd, uint8_t **bytesp, size_t *sizep) {
    struct stat stat;
    size_t size = 0, capacity;
    uint8_t *bytes;

    if (fstat(fd, &stat))
        return -errno;
    if (!S_ISREG(stat.st_mode))
        return -EINVAL;
    if ((uint64_t)stat.st_size > JOB_FILE_BYTES_MAX)
        return -EFBIG;
    capacity = (size_t)stat.st_size;
    bytes = malloc(capacity + 1);
    if (!bytes)
        return -ENOMEM;
    /* A file that shrinks meanwhile is read as it is found; one that grows, as it was. */
    while (size < capacity) {
        ssize_t n = read(fd, bytes + size, capacity - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;

            free(bytes);
            return r;
        }
        if (!n)
            break;
        size += (size_t)n;
    }
    *bytesp = bytes;
    *sizep = size;
    return 0;
}

int job_read_file(const char *path, uint8_t **bytesp, size_t *sizep) {
    /* NONBLOCK: opening a fifo must not wait for someone to write. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

    if (fd < 0)
        return -errno;
    r = read_open_file(fd, bytesp, sizep);
    close(fd);
    return r;
}

int job_receive(struct Job *job) {
    ssize_t n;

    do
        n = recv(JOB_SOCKET, job, sizeof(*job), 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*job);
}

int job_reply(const struct Reply *reply) {
    ssize_t n;

    do
        n = send(JOB_SOCKET, reply, sizeof(*reply), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*reply) ? 0 : n < 0 ? -errno : -EIO;
}
