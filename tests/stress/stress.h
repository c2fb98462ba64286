/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_STRESS_STRESS_H
#define TESTS_STRESS_STRESS_H

/* What a stress program checks, millions of times and from any thread, counts once for each place where it is checked.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define STRESS_LINES_MAX 1000

static _Atomic bool stress_passed[STRESS_LINES_MAX], stress_failed[STRESS_LINES_MAX];

#define check(OK, WHAT) stress_check(__LINE__, OK, WHAT)

static inline void stress_check(unsigned line, bool ok, const char *what) {
    _Atomic bool *seen = ok ? &stress_passed[line] : &stress_failed[line];

    /* Read before it is written: threads must not meet here. */
    if (!atomic_load_explicit(seen, memory_order_relaxed))
        atomic_store_explicit(seen, true, memory_order_relaxed);
    if (!ok)
        fprintf(stderr, "FAILED: %s\n", what);
}

/* Print the last line, `N passed, N failed`. Returns the exit status. */
static inline int stress_end(void) {
    unsigned passed = 0, failed = 0;

    for (unsigned line = 0; line < STRESS_LINES_MAX; line++) {
        passed += stress_passed[line] && !stress_failed[line];
        failed += stress_failed[line];
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif
