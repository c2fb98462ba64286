;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Tables whose elements are constant: with segments over each other, nulls, and an imported function that escapes.
(module $table_image
  (import "host" "f" (func $imported))
  (func $f0) (func $f1) (func $f2)
  (table $one (export "one") 40 100 funcref)
  (table $two 5 funcref)
  (table $three 3 externref)
  (global (export "global") funcref (ref.func $f1))
  (elem (i32.const 1) func $imported $f0 $f1)
  (elem (i32.const 3) funcref (ref.null func) (ref.func $f2))
  (elem (table $two) (i32.const 4) func $f2)
  (elem declare func $f1)
  (elem func $f0)
  (elem (table $three) (i32.const 0) externref (ref.null extern))
  (elem (i32.const 39) func $f0)
  (start $f2))
