;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Segments whose places are an import's to say, between ones that are in bounds.
(module $offsets
  (import "offsets" "element" (global $element i32))
  (import "offsets" "data" (global $data i32))
  (func $f0) (func $f1)
  (memory (export "memory") 1 2)
  (table (export "table") 10 20 funcref)
  (global (export "global") i32 (global.get $data))
  (elem (i32.const 0) func $f0)
  (elem (global.get $element) func $f0 $f1 $f1)
  (elem (i32.const 9) func $f1)
  (data (i32.const 0) "first")
  (data (global.get $data) "second")
  (data (i32.const 100) "third"))
