;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Six offsets.
(module $six
  (global (export "element0") i32 (i32.const 0))
  (global (export "element1") i32 (i32.const 2))
  (global (export "element2") i32 (i32.const 4))
  (global (export "data0") i32 (i32.const 0))
  (global (export "data1") i32 (i32.const 100))
  (global (export "data2") i32 (i32.const 65000)))
