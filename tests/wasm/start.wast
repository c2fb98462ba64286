;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Start functions run within the instantiation; one that traps ends it, however much was allocated by then.

(module
  (memory 1)
  (data (i32.const 0) "A")
  (func $start (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))))
  (start $start)
  (func (export "get") (result i32) (i32.load8_u (i32.const 0))))
(assert_return (invoke "get") (i32.const 66))

(module
  (memory 1 10)
  (table 2 4 externref)
  (func $start (drop (memory.grow (i32.const 3))) (drop (table.grow 0 (ref.null extern) (i32.const 2))))
  (start $start)
  (func (export "pages") (result i32) (memory.size))
  (func (export "elements") (result i32) (table.size 0))
  (func (export "store") (i64.store (i32.const 262136) (i64.const 3)))
  (func (export "load") (result i64) (i64.load (i32.const 262136))))
(assert_return (invoke "pages") (i32.const 4))
(assert_return (invoke "elements") (i32.const 4))
(assert_return (invoke "store"))
(assert_return (invoke "load") (i64.const 3))

(assert_trap (module (func $start (unreachable)) (start $start)) "unreachable")
(assert_trap
  (module (memory 1 3) (table 5 funcref) (func $start (drop (i32.load (i32.const 65536)))) (start $start))
  "out of bounds memory access")
(assert_trap
  (module
    (memory 1 3)
    (func $start
      (i64.store (i32.const 0) (i64.const -1))
      (drop (memory.grow (i32.const 2)))
      (i64.store (i32.const 196600) (i64.const -1))
      (unreachable))
    (start $start))
  "unreachable")
(assert_trap (module (func $start (call $start)) (start $start)) "call stack exhausted")
(assert_trap
  (module (table 1 funcref) (func $start (call_indirect (i32.const 0))) (start $start))
  "uninitialized element")
(assert_trap
  (module
    (memory 1)
    (func $start (i32.store (i32.const 0) (i32.div_u (i32.const 1) (i32.load (i32.const 0)))))
    (start $start))
  "integer divide by zero")

;; None of it is seen by those who come after.
(module
  (memory 1 3)
  (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
(assert_return (invoke "load" (i32.const 0)) (i64.const 0))
(assert_trap (invoke "load" (i32.const 196600)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 2)) (i32.const 1))
(assert_return (invoke "load" (i32.const 196600)) (i64.const 0))
