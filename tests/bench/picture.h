/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_PICTURE_H
#define TESTS_BENCH_PICTURE_H

/* The totals of one thread as a picture: an SVG file without scripts or fonts, for light and dark pages. */

#include "tests/bench/peers.h"

/* 0 or a negative errno. */
int picture_write(const struct Peers *peers, const char *path);

/* Some of its rows as a table in Markdown. 0 or a negative errno. */
int picture_write_table(const struct Peers *peers, const char *path);

#endif
