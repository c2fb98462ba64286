/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* With what is its own. */
#include "client/mend.c"

#include "tests/support/test.h"

#include <stdio.h>

#define BYTES (8 * MEND_BYTES)

static uint8_t found[BYTES + MEND_BYTES] __attribute__((aligned(MEND_BYTES))), wanted[BYTES] __attribute__((aligned(MEND_BYTES)));

/* Wherever one byte differs, and where all do; and nothing behind it is touched. */
static void expect_mended(void (*mend)(void)) {
    for (size_t at = 0; at <= BYTES; at++) {
        memcpy(found, wanted, BYTES);
        memset(found + BYTES, 0xee, MEND_BYTES);
        if (at == BYTES)
            memset(found, 0xdd, BYTES);
        else
            found[at] ^= 1;
        mend();
        cr_assert(!memcmp(found, wanted, BYTES), "byte %zu was not mended", at);
        for (size_t i = BYTES; i < sizeof(found); i++)
            cr_assert_eq(found[i], 0xee);
    }
}

/* Each way that this processor has, whichever it would take by itself. */
static const struct Way {
    const char *name;
    void (*zero)(uint8_t *to, size_t bytes);
    void (*copy)(uint8_t *to, const uint8_t *from, size_t bytes);
} WAYS[] = {
    {"its own choice", mend_zero, mend_copy},
    {"avx2", zero_with_avx2, copy_with_avx2},
    {"avx512f", zero_with_avx512, copy_with_avx512},
};

static const struct Way *way;

static bool way_is_there(void) {
    return way == &WAYS[0] || (way == &WAYS[1] ? __builtin_cpu_supports("avx2") : __builtin_cpu_supports("avx512f"));
}

static void zero(void) {
    way->zero(found, BYTES);
}

static void copy(void) {
    way->copy(found, wanted, BYTES);
}

static void expect_mended_in_all_ways(void (*mend)(void)) {
    for (way = WAYS; way < WAYS + sizeof(WAYS) / sizeof(WAYS[0]); way++)
        if (way_is_there())
            expect_mended(mend);
        else
            printf("not tried: %s, which this processor does not have\n", way->name);
}

Test(mend, makes_bytes_zero) {
    expect_mended_in_all_ways(zero);
}

Test(mend, makes_bytes_like_others) {
    for (size_t i = 0; i < BYTES; i++)
        wanted[i] = (uint8_t)(i * 7 + i / 256);
    expect_mended_in_all_ways(copy);
}

Test(mend, of_no_bytes_does_nothing) {
    found[0] = 1;
    mend_zero(found, 0);
    mend_copy(found, wanted, 0);
    expect_eq(found[0], 1);
}
