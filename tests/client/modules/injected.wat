;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; An instance with all there is to get: an image with a hole, of more than is reset without asking where there are
;; pages, a table, globals, segments that stay, and a start function.
(module $injected
  (func $f0) (func $f1) (func $f2)
  (memory 8 40)
  (table 10 100 funcref)
  (global (mut i32) (i32.const 11))
  (global (mut v128) (v128.const i64x2 22 33))
  (global (mut f64) (f64.const 4.5))
  (start $f2)
  (elem (i32.const 3) func $f0 $f1)
  (elem func $f1 $f2)
  (data (i32.const 100) "low")
  (data (i32.const 65530) "in the middle")
  (data (i32.const 500000) "high")
  (data "passive"))
