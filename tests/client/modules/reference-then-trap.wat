;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; A reference, and a segment that is out of bounds.
(module
  (global (mut externref) (ref.null extern))
  (table 1 funcref)
  (func $f)
  (elem (i32.const 1) func $f))
