;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Each of its segments is where six.wat says.
(module $trap_anywhere
  (import "six" "element0" (global $e0 i32))
  (import "six" "element1" (global $e1 i32))
  (import "six" "element2" (global $e2 i32))
  (import "six" "data0" (global $d0 i32))
  (import "six" "data1" (global $d1 i32))
  (import "six" "data2" (global $d2 i32))
  (func $f0) (func $f1)
  (memory 1)
  (table 10 funcref)
  (global (mut i32) (global.get $d1))
  (elem (global.get $e0) func $f0)
  (elem (global.get $e1) func $f1 $f0)
  (elem (global.get $e2) func $f0 $f1 $f0)
  (data (global.get $d0) "zero")
  (data (global.get $d1) "one")
  (data (global.get $d2) "two"))
