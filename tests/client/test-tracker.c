/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* What this kernel tells of writes, by every way that a process has to write: what the tracker depends on, and what it
 * cannot see. Where a kernel that changes makes one of the latter fail, the contract can become wider. */

#include "client/tracker.h"
#include "tests/support/refusal.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE 4096
#define PAGES 64
#define BYTES (PAGES * PAGE)
#define WRITTEN 17 /* the page */

struct Case {
    struct Tracker tracker;
    int fd;
    uint8_t *base;
};

/* Whose pages they are: the file's, as a slab's are; or those of a private mapping of a file, as of an image that lies
 * over a slot: not there yet, copied by the first write, and copied once and given back. */
enum Kind { SHARED, PRIVATE, PRIVATE_COPIED, PRIVATE_DROPPED, KINDS };

static void case_fill(const struct Case *all, enum Kind kind) {
    uint8_t ones[PAGE];

    memset(ones, 1, PAGE);
    for (int i = 0; i < PAGES; i++)
        cr_assert_eq(pwrite(all->fd, ones, PAGE, (off_t)i * PAGE), PAGE);
    if (kind == SHARED || kind == PRIVATE_COPIED)
        memset(all->base, 1, BYTES);
    if (kind == PRIVATE_DROPPED) {
        memset(all->base, 7, BYTES);
        cr_assert_eq(madvise(all->base, BYTES, MADV_DONTNEED), 0);
    }
}

/* All pages exist, and are armed. False: skipped. */
static bool case_open_as(struct Case *all, enum Kind kind) {
    tracker_init(&all->tracker, TRACKER_COUNT);
    if (all->tracker.way == TRACKER_NONE) {
        cr_skip_test("nothing can be tracked here: %s", all->tracker.why);
        return false;
    }
    all->fd = memfd_create("wasmpool-test", MFD_CLOEXEC);
    cr_assert(all->fd >= 0 && !ftruncate(all->fd, BYTES));
    all->base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, kind == SHARED ? MAP_SHARED : MAP_PRIVATE, all->fd, 0);
    cr_assert_neq(all->base, MAP_FAILED);
    case_fill(all, kind);
    cr_assert_eq(tracker_watch(&all->tracker, all->base, BYTES), 0);
    cr_assert_eq(tracker_arm(&all->tracker, all->base, BYTES), 0);
    return true;
}

static bool case_open(struct Case *all) {
    return case_open_as(all, SHARED);
}

static void case_close(struct Case *all) {
    munmap(all->base, BYTES);
    close(all->fd);
    tracker_deinit(&all->tracker);
}

static uint32_t scan(const struct Case *all, struct TrackerRun *runs, uint32_t most) {
    uint32_t n = 0;

    cr_assert_eq(tracker_scan(&all->tracker, all->base, BYTES, runs, most, &n), 0);
    return n;
}

typedef void (*Write)(struct Case *all, uint8_t *to);

static uint64_t count_faults(Write write, struct Case *all, uint8_t *to) {
    uint64_t count = tracker_count();

    write(all, to);
    return tracker_count() - count;
}

/* Faults that the write itself has wherever it goes: the last of several. */
static uint64_t count_own_faults(Write write, struct Case *all) {
    static _Alignas(PAGE) uint8_t hot[PAGE];
    uint64_t n = 0;

    for (int i = 0; i < 8; i++)
        n = count_faults(write, all, hot);
    return n;
}

/* The page that was written, and no other, is named. */
static void expect_named(const struct Case *all, enum Kind kind) {
    struct TrackerRun runs[PAGES];

    cr_assert_eq(scan(all, runs, PAGES), 1, "kind %d", kind);
    cr_expect(runs[0].page == WRITTEN && runs[0].pages == 1, "page %u + %u (%d)", runs[0].page, runs[0].pages, kind);
    cr_expect_neq(all->base[WRITTEN * PAGE], 1, "kind %d", kind);
}

/* And the count has moved for it if it can be relied on. */
static void expect_seen_as(Write write, enum Kind kind) {
    struct Case all;
    uint64_t own, n;

    if (!case_open_as(&all, kind))
        return;
    own = count_own_faults(write, &all);
    n = count_faults(write, &all, all.base + WRITTEN * PAGE);
    cr_expect(all.tracker.way == TRACKER_SCAN || n > own, "the count has moved by %lu, as always (%d)", n, kind);
    expect_named(&all, kind);
    case_close(&all);
}

static void expect_seen(Write write) {
    for (enum Kind kind = SHARED; kind < KINDS; kind++)
        expect_seen_as(write, kind);
}

static void expect_unseen(Write write) {
    struct TrackerRun runs[PAGES];
    struct Case all;

    if (!case_open(&all))
        return;
    write(&all, all.base + WRITTEN * PAGE);
    cr_expect_neq(all.base[WRITTEN * PAGE], 1);
    expect_eq(scan(&all, runs, PAGES), 0);
    case_close(&all);
}

/* ------------------------------------------------------------------------------------------------ seen */

static void write_directly(struct Case *all, uint8_t *to) {
    (void)all;
    *to = 2;
}

Test(tracker, sees_a_store) {
    expect_seen(write_directly);
}

/* It counts itself: a thread that begins and ends has faults of its own, and not always as many. */
struct Ended {
    uint8_t *to;
    uint64_t before, after;
};

static void *thread_write(void *data) {
    struct Ended *ended = data;

    for (int i = 0; i < 2; i++) /* the first may fault itself */
        ended->before = tracker_count();
    *ended->to = 2;
    ended->after = tracker_count();
    return NULL;
}

static void expect_seen_of_ended_thread(enum Kind kind) {
    struct Ended ended;
    pthread_t thread;
    struct Case all;

    if (!case_open_as(&all, kind))
        return;
    ended.to = all.base + WRITTEN * PAGE;
    cr_assert_eq(pthread_create(&thread, NULL, thread_write, &ended), 0);
    pthread_join(thread, NULL);
    cr_expect(all.tracker.way == TRACKER_SCAN || (ended.after > ended.before && tracker_count() >= ended.after),
              "the count has moved by %lu (%d)", ended.after - ended.before, kind);
    expect_named(&all, kind);
    case_close(&all);
}

Test(tracker, sees_a_thread_that_has_ended) {
    for (enum Kind kind = SHARED; kind < KINDS; kind++)
        expect_seen_of_ended_thread(kind);
}

struct Living {
    uint8_t *to;
    pthread_barrier_t barrier;
};

static void *thread_write_and_live(void *data) {
    struct Living *living = data;

    for (int i = 0; i < 2; i++) {
        pthread_barrier_wait(&living->barrier); /* told where to */
        *living->to = 2;
        pthread_barrier_wait(&living->barrier); /* written */
    }
    pthread_barrier_wait(&living->barrier); /* seen */
    return NULL;
}

Test(tracker, sees_a_thread_that_lives) {
    struct TrackerRun runs[PAGES];
    struct Living living;
    pthread_t thread;
    struct Case all;
    uint64_t count;
    uint8_t hot;

    if (!case_open(&all))
        return;
    living.to = &hot;
    pthread_barrier_init(&living.barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, thread_write_and_live, &living), 0);
    pthread_barrier_wait(&living.barrier);
    pthread_barrier_wait(&living.barrier);
    /* It has done all this before: nothing but the page can be a fault. */
    living.to = all.base + WRITTEN * PAGE;
    count = tracker_count();
    pthread_barrier_wait(&living.barrier);
    pthread_barrier_wait(&living.barrier);
    if (all.tracker.way == TRACKER_COUNT)
        expect_eq(tracker_count() - count, 1);
    expect_eq(scan(&all, runs, PAGES), 1);
    pthread_barrier_wait(&living.barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&living.barrier);
    case_close(&all);
}

static uint8_t *signal_to;

static void on_signal(int number) {
    (void)number;
    *signal_to = 2;
}

static void write_by_signal_handler(struct Case *all, uint8_t *to) {
    (void)all;
    signal_to = to;
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
}

Test(tracker, sees_a_signal_handler) {
    expect_seen(write_by_signal_handler);
}

static void write_by_read(struct Case *all, uint8_t *to) {
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    (void)all;
    cr_assert(fd >= 0 && read(fd, to, 1) == 1);
    close(fd);
}

Test(tracker, sees_read) {
    expect_seen(write_by_read);
}

static void write_by_readv(struct Case *all, uint8_t *to) {
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    (void)all;
    cr_assert(fd >= 0 && readv(fd, &(struct iovec){to, 8}, 1) == 8);
    close(fd);
}

Test(tracker, sees_readv) {
    expect_seen(write_by_readv);
}

static void write_by_recv(struct Case *all, uint8_t *to) {
    int pair[2];

    (void)all;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert(send(pair[0], "xyz", 3, 0) == 3 && recv(pair[1], to, 3, 0) == 3);
    close(pair[0]);
    close(pair[1]);
}

Test(tracker, sees_recv) {
    expect_seen(write_by_recv);
}

static void write_by_vmsplice(struct Case *all, uint8_t *to) {
    int ends[2];

    (void)all;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(write(ends[1], "xyz", 3), 3);
    cr_assert_eq(vmsplice(ends[0], &(struct iovec){to, 3}, 1, 0), 3);
    close(ends[0]);
    close(ends[1]);
}

Test(tracker, sees_vmsplice) {
    expect_seen(write_by_vmsplice);
}

static void write_by_direct_read(struct Case *all, uint8_t *to) {
    char path[] = "/var/tmp/wasmpool-direct-XXXXXX";
    static char page[PAGE];
    int fd = mkstemp(path), direct;

    (void)all;
    cr_assert(fd >= 0 && write(fd, page, PAGE) == PAGE && !fsync(fd));
    direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (direct < 0)
        *to = 2; /* this file system reads through its cache only */
    else
        cr_assert_eq(pread(direct, to, PAGE, 0), PAGE);
    if (direct >= 0)
        close(direct);
    close(fd);
    unlink(path);
}

Test(tracker, sees_a_direct_read) {
    expect_seen(write_by_direct_read);
}

static void write_by_atomic_call(struct Case *all, uint8_t *to) {
    (void)all;
    *to = 0; /* what FUTEX_WAKE_OP does to the second word */
    syscall(SYS_futex, to, 5, 0, 0, to + 8, 0);
}

Test(tracker, sees_a_futex_operation) {
    expect_seen(write_by_atomic_call);
}

/* vfork'ed children share the memory, and no count: see the header. */
static void write_by_clone(struct Case *all, uint8_t *to) {
    pid_t pid = vfork();

    (void)all;
    if (!pid) {
        *to = 2;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

Test(tracker, sees_a_child_with_the_same_memory_when_it_scans) {
    struct TrackerRun runs[PAGES];
    struct Case all;
    uint64_t count;

    if (!case_open(&all))
        return;
    count = count_own_faults(write_by_clone, &all);
    expect_eq(count_faults(write_by_clone, &all, all.base + WRITTEN * PAGE), count);
    expect_eq(scan(&all, runs, PAGES), 1);
    expect_eq(runs[0].page, WRITTEN);
    case_close(&all);
}

/* Another process that writes into this one. */
static void write_from_outside(struct Case *all, uint8_t *to) {
    static const uint8_t two = 2;
    pid_t pid = fork();

    (void)all;
    if (!pid)
        _exit(process_vm_writev(getppid(), &(struct iovec){(void *)&two, 1}, 1, &(struct iovec){to, 1}, 1, 0) != 1);
    waitpid(pid, NULL, 0);
}

Test(tracker, sees_another_process_when_it_scans) {
    struct TrackerRun runs[PAGES];
    struct Case all;

    if (!case_open(&all))
        return;
    write_from_outside(&all, all.base + WRITTEN * PAGE);
    expect_eq(all.base[WRITTEN * PAGE], 2);
    expect_eq(scan(&all, runs, PAGES), 1);
    expect_eq(runs[0].page, WRITTEN);
    case_close(&all);
}

/* ------------------------------------------------------------------------------------------------ not seen */

static void write_by_fd(struct Case *all, uint8_t *to) {
    cr_assert_eq(pwrite(all->fd, "xyz", 3, to - all->base), 3);
}

Test(tracker, does_not_see_a_write_through_the_fd) {
    expect_unseen(write_by_fd);
}

static void write_by_other_mapping(struct Case *all, uint8_t *to) {
    uint8_t *other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, all->fd, 0);

    cr_assert_neq(other, MAP_FAILED);
    other[to - all->base] = 2;
    munmap(other, BYTES);
}

Test(tracker, does_not_see_a_write_through_another_mapping) {
    expect_unseen(write_by_other_mapping);
}

static void write_by_remove(struct Case *all, uint8_t *to) {
    (void)all;
    cr_assert_eq(madvise(to, PAGE, MADV_REMOVE), 0);
}

Test(tracker, does_not_see_pages_being_removed) {
    expect_unseen(write_by_remove);
}

/* ------------------------------------------------------------------------------------------------ disturbances */

Test(tracker, names_more_runs_than_one_call_returns) {
    struct TrackerRun runs[PAGES];
    struct Case all;
    uint32_t n;

    if (!case_open(&all))
        return;
    for (unsigned page = 0; page < PAGES; page += 2)
        all.base[page * PAGE] = 2;
    expect_eq(scan(&all, runs, PAGES), PAGES / 2);
    for (unsigned i = 0; i < PAGES / 2; i++)
        cr_expect(runs[i].page == 2 * i && runs[i].pages == 1, "%u: %u + %u", i, runs[i].page, runs[i].pages);
    n = 4711;
    expect_eq(tracker_scan(&all.tracker, all.base, BYTES, runs, PAGES / 2 - 1, &n), -E2BIG);
    expect_eq(n, 4711);
    for (unsigned page = 1; page < PAGES; page += 2)
        all.base[page * PAGE] = 2;
    expect_eq(scan(&all, runs, PAGES), 1);
    expect_eq(runs[0].pages, PAGES);
    case_close(&all);
}

/* Many runs of one page, over several calls of the scan. */
Test(tracker, goes_on_where_the_scan_stopped) {
    enum { MANY = 1000 };
    static struct TrackerRun runs[MANY];
    struct Tracker tracker;
    uint8_t *base;
    uint32_t n = 0;

    tracker_init(&tracker, TRACKER_COUNT);
    if (tracker.way == TRACKER_NONE) {
        cr_skip_test("nothing can be tracked here: %s", tracker.why);
        return;
    }
    base = mmap(NULL, 2 * MANY * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(base, MAP_FAILED);
    cr_assert_eq(tracker_watch(&tracker, base, 2 * MANY * PAGE), 0);
    cr_assert_eq(tracker_arm(&tracker, base, 2 * MANY * PAGE), 0);
    for (unsigned i = 0; i < MANY; i++)
        base[2 * i * PAGE] = 1;
    cr_assert_eq(tracker_scan(&tracker, base, 2 * MANY * PAGE, runs, MANY, &n), 0);
    expect_eq(n, MANY);
    for (unsigned i = 0; i < MANY; i++)
        cr_expect(runs[i].page == 2 * i && runs[i].pages == 1);
    munmap(base, 2 * MANY * PAGE);
    tracker_deinit(&tracker);
}

Test(tracker, keeps_pages_armed_through_being_made_inaccessible) {
    struct TrackerRun runs[PAGES];
    struct Case all;

    if (!case_open(&all))
        return;
    all.base[3 * PAGE] = 2;
    cr_assert_eq(mprotect(all.base, BYTES, PROT_NONE), 0);
    cr_assert_eq(mprotect(all.base, BYTES, PROT_READ | PROT_WRITE), 0);
    all.base[WRITTEN * PAGE] = 2;
    expect_eq(scan(&all, runs, PAGES), 2);
    cr_expect(runs[0].page == 3 && runs[1].page == WRITTEN);
    case_close(&all);
}

/* What was told to be written again has to be written anew to be named. */
Test(tracker, forgets_what_is_armed_again) {
    struct TrackerRun runs[PAGES];
    struct Case all;

    if (!case_open(&all))
        return;
    all.base[WRITTEN * PAGE] = 2;
    cr_assert_eq(tracker_arm(&all.tracker, all.base + WRITTEN * PAGE, PAGE), 0);
    expect_eq(scan(&all, runs, PAGES), 0);
    all.base[WRITTEN * PAGE] = 3;
    expect_eq(scan(&all, runs, PAGES), 1);
    case_close(&all);
}

/* ------------------------------------------------------------------------------------------------ ways */

Test(tracker, that_is_not_wanted_opens_nothing) {
    struct Tracker tracker;

    tracker_init(&tracker, TRACKER_NONE);
    expect_eq(tracker.way, TRACKER_NONE);
    cr_expect(tracker.userfault_fd < 0 && tracker.pagemap_fd < 0);
    cr_expect_str_eq(tracker.why, "pagemap_scan is set to no");
    tracker_deinit(&tracker);
}

Test(tracker, goes_no_further_than_is_wanted) {
    struct Tracker tracker;

    tracker_init(&tracker, TRACKER_SCAN);
    cr_expect_leq(tracker.way, TRACKER_SCAN);
    tracker_deinit(&tracker);
}

/* A child in which a system call fails, whatever it is asked for. */
static void refuse(uint32_t number, uint32_t with) {
    if (!refusals_install(&(struct Refusal){number, REFUSAL_ANY, 0, with}, 1))
        _exit(97);
}

/* In a child, after `prepare`: nothing can be tracked, and `why` begins so. */
static void expect_none(void (*prepare)(void), const char *why) {
    pid_t pid = fork();
    int status;

    cr_assert(pid >= 0);
    if (!pid) {
        struct Tracker tracker;

        prepare();
        tracker_init(&tracker, TRACKER_COUNT);
        if (tracker.way != TRACKER_NONE || tracker.userfault_fd >= 0 || tracker.pagemap_fd >= 0)
            _exit(1);
        if (strncmp(tracker.why, why, strlen(why))) {
            dprintf(2, "it says '%s', not '%s'\n", tracker.why, why);
            _exit(2);
        }
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "the child ended with %#x", status);
}

static void refuse_userfaultfd(void) {
    refuse(SYS_userfaultfd, EPERM);
}

static void lack_userfaultfd(void) {
    refuse(SYS_userfaultfd, ENOSYS);
}

static void lack_ioctl(void) {
    refuse(SYS_ioctl, ENOTTY);
}

Test(tracker, says_what_the_kernel_refuses) {
    expect_none(refuse_userfaultfd, "userfaultfd is refused");
    expect_none(lack_userfaultfd, "userfaultfd is missing");
    expect_none(lack_ioctl, "userfaultfd protects nothing asynchronously");
}

static void change_uid(void) {
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
        _exit(98);
}

Test(tracker, says_that_pagemap_may_not_be_read_after_a_change_of_uid) {
    struct Case all;

    if (getuid()) {
        cr_skip_test("only root can change its uid");
        return;
    }
    if (!case_open(&all))
        return;
    case_close(&all);
    expect_none(change_uid, "/proc/self/pagemap may not be read");
}

/* A child's own memory is watched by nobody: its parent's descriptors are of no use to it, and do no harm. */
Test(tracker, of_a_parent_tells_a_child_nothing) {
    struct Case all;
    int status;
    pid_t pid;

    if (!case_open(&all))
        return;
    pid = fork();
    cr_assert(pid >= 0);
    if (!pid) {
        uint8_t *base = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        _exit(base == MAP_FAILED || !tracker_arm(&all.tracker, base, PAGE));
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "the child ended with %#x", status);
    case_close(&all);
}
