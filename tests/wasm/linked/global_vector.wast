;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Globals of 128 bits, which wasm2c 1.0.32 does not translate: all their bits, their alignment among narrower ones, and
;; through imports.

(module $vectors
  (global (export "narrow") i32 (i32.const 1))
  (global (export "bytes") v128 (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 255))
  (global (export "between") (mut i64) (i64.const 0x7777777777777777))
  (global (export "words") (mut v128) (v128.const i32x4 0x80000000 1 0xffffffff 0x12345678))
  (global (export "floats") v128 (v128.const f64x2 -0.0 0x1p-1074))
  (global (export "zero") v128 (v128.const i64x2 0 0))
  (global (export "after") f32 (f32.const 1.5)))
(register "vectors" $vectors)
(assert_return (get "narrow") (i32.const 1))
(assert_return (get "bytes") (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 255))
(assert_return (get "between") (i64.const 0x7777777777777777))
(assert_return (get "words") (v128.const i32x4 0x80000000 1 0xffffffff 0x12345678))
(assert_return (get "floats") (v128.const i64x2 0x8000000000000000 1))
(assert_return (get "zero") (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0))
(assert_return (get "after") (f32.const 1.5))

(module
  (import "vectors" "bytes" (global $bytes v128))
  (import "vectors" "words" (global $words (mut v128)))
  (global (export "copy") v128 (global.get $bytes))
  (global (export "mutable copy") (mut v128) (global.get $bytes))
  (export "bytes" (global $bytes))
  (export "words" (global $words)))
(assert_return (get "copy") (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 255))
(assert_return (get "mutable copy") (v128.const i64x2 0x0706050403020100 0xff0e0d0c0b0a0908))
(assert_return (get "bytes") (v128.const i16x8 0x0100 0x0302 0x0504 0x0706 0x0908 0x0b0a 0x0d0c 0xff0e))
(assert_return (get "words") (v128.const i32x4 0x80000000 1 0xffffffff 0x12345678))

(assert_unlinkable (module (import "vectors" "bytes" (global (mut v128)))) "incompatible import type")
(assert_unlinkable (module (import "vectors" "words" (global v128))) "incompatible import type")
(assert_unlinkable (module (import "vectors" "bytes" (global i64))) "incompatible import type")
(assert_unlinkable (module (import "vectors" "between" (global (mut v128)))) "incompatible import type")
