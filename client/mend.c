/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/mend.h"

#include <immintrin.h>
#include <string.h>

#define MEND_256 (MEND_BYTES / sizeof(__m256i))
#define MEND_512 (MEND_BYTES / sizeof(__m512i))

__attribute__((target("avx2"))) static void zero_with_avx2(uint8_t *to, size_t bytes) {
    const __m256i zero = _mm256_setzero_si256();

    for (__m256i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_256) {
        __m256i any = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(p[0], p[1]), _mm256_or_si256(p[2], p[3])),
                                      _mm256_or_si256(_mm256_or_si256(p[4], p[5]), _mm256_or_si256(p[6], p[7])));

        for (size_t i = 0; i < MEND_256 && !_mm256_testz_si256(any, any); i++)
            p[i] = zero;
    }
}

__attribute__((target("avx2"))) static void copy_with_avx2(uint8_t *to, const uint8_t *from, size_t bytes) {
    const __m256i_u *q = (const void *)from;

    for (__m256i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_256, q += MEND_256) {
        __m256i any = _mm256_setzero_si256();

        for (size_t i = 0; i < MEND_256; i++)
            any = _mm256_or_si256(any, _mm256_xor_si256(p[i], q[i]));
        for (size_t i = 0; i < MEND_256 && !_mm256_testz_si256(any, any); i++)
            p[i] = q[i];
    }
}

__attribute__((target("avx512f"))) static void zero_with_avx512(uint8_t *to, size_t bytes) {
    const __m512i zero = _mm512_setzero_si512();

    for (__m512i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_512) {
        __m512i any = _mm512_or_si512(_mm512_or_si512(p[0], p[1]), _mm512_or_si512(p[2], p[3]));

        for (size_t i = 0; i < MEND_512 && _mm512_test_epi64_mask(any, any); i++)
            p[i] = zero;
    }
}

__attribute__((target("avx512f"))) static void copy_with_avx512(uint8_t *to, const uint8_t *from, size_t bytes) {
    const __m512i_u *q = (const void *)from;

    for (__m512i *p = (void *)to, *end = (void *)(to + bytes); p < end; p += MEND_512, q += MEND_512) {
        __m512i any = _mm512_setzero_si512();

        for (size_t i = 0; i < MEND_512; i++)
            any = _mm512_or_si512(any, _mm512_xor_si512(p[i], q[i]));
        for (size_t i = 0; i < MEND_512 && _mm512_test_epi64_mask(any, any); i++)
            p[i] = q[i];
    }
}

void mend_zero(uint8_t *to, size_t bytes) {
    if (__builtin_cpu_supports("avx512f"))
        zero_with_avx512(to, bytes);
    else if (__builtin_cpu_supports("avx2"))
        zero_with_avx2(to, bytes);
    else
        memset(to, 0, bytes);
}

void mend_copy(uint8_t *to, const uint8_t *from, size_t bytes) {
    if (__builtin_cpu_supports("avx512f"))
        copy_with_avx512(to, from, bytes);
    else if (__builtin_cpu_supports("avx2"))
        copy_with_avx2(to, from, bytes);
    else
        memcpy(to, from, bytes);
}
