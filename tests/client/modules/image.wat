;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; A memory with contents, and a table behind it.
(module
  (func $f)
  (memory 1)
  (table 4 funcref)
  (elem (i32.const 1) func $f)
  (data (i32.const 0) "a memory with contents")
  (data (i32.const 65532) "last"))
