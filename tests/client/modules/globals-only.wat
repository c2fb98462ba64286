;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
(module
  (global (mut i64) (i64.const 1))
  (global (mut i64) (i64.const 2))
  (global (mut i64) (i64.const 3))
  (global (mut i64) (i64.const 4)))
