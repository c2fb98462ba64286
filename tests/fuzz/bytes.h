/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

/* Binaries in the making. Running out of memory ends the program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Bytes {
    uint8_t *at;
    size_t n, room;
};

void bytes_deinit(struct Bytes *bytes);
void bytes_put(struct Bytes *bytes, const void *from, size_t n);
void bytes_u8(struct Bytes *bytes, uint8_t value);

/* LEB128, with `padding` bytes more than it takes. Source: WebAssembly 2.0, 5.2.2 Integers. */
void bytes_unsigned(struct Bytes *bytes, uint64_t value, unsigned padding);
void bytes_signed(struct Bytes *bytes, int64_t value);

/* A section with these contents. */
void bytes_section(struct Bytes *bytes, uint8_t id, const struct Bytes *contents, unsigned padding);

/* A section as it lies in a binary: from its id to its end. */
struct Section {
    uint8_t id;
    size_t at, contents, end;
};

/* The section that begins at `at`. False when none does, or it does not end within `size`. */
bool section_at(const uint8_t *binary, size_t size, size_t at, struct Section *sectionp);

/* Read an unsigned LEB128 of at most five bytes before `end`, and step over it. */
bool unsigned_at(const uint8_t *binary, size_t end, size_t *atp, uint32_t *valuep);

#endif
