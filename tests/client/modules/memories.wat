;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; Three memories, of which the first and the last have contents.
(module $memories
  (memory 1)
  (memory 1)
  (memory 2)
  (data (i32.const 1) "ab")
  (data (memory 2) (i32.const 2) "cde"))
