;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Memories and tables that several instances share: growth by one is seen by all, what a trapped instantiation wrote
;; into an imported one stays, and the owner's functions work when called through another's table.

(module $owner
  (memory (export "memory") 1 4)
  (table (export "table") 4 8 funcref)
  (global $calls (mut i32) (i32.const 0))
  (func $count (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
  (elem (i32.const 0) $count)
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table.size") (result i32) (table.size 0))
  (func (export "calls") (result i32) (global.get $calls))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(register "owner" $owner)

(module $user
  (import "owner" "memory" (memory 1))
  (import "owner" "table" (table 4 funcref))
  (import "owner" "load" (func $load (param i32) (result i32)))
  (global $state (mut i32) (i32.const 100))
  (func $state (result i32) (global.set $state (i32.add (global.get $state) (i32.const 1))) (global.get $state))
  (elem (i32.const 1) $state)
  (data (i32.const 10) "user")
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load_by_owner") (param i32) (result i32) (call $load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table.grow") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))

(assert_return (invoke $owner "load" (i32.const 10)) (i32.const 117))
(assert_return (invoke $user "load" (i32.const 13)) (i32.const 114))
(assert_return (invoke $user "load_by_owner" (i32.const 13)) (i32.const 114))
(assert_return (invoke $owner "store" (i32.const 100) (i32.const 55)))
(assert_return (invoke $user "load" (i32.const 100)) (i32.const 55))
(assert_return (invoke $user "store" (i32.const 101) (i32.const 56)))
(assert_return (invoke $owner "load" (i32.const 101)) (i32.const 56))

(assert_trap (invoke $owner "load" (i32.const 65536)) "out of bounds memory access")
(assert_return (invoke $user "grow" (i32.const 1)) (i32.const 1))
(assert_return (invoke $owner "size") (i32.const 2))
(assert_return (invoke $owner "load" (i32.const 65536)) (i32.const 0))
(assert_return (invoke $owner "grow" (i32.const 1)) (i32.const 2))
(assert_return (invoke $user "size") (i32.const 3))
(assert_return (invoke $user "store" (i32.const 196607) (i32.const 1)))
(assert_return (invoke $owner "load" (i32.const 196607)) (i32.const 1))
(assert_return (invoke $user "grow" (i32.const 2)) (i32.const -1))
(assert_return (invoke $user "grow" (i32.const 1)) (i32.const 3))
(assert_return (invoke $owner "grow" (i32.const 1)) (i32.const -1))

;; Functions in a shared table run in the instance that they belong to.
(assert_return (invoke $user "call" (i32.const 0)) (i32.const 1))
(assert_return (invoke $owner "call" (i32.const 0)) (i32.const 2))
(assert_return (invoke $owner "calls") (i32.const 2))
(assert_return (invoke $owner "call" (i32.const 1)) (i32.const 101))
(assert_return (invoke $user "call" (i32.const 1)) (i32.const 102))
(assert_trap (invoke $owner "call" (i32.const 2)) "uninitialized element")
(assert_trap (invoke $owner "call" (i32.const 4)) "undefined element")
(assert_return (invoke $user "table.grow" (i32.const 2)) (i32.const 4))
(assert_return (invoke $owner "table.size") (i32.const 6))
(assert_trap (invoke $owner "call" (i32.const 4)) "uninitialized element")
(assert_return (invoke $user "table.grow" (i32.const 3)) (i32.const -1))

;; Tables come before memories in an instantiation of ours; each segment before the one that traps has been written.
(assert_trap
  (module
    (import "owner" "memory" (memory 1))
    (data (i32.const 20) "stays")
    (data (i32.const 0x1000000) "does not fit"))
  "out of bounds memory access")
(assert_return (invoke $owner "load" (i32.const 20)) (i32.const 115))
(assert_return (invoke $owner "load" (i32.const 24)) (i32.const 115))
(assert_trap
  (module
    (import "owner" "table" (table 1 funcref))
    (func $late (result i32) (i32.const 77))
    (elem (i32.const 2) $late)
    (elem (i32.const 100) $late))
  "out of bounds table access")
(assert_return (invoke $owner "call" (i32.const 2)) (i32.const 77))
(assert_return (invoke $user "call" (i32.const 2)) (i32.const 77))

;; Own memory and table next to imported functions.
(module
  (import "owner" "load" (func $load (param i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "\01")
  (func (export "own") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "owners") (param i32) (result i32) (call $load (local.get 0))))
(assert_return (invoke "own" (i32.const 100)) (i32.const 1))
(assert_return (invoke "owners" (i32.const 100)) (i32.const 55))

;; The specification's own test module.
(module
  (import "spectest" "memory" (memory 1 2))
  (import "spectest" "table" (table 10 20 funcref))
  (import "spectest" "global_i32" (global $g i32))
  (func (export "global") (result i32) (global.get $g))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table.size") (result i32) (table.size 0))
  (func (export "load") (result i64) (i64.load (i32.const 65528))))
(assert_return (invoke "global") (i32.const 666))
(assert_return (invoke "load") (i64.const 0))
(assert_return (invoke "grow" (i32.const 2)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 1)) (i32.const 1))
(assert_return (invoke "table.size") (i32.const 10))
