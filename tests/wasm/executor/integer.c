/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Integers. Arithmetic is unsigned, so that it wraps. */

#include "tests/wasm/executor/numeric.h"

static const char by_zero[] = "integer divide by zero", overflow[] = "integer overflow";

/* Both widths at once: `u` and `s` are the unsigned and signed type, `bits` their width, `ll` the builtins' suffix. */
#define INTEGER(i, u, s, bits, ll)                                                                                     \
    UNARY(i##_eqz, u, i, i32, a == 0)                                                                                  \
    BINARY(i##_eq, u, i, i32, a == b)                                                                                  \
    BINARY(i##_ne, u, i, i32, a != b)                                                                                  \
    BINARY(i##_lt_s, s, i, i32, a < b)                                                                                 \
    BINARY(i##_lt_u, u, i, i32, a < b)                                                                                 \
    BINARY(i##_gt_s, s, i, i32, a > b)                                                                                 \
    BINARY(i##_gt_u, u, i, i32, a > b)                                                                                 \
    BINARY(i##_le_s, s, i, i32, a <= b)                                                                                \
    BINARY(i##_le_u, u, i, i32, a <= b)                                                                                \
    BINARY(i##_ge_s, s, i, i32, a >= b)                                                                                \
    BINARY(i##_ge_u, u, i, i32, a >= b)                                                                                \
    UNARY(i##_clz, u, i, i, a ? (u)__builtin_clz##ll(a) : bits)                                                        \
    UNARY(i##_ctz, u, i, i, a ? (u)__builtin_ctz##ll(a) : bits)                                                        \
    UNARY(i##_popcnt, u, i, i, (u)__builtin_popcount##ll(a))                                                           \
    BINARY(i##_add, u, i, i, a + b)                                                                                    \
    BINARY(i##_sub, u, i, i, a - b)                                                                                    \
    BINARY(i##_mul, u, i, i, a *b)                                                                                     \
    BINARY_OR_TRAP(i##_div_s, s, i, i,                                                                                 \
                   b == 0                            ? by_zero                                                         \
                   : a == INT##bits##_MIN && b == -1 ? overflow                                                        \
                                                     : NULL,                                                           \
                   (u)(a / b))                                                                                         \
    BINARY_OR_TRAP(i##_div_u, u, i, i, b == 0 ? by_zero : NULL, a / b)                                                 \
    BINARY_OR_TRAP(i##_rem_s, s, i, i, b == 0 ? by_zero : NULL, b == -1 ? 0 : (u)(a % b))                              \
    BINARY_OR_TRAP(i##_rem_u, u, i, i, b == 0 ? by_zero : NULL, a % b)                                                 \
    BINARY(i##_and, u, i, i, a &b)                                                                                     \
    BINARY(i##_or, u, i, i, a | b)                                                                                     \
    BINARY(i##_xor, u, i, i, a ^ b)                                                                                    \
    BINARY(i##_shl, u, i, i, a << (b % bits))                                                                          \
    BINARY(i##_shr_s, s, i, i, (u)(a >> ((u)b % bits)))                                                                \
    BINARY(i##_shr_u, u, i, i, a >> (b % bits))                                                                        \
    BINARY(i##_rotl, u, i, i, a << (b % bits) | a >> (-b % bits))                                                      \
    BINARY(i##_rotr, u, i, i, a >> (b % bits) | a << (-b % bits))                                                      \
    UNARY(i##_extend8_s, u, i, i, (u)(s)(int8_t)a)                                                                     \
    UNARY(i##_extend16_s, u, i, i, (u)(s)(int16_t)a)

INTEGER(i32, uint32_t, int32_t, 32, )
INTEGER(i64, uint64_t, int64_t, 64, ll)
UNARY(i64_extend32_s, uint64_t, i64, i64, (uint64_t)(int64_t)(int32_t)a)

#define COMPARISONS(first, i)                                                                                          \
    [first] = run_##i##_eqz, [first + 1] = run_##i##_eq, [first + 2] = run_##i##_ne, [first + 3] = run_##i##_lt_s,     \
    [first + 4] = run_##i##_lt_u, [first + 5] = run_##i##_gt_s, [first + 6] = run_##i##_gt_u,                          \
    [first + 7] = run_##i##_le_s, [first + 8] = run_##i##_le_u, [first + 9] = run_##i##_ge_s,                          \
    [first + 10] = run_##i##_ge_u

#define ARITHMETIC(first, i)                                                                                           \
    [first] = run_##i##_clz, [first + 1] = run_##i##_ctz, [first + 2] = run_##i##_popcnt, [first + 3] = run_##i##_add, \
    [first + 4] = run_##i##_sub, [first + 5] = run_##i##_mul, [first + 6] = run_##i##_div_s,                           \
    [first + 7] = run_##i##_div_u, [first + 8] = run_##i##_rem_s, [first + 9] = run_##i##_rem_u,                       \
    [first + 10] = run_##i##_and, [first + 11] = run_##i##_or, [first + 12] = run_##i##_xor,                           \
    [first + 13] = run_##i##_shl, [first + 14] = run_##i##_shr_s, [first + 15] = run_##i##_shr_u,                      \
    [first + 16] = run_##i##_rotl, [first + 17] = run_##i##_rotr

Handler *const integer_handlers[OPCODES] = {
    COMPARISONS(0x45, i32),     COMPARISONS(0x50, i64),      ARITHMETIC(0x67, i32),
    ARITHMETIC(0x79, i64),      [0xc0] = run_i32_extend8_s,  [0xc1] = run_i32_extend16_s,
    [0xc2] = run_i64_extend8_s, [0xc3] = run_i64_extend16_s, [0xc4] = run_i64_extend32_s,
};
