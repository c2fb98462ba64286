;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Memories, tables and segments for the bulk operations.
(module $bulk
  (func $f0) (func $f1) (func $f2)
  (memory 1 3)
  (memory 1)
  (table 10 20 funcref)
  (table 5 funcref)
  (table 5 externref)
  (elem func $f0 $f1 $f2)
  (elem (i32.const 0) func $f0)
  (elem declare func $f1)
  (elem externref (ref.null extern) (ref.null extern))
  (data "0123456789")
  (data (i32.const 1000) "active")
  (data ""))
