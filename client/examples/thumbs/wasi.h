/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_WASI_H
#define THUMBS_WASI_H

/* The three functions of WASI preview 1 that the guest imports, for a guest that gets no files at all: what it
 * writes to its standard output and error is kept, up to a limit, and every other descriptor is bad. Each pointer of
 * the guest is checked against the size that its memory has at that moment. */

#include <stddef.h>
#include <stdint.h>
#include <wasm-rt.h>

/* Enough for an assertion's message; what is more is dropped, since a guest may write for ever. */
#define WASI_TEXT_MAX 200
/* As IOV_MAX: bounds what one call can make the host do. */
#define WASI_IOVS_MAX 1024

/* Of __wasi_errno_t. */
enum {
    WASI_ESUCCESS = 0,
    WASI_EBADF = 8,
    WASI_EFAULT = 21,
    WASI_EINVAL = 28,
    WASI_ESPIPE = 70,
};

/* wasm2c's name for what the host passes to every import of "wasi_snapshot_preview1". */
struct Z_wasi_snapshot_preview1_instance_t {
    const wasm_rt_memory_t *memory; /* the instance's; NULL until it is instantiated */
    size_t text_bytes;
    char text[WASI_TEXT_MAX + 1]; /* what the guest wrote, NUL-terminated */
};

/* wasm2c's generated header declares the same. */
uint32_t Z_wasi_snapshot_preview1Z_fd_write(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd,
                                            uint32_t iovs, uint32_t iovs_n, uint32_t writtenp);
uint32_t Z_wasi_snapshot_preview1Z_fd_seek(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd,
                                           uint64_t offset, uint32_t whence, uint32_t positionp);
uint32_t Z_wasi_snapshot_preview1Z_fd_close(struct Z_wasi_snapshot_preview1_instance_t *wasi, uint32_t fd);

/* `bytes` bytes of the guest's memory at `address`, or NULL when any of them lies outside. */
uint8_t *wasi_at(const wasm_rt_memory_t *memory, uint32_t address, uint64_t bytes);

#endif
