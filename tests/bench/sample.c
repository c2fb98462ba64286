/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/sample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void sample_add(struct Sample *sample, double value) {
    assert(sample->n < SAMPLE_MAX);
    sample->at[sample->n++] = value;
}

static int sample_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double sample_quantile(const struct Sample *sample, double part) {
    double sorted[SAMPLE_MAX], place;
    unsigned below;

    if (!sample->n)
        return NAN;
    memcpy(sorted, sample->at, sample->n * sizeof(*sorted));
    qsort(sorted, sample->n, sizeof(*sorted), sample_compare);
    place = part * (sample->n - 1);
    below = (unsigned)place;
    if (below + 1 >= sample->n)
        return sorted[sample->n - 1];
    return sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
}
