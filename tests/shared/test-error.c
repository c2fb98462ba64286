/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/error.h"
#include "tests/support/test.h"

#include <string.h>

Test(error, set_fills_the_message_and_clears_the_rest) {
    struct Error error;

    memset(&error, 0xa5, sizeof(error));
    expect_eq(error_set(&error, ERROR_REFUSED, "no %s for %d", "room", 7), ERROR_REFUSED);
    expect_eq(error.code, ERROR_REFUSED);
    expect_str(error.message, "no room for 7");
    expect_str(error.limit, "");
    expect_eq(error.bound, 0);
    expect_eq(error.use, 0);
    expect_eq(error.ask, 0);
}

Test(error, set_takes_negative_errnos_as_they_are) {
    struct Error error;

    expect_eq(error_set(&error, -12, "memory"), -12);
    expect_eq(error.code, -12);
}

Test(error, limit_says_name_bound_use_and_ask) {
    struct Error error;

    expect_eq(error_limit(&error, ERROR_LIMIT, "total_memories", 10, 9, 2, "exhausted"), ERROR_LIMIT);
    expect_str(error.limit, "total_memories");
    expect_eq(error.bound, 10);
    expect_eq(error.use, 9);
    expect_eq(error.ask, 2);
    expect_str(error.message, "exhausted: total_memories is 10, in use 9, asked for 2");
}

Test(error, null_is_fine_and_the_code_still_comes_back) {
    expect_eq(error_set(NULL, ERROR_HOST, "%d", 1), ERROR_HOST);
    expect_eq(error_limit(NULL, ERROR_LIMIT, "x", 1, 1, 1, "y"), ERROR_LIMIT);
}

Test(error, texts_that_are_too_long_are_cut_off) {
    char text[1000];
    struct Error error;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    error_limit(&error, ERROR_LIMIT, text, UINT64_MAX, UINT64_MAX, UINT64_MAX, text);
    expect_eq(strlen(error.limit), ERROR_LIMIT_BYTES - 1);
    expect_eq(strlen(error.message), ERROR_MESSAGE_BYTES - 1);
    expect_eq(error.bound, UINT64_MAX);
}

Test(error, every_code_has_a_word_of_its_own) {
    for (int code = ERROR_LIMIT; code <= ERROR_CODE_MAX; code++) {
        cr_expect_str_neq(error_code_name(code), "failure", "code %d has no word", code);
        for (int other = ERROR_LIMIT; other < code; other++)
            cr_expect_str_neq(error_code_name(code), error_code_name(other), "codes %d and %d are both '%s'", code,
                              other, error_code_name(code));
    }
    expect_str(error_code_name(ERROR_CODE_MAX + 1), "failure");
    expect_str(error_code_name(0), "failure");
    expect_str(error_code_name(-1), "failure");
}
