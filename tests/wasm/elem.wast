;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Element segments: in order, at their offsets, null where they say so; one that does not fit makes the instantiation
;; trap.

(module
  (type $get (func (result i32)))
  (table $t 6 funcref)
  (table $u 3 10 funcref)
  (elem (i32.const 0) $a $b)
  (elem (i32.const 1) $c)
  (elem (table $t) (i32.const 5) func $d)
  (elem (table $t) (i32.const 6) func)
  (elem (table $u) (i32.const 1) funcref (ref.null func) (ref.func $a))
  (func $a (result i32) (i32.const 65))
  (func $b (result i32) (i32.const 66))
  (func $c (result i32) (i32.const 67))
  (func $d (result i32) (i32.const 68))
  (func (export "t") (param i32) (result i32) (call_indirect $t (type $get) (local.get 0)))
  (func (export "u") (param i32) (result i32) (call_indirect $u (type $get) (local.get 0)))
  (func (export "t.get") (param i32) (result funcref) (table.get $t (local.get 0)))
  (func (export "u.null") (param i32) (result i32) (ref.is_null (table.get $u (local.get 0)))))
(assert_return (invoke "t" (i32.const 0)) (i32.const 65))
(assert_return (invoke "t" (i32.const 1)) (i32.const 67))
(assert_return (invoke "t" (i32.const 5)) (i32.const 68))
(assert_return (invoke "t.get" (i32.const 2)) (ref.null func))
(assert_return (invoke "t.get" (i32.const 4)) (ref.null func))
(assert_trap (invoke "t" (i32.const 3)) "uninitialized element")
(assert_return (invoke "u.null" (i32.const 0)) (i32.const 1))
(assert_return (invoke "u.null" (i32.const 1)) (i32.const 1))
(assert_return (invoke "u" (i32.const 2)) (i32.const 65))
(assert_trap (invoke "u" (i32.const 3)) "undefined element")

(assert_trap (module (table 1 funcref) (func $f) (elem (i32.const 1) $f)) "out of bounds table access")
(assert_trap (module (table 0 funcref) (func $f) (elem (i32.const 0) $f)) "out of bounds table access")
(assert_trap (module (table 3 funcref) (func $f) (elem (i32.const 2) $f $f)) "out of bounds table access")
(assert_trap (module (table 3 10 funcref) (func $f) (elem (i32.const -1) $f)) "out of bounds table access")
(assert_trap (module (table 0 10 funcref) (elem (i32.const 1) func)) "out of bounds table access")
(assert_trap (module (memory 1) (table 2 funcref) (func $f) (elem (i32.const 0) $f $f $f)) "out of bounds table access")

;; What those left behind is null for the next.
(module (table 3 10 funcref) (func (export "get") (param i32) (result funcref) (table.get 0 (local.get 0))))
(assert_return (invoke "get" (i32.const 0)) (ref.null func))
(assert_return (invoke "get" (i32.const 1)) (ref.null func))
(assert_return (invoke "get" (i32.const 2)) (ref.null func))
