/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/psi.h"

#include "daemon/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PSI_BYTES 256 /* of the file: two lines */

int psi_open_trigger(const char *path, uint64_t percent) {
    char trigger[64];
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC), n, r;

    if (fd < 0)
        return -errno;
    n = snprintf(trigger, sizeof(trigger), "some %" PRIu64 " %" PRIu64, PSI_WINDOW_US / 100 * percent, PSI_WINDOW_US);
    if (write(fd, trigger, (size_t)n + 1) == n + 1)
        return fd;
    r = -errno;
    close(fd);
    return r;
}

int psi_read(const char *path, uint64_t *totalp) {
    char text[PSI_BYTES];
    const char *total;
    int r = text_read(text, sizeof(text), path);

    if (r)
        return r;
    total = strncmp(text, "some ", 5) ? NULL : strstr(text, " total=");
    if (!total || sscanf(total, " total=%" SCNu64, totalp) != 1)
        return -EBADMSG;
    return 0;
}
