/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WABT_DIFFERENCE_H
#define TESTS_WABT_DIFFERENCE_H

/* Where our reader and libwabt 1.0.32 do not say the same, and who is right. */

#include "tests/wabt/facts.h"

/* A disagreement on the verdict. */
struct Dispute {
    const struct Facts *ours, *theirs;
    const uint8_t *binary;
    size_t size;
};

struct Difference {
    const char *name;
    const char *ours, *theirs;                      /* a part of the reason given; NULL: it accepts the module */
    bool (*applies)(const struct Dispute *dispute); /* what else must be so; may be NULL */
    const char *why;                                /* the one who accepts, or refuses, is right */
    uint64_t seen;
};

extern struct Difference differences[];
extern const size_t n_differences;

/* Its class, or NULL: then one of the two is wrong and nobody knows why. */
struct Difference *difference_find(const struct Dispute *dispute);

#endif
