;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Instantiations that trap in their middle. Segments before the one that traps have been written and stay, the one that
;; traps has written nothing, those behind it have not been tried, and the start function has not run. The instance is
;; gone, but what it lent to a shared table still works.

(module $shared
  (type $get (func (result i32)))
  (memory (export "memory") 1 2)
  (table (export "table") 10 12 funcref)
  (table (export "externs") 4 externref)
  (global $cell (export "cell") (mut i32) (i32.const 1))
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (type $get) (local.get 0)))
  (func (export "extern") (param i32) (result externref) (table.get 1 (local.get 0)))
  (func (export "set_extern") (param i32 externref) (table.set 1 (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "elements") (result i32) (table.size 0)))
(register "shared" $shared)

;; Data: the first and the second are in, the third is not, nor what would have fit behind it.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (data (i32.const 0) "one")
    (data (i32.const 100) "two")
    (data (i32.const 65534) "three")
    (data (i32.const 200) "four"))
  "out of bounds memory access")
(assert_return (invoke $shared "load32" (i32.const 0)) (i32.const 0x656e6f))
(assert_return (invoke $shared "load32" (i32.const 100)) (i32.const 0x6f7774))
(assert_return (invoke $shared "load8" (i32.const 65534)) (i32.const 0))
(assert_return (invoke $shared "load8" (i32.const 65535)) (i32.const 0))
(assert_return (invoke $shared "load32" (i32.const 200)) (i32.const 0))

;; An empty one beyond the end traps like any other.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (data (i32.const 4) "a")
    (data (i32.const 65537) "")
    (data (i32.const 5) "b"))
  "out of bounds memory access")
(assert_return (invoke $shared "load8" (i32.const 4)) (i32.const 97))
(assert_return (invoke $shared "load8" (i32.const 5)) (i32.const 0))

;; Segments that overlap are written one after the other up to the trap.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (data (i32.const 300) "xxxx")
    (data (i32.const 302) "yy")
    (data (i32.const 0x80000000) "no")
    (data (i32.const 300) "z"))
  "out of bounds memory access")
(assert_return (invoke $shared "load32" (i32.const 300)) (i32.const 0x79797878))

;; Across the boundary of a host page: not the part that would have fit.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (data (i32.const 61440) "page")
    (data (i32.const 65535) "ab"))
  "out of bounds memory access")
(assert_return (invoke $shared "load32" (i32.const 61440)) (i32.const 0x65676170))
(assert_return (invoke $shared "load8" (i32.const 65535)) (i32.const 0))

;; Elements: likewise, and the functions of the instance that never was can be called.
(assert_trap
  (module
    (import "shared" "table" (table 10 funcref))
    (global $own (mut i32) (i32.const 40))
    (func $own (result i32) (global.set $own (i32.add (global.get $own) (i32.const 1))) (global.get $own))
    (func $constant (result i32) (i32.const 7))
    (elem (i32.const 0) $own $constant)
    (elem (i32.const 5) funcref (ref.func $own))
    (elem (i32.const 9) $constant $constant)
    (elem (i32.const 2) $constant))
  "out of bounds table access")
(assert_return (invoke $shared "call" (i32.const 0)) (i32.const 41))
(assert_return (invoke $shared "call" (i32.const 5)) (i32.const 42))
(assert_return (invoke $shared "call" (i32.const 0)) (i32.const 43))
(assert_return (invoke $shared "call" (i32.const 1)) (i32.const 7))
(assert_trap (invoke $shared "call" (i32.const 9)) "uninitialized element")
(assert_trap (invoke $shared "call" (i32.const 2)) "uninitialized element")

;; Such a function sees the memory of its own instance, with what was written there before the trap.
(assert_trap
  (module
    (import "shared" "table" (table $shared 10 funcref))
    (memory 1)
    (table $own 1 funcref)
    (data (i32.const 8) "\2a")
    (func $read (result i32) (i32.load8_u (i32.const 8)))
    (func $bump (result i32)
      (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
      (i32.load8_u (i32.const 8)))
    (elem (table $shared) (i32.const 6) func $read $bump)
    (func $start (unreachable))
    (start $start))
  "unreachable")
(assert_return (invoke $shared "call" (i32.const 6)) (i32.const 42))
(assert_return (invoke $shared "call" (i32.const 7)) (i32.const 43))
(assert_return (invoke $shared "call" (i32.const 6)) (i32.const 43))

;; Null elements erase, and stay erased.
(assert_trap
  (module
    (import "shared" "table" (table 10 funcref))
    (func $f)
    (elem (i32.const 1) funcref (ref.null func))
    (elem (i32.const 10) $f))
  "out of bounds table access")
(assert_trap (invoke $shared "call" (i32.const 1)) "uninitialized element")
(assert_return (invoke $shared "set_extern" (i32.const 0) (ref.extern 1)))
(assert_return (invoke $shared "set_extern" (i32.const 1) (ref.extern 2)))
(assert_return (invoke $shared "set_extern" (i32.const 3) (ref.extern 4)))
(assert_trap
  (module
    (import "shared" "externs" (table 4 externref))
    (elem (i32.const 1) externref (ref.null extern))
    (elem (i32.const 3) externref (ref.null extern) (ref.null extern)))
  "out of bounds table access")
(assert_return (invoke $shared "extern" (i32.const 0)) (ref.extern 1))
(assert_return (invoke $shared "extern" (i32.const 1)) (ref.null extern))
(assert_return (invoke $shared "extern" (i32.const 3)) (ref.extern 4))

;; All segments are in before the start function; what it did before it trapped is done.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table 10 funcref))
    (import "shared" "cell" (global $cell (mut i32)))
    (func $last (result i32) (i32.const 77))
    (data (i32.const 400) "data")
    (elem (i32.const 8) $last)
    (func $start
      (global.set $cell (call_indirect (result i32) (i32.const 8)))
      (i32.store (i32.const 404) (i32.load (i32.const 400)))
      (drop (memory.grow (i32.const 1)))
      (drop (table.grow 0 (ref.func $last) (i32.const 1)))
      (i32.store (i32.const 131072) (i32.const -1)))
    (start $start))
  "out of bounds memory access")
(assert_return (get $shared "cell") (i32.const 77))
(assert_return (invoke $shared "load32" (i32.const 400)) (i32.const 0x61746164))
(assert_return (invoke $shared "load32" (i32.const 404)) (i32.const 0x61746164))
(assert_return (invoke $shared "size") (i32.const 2))
(assert_return (invoke $shared "load32" (i32.const 131068)) (i32.const 0))
(assert_return (invoke $shared "elements") (i32.const 11))
(assert_return (invoke $shared "call" (i32.const 10)) (i32.const 77))
(assert_return (invoke $shared "call" (i32.const 8)) (i32.const 77))

;; No start function after a segment that trapped.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "cell" (global $cell (mut i32)))
    (data (i32.const -1) "x")
    (func $start (global.set $cell (i32.const 1000)))
    (start $start))
  "out of bounds memory access")
(assert_trap
  (module
    (import "shared" "cell" (global $cell (mut i32)))
    (table 1 funcref)
    (elem (i32.const 1) $start)
    (func $start (global.set $cell (i32.const 1000)))
    (start $start))
  "out of bounds table access")
(assert_return (get $shared "cell") (i32.const 77))

;; Bulk operations of a start function: whole or not at all, and the ones before are done.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (data $p "passive")
    (func $start
      (memory.init $p (i32.const 500) (i32.const 0) (i32.const 7))
      (memory.fill (i32.const 507) (i32.const 33) (i32.const 1))
      (memory.copy (i32.const 508) (i32.const 500) (i32.const 4))
      (memory.fill (i32.const 131071) (i32.const 34) (i32.const 2)))
    (start $start))
  "out of bounds memory access")
(assert_return (invoke $shared "load32" (i32.const 500)) (i32.const 0x73736170))
(assert_return (invoke $shared "load32" (i32.const 504)) (i32.const 0x21657669))
(assert_return (invoke $shared "load32" (i32.const 508)) (i32.const 0x73736170))
(assert_return (invoke $shared "load8" (i32.const 131071)) (i32.const 0))

;; Both kinds in one module.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table 10 funcref))
    (func $start (unreachable))
    (func $f (result i32) (i32.const 12))
    (elem (i32.const 3) $f)
    (data (i32.const 600) "in")
    (start $start))
  "unreachable")
(assert_return (invoke $shared "call" (i32.const 3)) (i32.const 12))
(assert_return (invoke $shared "load32" (i32.const 600)) (i32.const 0x6e69))

;; Afterwards the shared ones serve as before.
(module
  (import "shared" "memory" (memory 2 2))
  (import "shared" "table" (table 11 12 funcref))
  (func $f (result i32) (i32.const 99))
  (data (i32.const 131068) "done")
  (elem (i32.const 9) $f $f)
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(assert_return (invoke "call" (i32.const 10)) (i32.const 99))
(assert_return (invoke "call" (i32.const 0)) (i32.const 44))
(assert_return (invoke $shared "load32" (i32.const 131068)) (i32.const 0x656e6f64))
(assert_return (invoke $shared "call" (i32.const 9)) (i32.const 99))
