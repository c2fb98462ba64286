/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "tests/bench/figures.h"
#include "tests/bench/series.h"

/* For people, on standard output. */
void report_text(const struct Series *series, const struct Figures *figures);

/* For programs. 0 or a negative errno. */
int report_json(const struct Series *series, const struct Figures *figures, const char *path);

#endif
