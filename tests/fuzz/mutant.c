/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/mutant.h"

#include <string.h>

enum {
    HEADER = 8,         /* bytes before the first section */
    SECTIONS_MAX = 64,  /* that are looked at */
    SECTION_MAX = 4096, /* bytes of a section that is changed, at most */
};

/* Where binaries go wrong: the ends of ranges, and bytes that mean something. */
static const uint8_t ODD[] = {0,    1,    2,    3,    4,    5,    6,    7,    8,    0x0b, 0x0d, 0x0f,
                              0x10, 0x23, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x5f, 0x60, 0x64, 0x6a,
                              0x6f, 0x70, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xd0,
                              0xd2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf8, 0xfc, 0xfd, 0xfe, 0xff};

static size_t remove_bytes(uint8_t *data, size_t size, size_t at, size_t n) {
    if (n > size - at)
        n = size - at;
    memmove(data + at, data + at + n, size - at - n);
    return size - n;
}

static size_t insert_bytes(uint8_t *data, size_t size, size_t room, size_t at, const uint8_t *from, size_t n) {
    if (n > room - size)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, from, n);
    return size + n;
}

/* Move a few bytes not far. */
static void move_bytes(uint8_t *data, size_t size, size_t at, struct Random *random) {
    size_t n = 1 + random_below(random, 3), to = at + random_below(random, 8), left;
    uint8_t moved[3];

    if (n > size - at)
        n = size - at;
    to = to > 4 ? to - 4 : 0;
    memcpy(moved, data + at, n);
    left = remove_bytes(data, size, at, n);
    insert_bytes(data, left, size, to < left ? to : left, moved, n);
}

static size_t one_change(uint8_t *data, size_t size, size_t room, struct Random *random) {
    static const uint8_t numbers[][5] = {{0xff, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0x80, 0x80, 0x80, 0x08},
                                         {0xff, 0xff, 0xff, 0xff, 0x07}, {0xff, 0xff, 0xff, 0xff, 0x1f},
                                         {0x80, 0x80, 0x80, 0x80, 0x00}, {0xc0, 0x84, 0x3d, 0x00, 0x00}};
    /* Of constant expressions, behind their sizes. */
    static const uint8_t instructions[][4] = {{2, 0x41, 0}, {2, 0x41, 1},    {1, 0x6a},    {1, 0x6c}, {2, 0x42, 0},
                                              {1, 0x7d},    {2, 0xd0, 0x70}, {2, 0xd2, 0}, {1, 0x0b}, {2, 0x23, 0}};
    size_t at = random_below(random, (uint32_t)size);
    const uint8_t *instruction;
    uint8_t repeated[16];
    size_t n = 1 + random_below(random, sizeof(repeated));

    switch (random_below(random, 10)) {
    case 0:
        data[at] ^= (uint8_t)(1u << random_below(random, 8));
        return size;
    case 1:
        data[at] = (uint8_t)random_next(random);
        return size;
    case 2:
        data[at] = ODD[random_below(random, sizeof(ODD))];
        return size;
    case 3:
        data[at] = (uint8_t)(data[at] + (random_one_in(random, 2) ? 1 : 255));
        return size;
    case 4:
        return insert_bytes(data, size, room, at, &ODD[random_below(random, sizeof(ODD))], 1);
    case 5:
        return size > 1 ? remove_bytes(data, size, at, random_one_in(random, 2) ? 1 : n) : size;
    case 6:
        if (n > size - at)
            n = size - at;
        memcpy(repeated, data + at, n);
        return insert_bytes(data, size, room, random_below(random, (uint32_t)size + 1), repeated, n);
    case 7:
        move_bytes(data, size, at, random);
        return size;
    case 8:
        instruction = instructions[random_below(random, 10)];
        return insert_bytes(data, size, room, at, instruction + 1, instruction[0]);
    default:
        size = remove_bytes(data, size, at, 1);
        return insert_bytes(data, size, room, at, numbers[random_below(random, 6)], 5);
    }
}

size_t mutant_bytes(uint8_t *data, size_t size, size_t room, struct Random *random) {
    for (uint32_t i = random_one_in(random, 2) ? 1 : 2 + random_below(random, 2); i && size; i--)
        size = one_change(data, size, room, random);
    return size;
}

static size_t find_sections(const uint8_t *data, size_t size, struct Section sections[static SECTIONS_MAX]) {
    size_t n = 0;

    for (size_t at = HEADER; n < SECTIONS_MAX && section_at(data, size, at, &sections[n]); n++)
        at = sections[n].end;
    return n;
}

/* Replace a section by `contents` bytes at `from`, with a size that is right. */
static size_t replace(uint8_t *data, size_t size, size_t room, const struct Section *old, const uint8_t *from,
                      size_t contents) {
    struct Bytes section = {0};
    const struct Bytes inner = {.at = (uint8_t *)from, .n = contents};

    bytes_section(&section, old->id, &inner, 0);
    if (size - (old->end - old->at) + section.n <= room) {
        size = remove_bytes(data, size, old->at, old->end - old->at);
        size = insert_bytes(data, size, room, old->at, section.at, section.n);
    }
    bytes_deinit(&section);
    return size;
}

static size_t change_section(uint8_t *data, size_t size, size_t room, const struct Section *section, mutant_fn change,
                             struct Random *random) {
    uint8_t contents[SECTION_MAX + 64];
    size_t n = section->end - section->contents;

    if (!n || n > SECTION_MAX)
        return change(data, size, room, random);
    memcpy(contents, data + section->contents, n);
    n = change(contents, n, sizeof(contents), random);
    return replace(data, size, room, section, contents, n);
}

/* Repeat, remove, or rename a section, or cut the binary off somewhere in it. */
static size_t change_order(uint8_t *data, size_t size, size_t room, const struct Section *section,
                           const struct Section *other, struct Random *random) {
    uint8_t copy[SECTION_MAX];
    size_t n = section->end - section->at;

    switch (random_below(random, 4)) {
    case 0:
        return remove_bytes(data, size, section->at, n);
    case 1:
        if (n > sizeof(copy))
            return size;
        memcpy(copy, data + section->at, n);
        return insert_bytes(data, size, room, other->at, copy, n);
    case 2:
        data[section->at] = (uint8_t)random_below(random, 16);
        return size;
    default:
        return section->at + random_below(random, (uint32_t)n);
    }
}

size_t mutant_module(uint8_t *data, size_t size, size_t room, mutant_fn change, struct Random *random) {
    struct Section sections[SECTIONS_MAX];
    size_t n = find_sections(data, size, sections);
    uint32_t how = random_below(random, 16);

    if (!n || how < 2)
        return size ? change(data, size, room, random) : size;
    if (how == 2)
        return change_order(data, size, room, &sections[random_below(random, (uint32_t)n)],
                            &sections[random_below(random, (uint32_t)n)], random);
    return change_section(data, size, room, &sections[random_below(random, (uint32_t)n)], change, random);
}
