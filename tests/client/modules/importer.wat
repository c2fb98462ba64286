;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; What everything.wat exports: what it imports itself, and its own, in an order of its own.
(module $importer
  (import "everything" "copied" (global i64))
  (import "everything" "wide" (global i64))
  (import "everything" "second" (memory 1))
  (import "everything" "shared_memory" (memory 1))
  (import "everything" "own_table" (table 6 funcref))
  (import "everything" "shared_table" (table 5 funcref))
  (import "everything" "own" (func))
  (import "everything" "add" (func $add (param i32 i32) (result i32)))
  (import "everything" "own_tag" (tag))
  (import "everything" "shared_tag" (tag (param i32 i32)))
  (import "everything" "mutable" (global (mut i32)))
  (export "add" (func $add)))
