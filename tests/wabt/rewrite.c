/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wabt/rewrite.h"

#include <string.h>

enum {
    HEADER = 8,
    SECTION_CODE = 10,
    BODY_MIN = 2, /* bytes: a shorter one stays, for whoever notices that it cannot hold its locals and its end */
};

static const uint8_t BODY[] = {3, 0, 0x00, 0x0b}; /* its size, no locals, unreachable, end */

static bool rewrite_code(struct Bytes *out, const uint8_t *binary, const struct Section *section) {
    struct Bytes contents = {0};
    size_t at = section->contents;
    uint32_t n, bytes;
    bool is_fine = unsigned_at(binary, section->end, &at, &n);

    if (is_fine)
        bytes_unsigned(&contents, n, 0);
    for (uint32_t i = 0; is_fine && i < n; i++) {
        is_fine = unsigned_at(binary, section->end, &at, &bytes) && bytes <= section->end - at;
        if (!is_fine)
            break;
        if (bytes < BODY_MIN)
            bytes_unsigned(&contents, bytes, 0);
        bytes_put(&contents, bytes < BODY_MIN ? binary + at : BODY, bytes < BODY_MIN ? bytes : sizeof(BODY));
        at += bytes;
    }
    is_fine = is_fine && at == section->end;
    if (is_fine)
        bytes_section(out, SECTION_CODE, &contents, 0);
    bytes_deinit(&contents);
    return is_fine;
}

/* Custom sections into which wabt looks, and we do not. */
static bool is_looked_into(const uint8_t *binary, const struct Section *section) {
    static const char *const names[] = {"linking", "reloc", "dylink", "target_features", "metadata.code"};
    size_t at = section->contents;
    uint32_t bytes;

    if (section->id || !unsigned_at(binary, section->end, &at, &bytes) || bytes > section->end - at)
        return false;
    for (uint32_t i = 0; i < bytes; i++) {
        if (binary[at + i] & 0x80)
            return false;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bytes >= strlen(names[i]) && !memcmp(binary + at, names[i], strlen(names[i])))
            return true;
    }
    return false;
}

bool rewrite_binary(struct Bytes *out, const uint8_t *binary, size_t size) {
    size_t before = out->n, at = HEADER;
    struct Section section;

    if (size < HEADER)
        return false;
    bytes_put(out, binary, HEADER);
    for (; section_at(binary, size, at, &section); at = section.end) {
        if (is_looked_into(binary, &section))
            continue;
        if (section.id != SECTION_CODE)
            bytes_put(out, binary + section.at, section.end - section.at);
        else if (!rewrite_code(out, binary, &section))
            break;
    }
    if (at != size)
        out->n = before;
    return at == size;
}
