/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bench-make-module: a large module.
 *
 *   segments N BYTES FILE  N active data segments of so many bytes, one behind the other
 *   bodies N BYTES FILE    N functions with bodies of so many bytes, most of which are holes of the file: zero is the
 *                          opcode of `unreachable`
 *   image N BYTES FILE     a memory of N wasm pages, exported as "memory", whose first bytes are data, or none */

#define WASM_PAGE_BYTES 65536

enum {
    SECTION_TYPE = 1,
    SECTION_FUNCTION = 3,
    SECTION_MEMORY = 5,
    SECTION_EXPORT = 7,
    SECTION_CODE = 10,
    SECTION_DATA = 11,
};
enum { EXPORT_MEMORY = 2 };
enum { OPCODE_END = 0x0b, OPCODE_I32_CONST = 0x41, TYPE_FUNCTION = 0x60 };

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "bench-make-module: %s: %s\n", what, why);
    exit(1);
}

/* ------------------------------------------------------------------------------------------------ encoding */

static size_t leb_bytes(uint64_t value) {
    size_t n = 1;

    while (value >>= 7)
        n++;
    return n;
}

static void put_leb(FILE *file, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        putc((int)(value & 0x7f) | 0x80, file);
    putc((int)value, file);
}

/* Not negative, and encoded as signed: the last byte's bit 6 is the sign. */
static void put_signed_leb(FILE *file, uint64_t value) {
    for (; value > 0x3f; value >>= 7)
        putc((int)(value & 0x7f) | 0x80, file);
    putc((int)value, file);
}

static void put_header(FILE *file) {
    fwrite("\0asm\1\0\0\0", 1, 8, file);
}

static void put_section(FILE *file, int section, uint64_t bytes) {
    putc(section, file);
    put_leb(file, bytes);
}

static void put_memory(FILE *file, uint64_t pages) {
    put_section(file, SECTION_MEMORY, 2 + leb_bytes(pages));
    putc(1, file);
    putc(0, file); /* no maximum */
    put_leb(file, pages);
}

/* ------------------------------------------------------------------------------------------------ data segments */

static void put_segment(FILE *file, uint64_t number, uint64_t bytes) {
    putc(0, file); /* active, in memory 0 */
    putc(OPCODE_I32_CONST, file);
    put_signed_leb(file, number * bytes);
    putc(OPCODE_END, file);
    put_leb(file, bytes);
    for (uint64_t i = 0; i < bytes; i++)
        putc((int)(number + i) | 1, file);
}

static void put_segments(FILE *file, uint64_t n, uint64_t bytes) {
    uint64_t pages = (n * bytes + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES;
    char *section = NULL;
    size_t section_bytes;
    FILE *memory = open_memstream(&section, &section_bytes);

    if (!memory)
        fail("open_memstream", strerror(errno));
    put_leb(memory, n);
    for (uint64_t i = 0; i < n; i++)
        put_segment(memory, i, bytes);
    if (fclose(memory))
        fail("open_memstream", strerror(errno));
    put_header(file);
    put_memory(file, pages);
    put_section(file, SECTION_DATA, section_bytes);
    fwrite(section, 1, section_bytes, file);
    free(section);
}

/* ------------------------------------------------------------------------------------------------ image */

static void put_image(FILE *file, uint64_t pages, uint64_t bytes) {
    static const char name[] = "memory";

    put_header(file);
    put_memory(file, pages);
    put_section(file, SECTION_EXPORT, 4 + sizeof(name) - 1);
    putc(1, file);
    putc(sizeof(name) - 1, file);
    fwrite(name, 1, sizeof(name) - 1, file);
    putc(EXPORT_MEMORY, file);
    putc(0, file);
    if (!bytes)
        return;
    put_section(file, SECTION_DATA, 1 + 4 + leb_bytes(bytes) + bytes); /* at offset 0, which is one byte */
    putc(1, file);
    put_segment(file, 0, bytes);
}

/* ------------------------------------------------------------------------------------------------ bodies */

static void put_bodies(FILE *file, uint64_t n, uint64_t bytes) {
    put_header(file);
    put_section(file, SECTION_TYPE, 4);
    putc(1, file);
    putc(TYPE_FUNCTION, file);
    putc(0, file); /* no parameters */
    putc(0, file); /* no results */
    put_section(file, SECTION_FUNCTION, leb_bytes(n) + n);
    put_leb(file, n);
    for (uint64_t i = 0; i < n; i++)
        putc(0, file);
    put_section(file, SECTION_CODE, leb_bytes(n) + n * (leb_bytes(bytes) + bytes));
    put_leb(file, n);
    for (uint64_t i = 0; i < n; i++) {
        put_leb(file, bytes);
        if (fseek(file, (long)bytes - 1, SEEK_CUR))
            fail("fseek", strerror(errno));
        putc(OPCODE_END, file);
    }
}

/* ------------------------------------------------------------------------------------------------ */

static uint64_t number(const char *text, uint64_t least, uint64_t most) {
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value < least || value > most)
        fail(text, "is not a number in range");
    return value;
}

int main(int argc, char **argv) {
    uint64_t n, bytes;
    FILE *file;

    if (argc != 5)
        fail("usage", "bench-make-module segments|bodies|image N BYTES FILE");
    n = number(argv[2], 1, 100000);
    /* A body is no locals and an end at least. */
    bytes = !strcmp(argv[1], "image") ? number(argv[3], 0, n * WASM_PAGE_BYTES) : number(argv[3], 2, 1000000);
    file = fopen(argv[4], "we");
    if (!file)
        fail(argv[4], strerror(errno));
    if (!strcmp(argv[1], "segments"))
        put_segments(file, n, bytes);
    else if (!strcmp(argv[1], "bodies"))
        put_bodies(file, n, bytes);
    else if (!strcmp(argv[1], "image"))
        put_image(file, n, bytes);
    else
        fail(argv[1], "is not a kind of module");
    if (ferror(file) | fclose(file))
        fail(argv[4], "cannot be written");
    return 0;
}
