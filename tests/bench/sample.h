/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_SAMPLE_H
#define TESTS_BENCH_SAMPLE_H

/* Repeated measurements of one quantity. A machine that others use too makes the mean worthless: the median and the
 * quartiles stand what a neighbour does to some of the repetitions. */

#define SAMPLE_MAX 101

struct Sample {
    double at[SAMPLE_MAX]; /* in the order of the repetitions */
    unsigned n;
};

void sample_add(struct Sample *sample, double value);

/* The value below which that part of the sample lies, 0 to 1, by linear interpolation; NAN of an empty one. */
double sample_quantile(const struct Sample *sample, double part);

static inline double sample_median(const struct Sample *sample) {
    return sample_quantile(sample, 0.5);
}

#endif
