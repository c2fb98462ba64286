;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; One item of each kind, for importers.
(module $exporter
  (type $none (func))
  (type $binary (func (param i32 i32) (result i32)))
  (func (type $none))
  (func $add (export "add") (type $binary) unreachable)
  (memory 3)
  (memory (export "memory") 1 4)
  (table 7 externref)
  (table (export "table") 5 20 funcref)
  (global i32 (i32.const 1))
  (global (export "offset") i32 (i32.const 40))
  (global (export "wide") i64 (i64.const 0x1122334455667788))
  (global (export "mutable") (mut i32) (i32.const 17))
  (global (export "vector") v128 (v128.const i64x2 0x0102030405060708 0x1112131415161718))
  (global (export "reference") funcref (ref.func $add))
  (tag (type $none))
  (tag (export "tag") (param i32 i32) (result)))
