;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Five functions in a table of six.
(module
  (func $f0) (func $f1) (func $f2) (func $f3) (func $f4)
  (table 6 funcref)
  (elem (i32.const 0) func $f0 $f1 $f2 $f3 $f4))
