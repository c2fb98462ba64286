/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_BINARY_H
#define CLIENT_BINARY_H

/* Values of the binary format, one after another, and the record of the first fault. After a fault everything reads as
 * zero from nowhere, so that callers can check once for each item. Source: WebAssembly 2.0, 5.2 Values. */

#include "client/buffer.h"
#include "client/failure.h"
#include "client/input.h"

struct Binary {
    struct Input input;
    const char *section; /* for messages */
    struct wasmpool_error *error;
    uint64_t mark; /* offset of the value that was read last, which a fault names */
    int result;    /* 0 until the first fault */
};

/* Record a fault, unless there was one: "at offset 0x.., SECTION: reason". */
void binary_fail(struct Binary *binary, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with INVALID, for more than a limit allows. */
void binary_fail_limit(struct Binary *binary, const char *limit, uint64_t bound, uint64_t ask);

/* The same for an errno. */
void binary_fail_errno(struct Binary *binary, int r);

/* The next value is one of several bytes. */
static inline void binary_mark(struct Binary *binary) {
    binary->mark = input_offset(&binary->input);
}

uint8_t binary_next_window(struct Binary *binary);
uint64_t binary_leb(struct Binary *binary, unsigned bits, bool is_signed);

/* The next byte of the marked value. */
static inline uint8_t binary_next(struct Binary *binary) {
    if (__builtin_expect(binary->input.at < binary->input.end, 1))
        return *binary->input.at++;
    return binary_next_window(binary);
}

/* The next byte, which is read again by whoever reads. */
static inline uint8_t binary_peek(struct Binary *binary) {
    uint8_t byte = binary_next(binary);

    if (!binary->result)
        binary->input.at--;
    return byte;
}

static inline uint8_t binary_byte(struct Binary *binary) {
    binary_mark(binary);
    return binary_next(binary);
}

static inline uint32_t binary_u32(struct Binary *binary) {
    binary_mark(binary);
    if (__builtin_expect(binary->input.at < binary->input.end && *binary->input.at < 0x80, 1))
        return *binary->input.at++;
    return (uint32_t)binary_leb(binary, 32, false);
}

/* Two's complement; the upper half is zero. */
static inline uint32_t binary_s32(struct Binary *binary) {
    binary_mark(binary);
    return (uint32_t)binary_leb(binary, 32, true);
}

static inline uint64_t binary_s64(struct Binary *binary) {
    binary_mark(binary);
    return binary_leb(binary, 64, true);
}

/* `n` bytes as they are; zeroes after a fault. */
void binary_bytes(struct Binary *binary, void *to, size_t n);
void binary_skip(struct Binary *binary, uint64_t n);

/* Append `n` bytes to a buffer that may have `bytes_max`; `limit` is that maximum's name. */
void binary_append(struct Binary *binary, struct Buffer *buffer, uint32_t n, const char *limit, uint64_t bytes_max);

/* A name: append it to `names`, with a NUL. Returns its bytes without that. */
uint32_t binary_name(struct Binary *binary, struct Buffer *names);

#endif
