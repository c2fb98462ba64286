;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Nothing but segments for what others have.
(module $shared
  (import "exporter" "memory" (memory 1))
  (import "exporter" "table" (table 1 funcref))
  (import "exporter" "offset" (global $offset i32))
  (func $own)
  (memory 1)
  (elem (i32.const 2) func $own)
  (data (global.get $offset) "shared")
  (data (memory 1) (i32.const 5) "own"))
