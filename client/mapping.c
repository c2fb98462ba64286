/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int mapping_host_error(struct wasmpool_error *error, int r, uint64_t ask, const char *what) {
    struct rlimit limit;

    if (r != -ENOMEM && r != -EAGAIN)
        return failure_errno(error, r, what);
    if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY)
        return error_limit(failure(error), ERROR_HOST, "RLIMIT_AS", limit.rlim_cur, 0, ask, what);
    return error_limit(failure(error), ERROR_HOST, "address space", UINT64_C(1) << 47, 0, ask, what);
}

int mapping_init(struct Mapping *mapping, const struct Shape *shape, int fd, struct wasmpool_error *error) {
    int protection = shape->kind == KIND_TABLE ? PROT_READ | PROT_WRITE : PROT_NONE;
    void *base;

    *mapping = (struct Mapping){0};
    if (!shape->file_bytes)
        return 0;
    base = mmap(NULL, shape->file_bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED)
        return mapping_host_error(error, -errno, shape->file_bytes, "cannot map a slab");
    /* The advice is a wish but for DONTFORK, without which a child would share what it must not. */
    if (madvise(base, shape->file_bytes, MADV_DONTFORK)) {
        int r = -errno;

        munmap(base, shape->file_bytes);
        return failure_errno(error, r, "cannot keep a slab from children");
    }
    madvise(base, shape->file_bytes, MADV_DONTDUMP);
    madvise(base, shape->file_bytes, MADV_NOHUGEPAGE);
    *mapping = (struct Mapping){base, shape->file_bytes};
    return 0;
}

void mapping_deinit(struct Mapping *mapping) {
    if (mapping->base)
        munmap(mapping->base, mapping->bytes);
    *mapping = (struct Mapping){0};
}

/* 0 where /proc does not tell. */
static uint64_t mapping_count_max(void) {
    char text[24];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return strtoull(text, NULL, 10);
}

int mapping_protect(uint8_t *slot, uint64_t was, uint64_t bytes, struct wasmpool_error *error) {
    int r = 0;

    if (bytes > was)
        r = mprotect(slot + was, bytes - was, PROT_READ | PROT_WRITE);
    else if (bytes < was)
        r = mprotect(slot + bytes, was - bytes, PROT_NONE);
    if (!r)
        return 0;
    if (errno == ENOMEM)
        return error_limit(failure(error), ERROR_HOST, "vm.max_map_count", mapping_count_max(), mapping_count_max(), 2,
                           "cannot make a memory accessible (see `sysctl vm.max_map_count`)");
    return failure_errno(error, -errno, "cannot make a memory accessible");
}
