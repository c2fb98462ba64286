/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

/* Criterion, included through here only: Test and ParameterizedTest are its own, but each test compares the open fds
 * and the mappings of wasmpool's memfds before and after its body. The comparison is part of the test and not of a
 * suite's .fini, because Criterion 2.4.1 prints what fails there and counts the test as passed. */

#include "tests/support/leak.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_REPORT_BYTES 4096

/* Seconds for a test, or TEST_TIMEOUT of the environment. Criterion 2.4.1 knows --timeout and ignores it: without an
 * alarm of its own a test that hangs would hang everything. */
#define TEST_SECONDS_MAX 180

static inline unsigned test_seconds_max(void) {
    const char *seconds = getenv("TEST_TIMEOUT");

    return seconds && atoi(seconds) > 0 ? (unsigned)atoi(seconds) : TEST_SECONDS_MAX;
}

static inline void test_run_checked(void (*body)(void *), void *parameter) {
    struct LeakMark before;
    char report[TEST_REPORT_BYTES];
    unsigned leaks;

    alarm(test_seconds_max());
    leak_mark_init(&before);
    body(parameter);
    alarm(0);
    leaks = leak_compare(&before, report, sizeof(report));
    leak_mark_deinit(&before);
    cr_assert(leaks == 0, "the test leaks, %u times:\n%s", leaks, report);
}

#undef Test
#define Test(NOUN, SENTENCE, ...)                                                                                      \
    static void NOUN##_##SENTENCE(void);                                                                               \
    static void NOUN##_##SENTENCE##_body(void *parameter) {                                                            \
        (void)parameter;                                                                                               \
        NOUN##_##SENTENCE();                                                                                           \
    }                                                                                                                  \
    CR_TEST_BASE(NOUN, SENTENCE, ##__VA_ARGS__, .sentinel_ = 0) {                                                      \
        test_run_checked(NOUN##_##SENTENCE##_body, NULL);                                                              \
    }                                                                                                                  \
    static void NOUN##_##SENTENCE(void)

/* PARAMETER declares a pointer to one of the values of ParameterizedTestParameters. */
#undef ParameterizedTest
#define ParameterizedTest(PARAMETER, NOUN, SENTENCE, ...)                                                              \
    static void NOUN##_##SENTENCE##_checked(PARAMETER);                                                                \
    static void NOUN##_##SENTENCE##_body(void *parameter) {                                                            \
        NOUN##_##SENTENCE##_checked(parameter);                                                                        \
    }                                                                                                                  \
    CR_PARAM_TEST_BASE(void *parameter, NOUN, SENTENCE, ##__VA_ARGS__, .sentinel_ = 0) {                               \
        test_run_checked(NOUN##_##SENTENCE##_body, parameter);                                                         \
    }                                                                                                                  \
    static void NOUN##_##SENTENCE##_checked(PARAMETER)

/* Comparisons that print both sides, whatever integers they are. */
#define expect_eq(ACTUAL, EXPECTED)                                                                                    \
    do {                                                                                                               \
        intmax_t actual_ = (intmax_t)(ACTUAL), expected_ = (intmax_t)(EXPECTED);                                       \
        cr_assert(actual_ == expected_, "%s is %" PRIdMAX " (%#" PRIxMAX "), not %s, %" PRIdMAX " (%#" PRIxMAX ")",    \
                  #ACTUAL, actual_, (uintmax_t)actual_, #EXPECTED, expected_, (uintmax_t)expected_);                   \
    } while (0)

#define expect_str(ACTUAL, EXPECTED)                                                                                   \
    do {                                                                                                               \
        const char *actual_ = (ACTUAL), *expected_ = (EXPECTED);                                                       \
        cr_assert(!strcmp(actual_, expected_), "%s is '%s', not '%s'", #ACTUAL, actual_, expected_);                   \
    } while (0)

/* Does a message say what it must? */
#define expect_says(ACTUAL, PART)                                                                                      \
    do {                                                                                                               \
        const char *actual_ = (ACTUAL), *part_ = (PART);                                                               \
        cr_assert(strstr(actual_, part_), "%s is '%s' and does not say '%s'", #ACTUAL, actual_, part_);                \
    } while (0)

#endif
