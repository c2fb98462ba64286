;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Effective addresses have 33 bits: an offset of up to 0xffffffff is added to an address of up to 0xffffffff without
;; wrapping, and wherever in these 8 GiB the sum lies beyond the memory, it traps. Reads only, so that nothing in front
;; of or behind the memory could be changed by a runtime that gets it wrong.

(module
  (memory 1)
  (data (i32.const 0) "abcdefghijklmnop")
  (data (i32.const 65535) "z")
  (func (export "load8+0") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load8+1") (param i32) (result i32) (i32.load8_u offset=1 (local.get 0)))
  (func (export "load8+65535") (param i32) (result i32) (i32.load8_u offset=65535 (local.get 0)))
  (func (export "load8+65536") (param i32) (result i32) (i32.load8_u offset=65536 (local.get 0)))
  (func (export "load8+2g") (param i32) (result i32) (i32.load8_u offset=0x80000000 (local.get 0)))
  (func (export "load8+4g") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0)))
  (func (export "load16+4g") (param i32) (result i32) (i32.load16_u offset=0xffffffff (local.get 0)))
  (func (export "load32+4") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func (export "load32+65532") (param i32) (result i32) (i32.load offset=65532 (local.get 0)))
  (func (export "load32+65533") (param i32) (result i32) (i32.load offset=65533 (local.get 0)))
  (func (export "load32+4g") (param i32) (result i32) (i32.load offset=0xffffffff (local.get 0)))
  (func (export "load64+8") (param i32) (result i64) (i64.load offset=8 (local.get 0)))
  (func (export "load64+65528") (param i32) (result i64) (i64.load offset=65528 (local.get 0)))
  (func (export "load64+4g") (param i32) (result i64) (i64.load offset=0xffffffff (local.get 0)))
  (func (export "loadf64+4g") (param i32) (result f64) (f64.load offset=0xfffffff8 (local.get 0))))

(assert_return (invoke "load8+0" (i32.const 0)) (i32.const 97))
(assert_return (invoke "load8+1" (i32.const 0)) (i32.const 98))
(assert_return (invoke "load8+1" (i32.const 14)) (i32.const 112))
(assert_return (invoke "load8+1" (i32.const 65534)) (i32.const 122))
(assert_return (invoke "load8+65535" (i32.const 0)) (i32.const 122))
(assert_return (invoke "load32+4" (i32.const 0)) (i32.const 0x68676665))
(assert_return (invoke "load32+4" (i32.const 3)) (i32.const 0x6b6a6968))
(assert_return (invoke "load32+65532" (i32.const 0)) (i32.const 0x7a000000))
(assert_return (invoke "load64+8" (i32.const 0)) (i64.const 0x706f6e6d6c6b6a69))
(assert_return (invoke "load64+65528" (i32.const 0)) (i64.const 0x7a00000000000000))

(assert_trap (invoke "load8+0" (i32.const 65536)) "out of bounds memory access")
(assert_trap (invoke "load8+0" (i32.const 0x7fffffff)) "out of bounds memory access")
(assert_trap (invoke "load8+0" (i32.const -1)) "out of bounds memory access")
(assert_trap (invoke "load8+1" (i32.const 65535)) "out of bounds memory access")
(assert_trap (invoke "load8+65535" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "load8+65536" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load32+65532" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "load32+65533" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load64+65528" (i32.const 1)) "out of bounds memory access")

;; Sums that would come around to the memory's first bytes if they were cut to 32 bits.
(assert_trap (invoke "load8+1" (i32.const -1)) "out of bounds memory access")
(assert_trap (invoke "load8+65536" (i32.const 0xffff0000)) "out of bounds memory access")
(assert_trap (invoke "load8+2g" (i32.const 0x80000000)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke "load32+4" (i32.const -4)) "out of bounds memory access")
(assert_trap (invoke "load64+8" (i32.const -8)) "out of bounds memory access")
(assert_trap (invoke "load32+4g" (i32.const 1)) "out of bounds memory access")

;; From 2 GiB on, at 4 GiB, between, and at the very end of what can be named.
(assert_trap (invoke "load8+2g" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load8+2g" (i32.const 0x7fffffff)) "out of bounds memory access")
(assert_trap (invoke "load8+2g" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 2)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 65537)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 0x40000000)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 0x80000000)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 0xfffffffe)) "out of bounds memory access")
(assert_trap (invoke "load8+4g" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke "load16+4g" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke "load32+4g" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load32+4g" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke "load64+4g" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "load64+4g" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke "loadf64+4g" (i32.const 8)) "out of bounds memory access")
(assert_trap (invoke "loadf64+4g" (i32.const 0xffffffff)) "out of bounds memory access")

;; Neighbours: what is far beyond one memory must not be another one's bytes.
(module $first
  (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0))))
(module $second
  (memory 1)
  (data (i32.const 0) "neighbour")
  (func (export "load") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0))))
(assert_trap (invoke $first "load" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke $first "load" (i32.const 0xffffffff)) "out of bounds memory access")
(assert_trap (invoke $second "load" (i32.const 1)) "out of bounds memory access")
(assert_trap (invoke $second "load" (i32.const 0xffffffff)) "out of bounds memory access")
