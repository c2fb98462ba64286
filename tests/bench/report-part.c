/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report-part.h"

#include <stdio.h>

void report_part_sample(const struct Sample *sample, double scale, int digits) {
    char spread[40];

    if (!sample->n) {
        printf(" %22s", "");
        return;
    }
    snprintf(spread, sizeof(spread), "%.*f..%.*f", digits, sample_quantile(sample, 0.25) * scale, digits,
             sample_quantile(sample, 0.75) * scale);
    printf(" %8.*f %13s", digits, sample_median(sample) * scale, spread);
}

json_t *report_part_json(const struct Sample *sample) {
    json_t *all;

    if (!sample->n)
        return json_null();
    all = json_array();
    for (unsigned i = 0; i < sample->n; i++)
        json_array_append_new(all, json_real(sample->at[i]));
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "median", sample_median(sample), "minimum",
                     sample_quantile(sample, 0), "lower_quartile", sample_quantile(sample, 0.25), "upper_quartile",
                     sample_quantile(sample, 0.75), "maximum", sample_quantile(sample, 1), "repetitions", all);
}
