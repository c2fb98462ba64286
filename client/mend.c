/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/mend.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define MEND_VECTORS (MEND_BYTES / sizeof(__m256i))

__attribute__((target("avx2"))) static void zero_with_avx2(uint8_t *to, size_t bytes) {
    const __m256i zero = _mm256_setzero_si256();

    for (__m256i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_VECTORS) {
        __m256i any = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(p[0], p[1]), _mm256_or_si256(p[2], p[3])),
                                      _mm256_or_si256(_mm256_or_si256(p[4], p[5]), _mm256_or_si256(p[6], p[7])));

        for (size_t i = 0; i < MEND_VECTORS && !_mm256_testz_si256(any, any); i++)
            p[i] = zero;
    }
}

__attribute__((target("avx2"))) static void copy_with_avx2(uint8_t *to, const uint8_t *from, size_t bytes) {
    const __m256i_u *q = (const void *)from;

    for (__m256i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_VECTORS, q += MEND_VECTORS) {
        __m256i any = _mm256_setzero_si256();

        for (size_t i = 0; i < MEND_VECTORS; i++)
            any = _mm256_or_si256(any, _mm256_xor_si256(p[i], q[i]));
        for (size_t i = 0; i < MEND_VECTORS && !_mm256_testz_si256(any, any); i++)
            p[i] = q[i];
    }
}

static bool mend_can(void) {
    return __builtin_cpu_supports("avx2");
}

void mend_zero(uint8_t *to, size_t bytes) {
    if (mend_can())
        zero_with_avx2(to, bytes);
    else
        memset(to, 0, bytes);
}

void mend_copy(uint8_t *to, const uint8_t *from, size_t bytes) {
    if (mend_can())
        copy_with_avx2(to, from, bytes);
    else
        memcpy(to, from, bytes);
}
