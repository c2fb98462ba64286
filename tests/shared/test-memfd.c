/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/memfd.h"
#include "shared/kernel.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define BYTES (UINT64_C(16) * 4096)

static int new_memfd(void) {
    int fd = -1;

    expect_eq(memfd_new("wasmpool-test", BYTES, &fd), 0);
    return fd;
}

static uint8_t *map_memfd(int fd) {
    uint8_t *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    cr_assert_neq(bytes, MAP_FAILED, "mmap: %s", strerror(errno));
    return bytes;
}

static void expect_errno(int r, int expected, const char *what) {
    cr_expect(r == -1 && errno == expected, "%s: %d, %s; not -1, %s", what, r, r == -1 ? strerror(errno) : "-",
              strerror(expected));
}

/* ------------------------------------------------------------------------------------------------ new */

Test(memfd, is_born_sealed_sized_closed_on_exec_and_empty) {
    int fd = new_memfd();
    struct stat st;

    expect_eq(fcntl(fd, F_GET_SEALS) & SEALS, SEALS);
    expect_eq(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE, 0);
    expect_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    expect_eq(fstat(fd, &st), 0);
    expect_eq(st.st_size, BYTES);
    expect_eq(st.st_blocks, 0);
    expect_eq(st.st_mode & 0111, 0);
    close(fd);
}

Test(memfd, shows_its_name_in_the_maps) {
    int fd = new_memfd();
    uint8_t *bytes = map_memfd(fd);

    expect_eq(leak_count_maps("wasmpool-test"), 1);
    munmap(bytes, BYTES);
    close(fd);
}

Test(memfd, may_be_as_sparse_as_a_slab_of_4_gib_slots) {
    uint64_t bytes = 64 * ((UINT64_C(4) << 30) + (32 << 20));
    int fd = -1;

    expect_eq(memfd_new("wasmpool-test", bytes, &fd), 0);
    expect_eq(memfd_check(fd, bytes), 0);
    close(fd);
}

/* The kernel would send SIGXFSZ, which kills. */
Test(memfd, above_rlimit_fsize_is_an_outcome_and_no_signal) {
    struct rlimit limit = {BYTES - 1, RLIM_INFINITY};
    int fd = -1;

    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_eq(memfd_new("wasmpool-test", BYTES, &fd), MEMFD_E_FSIZE);
    expect_eq(fd, -1);
    limit.rlim_cur = BYTES;
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_eq(memfd_new("wasmpool-test", BYTES, &fd), 0);
    close(fd);
}

Test(memfd, without_a_free_fd_is_an_errno) {
    struct rlimit limit = {3, 3};
    int fd = -1;

    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)dup(STDERR_FILENO);
    close((int)limit.rlim_cur);
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_eq(memfd_new("wasmpool-test", BYTES, &fd), -EMFILE);
    expect_eq(fd, -1);
    limit.rlim_cur = limit.rlim_max;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ------------------------------------------------------------------------------------------------ check */

static int make_memfd(unsigned seals) {
    int fd = memfd_create("wasmpool-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    cr_assert_eq(ftruncate(fd, BYTES), 0);
    if (seals)
        cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

Test(memfd, check_demands_each_of_the_three_seals) {
    for (unsigned seals = 0; seals < 16; seals++) {
        int fd = make_memfd(seals), expected = (seals & SEALS) == SEALS ? 0 : MEMFD_E_SEALS;

        cr_expect_eq(memfd_check(fd, BYTES), expected, "seals %#x: %d, not %d", seals, memfd_check(fd, BYTES),
                     expected);
        close(fd);
    }
}

Test(memfd, check_demands_the_exact_size) {
    int fd = new_memfd();

    expect_eq(memfd_check(fd, BYTES), 0);
    expect_eq(memfd_check(fd, BYTES - 1), MEMFD_E_SIZE);
    expect_eq(memfd_check(fd, BYTES + 1), MEMFD_E_SIZE);
    expect_eq(memfd_check(fd, 0), MEMFD_E_SIZE);
    close(fd);
}

Test(memfd, check_refuses_what_is_no_memfd) {
    int fds[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), unsealable = memfd_create("wasmpool-test", MFD_CLOEXEC);

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    expect_eq(memfd_check(fds[0], 0), MEMFD_E_SEALS);
    expect_eq(memfd_check(null, 0), MEMFD_E_SEALS);
    expect_eq(memfd_check(unsealable, 0), MEMFD_E_SEALS);
    expect_eq(memfd_check(-1, 0), -EBADF);
    close(fds[0]);
    close(fds[1]);
    close(null);
    close(unsealable);
}

/* ------------------------------------------------------------------------------------------------ pages */

Test(memfd, punch_empties_exactly_the_range_in_every_mapping) {
    int fd = new_memfd();
    uint8_t *bytes = map_memfd(fd), *second = map_memfd(fd);

    memset(bytes, 0xfe, BYTES);
    expect_eq(memfd_punch(fd, 4096, 2 * 4096), 0);
    for (uint64_t i = 0; i < BYTES; i++) {
        uint8_t expected = i >= 4096 && i < 3 * 4096 ? 0 : 0xfe;

        cr_assert(bytes[i] == expected && second[i] == expected, "byte %" PRIu64 " is %#x and %#x, not %#x", i,
                  bytes[i], second[i], expected);
    }
    munmap(bytes, BYTES);
    munmap(second, BYTES);
    close(fd);
}

Test(memfd, has_pages_sees_what_was_touched_and_nothing_beside_it) {
    int fd = new_memfd();
    uint8_t *bytes = map_memfd(fd);

    expect_eq(memfd_has_pages(fd, 0, BYTES), 0);
    bytes[5 * 4096] = 1;
    expect_eq(memfd_has_pages(fd, 0, BYTES), 1);
    expect_eq(memfd_has_pages(fd, 0, 5 * 4096), 0);
    expect_eq(memfd_has_pages(fd, 5 * 4096, 4096), 1);
    expect_eq(memfd_has_pages(fd, 6 * 4096, BYTES - 6 * 4096), 0);
    expect_eq(memfd_punch(fd, 5 * 4096, 4096), 0);
    expect_eq(memfd_has_pages(fd, 0, BYTES), 0);
    munmap(bytes, BYTES);
    close(fd);
}

Test(memfd, resident_counts_the_pages_of_the_range) {
    int fd = new_memfd();
    uint8_t *bytes = map_memfd(fd);
    uint64_t resident = 4711;
    bool whole = false;

    for (int page = 0; page < 16; page += 3) /* 0, 3, 6, 9, 12, 15 */
        bytes[page * 4096] = 1;
    expect_eq(memfd_resident(fd, 0, BYTES, 100, &resident, &whole), 0);
    expect_eq(resident, 6 * 4096);
    cr_expect(whole);
    expect_eq(memfd_resident(fd, 3 * 4096, 4 * 4096, 100, &resident, &whole), 0);
    expect_eq(resident, 2 * 4096);
    expect_eq(memfd_resident(fd, 4096, 2 * 4096, 100, &resident, &whole), 0);
    expect_eq(resident, 0);
    munmap(bytes, BYTES);
    close(fd);
}

/* ------------------------------------------------------------------------------------------ what the kernel does */

Test(memfd, a_receiver_can_neither_resize_nor_seal_nor_make_it_executable) {
    int fd = new_memfd();

    expect_errno(ftruncate(fd, 0), EPERM, "shrink");
    expect_errno(ftruncate(fd, 2 * BYTES), EPERM, "grow");
    expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM, "seal");
    if (fcntl(fd, F_GET_SEALS) & F_SEAL_EXEC) /* where the kernel has it */
        expect_errno(fchmod(fd, 0777), EPERM, "chmod +x");
    expect_eq(memfd_check(fd, BYTES), 0);
    close(fd);
}

Test(memfd, an_fd_that_is_read_only_is_opened_anew_for_writing) {
    int fd = new_memfd(), read_only, again;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_only = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(read_only, 0);
    expect_errno((int)write(read_only, "x", 1), EBADF, "write");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", read_only);
    again = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(again, 0, "a read-only fd protects after all: %s", strerror(errno));
    expect_eq(pwrite(again, "x", 1, 0), 1);
    close(again);
    close(read_only);
    close(fd);
}

/* Why a receiver's memory is hostile although its size is sealed; and why a revoked slot can be emptied. */
Test(memfd, the_seals_allow_punching_and_a_write_seal_does_not) {
    int fd = new_memfd(), image = make_memfd(SEALS | F_SEAL_WRITE);

    expect_eq(pwrite(fd, "x", 1, 0), 1);
    expect_eq(memfd_punch(fd, 0, 4096), 0);
    expect_eq(memfd_has_pages(fd, 0, BYTES), 0);
    expect_eq(memfd_punch(image, 0, 4096), -EPERM);
    close(fd);
    close(image);
}

Test(memfd, a_future_write_seal_blocks_new_mappings_and_leaves_old_ones) {
    int fd = make_memfd(SEALS & ~F_SEAL_SEAL);
    uint8_t *old = map_memfd(fd);

    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    cr_expect_eq(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED, "a new mapping is writable");
    old[0] = 42;
    expect_eq(old[0], 42);
    munmap(old, BYTES);
    close(fd);
}

Test(memfd, a_write_seal_fails_while_anyone_has_it_mapped_writable) {
    int fd = make_memfd(0);
    uint8_t *bytes = map_memfd(fd);

    expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY, "seal a mapped one");
    munmap(bytes, BYTES);
    expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    close(fd);
}

/* ------------------------------------------------------------------------------------------------ frozen */

static int new_open(void) {
    int fd = -1;

    expect_eq(memfd_new_open("wasmpool-test", BYTES, &fd), 0);
    return fd;
}

Test(memfd, that_is_open_is_filled_and_then_frozen_for_ever) {
    static const char text[] = "before";
    int fd = new_open();
    char read[sizeof(text)];

    expect_eq(memfd_check_open(fd, BYTES), 0);
    expect_eq(memfd_check_open(fd, BYTES + 4096), MEMFD_E_SIZE);
    expect_eq(memfd_check(fd, BYTES), MEMFD_E_SEALS);
    expect_eq(memfd_check_frozen(fd, BYTES), MEMFD_E_SEALS);
    expect_errno(ftruncate(fd, 0), EPERM, "ftruncate");
    expect_eq(pwrite(fd, text, sizeof(text), 5000), sizeof(text));
    expect_eq(memfd_freeze(fd), 0);
    expect_eq(memfd_check_frozen(fd, BYTES), 0);
    expect_eq(memfd_check_frozen(fd, BYTES - 4096), MEMFD_E_SIZE);
    expect_errno((int)pwrite(fd, "after", 5, 5000), EPERM, "pwrite");
    expect_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM, "a hole");
    expect_eq(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    expect_eq(pread(fd, read, sizeof(read), 5000), sizeof(read));
    expect_str(read, "before");
    expect_eq(memfd_freeze(fd), 0); /* it is already */
    close(fd);
}

Test(memfd, that_is_mapped_writable_cannot_be_frozen_until_it_is_not) {
    int fd = new_open();
    uint8_t *bytes = map_memfd(fd);

    expect_eq(memfd_freeze(fd), MEMFD_E_BUSY);
    expect_eq(memfd_check_frozen(fd, BYTES), MEMFD_E_SEALS);
    munmap(bytes, BYTES);
    expect_eq(memfd_freeze(fd), 0);
    close(fd);
}

/* Whoever fills it can seal it, too. */
Test(memfd, that_its_filler_has_sealed_is_frozen_only_if_that_keeps_everyone_out) {
    static const struct {
        int seals, outcome;
    } cases[] = {{F_SEAL_SEAL, MEMFD_E_SEALS},
                 {F_SEAL_WRITE, 0},
                 {F_SEAL_WRITE | F_SEAL_SEAL, 0},
                 {F_SEAL_FUTURE_WRITE, 0},
                 {F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, MEMFD_E_SEALS}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = new_open();

        expect_eq(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
        expect_eq(memfd_freeze(fd), cases[i].outcome);
        expect_eq(memfd_check_frozen(fd, BYTES), cases[i].outcome);
        close(fd);
    }
}

Test(memfd, that_is_none_is_not_frozen) {
    int ends[2];

    expect_eq(pipe(ends), 0);
    cr_assert_neq(memfd_freeze(ends[0]), 0);
    expect_eq(memfd_check_frozen(ends[0], 0), MEMFD_E_SEALS);
    close(ends[0]);
    close(ends[1]);
    expect_eq(memfd_freeze(-1), -EBADF);
}

/* For kernels before 6.7 a shared mapping of a frozen one counts as writable: receivers map it private. */
Test(memfd, that_is_frozen_can_be_mapped_private_to_be_read) {
    int fd = new_open();
    const uint8_t *bytes;

    expect_eq(pwrite(fd, "x", 1, 100), 1);
    expect_eq(memfd_freeze(fd), 0);
    bytes = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
    cr_assert_neq(bytes, MAP_FAILED);
    expect_eq(bytes[100], 'x');
    munmap((void *)bytes, BYTES);
    close(fd);
}
