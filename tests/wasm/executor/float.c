/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Floating point, as the host and libm compute it, rounding to nearest. What only moves bits is done with integers: it
 * must not make a NaN quiet. */

#include "tests/wasm/executor/numeric.h"

#include <math.h>

/* Both widths at once: `i` is the member with the bits, `u` its type, `suffix` that of libm's functions. */
#define FLOAT(f, real, i, u, suffix)                                                                                   \
    static real f##_least(real a, real b) {                                                                            \
        if (isnan(a) || isnan(b))                                                                                      \
            return a + b;                                                                                              \
        return a < b || (a == b && signbit(a)) ? a : b;                                                                \
    }                                                                                                                  \
                                                                                                                       \
    static real f##_greatest(real a, real b) {                                                                         \
        if (isnan(a) || isnan(b))                                                                                      \
            return a + b;                                                                                              \
        return a > b || (a == b && !signbit(a)) ? a : b;                                                               \
    }                                                                                                                  \
                                                                                                                       \
    static const u f##_sign = (u)1 << (8 * sizeof(u) - 1);                                                             \
                                                                                                                       \
    BINARY(f##_eq, real, f, i32, a == b)                                                                               \
    BINARY(f##_ne, real, f, i32, a != b)                                                                               \
    BINARY(f##_lt, real, f, i32, a < b)                                                                                \
    BINARY(f##_gt, real, f, i32, a > b)                                                                                \
    BINARY(f##_le, real, f, i32, a <= b)                                                                               \
    BINARY(f##_ge, real, f, i32, a >= b)                                                                               \
    UNARY(f##_abs, u, i, i, a & ~f##_sign)                                                                             \
    UNARY(f##_neg, u, i, i, a ^ f##_sign)                                                                              \
    UNARY(f##_ceil, real, f, f, isnan(a) ? a + a : ceil##suffix(a))                                                    \
    UNARY(f##_floor, real, f, f, isnan(a) ? a + a : floor##suffix(a))                                                  \
    UNARY(f##_trunc, real, f, f, isnan(a) ? a + a : trunc##suffix(a))                                                  \
    UNARY(f##_nearest, real, f, f, isnan(a) ? a + a : nearbyint##suffix(a))                                            \
    UNARY(f##_sqrt, real, f, f, sqrt##suffix(a))                                                                       \
    BINARY(f##_add, real, f, f, a + b)                                                                                 \
    BINARY(f##_sub, real, f, f, a - b)                                                                                 \
    BINARY(f##_mul, real, f, f, a *b)                                                                                  \
    BINARY(f##_div, real, f, f, a / b)                                                                                 \
    BINARY(f##_min, real, f, f, f##_least(a, b))                                                                       \
    BINARY(f##_max, real, f, f, f##_greatest(a, b))                                                                    \
    BINARY(f##_copysign, u, i, i, (a & ~f##_sign) | (b & f##_sign))

FLOAT(f32, float, i32, uint32_t, f)
FLOAT(f64, double, i64, uint64_t, )

#define COMPARISONS(first, f)                                                                                          \
    [first] = run_##f##_eq, [first + 1] = run_##f##_ne, [first + 2] = run_##f##_lt, [first + 3] = run_##f##_gt,        \
    [first + 4] = run_##f##_le, [first + 5] = run_##f##_ge

#define ARITHMETIC(first, f)                                                                                           \
    [first] = run_##f##_abs, [first + 1] = run_##f##_neg, [first + 2] = run_##f##_ceil, [first + 3] = run_##f##_floor, \
    [first + 4] = run_##f##_trunc, [first + 5] = run_##f##_nearest, [first + 6] = run_##f##_sqrt,                      \
    [first + 7] = run_##f##_add, [first + 8] = run_##f##_sub, [first + 9] = run_##f##_mul,                             \
    [first + 10] = run_##f##_div, [first + 11] = run_##f##_min, [first + 12] = run_##f##_max,                          \
    [first + 13] = run_##f##_copysign

Handler *const float_handlers[OPCODES] = {
    COMPARISONS(0x5b, f32),
    COMPARISONS(0x61, f64),
    ARITHMETIC(0x8b, f32),
    ARITHMETIC(0x99, f64),
};
