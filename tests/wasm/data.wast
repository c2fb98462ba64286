;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; Active data segments are there before the first call, in order, exactly where they say; a segment that does not fit
;; makes the instantiation trap.

(module
  (memory 1)
  (data (i32.const 0) "\00\01\02\03")
  (data (i32.const 2) "xy")
  (data (i32.const 65535) "e")
  (data (i32.const 65536) "")
  (data (i32.const 300) "three" " " "parts")
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0))))
(assert_return (invoke "load32" (i32.const 0)) (i32.const 0x79780100))
(assert_return (invoke "load32" (i32.const 4)) (i32.const 0))
(assert_return (invoke "load8" (i32.const 65534)) (i32.const 0))
(assert_return (invoke "load8" (i32.const 65535)) (i32.const 101))
(assert_return (invoke "load32" (i32.const 304)) (i32.const 0x61702065))

;; Offsets from globals: own immutable imports only, as the specification's version 2 has it.
(module (global (export "where") i32 (i32.const 77)))
(register "places")
(module
  (import "places" "where" (global $where i32))
  (memory 1)
  (data (global.get $where) "here")
  (func (export "load32") (param i32) (result i32) (i32.load (local.get 0))))
(assert_return (invoke "load32" (i32.const 77)) (i32.const 0x65726568))
(assert_return (invoke "load32" (i32.const 73)) (i32.const 0))

;; Many small segments, far apart.
(module
  (memory 4)
  (data (i32.const 10000) "a") (data (i32.const 20000) "b") (data (i32.const 30000) "c") (data (i32.const 40000) "d")
  (data (i32.const 70000) "e") (data (i32.const 140000) "f") (data (i32.const 200000) "g") (data (i32.const 262143) "h")
  (func (export "sum") (result i32)
    (local $at i32) (local $sum i32)
    (loop $more
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $at) (i32.const 262144))))
    (local.get $sum)))
(assert_return (invoke "sum") (i32.const 804))

(assert_trap (module (memory 1) (data (i32.const 65536) "x")) "out of bounds memory access")
(assert_trap (module (memory 1) (data (i32.const 65533) "four")) "out of bounds memory access")
(assert_trap (module (memory 0) (data (i32.const 0) "x")) "out of bounds memory access")
(assert_trap (module (memory 0) (data (i32.const 1) "")) "out of bounds memory access")
(assert_trap (module (memory 1) (data (i32.const -1) "x")) "out of bounds memory access")
(assert_trap
  (module (memory 1 2) (data (i32.const 0) "fits") (data (i32.const 65537) ""))
  "out of bounds memory access")
(module (memory 0) (data (i32.const 0) "") (func (export "size") (result i32) (memory.size)))
(assert_return (invoke "size") (i32.const 0))

;; What a trapped instantiation had written is nobody's any more.
(module
  (memory 1 2)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
(assert_return (invoke "load" (i32.const 0)) (i32.const 0))
