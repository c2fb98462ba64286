/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/tracker.h"

#include "client/mapping.h"
#include "shared/kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TRACKER_FEATURES (UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_HUGETLBFS_SHMEM)

#define TRACKER_REGIONS 64 /* of one call of the scan, which goes on where it stopped */

uint64_t tracker_count(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

int tracker_watch(const struct Tracker *tracker, uint8_t *base, uint64_t bytes) {
    struct uffdio_register watch = {.range = {(uint64_t)(uintptr_t)base, bytes}, .mode = UFFDIO_REGISTER_MODE_WP};

    return ioctl(tracker->userfault_fd, UFFDIO_REGISTER, &watch) ? -errno : 0;
}

int tracker_arm(const struct Tracker *tracker, uint8_t *base, uint64_t bytes) {
    struct uffdio_writeprotect protect = {.range = {(uint64_t)(uintptr_t)base, bytes},
                                          .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    int r;

    do
        r = ioctl(tracker->userfault_fd, UFFDIO_WRITEPROTECT, &protect) ? -errno : 0;
    while (r == -EAGAIN); /* the mappings are changing: fork(2) of another thread, and the like */
    return r;
}

/* ------------------------------------------------------------------------------------------------ scan */

/* Regions of two calls may touch. */
static int runs_add(struct TrackerRun *runs, uint32_t most, uint32_t *np, const struct page_region *region,
                    uint64_t base) {
    uint64_t page = host_page();
    uint32_t first = (uint32_t)((region->start - base) / page);
    uint32_t pages = (uint32_t)((region->end - region->start) / page);
    struct TrackerRun *last = *np ? &runs[*np - 1] : NULL;

    if (last && last->page + last->pages == first) {
        last->pages += pages;
        return 0;
    }
    if (*np == most)
        return -E2BIG;
    runs[(*np)++] = (struct TrackerRun){first, pages};
    return 0;
}

int tracker_scan(const struct Tracker *tracker, const uint8_t *base, uint64_t bytes, struct TrackerRun *runs,
                 uint32_t most, uint32_t *np) {
    struct page_region regions[TRACKER_REGIONS];
    uint64_t start = (uint64_t)(uintptr_t)base, end = start + bytes;
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .flags = PM_SCAN_CHECK_WPASYNC, /* refuse what is not watched, whose pages would all count as written */
        .end = end,
        .vec = (uint64_t)(uintptr_t)regions,
        .vec_len = TRACKER_REGIONS,
        .category_mask = PAGE_IS_WRITTEN,
        .return_mask = PAGE_IS_WRITTEN,
    };
    uint32_t n = 0;

    for (uint64_t at = start; at < end; at = scan.walk_end) {
        int found, r = 0;

        scan.start = at;
        found = ioctl(tracker->pagemap_fd, PAGEMAP_SCAN, &scan);
        if (found < 0)
            return -errno;
        for (int i = 0; i < found && !r; i++)
            r = runs_add(runs, most, &n, &regions[i], start);
        if (!r && scan.walk_end <= at)
            r = -EIO;
        if (r)
            return r;
    }
    *np = n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ self-test */

/* Where the scan names a page that was written, and no other, and the count has moved for it. */
static bool tracker_sees(const struct Tracker *tracker, uint8_t *base, uint64_t bytes, uint32_t page, bool *countsp) {
    volatile uint8_t *byte = base + page * host_page();
    struct TrackerRun runs[2];
    uint64_t count = tracker_count();
    uint32_t n = 0;

    *byte = (uint8_t)(*byte + 1);
    *countsp = tracker_count() > count;
    return !tracker_scan(tracker, base, bytes, runs, 2, &n) && n == 1 && runs[0].page == page && runs[0].pages == 1;
}

/* Of a page that exists, and of one that does not yet. Other threads may have faults meanwhile. */
static const char *tracker_try(struct Tracker *tracker, uint8_t *base, uint64_t bytes) {
    bool counts[2] = {false};
    uint32_t n = 0;
    struct TrackerRun run;

    memset(base, 1, host_page());
    if (tracker_watch(tracker, base, bytes) || tracker_arm(tracker, base, bytes))
        return "userfaultfd does not take shared memory (Linux 5.19)";
    if (tracker_scan(tracker, base, bytes, &run, 1, &n))
        return "PAGEMAP_SCAN is missing (Linux 6.7)";
    if (n || !tracker_sees(tracker, base, bytes, 0, &counts[0]) ||
        tracker_arm(tracker, base, bytes) || !tracker_sees(tracker, base, bytes, 2, &counts[1]))
        return "PAGEMAP_SCAN does not name the page that was written";
    tracker->way = counts[0] && counts[1] ? TRACKER_COUNT : TRACKER_SCAN;
    return tracker->way == TRACKER_COUNT ? "written pages are counted and named by the kernel"
                                         : "the count of faults does not tell of writes";
}

static const char *tracker_self_test(struct Tracker *tracker) {
    uint64_t bytes = 4 * host_page();
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *why;

    if (base == MAP_FAILED)
        return "no memory to try it with";
    why = tracker_try(tracker, base, bytes);
    munmap(base, bytes);
    return why;
}

static const char *tracker_open(struct Tracker *tracker) {
    struct uffdio_api api = {.api = UFFD_API, .features = TRACKER_FEATURES};

    tracker->userfault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (tracker->userfault_fd < 0)
        return errno == ENOSYS || errno == EINVAL ? "userfaultfd is missing (Linux 5.11)" : "userfaultfd is refused";
    if (ioctl(tracker->userfault_fd, UFFDIO_API, &api))
        return "userfaultfd protects nothing asynchronously (Linux 6.7)";
    tracker->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (tracker->pagemap_fd < 0)
        return errno == EACCES ? "/proc/self/pagemap may not be read, as by a process that changed its uid"
                               : "/proc/self/pagemap cannot be opened";
    return NULL;
}

void tracker_init(struct Tracker *tracker, enum TrackerWay most) {
    *tracker = (struct Tracker){.userfault_fd = -1, .pagemap_fd = -1, .why = "pagemap_scan is set to no"};
    if (most == TRACKER_NONE)
        return;
    tracker->why = tracker_open(tracker);
    if (!tracker->why)
        tracker->why = tracker_self_test(tracker);
    if (tracker->way > most)
        tracker->way = most;
    if (tracker->way == TRACKER_NONE)
        tracker_deinit(tracker);
}

void tracker_deinit(struct Tracker *tracker) {
    if (tracker->userfault_fd >= 0)
        close(tracker->userfault_fd);
    if (tracker->pagemap_fd >= 0)
        close(tracker->pagemap_fd);
    tracker->userfault_fd = tracker->pagemap_fd = -1;
    tracker->way = TRACKER_NONE;
}
