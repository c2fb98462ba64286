/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_CLIENT_BINARY_H
#define TESTS_CLIENT_BINARY_H

/* Binaries made by hand, byte for byte, and what reading them must come to. */

#include "client/module.h"
#include "tests/client/fixture.h"

#include <stdio.h>
#include <sys/mman.h>

#define BINARY_BYTES 4096
#define HEADER "\0asm\1\0\0\0"

#define INVALID WASMPOOL_E_INVALID
#define MALFORMED WASMPOOL_E_MALFORMED
#define UNSUPPORTED WASMPOOL_E_UNSUPPORTED

struct Bytes {
    uint8_t at[BINARY_BYTES];
    size_t n;
    size_t ends[32]; /* where a section has just ended, and the module could */
    size_t n_ends;
};

static inline void put(struct Bytes *bytes, const void *from, size_t n) {
    cr_assert_leq(bytes->n + n, sizeof(bytes->at));
    memcpy(bytes->at + bytes->n, from, n);
    bytes->n += n;
    bytes->ends[bytes->n_ends] = bytes->n;
}

/* String literals contain NULs. */
#define PUT(BYTES, LITERAL) put(BYTES, LITERAL, sizeof(LITERAL) - 1)

static inline void begin(struct Bytes *bytes) {
    *bytes = (struct Bytes){0};
    PUT(bytes, HEADER);
    bytes->n_ends = 1;
}

static inline void put_section(struct Bytes *bytes, uint8_t id, const void *body, size_t n) {
    uint8_t head[3] = {id, (uint8_t)(n & 0x7f) | 0x80, (uint8_t)(n >> 7)};

    put(bytes, head, 3);
    put(bytes, body, n);
    bytes->n_ends++;
}

#define SECTION(BYTES, ID, LITERAL) put_section(BYTES, ID, LITERAL, sizeof(LITERAL) - 1)

#define TYPES                                                                                                          \
    "\2\x60\7\x7f\x7e\x7d\x7c\x7b\x70\x6f\1\x7f\x60\0\0" /* 0: all value types -> i32; 1: nothing -> nothing */
#define SOME_IMPORTS                                                                                                        \
    "\5"                                                                                                               \
    "\3env\1f\0\0"                                                                                                     \
    "\3env\1t\1\x70\1\2\3"                                                                                             \
    "\3env\1m\2\0\1"                                                                                                   \
    "\3env\1g\3\x7f\0"                                                                                                 \
    "\3env\1e\4\0\1"
#define GLOBALS                                                                                                        \
    "\x9"                                                                                                              \
    "\x7f\1\x41\x7f\xb"                                     /* mut i32: -1 */                                          \
    "\x7e\0\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\xb" /* i64: the least */                                       \
    "\x7d\0\x43\0\0\x80\x3f\xb"                             /* f32: 1 */                                               \
    "\x7c\0\x44\0\0\0\0\0\0\xf0\x3f\xb"                     /* f64: 1 */                                               \
    "\x7f\0\x23\0\xb"                                       /* i32: global 0 */                                        \
    "\x7b\0\xfd\xc\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf\x10\xb"                                                       \
    "\x70\0\xd2\0\xb"                     /* funcref: function 0 */                                                    \
    "\x6f\0\xd0\x6f\xb"                   /* externref: null */                                                        \
    "\x7f\0\x23\0\x41\2\x6c\x41\1\x6a\xb" /* i32: global 0 * 2 + 1, extended-const */
#define EXPORTS "\6\1e\4\1\3run\0\1\6memory\2\1\5table\1\2\1g\3\x9\0\0\0"
#define ELEMENTS                                                                                                       \
    "\x8"                                                                                                              \
    "\0\x41\1\xb\2\0\1"                 /* active, table 0 */                                                          \
    "\1\0\1\2"                          /* passive */                                                                  \
    "\2\0\x41\0\xb\0\1\2"               /* active, table index */                                                      \
    "\3\0\1\0"                          /* declared */                                                                 \
    "\4\x41\0\xb\2\xd0\x70\xb\xd2\1\xb" /* active, expressions */                                                      \
    "\5\x6f\1\xd0\x6f\xb"               /* passive, expressions */                                                     \
    "\6\1\x41\0\xb\x6f\1\xd0\x6f\xb"    /* active, table index, expressions */                                         \
    "\7\x70\1\xd2\2\xb"                 /* declared, expressions */
#define DATA                                                                                                           \
    "\3"                                                                                                               \
    "\0\x41\0\xb\1x"    /* active, memory 0 */                                                                         \
    "\1\3abc"           /* passive */                                                                                  \
    "\2\1\x23\0\xb\2yz" /* active, memory index, at global 0 */

/* Every section once, in order, with custom ones in between. */
static inline void put_everything(struct Bytes *bytes) {
    begin(bytes);
    SECTION(bytes, 0, "\4nameanything");
    SECTION(bytes, 1, TYPES);
    SECTION(bytes, 2, SOME_IMPORTS);
    SECTION(bytes, 3, "\2\1\1");
    SECTION(bytes, 4, "\2\x6f\1\5\xa\x70\0\0");
    SECTION(bytes, 5, "\1\1\1\x80\x80\4"); /* 1 to 65536 pages */
    SECTION(bytes, 13, "\1\0\1");
    SECTION(bytes, 0, "\0");
    SECTION(bytes, 6, GLOBALS);
    SECTION(bytes, 7, EXPORTS);
    SECTION(bytes, 8, "\1");
    SECTION(bytes, 9, ELEMENTS);
    SECTION(bytes, 12, "\3");
    SECTION(bytes, 10, "\2\2\0\xb\3\0\1\xb");
    SECTION(bytes, 11, DATA);
    SECTION(bytes, 0, "\3\xe2\x82\xac");
}

/* Read from memory that ends where the module does: whoever reads on is killed. */
static inline int read_exactly(struct wasmpool_module **modulep, const void *bytes, size_t n,
                               struct wasmpool_error *error) {
    static uint8_t *room;

    cr_assert_leq(n, BINARY_BYTES);
    if (!room) {
        room = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(room, MAP_FAILED);
        mprotect(room + 4096, 4096, PROT_NONE);
    }
    memcpy(room + 4096 - n, bytes, n);
    return wasmpool_module_read(modulep, room + 4096 - n, n, error);
}

static inline struct wasmpool_module *read_well(const struct Bytes *bytes) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;

    cr_assert_eq(read_exactly(&module, bytes->at, bytes->n, &error), 0, "%s", error.message);
    return module;
}

static inline struct wasmpool_error expect_refusal(const void *bytes, size_t n, int code, const char *says) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error = {0};
    int r = read_exactly(&module, bytes, n, &error);

    cr_assert_eq(r, code, "'%s': the result is %d (%s), not %d", says, r, error.message, code);
    expect_eq(error.code, code);
    cr_assert_null(module, "'%s': the module is written", says);
    expect_says(error.message, says);
    cr_assert(!strncmp(error.message, "at offset ", 10), "'%s' does not begin with the place", error.message);
    return error;
}

/* ------------------------------------------------------------------------------------------------ one section */

struct Item {
    uint8_t section;
    const char *body;
    size_t n;
    int code; /* 0: fine */
    const char *says;
};

#define ITEM(SECTION, BODY, CODE, SAYS)                                                                                \
    { SECTION, BODY, sizeof(BODY) - 1, CODE, SAYS }

/* What stands before the section in question, where its number is less. */
struct Before {
    uint8_t section;
    const char *body;
    size_t n;
};

#define BEFORE(SECTION, BODY)                                                                                          \
    { SECTION, BODY, sizeof(BODY) - 1 }

static inline void expect_items_after(const struct Before *before, size_t n_before, const struct Item *items,
                                      size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct Bytes bytes;

        begin(&bytes);
        for (size_t j = 0; j < n_before; j++)
            if (before[j].section < items[i].section || !items[i].section)
                put_section(&bytes, before[j].section, before[j].body, before[j].n);
        put_section(&bytes, items[i].section, items[i].body, items[i].n);
        if (items[i].code)
            expect_refusal(bytes.at, bytes.n, items[i].code, items[i].says);
        else
            wasmpool_module_free(read_well(&bytes));
    }
}

/* Behind a type section with two types. */
#define EXPECT_ITEMS(...)                                                                                              \
    do {                                                                                                               \
        static const struct Before before_[] = {BEFORE(1, TYPES)};                                                     \
        static const struct Item items_[] = {__VA_ARGS__};                                                             \
        expect_items_after(before_, 1, items_, sizeof(items_) / sizeof(items_[0]));                                    \
    } while (0)

/* Behind that and the imports: one of each kind. */
#define EXPECT_ITEMS_WITH_IMPORTS(...)                                                                                 \
    do {                                                                                                               \
        static const struct Before before_[] = {BEFORE(1, TYPES), BEFORE(2, SOME_IMPORTS)};                                 \
        static const struct Item items_[] = {__VA_ARGS__};                                                             \
        expect_items_after(before_, 2, items_, sizeof(items_) / sizeof(items_[0]));                                    \
    } while (0)

#endif
