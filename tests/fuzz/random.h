/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_RANDOM_H
#define TESTS_FUZZ_RANDOM_H

/* Numbers that are the same on every machine for the same seed: a failure's number is all that it takes to repeat it.
 * (splitmix64) */

#include <stdbool.h>
#include <stdint.h>

struct Random {
    uint64_t state;
};

static inline uint64_t random_next(struct Random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Less than `n`, which is not 0. */
static inline uint32_t random_below(struct Random *random, uint32_t n) {
    return (uint32_t)(random_next(random) >> 33) % n;
}

static inline bool random_one_in(struct Random *random, uint32_t n) {
    return !random_below(random, n);
}

#endif
