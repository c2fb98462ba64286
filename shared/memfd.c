/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/memfd.h"

#include "shared/kernel.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMFD_SEALS_OPEN (F_SEAL_SHRINK | F_SEAL_GROW)
#define MEMFD_SEALS (MEMFD_SEALS_OPEN | F_SEAL_SEAL)
#define MEMFD_SEALS_FROZEN (MEMFD_SEALS | F_SEAL_WRITE)

static int memfd_create_noexec(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd >= 0 || errno != EINVAL)
        return fd;
    /* A kernel before 6.3: without the seal the mode is what can be had. */
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && fchmod(fd, 0600)) {
        close(fd);
        return -1;
    }
    return fd;
}

uint64_t memfd_bytes_max(void) {
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static int memfd_new_sealed(const char *name, uint64_t bytes, int seals, int *fdp) {
    int fd, r;

    if (bytes > memfd_bytes_max())
        return MEMFD_E_FSIZE;
    fd = memfd_create_noexec(name);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, seals)) {
        r = -errno;
        close(fd);
        return r;
    }
    *fdp = fd;
    return 0;
}

int memfd_new(const char *name, uint64_t bytes, int *fdp) {
    return memfd_new_sealed(name, bytes, MEMFD_SEALS, fdp);
}

int memfd_new_open(const char *name, uint64_t bytes, int *fdp) {
    return memfd_new_sealed(name, bytes, MEMFD_SEALS_OPEN, fdp);
}

/* A pipe has none. */
static int memfd_check_seals(int fd, int wanted) {
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0)
        return errno == EINVAL ? MEMFD_E_SEALS : -errno;
    return (seals & wanted) == wanted ? 0 : MEMFD_E_SEALS;
}

int memfd_freeze(int fd) {
    if (!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL))
        return memfd_check_seals(fd, MEMFD_SEALS_FROZEN);
    if (errno == EBUSY)
        return MEMFD_E_BUSY;
    return errno == EPERM ? memfd_check_seals(fd, MEMFD_SEALS_FROZEN) : -errno;
}

static int memfd_check_as(int fd, uint64_t bytes, int wanted) {
    int r = memfd_check_seals(fd, wanted);
    struct stat st;

    if (r)
        return r;
    if (fstat(fd, &st))
        return -errno;
    return (uint64_t)st.st_size == bytes ? 0 : MEMFD_E_SIZE;
}

int memfd_check(int fd, uint64_t bytes) {
    return memfd_check_as(fd, bytes, MEMFD_SEALS);
}

int memfd_check_open(int fd, uint64_t bytes) {
    return memfd_check_as(fd, bytes, MEMFD_SEALS_OPEN);
}

int memfd_check_frozen(int fd, uint64_t bytes) {
    return memfd_check_as(fd, bytes, MEMFD_SEALS_FROZEN);
}

int memfd_punch(int fd, uint64_t offset, uint64_t bytes) {
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes))
        return -errno;
    return 0;
}

int memfd_has_pages(int fd, uint64_t offset, uint64_t bytes) {
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? 0 : -errno;
    return (uint64_t)data < offset + bytes;
}

static int memfd_walk(int fd, uint64_t offset, uint64_t end, unsigned extents_max, uint64_t *residentp, bool *wholep) {
    uint64_t resident = 0;
    bool whole = true;

    for (unsigned i = 0; offset < end; i++) {
        off_t data, hole;

        if (i == extents_max) {
            whole = false;
            break;
        }
        data = lseek(fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0)
            return -errno;
        if ((uint64_t)data >= end)
            break;
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        resident += ((uint64_t)hole < end ? (uint64_t)hole : end) - (uint64_t)data;
        offset = (uint64_t)hole;
    }
    *residentp = resident;
    *wholep = whole;
    return 0;
}

int memfd_resident(int fd, uint64_t offset, uint64_t bytes, unsigned extents_max, uint64_t *residentp, bool *wholep) {
    struct cachestat_range range = {offset, bytes};
    struct cachestat stat;

    if (syscall(SYS_cachestat, fd, &range, &stat, 0))
        return memfd_walk(fd, offset, offset + bytes, extents_max, residentp, wholep);
    *residentp = (stat.nr_cache + stat.nr_evicted) * (uint64_t)sysconf(_SC_PAGESIZE);
    *wholep = true;
    return 0;
}
