/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The guest's imports: whatever addresses it passes, nothing outside of its memory is read or written. Each memory
 * stands at the end of a page before an inaccessible one, so that a byte too far is a crash here. */

#include "client/examples/thumbs/wasi.h"

#include <sys/mman.h>

#include "tests/support/test.h"

#define WASM_PAGE 65536

struct Guest {
    wasm_rt_memory_t memory;
    struct Z_wasi_snapshot_preview1_instance_t wasi;
};

static void guest_init(struct Guest *guest) {
    uint8_t *at = mmap(NULL, 2 * WASM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert(at != MAP_FAILED && !mprotect(at, WASM_PAGE, PROT_READ | PROT_WRITE));
    *guest = (struct Guest){.memory = {.data = at, .pages = 1, .max_pages = 1, .size = WASM_PAGE}};
    guest->wasi.memory = &guest->memory;
}

static void guest_deinit(struct Guest *guest) {
    munmap(guest->memory.data, 2 * WASM_PAGE);
}

static void put(struct Guest *guest, uint32_t address, uint32_t value) {
    memcpy(guest->memory.data + address, &value, sizeof(value));
}

static uint32_t get(struct Guest *guest, uint32_t address) {
    uint32_t value;

    memcpy(&value, guest->memory.data + address, sizeof(value));
    return value;
}

static uint32_t write_at(struct Guest *guest, uint32_t fd, uint32_t iovs, uint32_t n, uint32_t writtenp) {
    return Z_wasi_snapshot_preview1Z_fd_write(&guest->wasi, fd, iovs, n, writtenp);
}

Test(wasi, addresses_end_with_the_memory) {
    struct Guest guest;

    guest_init(&guest);
    cr_assert(wasi_at(&guest.memory, 0, WASM_PAGE) == guest.memory.data);
    cr_assert(wasi_at(&guest.memory, WASM_PAGE, 0) == guest.memory.data + WASM_PAGE);
    cr_assert(wasi_at(&guest.memory, 0, WASM_PAGE + 1) == NULL);
    cr_assert(wasi_at(&guest.memory, WASM_PAGE + 1, 0) == NULL);
    cr_assert(wasi_at(&guest.memory, UINT32_MAX, UINT32_MAX) == NULL);
    cr_assert(wasi_at(&guest.memory, 1, UINT64_MAX) == NULL);
    cr_assert(wasi_at(NULL, 0, 0) == NULL, "before the instance there is no memory");
    guest_deinit(&guest);
}

Test(wasi, a_memory_of_4_gib_is_not_empty) {
    /* 65536 pages: `size`, 32 bits wide, is 0. */
    wasm_rt_memory_t memory = {.data = (uint8_t *)WASM_PAGE, .pages = 65536, .max_pages = 65536, .size = 0};

    cr_assert(wasi_at(&memory, UINT32_MAX, 1) == memory.data + UINT32_MAX);
    cr_assert(wasi_at(&memory, UINT32_MAX, 2) == NULL);
}

Test(wasi, write_keeps_text_of_both_streams) {
    struct Guest guest;

    guest_init(&guest);
    memcpy(guest.memory.data + 100, "hello world", 11);
    put(&guest, 0, 100), put(&guest, 4, 5), put(&guest, 8, 105), put(&guest, 12, 6);
    expect_eq(write_at(&guest, 2, 0, 2, 64), WASI_ESUCCESS);
    expect_eq(get(&guest, 64), 11);
    expect_eq(write_at(&guest, 1, 0, 1, 64), WASI_ESUCCESS);
    expect_str(guest.wasi.text, "hello worldhello");
    guest_deinit(&guest);
}

Test(wasi, write_keeps_no_more_than_its_limit) {
    struct Guest guest;

    guest_init(&guest);
    memset(guest.memory.data + 64, 'x', 60000);
    put(&guest, 0, 64), put(&guest, 4, 60000);
    for (int i = 0; i < 3; i++)
        expect_eq(write_at(&guest, 2, 0, 1, 16), WASI_ESUCCESS);
    expect_eq(get(&guest, 16), 60000);
    expect_eq(strlen(guest.wasi.text), WASI_TEXT_MAX);
    guest_deinit(&guest);
}

Test(wasi, write_refuses_what_lies_outside) {
    struct Guest guest;

    guest_init(&guest);
    put(&guest, 0, WASM_PAGE - 4), put(&guest, 4, 5);
    expect_eq(write_at(&guest, 2, 0, 1, 64), WASI_EFAULT);
    put(&guest, 0, UINT32_MAX), put(&guest, 4, UINT32_MAX);
    expect_eq(write_at(&guest, 2, 0, 1, 64), WASI_EFAULT);
    put(&guest, 0, 0), put(&guest, 4, 1);
    expect_eq(write_at(&guest, 2, WASM_PAGE - 4, 1, 64), WASI_EFAULT);
    expect_eq(write_at(&guest, 2, UINT32_MAX - 3, 1, 64), WASI_EFAULT);
    expect_eq(write_at(&guest, 2, 0, 1, WASM_PAGE - 3), WASI_EFAULT);
    expect_eq(write_at(&guest, 2, 0, UINT32_MAX, 64), WASI_EINVAL);
    expect_eq(write_at(&guest, 2, 0, WASI_IOVS_MAX + 1, 64), WASI_EINVAL);
    expect_eq(guest.wasi.text_bytes, 0);
    guest_deinit(&guest);
}

Test(wasi, write_refuses_a_sum_that_overflows) {
    struct Guest guest;
    /* Of 4 GiB, so that each piece alone is inside; only the table and the counter are touched before the refusal. */
    uint8_t *at = mmap(NULL, (size_t)65536 * WASM_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert(at != MAP_FAILED);
    guest = (struct Guest){.memory = {.data = at, .pages = 65536, .max_pages = 65536}};
    guest.wasi.memory = &guest.memory;
    put(&guest, 0, 0), put(&guest, 4, UINT32_MAX), put(&guest, 8, 0), put(&guest, 12, 1);
    expect_eq(write_at(&guest, 2, 0, 2, 64), WASI_EINVAL);
    munmap(at, (size_t)65536 * WASM_PAGE);
}

Test(wasi, there_are_no_files) {
    struct Guest guest;

    guest_init(&guest);
    expect_eq(write_at(&guest, 0, 0, 0, 0), WASI_EBADF);
    expect_eq(write_at(&guest, 3, 0, 0, 0), WASI_EBADF);
    expect_eq(Z_wasi_snapshot_preview1Z_fd_seek(&guest.wasi, 1, 0, 0, 0), WASI_ESPIPE);
    expect_eq(Z_wasi_snapshot_preview1Z_fd_seek(&guest.wasi, 7, 0, 0, UINT32_MAX), WASI_EBADF);
    expect_eq(Z_wasi_snapshot_preview1Z_fd_close(&guest.wasi, 2), WASI_ESUCCESS);
    expect_eq(Z_wasi_snapshot_preview1Z_fd_close(&guest.wasi, UINT32_MAX), WASI_EBADF);
    guest_deinit(&guest);
}
