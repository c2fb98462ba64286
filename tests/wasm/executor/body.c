/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/body.h"

#include <stdlib.h>
#include <string.h>

#define PREAMBLE_BYTES 8
#define SECTION_CODE 10
#define U32_BYTES_MAX 5

static const uint8_t unreachable[] = {0x03, 0x00, 0x00, 0x0b}; /* 3 bytes: no locals, unreachable, end */

uint8_t reader_byte(struct Reader *reader) {
    if (reader->bad || reader->at == reader->end) {
        reader->bad = true;
        return 0;
    }
    return *reader->at++;
}

uint32_t reader_u32(struct Reader *reader) {
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 7 * U32_BYTES_MAX; shift += 7) {
        uint8_t byte = reader_byte(reader);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            reader->bad |= value > UINT32_MAX;
            return reader->bad ? 0 : (uint32_t)value;
        }
    }
    reader->bad = true;
    return 0;
}

int64_t reader_signed(struct Reader *reader, unsigned bits) {
    uint64_t value = 0;

    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t byte = reader_byte(reader);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if ((byte & 0x40) && shift + 7 < 64)
            value |= UINT64_MAX << (shift + 7);
        return (int64_t)value;
    }
    reader->bad = true;
    return 0;
}

void reader_skip(struct Reader *reader, uint64_t bytes) {
    if (reader->bad || bytes > (uint64_t)(reader->end - reader->at))
        reader->bad = true;
    else
        reader->at += bytes;
}

/* The code section's content; none is an empty one. `startp` is where its id stands, and where one without belongs. */
static bool find_code(const uint8_t *module, size_t size, struct Reader *codep, const uint8_t **startp) {
    struct Reader reader = {module, module + size, false};

    reader_skip(&reader, PREAMBLE_BYTES);
    while (!reader.bad && reader.at < reader.end) {
        const uint8_t *start = reader.at;
        uint8_t id = reader_byte(&reader);
        uint32_t bytes = reader_u32(&reader);
        const uint8_t *content = reader.at;

        reader_skip(&reader, bytes);
        if (!reader.bad && id == SECTION_CODE) {
            *codep = (struct Reader){content, content + bytes, false};
            *startp = start;
            return true;
        }
    }
    *codep = (struct Reader){reader.end, reader.end, false};
    *startp = reader.end;
    return !reader.bad;
}

bool body_all(const uint8_t *module, size_t size, struct Body **bodiesp, uint32_t *n_bodiesp) {
    struct Reader reader;
    const uint8_t *start;
    struct Body *bodies;
    uint32_t count;

    if (!find_code(module, size, &reader, &start))
        return false;
    count = reader.at == reader.end ? 0 : reader_u32(&reader);
    /* Each takes a byte at least. */
    if (reader.bad || count > size)
        return false;
    bodies = calloc(count + 1, sizeof(bodies[0]));
    for (uint32_t i = 0; bodies && i < count; i++) {
        bodies[i].size = reader_u32(&reader);
        bodies[i].bytes = reader.at;
        reader_skip(&reader, bodies[i].size);
    }
    if (!bodies || reader.bad) {
        free(bodies);
        return false;
    }
    *bodiesp = bodies;
    *n_bodiesp = count;
    return true;
}

static size_t write_u32(uint8_t *to, uint32_t value) {
    size_t used = 0;

    for (; value > 0x7f; value >>= 7)
        to[used++] = (uint8_t)(value | 0x80);
    to[used++] = (uint8_t)value;
    return used;
}

uint8_t *body_replace_all(const uint8_t *module, size_t size, size_t *sizep) {
    uint8_t count[U32_BYTES_MAX];
    const uint8_t *start;
    struct Reader code;
    struct Body *bodies;
    uint32_t n_bodies;
    size_t used, count_bytes;
    uint8_t *to;

    if (!find_code(module, size, &code, &start) || !body_all(module, size, &bodies, &n_bodies))
        return NULL;
    free(bodies);
    to = malloc(size + n_bodies * sizeof(unreachable) + 1 + 2 * U32_BYTES_MAX);
    if (!to)
        return NULL;
    used = (size_t)(start - module);
    memcpy(to, module, used);
    if (start < module + size) {
        count_bytes = write_u32(count, n_bodies);
        to[used++] = SECTION_CODE;
        used += write_u32(to + used, (uint32_t)(count_bytes + n_bodies * sizeof(unreachable)));
        memcpy(to + used, count, count_bytes);
        used += count_bytes;
        for (uint32_t i = 0; i < n_bodies; i++, used += sizeof(unreachable))
            memcpy(to + used, unreachable, sizeof(unreachable));
        memcpy(to + used, code.end, (size_t)(module + size - code.end));
        used += (size_t)(module + size - code.end);
    }
    *sizep = used;
    return to;
}
