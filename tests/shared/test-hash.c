/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/hash.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE HASH_PAGE_BYTES

/* ------------------------------------------------------------------------------------------------ golden */

/* Byte k of a page is (seed + 7 k + k / 251) mod 256. The digests are from Python's hashlib:
 *
 *   o = hashlib.blake2b(digest_size=32); o.update(struct.pack('<Q', length))
 *   for each page p that is not zero, in order: o.update(struct.pack('<Q', index));
 *                                               o.update(hashlib.blake2b(p, digest_size=32).digest()) */
struct Page {
    uint64_t index;
    uint32_t seed;
};

static const struct Golden {
    const char *name;
    uint64_t pages;
    uint32_t n;
    struct Page at[3];
    const char *digest;
} goldens[] = {
    {"nothing", 0, 0, {{0}}, "81e47a19e6b29b0a65b9591762ce5143ed30d0261e5d24a3201752506b20f15c"},
    {"one zero page", 1, 0, {{0}}, "7c69ea5dc4763bc76a9e104c3298e96364d49f56b0ce23a03997fa88e59464eb"},
    {"16 zero pages", 16, 0, {{0}}, "9ade9776aef4687d8fe15ac64c87aacb467a60188653ceea9e32522829dbcee5"},
    {"one page", 1, 1, {{0, 1}}, "8100c44c84014113896c6b45ea9e955c702132735c618881ed30b954160b611b"},
    {"the first of 16", 16, 1, {{0, 1}}, "70da7647358114103d727c4896354d756ba90fcc5c4577917ed9fdd0707842b5"},
    {"the fourth of 16", 16, 1, {{3, 1}}, "e984be1e3d840410560a5712764b23c1c6c1e110218e0135a660680d6b60c20c"},
    {"three of 4 GiB", 1 << 20, 3, {{0, 0}, {255, 5}, {(1 << 20) - 1, 9}},
     "18f768882aa6d9b44be53b1c11e8061e5fd1508f2ed40b41d9976a28985ba218"},
};
#define GOLDENS_N (sizeof(goldens) / sizeof(goldens[0]))

static const char ALL_OF_40[] = "84e0cc1f36379d3e8b401ae47ff25b9ca99cfe474764f1b842e2782cabdc0fd9";
static const char LAST_BYTE_OF_16[] = "f99dbfb3bafb3e00e6b01a03222322e48f245b4d2933f9b7db3b6266be0324fd";

static void fill_page(uint8_t *page, uint32_t seed) {
    for (uint32_t k = 0; k < PAGE; k++)
        page[k] = (uint8_t)(seed + 7 * k + k / 251);
}

static void expect_digest(const uint8_t *digest, const char *expected, const char *what) {
    char text[HASH_TEXT_BYTES];

    hash_format(text, digest);
    cr_assert(!strcmp(text, expected), "%s: %s, not %s", what, text, expected);
}

static int make_file(uint64_t length) {
    int fd = memfd_create("hashed", MFD_CLOEXEC);

    cr_assert(fd >= 0 && !ftruncate(fd, (off_t)length), "%s", strerror(errno));
    return fd;
}

static void write_page(int fd, uint64_t index, const uint8_t *page) {
    expect_eq(pwrite(fd, page, PAGE, (off_t)(index * PAGE)), PAGE);
}

static void expect_file(int fd, uint64_t length, const char *expected, const char *what) {
    uint8_t digest[HASH_BYTES];

    expect_eq(hash_file(fd, length, digest), 0);
    expect_digest(digest, expected, what);
}

Test(hash, of_pages_is_what_python_says) {
    for (size_t i = 0; i < GOLDENS_N; i++) {
        uint8_t page[PAGE], digest[HASH_BYTES];
        struct Hash hash;

        hash_begin(&hash, goldens[i].pages * PAGE);
        for (uint32_t p = 0; p < goldens[i].n; p++) {
            fill_page(page, goldens[i].at[p].seed);
            hash_add(&hash, goldens[i].at[p].index * PAGE, page, PAGE);
        }
        hash_end(&hash, digest);
        expect_digest(digest, goldens[i].digest, goldens[i].name);
    }
}

Test(hash, of_a_file_is_the_same) {
    for (size_t i = 0; i < GOLDENS_N; i++) {
        int fd = make_file(goldens[i].pages * PAGE);
        uint8_t page[PAGE];

        for (uint32_t p = 0; p < goldens[i].n; p++) {
            fill_page(page, goldens[i].at[p].seed);
            write_page(fd, goldens[i].at[p].index, page);
        }
        expect_file(fd, goldens[i].pages * PAGE, goldens[i].digest, goldens[i].name);
        close(fd);
    }
}

/* ------------------------------------------------------------------------------------------------ pages */

/* More than is read at a time, and in one piece. */
Test(hash, of_many_pages_does_not_depend_on_how_they_come) {
    static uint8_t bytes[40 * PAGE];
    int fd = make_file(sizeof(bytes));

    for (uint32_t i = 0; i < 40; i++) {
        fill_page(bytes + i * PAGE, i);
        write_page(fd, i, bytes + i * PAGE);
    }
    expect_file(fd, sizeof(bytes), ALL_OF_40, "a file");
    close(fd);
    for (uint64_t step = 1; step <= 40; step += 13) {
        uint8_t digest[HASH_BYTES];
        struct Hash hash;

        hash_begin(&hash, sizeof(bytes));
        for (uint64_t at = 0; at < sizeof(bytes); at += step * PAGE)
            hash_add(&hash, at, bytes + at, at + step * PAGE < sizeof(bytes) ? step * PAGE : sizeof(bytes) - at);
        hash_end(&hash, digest);
        expect_digest(digest, ALL_OF_40, "in steps");
    }
}

Test(hash, of_a_page_that_was_written_with_zeros_is_that_of_a_hole) {
    static const uint8_t zeros[PAGE];
    int fd = make_file(16 * PAGE);
    uint8_t page[PAGE];

    fill_page(page, 1);
    write_page(fd, 0, page);
    for (uint64_t i = 1; i < 16; i += 2)
        write_page(fd, i, zeros);
    expect_file(fd, 16 * PAGE, goldens[4].digest, "zeros between");
    close(fd);
}

Test(hash, of_a_page_sees_its_last_byte) {
    uint8_t page[PAGE] = {0};
    int fd = make_file(16 * PAGE);

    page[PAGE - 1] = 1;
    write_page(fd, 15, page);
    expect_file(fd, 16 * PAGE, LAST_BYTE_OF_16, "the last byte");
    close(fd);
}

/* Reading through a mapping would make pages of them. */
Test(hash, of_a_file_leaves_its_holes) {
    int fd = make_file(UINT64_C(1) << 32);
    struct stat st;
    uint8_t page[PAGE];

    for (uint32_t p = 0; p < goldens[6].n; p++) {
        fill_page(page, goldens[6].at[p].seed);
        write_page(fd, goldens[6].at[p].index, page);
    }
    expect_file(fd, UINT64_C(1) << 32, goldens[6].digest, "holes");
    expect_eq(fstat(fd, &st), 0);
    expect_eq(st.st_blocks * 512, 3 * PAGE);
    close(fd);
}

Test(hash, of_what_cannot_be_read_is_an_error) {
    uint8_t digest[HASH_BYTES];
    int ends[2];

    expect_eq(pipe(ends), 0);
    expect_eq(hash_file(ends[0], PAGE, digest), -ESPIPE);
    close(ends[0]);
    close(ends[1]);
    expect_eq(hash_file(-1, PAGE, digest), -EBADF);
}
