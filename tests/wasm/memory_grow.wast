;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; memory.grow: the old size or -1, new bytes zero, old ones kept, never beyond the maximum.

(module
  (memory 1 5)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32 i64) (i64.store (local.get 0) (local.get 1))))

(assert_return (invoke "grow" (i32.const 0)) (i32.const 1))
(assert_return (invoke "size") (i32.const 1))
(assert_return (invoke "store" (i32.const 65528) (i64.const -1)))
(assert_trap (invoke "load" (i32.const 65536)) "out of bounds memory access")
(assert_trap (invoke "load" (i32.const 65529)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 1)) (i32.const 1))
(assert_return (invoke "size") (i32.const 2))
(assert_return (invoke "load" (i32.const 65528)) (i64.const -1))
(assert_return (invoke "load" (i32.const 65536)) (i64.const 0))
(assert_return (invoke "load" (i32.const 65532)) (i64.const 0xffffffff))
(assert_return (invoke "load" (i32.const 131064)) (i64.const 0))
(assert_trap (invoke "load" (i32.const 131065)) "out of bounds memory access")
(assert_return (invoke "store" (i32.const 131064) (i64.const 7)))
(assert_return (invoke "grow" (i32.const 2)) (i32.const 2))
(assert_return (invoke "size") (i32.const 4))
(assert_return (invoke "load" (i32.const 131064)) (i64.const 7))
(assert_return (invoke "load" (i32.const 262136)) (i64.const 0))
(assert_trap (invoke "load8" (i32.const 262144)) "out of bounds memory access")

;; A refusal changes nothing.
(assert_return (invoke "grow" (i32.const 2)) (i32.const -1))
(assert_return (invoke "size") (i32.const 4))
(assert_trap (invoke "load8" (i32.const 262144)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 65536)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 0x7fffffff)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 0xffffffff)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 0xfffffffc)) (i32.const -1))
(assert_return (invoke "size") (i32.const 4))

;; Up to the maximum, and no further.
(assert_return (invoke "grow" (i32.const 1)) (i32.const 4))
(assert_return (invoke "grow" (i32.const 0)) (i32.const 5))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
(assert_return (invoke "load8" (i32.const 327679)) (i32.const 0))
(assert_trap (invoke "load8" (i32.const 327680)) "out of bounds memory access")

;; From nothing.
(module
  (memory 0 2)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 9)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))
(assert_trap (invoke "load" (i32.const 0)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 0)) (i32.const 0))
(assert_trap (invoke "store" (i32.const 0)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 1)) (i32.const 0))
(assert_return (invoke "load" (i32.const 0)) (i32.const 0))
(assert_return (invoke "store" (i32.const 65535)))
(assert_return (invoke "load" (i32.const 65535)) (i32.const 9))
(assert_trap (invoke "load" (i32.const 65536)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 1)) (i32.const 1))
(assert_return (invoke "load" (i32.const 65536)) (i32.const 0))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))

;; A memory that may not grow at all.
(module (memory 1 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
(assert_return (invoke "grow" (i32.const 0)) (i32.const 1))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))

;; By many pages at once, to one short of 4 GiB: 65536 of them wasm2c's 32-bit size cannot say.
(module
  (memory 1 65535)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 5))))
(assert_return (invoke "grow" (i32.const 1023)) (i32.const 1))
(assert_return (invoke "store" (i32.const 0x3ffffff)))
(assert_return (invoke "load" (i32.const 0x3ffffff)) (i32.const 5))
(assert_trap (invoke "load" (i32.const 0x4000000)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 64512)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 65535)) (i32.const -1))
(assert_return (invoke "size") (i32.const 1024))
(assert_return (invoke "grow" (i32.const 64511)) (i32.const 1024))
(assert_return (invoke "size") (i32.const 65535))
(assert_return (invoke "load" (i32.const 0xfffeffff)) (i32.const 0))
(assert_return (invoke "store" (i32.const 0xfffeffff)))
(assert_return (invoke "load" (i32.const 0xfffeffff)) (i32.const 5))
(assert_trap (invoke "load" (i32.const 0xffff0000)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
