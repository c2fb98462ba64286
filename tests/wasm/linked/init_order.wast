;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; The order of an instantiation: all elements, then all data, then the start function, whatever their order in the
;; text. wasm2c 1.0.32 writes data first.

(module $shared
  (memory (export "memory") 1)
  (table (export "table") 8 funcref)
  (table (export "second") 4 funcref)
  (global (export "started") (mut i32) (i32.const 0))
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect 0 (result i32) (local.get 0)))
  (func (export "call_second") (param i32) (result i32) (call_indirect 1 (result i32) (local.get 0))))
(register "shared" $shared)

;; An element segment that traps: no data.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table 8 funcref))
    (func $f (result i32) (i32.const 1))
    (data (i32.const 0) "a")
    (elem (i32.const 0) $f)
    (elem (i32.const 8) $f))
  "out of bounds table access")
(assert_return (invoke $shared "call" (i32.const 0)) (i32.const 1))
(assert_return (invoke $shared "load8" (i32.const 0)) (i32.const 0))

;; Both would trap: it is the elements that do.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table 8 funcref))
    (func $f (result i32) (i32.const 2))
    (data (i32.const 1) "b")
    (data (i32.const 65536) "b")
    (elem (i32.const 1) $f)
    (elem (i32.const 7) $f $f))
  "out of bounds table access")
(assert_return (invoke $shared "call" (i32.const 1)) (i32.const 2))
(assert_trap (invoke $shared "call" (i32.const 7)) "uninitialized element")
(assert_return (invoke $shared "load8" (i32.const 1)) (i32.const 0))

;; A data segment that traps: all elements are in.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table $first 8 funcref))
    (import "shared" "second" (table $second 4 funcref))
    (func $f (result i32) (i32.const 3))
    (func $g (result i32) (i32.const 4))
    (data (i32.const 2) "c")
    (data (i32.const 65535) "cc")
    (data (i32.const 3) "c")
    (elem (table $second) (i32.const 0) func $f)
    (elem (table $first) (i32.const 2) func $f $g)
    (elem (table $second) (i32.const 3) func $g))
  "out of bounds memory access")
(assert_return (invoke $shared "call" (i32.const 2)) (i32.const 3))
(assert_return (invoke $shared "call" (i32.const 3)) (i32.const 4))
(assert_return (invoke $shared "call_second" (i32.const 0)) (i32.const 3))
(assert_return (invoke $shared "call_second" (i32.const 3)) (i32.const 4))
(assert_return (invoke $shared "load8" (i32.const 2)) (i32.const 99))
(assert_return (invoke $shared "load8" (i32.const 3)) (i32.const 0))
(assert_return (invoke $shared "load8" (i32.const 65535)) (i32.const 0))

;; Segments of several tables take their turns in the order of the text, not table by table.
(assert_trap
  (module
    (import "shared" "table" (table $first 8 funcref))
    (import "shared" "second" (table $second 4 funcref))
    (func $f (result i32) (i32.const 5))
    (elem (table $second) (i32.const 1) func $f)
    (elem (table $first) (i32.const 4) func $f)
    (elem (table $second) (i32.const 4) func $f)
    (elem (table $first) (i32.const 5) func $f))
  "out of bounds table access")
(assert_return (invoke $shared "call_second" (i32.const 1)) (i32.const 5))
(assert_return (invoke $shared "call" (i32.const 4)) (i32.const 5))
(assert_trap (invoke $shared "call" (i32.const 5)) "uninitialized element")

;; A trap in the start function: elements and data are in.
(assert_trap
  (module
    (import "shared" "memory" (memory 1))
    (import "shared" "table" (table 8 funcref))
    (import "shared" "started" (global $started (mut i32)))
    (func $f (result i32) (i32.const 6))
    (func $start (global.set $started (i32.load8_u (i32.const 10))) (unreachable))
    (start $start)
    (data (i32.const 10) "s")
    (elem (i32.const 6) $f))
  "unreachable")
(assert_return (invoke $shared "call" (i32.const 6)) (i32.const 6))
(assert_return (get $shared "started") (i32.const 115))
(assert_return (invoke $shared "load8" (i32.const 10)) (i32.const 115))

;; Own memory, shared table: what was lent before the trap finds its memory as far as it was written.
(assert_trap
  (module
    (import "shared" "table" (table 8 funcref))
    (memory 1)
    (data (i32.const 0) "\07")
    (data (i32.const 65536) "x")
    (data (i32.const 0) "\08")
    (func $f (result i32) (i32.load8_u (i32.const 0)))
    (elem (i32.const 7) $f))
  "out of bounds memory access")
(assert_return (invoke $shared "call" (i32.const 7)) (i32.const 7))
