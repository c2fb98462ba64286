/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/wasi.h"

#include <string.h>

#define WASM_PAGE_BYTES 65536

struct GuestIovec {
    uint32_t address, bytes;
};

uint8_t *wasi_at(const wasm_rt_memory_t *memory, uint32_t address, uint64_t bytes) {
    uint64_t size;

    if (!memory || !memory->data)
        return NULL;
    /* Not `memory->size`, which is 32 bits wide and 0 at 4 GiB. */
    size = (uint64_t)memory->pages * WASM_PAGE_BYTES;
    if (address > size || bytes > size - address)
        return NULL;
    return memory->data + address;
}

static void keep(struct Z_wasi_snapshot_preview1_instance_t *wasi, const uint8_t *bytes, size_t n) {
    size_t room = WASI_TEXT_MAX - wasi->text_bytes;

    n = n < room ? n : room;
    memcpy(wasi->text + wasi->text_bytes, bytes, n);
    wasi->text_bytes += n;
    wasi->text[wasi->text_bytes] = '\0';
}

uint32_t Z_wasi_snapshot_preview1Z_fd_write(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd,
                                            uint32_t iovs, uint32_t iovs_n, uint32_t writtenp) {
    const uint8_t *table, *bytes;
    uint8_t *out;
    uint32_t written = 0;

    if (fd != 1 && fd != 2)
        return WASI_EBADF;
    if (iovs_n > WASI_IOVS_MAX)
        return WASI_EINVAL;
    table = wasi_at(wasi->memory, iovs, (uint64_t)iovs_n * sizeof(struct GuestIovec));
    out = wasi_at(wasi->memory, writtenp, sizeof(written));
    if (!table || !out)
        return WASI_EFAULT;
    for (uint32_t i = 0; i < iovs_n; i++) {
        struct GuestIovec iovec;

        /* Copied: guest addresses need not be aligned. */
        memcpy(&iovec, table + i * sizeof(iovec), sizeof(iovec));
        bytes = wasi_at(wasi->memory, iovec.address, iovec.bytes);
        if (!bytes)
            return WASI_EFAULT;
        if (__builtin_add_overflow(written, iovec.bytes, &written))
            return WASI_EINVAL;
        keep(wasi, bytes, iovec.bytes);
    }
    memcpy(out, &written, sizeof(written));
    return WASI_ESUCCESS;
}

uint32_t Z_wasi_snapshot_preview1Z_fd_seek(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd,
                                           uint64_t offset, uint32_t whence, uint32_t positionp) {
    (void)wasi, (void)offset, (void)whence, (void)positionp;
    return fd <= 2 ? WASI_ESPIPE : WASI_EBADF;
}

uint32_t Z_wasi_snapshot_preview1Z_fd_close(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd) {
    (void)wasi;
    return fd <= 2 ? WASI_ESUCCESS : WASI_EBADF;
}
