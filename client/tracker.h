/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TRACKER_H
#define CLIENT_TRACKER_H

/* Which pages of a mapping were written: what the kernel can tell of it, found by trying.
 *
 * A page that is armed (userfaultfd, asynchronous write protection) faults when it is first written and is writable
 * from then on; PAGEMAP_SCAN names the pages that are. Whoever wrote does not matter: another thread, a system call, a
 * signal handler. And each such fault moves the process' count of page faults (getrusage(2)): where that stands still,
 * nothing that was armed has been written, and there is nothing to scan for.
 *
 * Neither sees what is written through another mapping or descriptor of the memfd, or through pages that were pinned
 * before (io_uring's registered buffers, RDMA), or taken away by MADV_REMOVE. Another process that writes into this one
 * (process_vm_writev(2)) and a child made with CLONE_VM that is no thread move their own count: the scan sees them, the
 * count does not.
 *
 * Sources: Documentation/admin-guide/mm/userfaultfd.rst ("Write Protect Notifications"), pagemap.rst (PAGEMAP_SCAN);
 * Linux 6.7. Only this process' own faults are asked for (UFFD_USER_MODE_ONLY), which needs no privilege. */

#include "client/failure.h"
#include "shared/tracking.h"

struct Tracker {
    enum TrackerWay way;
    const char *why; /* of `way`, for people; static, less than TRACKING_WHY_BYTES */
    int userfault_fd, pagemap_fd;
};

struct TrackerRun {
    uint32_t page, pages; /* of the mapping that was scanned, in host pages */
};

/* Try what this process may use; `most` is the way that is wanted at most. Never fails. */
void tracker_init(struct Tracker *tracker, enum TrackerWay most);
void tracker_deinit(struct Tracker *tracker);

/* Prepare a mapping for being armed; all of it is as it was. Once for each mapping; again is harmless. 0 or negative
 * errno.
 */
int tracker_watch(const struct Tracker *tracker, uint8_t *base, uint64_t bytes);

/* From now on what is written in the range is told. The range is accessible, and of a mapping that is watched. 0 or
 * negative errno: then some of it may be armed. */
int tracker_arm(const struct Tracker *tracker, uint8_t *base, uint64_t bytes);

/* The pages of a range that is armed that were written since, in order, at most `most` runs. *np is written on success.
 * 0, -E2BIG when there are more, or another negative errno. */
int tracker_scan(const struct Tracker *tracker, const uint8_t *base, uint64_t bytes, struct TrackerRun *runs,
                 uint32_t most, uint32_t *np);

/* How many page faults this process has had. */
uint64_t tracker_count(void);

#endif
