/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Conversions between numeric types. */

#include "tests/wasm/executor/numeric.h"

#include <math.h>

static const char invalid[] = "invalid conversion to integer", overflow[] = "integer overflow";

/* What a floating-point value must lie strictly between, so that its integer part fits the type. Where the bound below
 * cannot be represented in the operand's type, the least value itself is inside. */
#define ABOVE_I32 2147483648.0
#define ABOVE_U32 4294967296.0
#define ABOVE_I64 9223372036854775808.0
#define ABOVE_U64 18446744073709551616.0

#define TRUNCATE(name, real, from, integer, to, u, is_below, above)                                                    \
    UNARY_OR_TRAP(name, real, from, to,                                                                                \
                  isnan(a)                           ? invalid                                                         \
                  : (is_below) || a >= (real)(above) ? overflow                                                        \
                                                     : NULL,                                                           \
                  (u)(integer)a)

TRUNCATE(i32_trunc_f32_s, float, f32, int32_t, i32, uint32_t, a < (float)-ABOVE_I32, ABOVE_I32)
TRUNCATE(i32_trunc_f32_u, float, f32, uint32_t, i32, uint32_t, a <= -1, ABOVE_U32)
TRUNCATE(i32_trunc_f64_s, double, f64, int32_t, i32, uint32_t, a <= -ABOVE_I32 - 1, ABOVE_I32)
TRUNCATE(i32_trunc_f64_u, double, f64, uint32_t, i32, uint32_t, a <= -1, ABOVE_U32)
TRUNCATE(i64_trunc_f32_s, float, f32, int64_t, i64, uint64_t, a < (float)-ABOVE_I64, ABOVE_I64)
TRUNCATE(i64_trunc_f32_u, float, f32, uint64_t, i64, uint64_t, a <= -1, ABOVE_U64)
TRUNCATE(i64_trunc_f64_s, double, f64, int64_t, i64, uint64_t, a < -ABOVE_I64, ABOVE_I64)
TRUNCATE(i64_trunc_f64_u, double, f64, uint64_t, i64, uint64_t, a <= -1, ABOVE_U64)

#define SATURATE(name, real, from, integer, to, u, is_below, least, above, greatest)                                   \
    UNARY(name, real, from, to,                                                                                        \
          isnan(a)             ? 0                                                                                     \
          : (is_below)         ? (u)(least)                                                                            \
          : a >= (real)(above) ? (u)(greatest)                                                                         \
                               : (u)(integer)a)

SATURATE(i32_sat_f32_s, float, f32, int32_t, i32, uint32_t, a < (float)-ABOVE_I32, INT32_MIN, ABOVE_I32, INT32_MAX)
SATURATE(i32_sat_f32_u, float, f32, uint32_t, i32, uint32_t, a <= -1, 0, ABOVE_U32, UINT32_MAX)
SATURATE(i32_sat_f64_s, double, f64, int32_t, i32, uint32_t, a <= -ABOVE_I32 - 1, INT32_MIN, ABOVE_I32, INT32_MAX)
SATURATE(i32_sat_f64_u, double, f64, uint32_t, i32, uint32_t, a <= -1, 0, ABOVE_U32, UINT32_MAX)
SATURATE(i64_sat_f32_s, float, f32, int64_t, i64, uint64_t, a < (float)-ABOVE_I64, INT64_MIN, ABOVE_I64, INT64_MAX)
SATURATE(i64_sat_f32_u, float, f32, uint64_t, i64, uint64_t, a <= -1, 0, ABOVE_U64, UINT64_MAX)
SATURATE(i64_sat_f64_s, double, f64, int64_t, i64, uint64_t, a < -ABOVE_I64, INT64_MIN, ABOVE_I64, INT64_MAX)
SATURATE(i64_sat_f64_u, double, f64, uint64_t, i64, uint64_t, a <= -1, 0, ABOVE_U64, UINT64_MAX)

UNARY(i32_wrap_i64, uint64_t, i64, i32, (uint32_t)a)
UNARY(i64_extend_i32_s, int32_t, i32, i64, (uint64_t)(int64_t)a)
UNARY(i64_extend_i32_u, uint32_t, i32, i64, a)
UNARY(f32_convert_i32_s, int32_t, i32, f32, (float)a)
UNARY(f32_convert_i32_u, uint32_t, i32, f32, (float)a)
UNARY(f32_convert_i64_s, int64_t, i64, f32, (float)a)
UNARY(f32_convert_i64_u, uint64_t, i64, f32, (float)a)
UNARY(f32_demote_f64, double, f64, f32, (float)a)
UNARY(f64_convert_i32_s, int32_t, i32, f64, (double)a)
UNARY(f64_convert_i32_u, uint32_t, i32, f64, (double)a)
UNARY(f64_convert_i64_s, int64_t, i64, f64, (double)a)
UNARY(f64_convert_i64_u, uint64_t, i64, f64, (double)a)
UNARY(f64_promote_f32, float, f32, f64, (double)a)
UNARY(reinterpret_32, uint32_t, i32, i32, a)
UNARY(reinterpret_64, uint64_t, i64, i64, a)

Handler *const convert_handlers[OPCODES] = {
    [0xa7] = run_i32_wrap_i64,           [0xa8] = run_i32_trunc_f32_s,        [0xa9] = run_i32_trunc_f32_u,
    [0xaa] = run_i32_trunc_f64_s,        [0xab] = run_i32_trunc_f64_u,        [0xac] = run_i64_extend_i32_s,
    [0xad] = run_i64_extend_i32_u,       [0xae] = run_i64_trunc_f32_s,        [0xaf] = run_i64_trunc_f32_u,
    [0xb0] = run_i64_trunc_f64_s,        [0xb1] = run_i64_trunc_f64_u,        [0xb2] = run_f32_convert_i32_s,
    [0xb3] = run_f32_convert_i32_u,      [0xb4] = run_f32_convert_i64_s,      [0xb5] = run_f32_convert_i64_u,
    [0xb6] = run_f32_demote_f64,         [0xb7] = run_f64_convert_i32_s,      [0xb8] = run_f64_convert_i32_u,
    [0xb9] = run_f64_convert_i64_s,      [0xba] = run_f64_convert_i64_u,      [0xbb] = run_f64_promote_f32,
    [0xbc] = run_reinterpret_32,         [0xbd] = run_reinterpret_64,         [0xbe] = run_reinterpret_32,
    [0xbf] = run_reinterpret_64,         [OPCODE_FC] = run_i32_sat_f32_s,     [OPCODE_FC + 1] = run_i32_sat_f32_u,
    [OPCODE_FC + 2] = run_i32_sat_f64_s, [OPCODE_FC + 3] = run_i32_sat_f64_u, [OPCODE_FC + 4] = run_i64_sat_f32_s,
    [OPCODE_FC + 5] = run_i64_sat_f32_u, [OPCODE_FC + 6] = run_i64_sat_f64_s, [OPCODE_FC + 7] = run_i64_sat_f64_u,
};
