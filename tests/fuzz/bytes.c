/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/bytes.h"

#include <stdlib.h>
#include <string.h>

void bytes_deinit(struct Bytes *bytes) {
    free(bytes->at);
    *bytes = (struct Bytes){0};
}

void bytes_put(struct Bytes *bytes, const void *from, size_t n) {
    if (n > bytes->room - bytes->n) {
        size_t room = 2 * bytes->room + n + 64;

        bytes->at = realloc(bytes->at, room);
        if (!bytes->at)
            abort();
        bytes->room = room;
    }
    if (n)
        memcpy(bytes->at + bytes->n, from, n);
    bytes->n += n;
}

void bytes_u8(struct Bytes *bytes, uint8_t value) {
    bytes_put(bytes, &value, 1);
}

void bytes_unsigned(struct Bytes *bytes, uint64_t value, unsigned padding) {
    for (; value >= 0x80; value >>= 7)
        bytes_u8(bytes, (uint8_t)(value | 0x80));
    if (padding)
        bytes_u8(bytes, (uint8_t)(value | 0x80));
    else
        bytes_u8(bytes, (uint8_t)value);
    for (; padding; padding--)
        bytes_u8(bytes, padding > 1 ? 0x80 : 0);
}

void bytes_signed(struct Bytes *bytes, int64_t value) {
    for (; value < -64 || value >= 64; value >>= 7)
        bytes_u8(bytes, (uint8_t)((value & 0x7f) | 0x80));
    bytes_u8(bytes, (uint8_t)(value & 0x7f));
}

void bytes_section(struct Bytes *bytes, uint8_t id, const struct Bytes *contents, unsigned padding) {
    bytes_u8(bytes, id);
    bytes_unsigned(bytes, contents->n, padding);
    bytes_put(bytes, contents->at, contents->n);
}

bool unsigned_at(const uint8_t *binary, size_t end, size_t *atp, uint32_t *valuep) {
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 35 && *atp < end; shift += 7) {
        uint8_t byte = binary[(*atp)++];

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        *valuep = (uint32_t)value;
        return value <= UINT32_MAX;
    }
    return false;
}

bool section_at(const uint8_t *binary, size_t size, size_t at, struct Section *sectionp) {
    uint32_t bytes;
    size_t contents = at + 1;

    if (at >= size || !unsigned_at(binary, size, &contents, &bytes) || bytes > size - contents)
        return false;
    *sectionp = (struct Section){.id = binary[at], .at = at, .contents = contents, .end = contents + bytes};
    return true;
}
