;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; A fresh memory is zero, holds what is stored in it in any width at any alignment, and is little-endian.

(module
  (memory (export "memory") 2 3)
  (func (export "size") (result i32) (memory.size))
  (func (export "load8_u") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load8_s") (param i32) (result i32) (i32.load8_s (local.get 0)))
  (func (export "load16_u") (param i32) (result i32) (i32.load16_u (local.get 0)))
  (func (export "load16_s") (param i32) (result i32) (i32.load16_s (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load64") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "load64_8s") (param i32) (result i64) (i64.load8_s (local.get 0)))
  (func (export "load64_16s") (param i32) (result i64) (i64.load16_s (local.get 0)))
  (func (export "load64_32s") (param i32) (result i64) (i64.load32_s (local.get 0)))
  (func (export "load64_32u") (param i32) (result i64) (i64.load32_u (local.get 0)))
  (func (export "loadf32") (param i32) (result f32) (f32.load (local.get 0)))
  (func (export "loadf64") (param i32) (result f64) (f64.load (local.get 0)))
  (func (export "store8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "store16") (param i32 i32) (i32.store16 (local.get 0) (local.get 1)))
  (func (export "store32") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "store64") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "storef32") (param i32 f32) (f32.store (local.get 0) (local.get 1)))
  (func (export "storef64") (param i32 f64) (f64.store (local.get 0) (local.get 1)))
  ;; The sum of all bytes, so that one dirty byte anywhere shows.
  (func (export "sum") (result i64)
    (local $at i32) (local $sum i64)
    (loop $more
      (local.set $sum (i64.add (local.get $sum) (i64.popcnt (i64.load (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    (local.get $sum)))

(assert_return (invoke "size") (i32.const 2))
(assert_return (invoke "sum") (i64.const 0))
(assert_return (invoke "load8_u" (i32.const 0)) (i32.const 0))
(assert_return (invoke "load64" (i32.const 65532)) (i64.const 0))
(assert_return (invoke "load64" (i32.const 131064)) (i64.const 0))

(assert_return (invoke "store64" (i32.const 16) (i64.const 0x8877665544332281)))
(assert_return (invoke "load8_u" (i32.const 16)) (i32.const 0x81))
(assert_return (invoke "load8_s" (i32.const 16)) (i32.const -127))
(assert_return (invoke "load8_u" (i32.const 23)) (i32.const 0x88))
(assert_return (invoke "load8_s" (i32.const 23)) (i32.const -120))
(assert_return (invoke "load16_u" (i32.const 22)) (i32.const 0x8877))
(assert_return (invoke "load16_s" (i32.const 22)) (i32.const -30601))
(assert_return (invoke "load16_u" (i32.const 17)) (i32.const 0x3322))
(assert_return (invoke "load32" (i32.const 16)) (i32.const 0x44332281))
(assert_return (invoke "load32" (i32.const 19)) (i32.const 0x77665544))
(assert_return (invoke "load64" (i32.const 16)) (i64.const 0x8877665544332281))
(assert_return (invoke "load64" (i32.const 15)) (i64.const 0x7766554433228100))
(assert_return (invoke "load64_8s" (i32.const 16)) (i64.const -127))
(assert_return (invoke "load64_16s" (i32.const 22)) (i64.const -30601))
(assert_return (invoke "load64_32s" (i32.const 20)) (i64.const -2005440939))
(assert_return (invoke "load64_32u" (i32.const 20)) (i64.const 0x88776655))

;; A narrow store leaves its neighbours.
(assert_return (invoke "store8" (i32.const 18) (i32.const 0x1ff)))
(assert_return (invoke "load64" (i32.const 16)) (i64.const 0x8877665544ff2281))
(assert_return (invoke "store16" (i32.const 19) (i32.const 0x7abcd)))
(assert_return (invoke "load64" (i32.const 16)) (i64.const 0x887766abcdff2281))
(assert_return (invoke "store32" (i32.const 21) (i32.const 0x01020304)))
(assert_return (invoke "load64" (i32.const 16)) (i64.const 0x020304abcdff2281))
(assert_return (invoke "load8_u" (i32.const 24)) (i32.const 1))

;; Across the boundary between two wasm pages.
(assert_return (invoke "store64" (i32.const 65532) (i64.const 0x1122334455667788)))
(assert_return (invoke "load32" (i32.const 65532)) (i32.const 0x55667788))
(assert_return (invoke "load32" (i32.const 65536)) (i32.const 0x11223344))
(assert_return (invoke "load16_u" (i32.const 65535)) (i32.const 0x4455))

;; Floating point keeps its bits, those of NaNs too.
(assert_return (invoke "storef32" (i32.const 100) (f32.const 1.5)))
(assert_return (invoke "load32" (i32.const 100)) (i32.const 0x3fc00000))
(assert_return (invoke "loadf32" (i32.const 100)) (f32.const 1.5))
(assert_return (invoke "storef64" (i32.const 101) (f64.const -0.0)))
(assert_return (invoke "load64" (i32.const 101)) (i64.const 0x8000000000000000))
(assert_return (invoke "loadf64" (i32.const 101)) (f64.const -0.0))
(assert_return (invoke "storef32" (i32.const 200) (f32.const nan:0x200001)))
(assert_return (invoke "load32" (i32.const 200)) (i32.const 0x7fa00001))
(assert_return (invoke "storef64" (i32.const 200) (f64.const inf)))
(assert_return (invoke "loadf64" (i32.const 200)) (f64.const inf))

;; Another instance of the same shape does not see the first one's bytes.
(module
  (memory 2 3)
  (func (export "at") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "size") (result i32) (memory.size)))
(assert_return (invoke "at" (i32.const 16)) (i64.const 0))
(assert_return (invoke "at" (i32.const 65532)) (i64.const 0))
(assert_return (invoke "at" (i32.const 200)) (i64.const 0))
(assert_return (invoke "size") (i32.const 2))

;; Memories of no page at all.
(module
  (memory 0)
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (result i32) (i32.load8_u (i32.const 0))))
(assert_return (invoke "size") (i32.const 0))
(assert_trap (invoke "load") "out of bounds memory access")
(module
  (memory 0 0)
  (func (export "size") (result i32) (memory.size))
  (func (export "store") (i32.store8 (i32.const 0) (i32.const 1))))
(assert_return (invoke "size") (i32.const 0))
(assert_trap (invoke "store") "out of bounds memory access")
(module (memory 1 65536) (func (export "size") (result i32) (memory.size)))
(assert_return (invoke "size") (i32.const 1))
