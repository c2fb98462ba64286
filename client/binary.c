/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/binary.h"

#include "client/module.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Nothing is left from here on. */
static void binary_stop(struct Binary *binary, int result) {
    binary->result = result;
    input_bind(&binary->input, input_offset(&binary->input));
}

void binary_fail(struct Binary *binary, int code, const char *format, ...) {
    char reason[160];
    va_list args;

    if (binary->result)
        return;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    error_set(failure(binary->error), code, "at offset %#" PRIx64 ", %s: %s", binary->mark, binary->section, reason);
    binary_stop(binary, code);
}

void binary_fail_limit(struct Binary *binary, const char *limit, uint64_t bound, uint64_t ask) {
    struct wasmpool_error *error = binary->error;

    if (binary->result)
        return;
    binary_fail(binary, ERROR_INVALID, "%" PRIu64 " exceeds the limit %s of %" PRIu64, ask, limit, bound);
    if (!error)
        return;
    snprintf(error->limit, sizeof(error->limit), "%s", limit);
    error->bound = bound;
    error->ask = ask;
}

void binary_fail_errno(struct Binary *binary, int r) {
    binary_fail(binary, r, "%s", r == -ENOMEM ? "out of memory" : strerror(-r));
}

/* Too little is left. */
static bool binary_ends_before(struct Binary *binary, uint64_t n) {
    if (n <= input_left(&binary->input))
        return false;
    binary_fail(binary, ERROR_MALFORMED, "unexpected end");
    return true;
}

uint8_t binary_next_window(struct Binary *binary) {
    int r;

    if (binary_ends_before(binary, 1))
        return 0;
    r = input_fill(&binary->input);
    if (!r)
        return *binary->input.at++;
    binary_fail_errno(binary, r);
    return 0;
}

/* LEB128 of at most `bits` bits; the last byte's unused bits must be zero, or copies of the sign. Section 5.2.2. */
uint64_t binary_leb(struct Binary *binary, unsigned bits, bool is_signed) {
    uint64_t value = 0;

    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = binary_next(binary), left = (uint8_t)(bits - shift);

        if (binary->result)
            return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (left < 7) {
            uint8_t high = (uint8_t)(byte >> (is_signed ? left - 1 : left)),
                    ones = (uint8_t)(0x7f >> (is_signed ? left - 1 : left));

            if (byte & 0x80)
                binary_fail(binary, ERROR_MALFORMED, "integer representation too long");
            else if (high && !(is_signed && high == ones))
                binary_fail(binary, ERROR_MALFORMED, "integer too large");
        }
        if (byte & 0x80 && !binary->result)
            continue;
        if (is_signed && byte & 0x40 && shift + 7 < 64)
            value |= UINT64_MAX << (shift + 7);
        return binary->result ? 0 : value;
    }
}

void binary_bytes(struct Binary *binary, void *to, size_t n) {
    int r;

    binary_mark(binary);
    memset(to, 0, n);
    if (binary_ends_before(binary, n))
        return;
    r = input_copy(&binary->input, to, n);
    if (r)
        binary_fail_errno(binary, r);
}

void binary_skip(struct Binary *binary, uint64_t n) {
    binary_mark(binary);
    if (!binary_ends_before(binary, n))
        input_skip(&binary->input, n);
}

void binary_append(struct Binary *binary, struct Buffer *buffer, uint32_t n, const char *limit, uint64_t bytes_max) {
    int r;

    binary_mark(binary);
    if (binary_ends_before(binary, n))
        return;
    if (buffer->n > bytes_max || n > bytes_max - buffer->n) {
        binary_fail_limit(binary, limit, bytes_max, (uint64_t)buffer->n + n);
        return;
    }
    r = buffer_reserve(buffer, n);
    if (!r)
        r = input_copy(&binary->input, buffer->at + buffer->n, n);
    if (r)
        binary_fail_errno(binary, r);
    else
        buffer->n += n;
}

/* ------------------------------------------------------------------------------------------------ names */

/* Length of the UTF-8 sequence at `at`, or 0: no surrogates, nothing over-long, nothing above 10FFFF. Section 5.2.4. */
static unsigned utf8_sequence(const uint8_t *at, size_t left) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    uint32_t point = n > 1 ? at[0] & (0x7f >> n) : at[0];

    if (!n || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    return point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : n;
}

static bool utf8_is_valid(const uint8_t *at, size_t bytes) {
    for (size_t i = 0, n; i < bytes; i += n) {
        n = utf8_sequence(at + i, bytes - i);
        if (!n)
            return false;
    }
    return true;
}

uint32_t binary_name(struct Binary *binary, struct Buffer *names) {
    uint32_t bytes = binary_u32(binary);

    if (bytes > MODULE_STRING_BYTES_MAX && bytes <= input_left(&binary->input))
        binary_fail_limit(binary, "module_string_bytes", MODULE_STRING_BYTES_MAX, bytes);
    binary_append(binary, names, bytes, "module_names_bytes", MODULE_NAMES_BYTES_MAX - 1);
    if (binary->result)
        return 0;
    if (!utf8_is_valid(names->at + names->n - bytes, bytes))
        binary_fail(binary, ERROR_MALFORMED, "malformed UTF-8 encoding");
    else if (buffer_add(names, "", 1))
        binary_fail_errno(binary, -ENOMEM);
    return bytes;
}
