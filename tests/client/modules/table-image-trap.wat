;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Elements that are constant, and data that may be out of bounds.
(module
  (import "exporter" "offset" (global $offset i32))
  (func $f)
  (memory 1)
  (table 10 funcref)
  (elem (i32.const 2) func $f $f)
  (data (global.get $offset) "anywhere"))
