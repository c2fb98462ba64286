/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/mend.h"
#include "tests/support/test.h"

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

static void zero(void) {
    mend_zero(found, BYTES);
}

static void copy(void) {
    mend_copy(found, wanted, BYTES);
}

Test(mend, makes_bytes_zero) {
    expect_mended(zero);
}

Test(mend, makes_bytes_like_others) {
    for (size_t i = 0; i < BYTES; i++)
        wanted[i] = (uint8_t)(i * 7 + i / 256);
    expect_mended(copy);
}

Test(mend, of_no_bytes_does_nothing) {
    found[0] = 1;
    mend_zero(found, 0);
    mend_copy(found, wanted, 0);
    expect_eq(found[0], 1);
}
