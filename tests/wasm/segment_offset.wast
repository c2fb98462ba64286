;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Offsets of active segments that are the value of an imported global, known at the instantiation only: at 0, at the
;; end, just beyond it, and with the sign bit set, for data and for elements.

(module $offsets
  (global (export "0") i32 (i32.const 0))
  (global (export "1") i32 (i32.const 1))
  (global (export "5") i32 (i32.const 5))
  (global (export "8") i32 (i32.const 8))
  (global (export "9") i32 (i32.const 9))
  (global (export "4094") i32 (i32.const 4094))
  (global (export "65532") i32 (i32.const 65532))
  (global (export "65536") i32 (i32.const 65536))
  (global (export "65537") i32 (i32.const 65537))
  (global (export "2g") i32 (i32.const 0x80000000))
  (global (export "-1") i32 (i32.const -1))
  (global (export "-4") i32 (i32.const -4)))
(register "offsets" $offsets)

(module $data
  (import "offsets" "0" (global $zero i32))
  (import "offsets" "4094" (global $a_host_page_less_two i32))
  (import "offsets" "65532" (global $four_before_the_end i32))
  (import "offsets" "65536" (global $end i32))
  (memory 1)
  (data (global.get $zero) "zero")
  (data (global.get $a_host_page_less_two) "middle")
  (data (global.get $four_before_the_end) "last")
  (data (global.get $end) "")
  (data (offset (i32.const 2)) "ZE")
  (data $kept "kept")
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load64") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "init_first") (param i32) (memory.init 0 (i32.const 100) (i32.const 0) (local.get 0)))
  (func (export "init_kept") (memory.init $kept (i32.const 200) (i32.const 0) (i32.const 4))))
(assert_return (invoke "load64" (i32.const 0)) (i64.const 0x455a657a))
(assert_return (invoke "load64" (i32.const 4093)) (i64.const 0x00656c6464696d00))
(assert_return (invoke "load32" (i32.const 65532)) (i32.const 0x7473616c))
(assert_return (invoke "load32" (i32.const 65528)) (i32.const 0))
(assert_return (invoke "init_first" (i32.const 0)))
(assert_trap (invoke "init_first" (i32.const 1)) "out of bounds memory access")
(assert_return (invoke "init_kept"))
(assert_return (invoke "load32" (i32.const 200)) (i32.const 0x7470656b))

;; The same text twice, over two values of the same name, gives two images.
(module $here (global (export "base") i32 (i32.const 16)))
(register "here" $here)
(module $there (global (export "base") i32 (i32.const 40000)))
(register "there" $there)
(module $at_here
  (import "here" "base" (global $base i32))
  (memory 1)
  (data (global.get $base) "moved")
  (func (export "load64") (param i32) (result i64) (i64.load (local.get 0))))
(module $at_there
  (import "there" "base" (global $base i32))
  (memory 1)
  (data (global.get $base) "moved")
  (func (export "load64") (param i32) (result i64) (i64.load (local.get 0))))
(assert_return (invoke $at_here "load64" (i32.const 16)) (i64.const 0x6465766f6d))
(assert_return (invoke $at_here "load64" (i32.const 40000)) (i64.const 0))
(assert_return (invoke $at_there "load64" (i32.const 16)) (i64.const 0))
(assert_return (invoke $at_there "load64" (i32.const 40000)) (i64.const 0x6465766f6d))

(module $elem
  (import "offsets" "0" (global $zero i32))
  (import "offsets" "5" (global $five i32))
  (import "offsets" "8" (global $end i32))
  (import "offsets" "1" (global $one i32))
  (table $t 8 funcref)
  (table $u 8 funcref)
  (elem (global.get $five) $a $b $c)
  (elem (table $t) (global.get $zero) func $b)
  (elem (table $u) (offset (global.get $one)) funcref (ref.func $c) (ref.null func) (ref.func $a))
  (elem (table $t) (global.get $end) func)
  (elem (table $u) (global.get $end) funcref)
  (func $a (result i32) (i32.const 1))
  (func $b (result i32) (i32.const 2))
  (func $c (result i32) (i32.const 3))
  (func (export "t") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0)))
  (func (export "u") (param i32) (result i32) (call_indirect $u (result i32) (local.get 0)))
  (func (export "init_first") (param i32) (table.init $t 0 (i32.const 1) (i32.const 0) (local.get 0))))
(assert_return (invoke "t" (i32.const 0)) (i32.const 2))
(assert_trap (invoke "t" (i32.const 1)) "uninitialized element")
(assert_trap (invoke "t" (i32.const 4)) "uninitialized element")
(assert_return (invoke "t" (i32.const 5)) (i32.const 1))
(assert_return (invoke "t" (i32.const 6)) (i32.const 2))
(assert_return (invoke "t" (i32.const 7)) (i32.const 3))
(assert_trap (invoke "t" (i32.const 8)) "undefined element")
(assert_trap (invoke "u" (i32.const 0)) "uninitialized element")
(assert_return (invoke "u" (i32.const 1)) (i32.const 3))
(assert_trap (invoke "u" (i32.const 2)) "uninitialized element")
(assert_return (invoke "u" (i32.const 3)) (i32.const 1))
(assert_return (invoke "init_first" (i32.const 0)))
(assert_trap (invoke "init_first" (i32.const 1)) "out of bounds table access")

;; What does not fit.
(assert_trap
  (module (import "offsets" "65536" (global i32)) (memory 1) (data (global.get 0) "x"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "65537" (global i32)) (memory 1) (data (global.get 0) ""))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "65532" (global i32)) (memory 1) (data (global.get 0) "abcde"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "2g" (global i32)) (memory 1) (data (global.get 0) "x"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "2g" (global i32)) (memory 1) (data (global.get 0) ""))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "-1" (global i32)) (memory 1) (data (global.get 0) "x"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "-4" (global i32)) (memory 1) (data (global.get 0) "four, and around"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "1" (global i32)) (memory 0) (data (global.get 0) ""))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "0" (global i32)) (memory 0 1) (data (global.get 0) "x"))
  "out of bounds memory access")
(assert_trap
  (module (import "offsets" "8" (global i32)) (table 8 funcref) (func $f) (elem (global.get 0) $f))
  "out of bounds table access")
(assert_trap
  (module (import "offsets" "9" (global i32)) (table 8 funcref) (elem (global.get 0) func))
  "out of bounds table access")
(assert_trap
  (module (import "offsets" "5" (global i32)) (table 8 100 funcref) (func $f) (elem (global.get 0) $f $f $f $f))
  "out of bounds table access")
(assert_trap
  (module (import "offsets" "2g" (global i32)) (table 8 funcref) (func $f) (elem (global.get 0) $f))
  "out of bounds table access")
(assert_trap
  (module (import "offsets" "-1" (global i32)) (table 8 funcref) (elem (global.get 0) func))
  "out of bounds table access")
(assert_trap
  (module (import "offsets" "-1" (global i32)) (table 8 funcref) (func $f) (elem (global.get 0) $f $f))
  "out of bounds table access")
(assert_trap
  (module
    (import "offsets" "8" (global i32))
    (table 9 funcref)
    (table $e 8 externref)
    (elem (table $e) (global.get 0) externref (ref.null extern)))
  "out of bounds table access")

;; Into imported memories and tables: bounds are their sizes of now, not those that the import asks for.
(module $owner
  (memory (export "memory") 1 3)
  (table (export "table") 2 9 funcref)
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "grow_table") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(register "owner" $owner)
(assert_trap
  (module
    (import "offsets" "65536" (global i32))
    (import "owner" "memory" (memory 1))
    (data (global.get 0) "grown"))
  "out of bounds memory access")
(assert_trap
  (module
    (import "offsets" "5" (global i32))
    (import "owner" "table" (table 2 funcref))
    (func $f (result i32) (i32.const 50))
    (elem (global.get 0) $f))
  "out of bounds table access")
(assert_return (invoke $owner "grow") (i32.const 1))
(assert_return (invoke $owner "grow_table" (i32.const 4)) (i32.const 2))
(module
  (import "offsets" "65536" (global $end i32))
  (import "offsets" "5" (global $five i32))
  (import "owner" "memory" (memory 1))
  (import "owner" "table" (table 2 funcref))
  (func $f (result i32) (i32.const 55))
  (data (global.get $end) "grown")
  (elem (global.get $five) $f))
(assert_return (invoke $owner "load32" (i32.const 65536)) (i32.const 0x776f7267))
(assert_return (invoke $owner "call" (i32.const 5)) (i32.const 55))
(assert_trap (invoke $owner "call" (i32.const 4)) "uninitialized element")
(assert_trap (invoke $owner "call" (i32.const 6)) "undefined element")
