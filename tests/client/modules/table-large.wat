;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; The last elements of the largest image of a table.
(module
  (func $f)
  (table 40000 funcref)
  (elem (i32.const 32766) func $f $f))
