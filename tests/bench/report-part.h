/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_REPORT_PART_H
#define TESTS_BENCH_REPORT_PART_H

/* What the parts of the report are made of. */

#include "tests/bench/peers.h"
#include "tests/bench/reset.h"
#include "tests/bench/steady.h"
#include "tests/bench/gallery.h"

#include <jansson.h>

/* Median and quartiles times `scale`, in a column of 23 characters; blank for an empty sample. */
void report_part_sample(const struct Sample *sample, double scale, int digits);
json_t *report_part_json(const struct Sample *sample);

/* The parts: for people, and for programs. */
void report_reset_text(const struct Reset *reset);
json_t *report_reset_json(const struct Reset *reset);
void report_steady_text(const struct Steady *steady);
json_t *report_steady_json(const struct Steady *steady);
void report_peers_text(const struct Peers *peers);
json_t *report_peers_json(const struct Peers *peers);
void report_gallery_text(const struct Gallery *gallery);
json_t *report_gallery_json(const struct Gallery *gallery);

#endif
