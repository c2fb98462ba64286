/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/tracker.h"
#include "shared/kernel.h"
#include "tests/client/fixture.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/resource.h>

/* Kernels that promise what they do not keep, and calls that fail half-way: this program is linked with --wrap for
 * ioctl and getrusage. */

#define HOST_PAGE 4096

enum Answer { AS_IT_IS, FAILS, FINDS_NOTHING };

static struct {
    unsigned long request; /* ioctl's */
    enum Answer answer;
    unsigned pass; /* so many calls are answered as it is */
    bool count_stands;
} kernel = {.request = PAGEMAP_SCAN};

static bool kernel_is_asked(unsigned long request) {
    if (kernel.answer == AS_IT_IS || request != kernel.request)
        return false;
    return !kernel.pass || !kernel.pass--;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
    struct pm_scan_arg *scan;
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!kernel_is_asked(request))
        return __real_ioctl(fd, request, argument);
    if (kernel.answer == FINDS_NOTHING) {
        scan = argument;
        scan->walk_end = scan->end;
        return 0;
    }
    errno = EFAULT;
    return -1;
}

int __real_getrusage(int who, struct rusage *usage);
int __wrap_getrusage(int who, struct rusage *usage);
int __wrap_getrusage(int who, struct rusage *usage) {
    int r = __real_getrusage(who, usage);

    if (kernel.count_stands)
        usage->ru_minflt = usage->ru_majflt = 0;
    return r;
}

/* False: skipped, for this kernel has nothing to lie about. */
static bool counts_here(void) {
    struct Tracker tracker;
    bool counts;

    tracker_init(&tracker, TRACKER_COUNT);
    counts = tracker.way == TRACKER_COUNT;
    if (!counts)
        cr_skip_test("writes cannot be counted here: %s", tracker.why);
    tracker_deinit(&tracker);
    return counts;
}

Test(tracker_failure, of_the_self_test_is_a_lesser_way_with_its_reason) {
    static const struct {
        unsigned long request;
        enum Answer answer;
        unsigned pass;
        bool count_stands;
        enum TrackerWay way;
        const char *why;
    } cases[] = {
        {PAGEMAP_SCAN, AS_IT_IS, 0, true, TRACKER_SCAN, "count of faults does not tell"},
        {PAGEMAP_SCAN, FAILS, 0, false, TRACKER_NONE, "PAGEMAP_SCAN is missing"},
        {PAGEMAP_SCAN, FAILS, 1, false, TRACKER_NONE, "does not name the page"},
        {PAGEMAP_SCAN, FINDS_NOTHING, 0, false, TRACKER_NONE, "does not name the page"},
        {PAGEMAP_SCAN, FINDS_NOTHING, 2, false, TRACKER_NONE, "does not name the page"},
        {UFFDIO_API, FAILS, 0, false, TRACKER_NONE, "protects nothing asynchronously"},
        {UFFDIO_REGISTER, FAILS, 0, false, TRACKER_NONE, "does not take shared memory"},
        {UFFDIO_WRITEPROTECT, FAILS, 0, false, TRACKER_NONE, "does not take shared memory"},
        {UFFDIO_WRITEPROTECT, FAILS, 1, false, TRACKER_NONE, "does not name the page"},
    };

    if (!counts_here())
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct Tracker tracker;

        kernel.request = cases[i].request;
        kernel.answer = cases[i].answer;
        kernel.pass = cases[i].pass;
        kernel.count_stands = cases[i].count_stands;
        tracker_init(&tracker, TRACKER_COUNT);
        cr_expect_eq(tracker.way, cases[i].way, "case %zu: %d", i, tracker.way);
        expect_says(tracker.why, cases[i].why);
        cr_expect_lt(strlen(tracker.why), TRACKING_WHY_BYTES);
        cr_expect_eq(tracker.userfault_fd >= 0, tracker.way != TRACKER_NONE, "case %zu", i);
        tracker_deinit(&tracker);
    }
}

/* Every second page: more than one call names, of which the second fails. What the first has named is not all. */
#define PAGES 400

static void dirty(uint8_t *base) {
    for (int page = 0; page < PAGES; page += 2)
        base[page * HOST_PAGE] = 1;
}

Test(tracker_failure, of_a_later_call_of_the_scan_names_nothing) {
    static struct TrackerRun runs[PAGES];
    struct Tracker tracker;
    uint32_t n = 4711;
    uint8_t *base;

    if (!counts_here())
        return;
    tracker_init(&tracker, TRACKER_COUNT);
    base = mmap(NULL, PAGES * HOST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(base, MAP_FAILED);
    expect_eq(tracker_watch(&tracker, base, PAGES * HOST_PAGE), 0);
    expect_eq(tracker_arm(&tracker, base, PAGES * HOST_PAGE), 0);
    dirty(base);
    kernel.answer = FAILS;
    kernel.pass = 1;
    expect_eq(tracker_scan(&tracker, base, PAGES * HOST_PAGE, runs, PAGES, &n), -EFAULT);
    expect_eq(n, 4711);
    kernel.answer = AS_IT_IS;
    expect_eq(tracker_scan(&tracker, base, PAGES * HOST_PAGE, runs, PAGES, &n), 0);
    expect_eq(n, PAGES / 2);
    munmap(base, PAGES * HOST_PAGE);
    tracker_deinit(&tracker);
}

/* The slot is reset by what exists, and is as a new one. */
Test(tracker_failure, of_a_scan_leaves_nothing_behind_in_the_slot) {
    struct wasmpool_memory memory;
    struct Fixture fixture;

    if (!counts_here())
        return;
    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int i = 0; i < 20; i++) {
        expect_result(&fixture, fixture_allocate_memory(&fixture, PAGES / 16, &memory), 0);
        expect_zero(memory.base, PAGES * HOST_PAGE);
        if (i % 2)
            dirty(memory.base);
        else
            memory.base[i * HOST_PAGE] = 1;
        kernel.answer = i % 4 == 3 ? FAILS : AS_IT_IS;
        kernel.pass = 1;
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    fixture_close(&fixture);
}
