;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; One import of each kind that is particular about its type.
(module $wants
  (import "offers" "function" (func (param i32) (result i64)))
  (import "offers" "table" (table 2 5 funcref))
  (import "offers" "memory" (memory 2 5))
  (import "offers" "constant" (global i32))
  (import "offers" "mutable" (global (mut f64)))
  (import "offers" "tag" (tag (param i32))))
