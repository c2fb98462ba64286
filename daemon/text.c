/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/text.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int text_read(char *buffer, size_t bytes, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, buffer, bytes - 1);
    if (n < 0)
        r = -errno;
    else
        buffer[n] = '\0';
    close(fd);
    return r;
}
