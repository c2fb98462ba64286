;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Constant expressions with add, sub and mul (the extended-const proposal, which wasm2c 1.0.32 refuses): in globals,
;; and as offsets, where they wrap around as at run time.

(module $base
  (global (export "3") i32 (i32.const 3))
  (global (export "-3") i32 (i32.const -3))
  (global (export "2g") i32 (i32.const 0x80000000))
  (global (export "page") i32 (i32.const 65536))
  (global (export "wide") i64 (i64.const 0x100000000)))
(register "base" $base)

(module $globals
  (import "base" "3" (global $three i32))
  (import "base" "-3" (global $minus_three i32))
  (import "base" "2g" (global $two_gib i32))
  (import "base" "wide" (global $wide i64))
  (global (export "add") i32 (i32.add (i32.const 40) (i32.const 2)))
  (global (export "sub") i32 (i32.sub (i32.const 2) (i32.const 40)))
  (global (export "mul") i32 (i32.mul (i32.const -6) (i32.const 7)))
  (global (export "add64") i64 (i64.add (i64.const 0xffffffff) (i64.const 1)))
  (global (export "sub64") i64 (i64.sub (i64.const 0) (i64.const 1)))
  (global (export "mul64") i64 (i64.mul (i64.const 0x10001) (i64.const 0x10001)))
  (global (export "add.wraps") i32 (i32.add (i32.const 0xffffffff) (i32.const 2)))
  (global (export "add.overflows") i32 (i32.add (i32.const 0x7fffffff) (i32.const 1)))
  (global (export "sub.overflows") i32 (i32.sub (i32.const 0x80000000) (i32.const 1)))
  (global (export "mul.wraps") i32 (i32.mul (i32.const 0x10001) (i32.const 0x10001)))
  (global (export "mul.overflows") i32 (i32.mul (i32.const 0x80000000) (i32.const -1)))
  (global (export "add64.overflows") i64 (i64.add (i64.const 0x7fffffffffffffff) (i64.const 1)))
  (global (export "mul64.overflows") i64 (i64.mul (i64.const 0x8000000000000000) (i64.const -1)))
  (global (export "mul64.wraps") i64 (i64.mul (i64.const 0x100000001) (i64.const 0x100000001)))
  (global (export "nested") i32
    (i32.mul
      (i32.sub (i32.const 20) (i32.mul (i32.const 2) (i32.const 4)))
      (i32.add (i32.const 1) (i32.sub (i32.const 5) (i32.const 3)))))
  (global (export "of imports") i32 (i32.sub (i32.mul (global.get $three) (i32.const 100)) (global.get $minus_three)))
  (global (export "of one import") i32 (i32.mul (global.get $three) (i32.mul (global.get $three) (global.get $three))))
  (global (export "doubled") i32 (i32.add (global.get $two_gib) (global.get $two_gib)))
  (global (export "of a wide import") i64 (i64.sub (i64.mul (global.get $wide) (i64.const 3)) (i64.const 1)))
  (global (export "mutable") (mut i32) (i32.add (global.get $three) (global.get $minus_three))))
(assert_return (get "add") (i32.const 42))
(assert_return (get "sub") (i32.const -38))
(assert_return (get "mul") (i32.const -42))
(assert_return (get "add64") (i64.const 0x100000000))
(assert_return (get "sub64") (i64.const -1))
(assert_return (get "mul64") (i64.const 0x100020001))
(assert_return (get "add.wraps") (i32.const 1))
(assert_return (get "add.overflows") (i32.const 0x80000000))
(assert_return (get "sub.overflows") (i32.const 0x7fffffff))
(assert_return (get "mul.wraps") (i32.const 0x20001))
(assert_return (get "mul.overflows") (i32.const 0x80000000))
(assert_return (get "add64.overflows") (i64.const 0x8000000000000000))
(assert_return (get "mul64.overflows") (i64.const 0x8000000000000000))
(assert_return (get "mul64.wraps") (i64.const 0x200000001))
(assert_return (get "nested") (i32.const 36))
(assert_return (get "of imports") (i32.const 303))
(assert_return (get "of one import") (i32.const 27))
(assert_return (get "doubled") (i32.const 0))
(assert_return (get "of a wide import") (i64.const 0x2ffffffff))
(assert_return (get "mutable") (i32.const 0))

(module $offsets
  (import "base" "3" (global $three i32))
  (import "base" "-3" (global $minus_three i32))
  (import "base" "page" (global $page i32))
  (memory 2)
  (table $t 10 funcref)
  (data (offset (i32.mul (i32.const 10) (i32.const 10))) "constant")
  (data (offset (i32.add (global.get $page) (global.get $minus_three))) "around")
  (data (offset (i32.sub (i32.mul (global.get $page) (i32.const 2)) (i32.const 4))) "last")
  (data (offset (i32.mul (global.get $page) (i32.const 2))) "")
  (data (offset (i32.add (i32.const -1) (i32.const 9))) "wrapped")
  (elem (offset (i32.mul (global.get $three) (global.get $three))) $nine)
  (elem (table $t) (offset (i32.add (global.get $minus_three) (global.get $three))) funcref
    (ref.func $zero) (ref.null func))
  (elem (table $t) (offset (i32.sub (i32.const 5) (i32.const 2))) func $three)
  (func $zero (result i32) (i32.const 100))
  (func $three (result i32) (i32.const 103))
  (func $nine (result i32) (i32.const 109))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0))))
(assert_return (invoke "load32" (i32.const 100)) (i32.const 0x736e6f63))
(assert_return (invoke "load32" (i32.const 65533)) (i32.const 0x756f7261))
(assert_return (invoke "load32" (i32.const 131068)) (i32.const 0x7473616c))
(assert_return (invoke "load32" (i32.const 8)) (i32.const 0x70617277))
(assert_return (invoke "load32" (i32.const 0)) (i32.const 0))
(assert_return (invoke "call" (i32.const 0)) (i32.const 100))
(assert_trap (invoke "call" (i32.const 1)) "uninitialized element")
(assert_return (invoke "call" (i32.const 3)) (i32.const 103))
(assert_return (invoke "call" (i32.const 9)) (i32.const 109))

(assert_trap
  (module
    (import "base" "page" (global $page i32))
    (memory 1)
    (data (offset (i32.add (global.get $page) (i32.const 1))) ""))
  "out of bounds memory access")
(assert_trap
  (module
    (import "base" "page" (global $page i32))
    (memory 1)
    (data (offset (i32.sub (global.get $page) (i32.const 3))) "four"))
  "out of bounds memory access")
(assert_trap
  (module
    (import "base" "-3" (global $minus_three i32))
    (memory 1)
    (data (offset (i32.mul (global.get $minus_three) (i32.const 1))) "x"))
  "out of bounds memory access")
(assert_trap
  (module
    (import "base" "3" (global $three i32))
    (table 6 funcref)
    (func $f)
    (elem (offset (i32.add (global.get $three) (i32.const 3))) $f))
  "out of bounds table access")
(assert_trap
  (module (memory 1) (data (offset (i32.sub (i32.const 0) (i32.const 1))) "x"))
  "out of bounds memory access")
(assert_trap
  (module (table 6 funcref) (elem (offset (i32.add (i32.const 0x80000000) (i32.const 1))) func))
  "out of bounds table access")
