;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

;; The eight forms of an element segment: active in table 0, passive, active in a named table, and declared, each of
;; functions by index and of expressions. Numbered as the binary format does.

(module $forms
  (type $get (func (result i32)))
  (table $t 10 funcref)
  (table $u 10 20 funcref)
  (table $e 5 externref)
  (elem (i32.const 0) $f10 $f11)                                                 ;; 0
  (elem $form1 func $f12 $f13)                                                   ;; 1
  (elem (table $u) (i32.const 1) func $f14 $f15)                                 ;; 2
  (elem $form3 declare func $f16)                                                ;; 3
  (elem (i32.const 4) funcref (ref.func $f17) (ref.null func) (ref.func $f10))   ;; 4
  (elem $form5 funcref (ref.null func) (ref.func $f11) (ref.func $f11))          ;; 5
  (elem (table $u) (offset (i32.const 7)) funcref                                ;; 6
    (item (ref.func $f12)) (item (ref.null func)) (item (ref.func $f13)))
  (elem $form7 declare funcref (ref.func $f18) (ref.null func))                  ;; 7
  (elem (table $e) (i32.const 5) externref)                                      ;; 6
  (elem $externs externref (ref.null extern) (ref.null extern) (ref.null extern)) ;; 5
  (func $f10 (result i32) (i32.const 10))
  (func $f11 (result i32) (i32.const 11))
  (func $f12 (result i32) (i32.const 12))
  (func $f13 (result i32) (i32.const 13))
  (func $f14 (result i32) (i32.const 14))
  (func $f15 (result i32) (i32.const 15))
  (func $f16 (result i32) (i32.const 16))
  (func $f17 (result i32) (i32.const 17))
  (func $f18 (result i32) (i32.const 18))
  (func (export "t") (param i32) (result i32) (call_indirect $t (type $get) (local.get 0)))
  (func (export "u") (param i32) (result i32) (call_indirect $u (type $get) (local.get 0)))
  (func (export "t.null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
  (func (export "u.null") (param i32) (result i32) (ref.is_null (table.get $u (local.get 0))))
  (func (export "e.get") (param i32) (result externref) (table.get $e (local.get 0)))
  (func (export "e.set") (param i32 externref) (table.set $e (local.get 0) (local.get 1)))
  (func (export "form1") (param i32 i32 i32) (table.init $u $form1 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form3") (param i32 i32 i32) (table.init $u $form3 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form5") (param i32 i32 i32) (table.init $t $form5 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form7") (param i32 i32 i32) (table.init $t $form7 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form0") (param i32 i32 i32) (table.init $t 0 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form2") (param i32 i32 i32) (table.init $u 2 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form4") (param i32 i32 i32) (table.init $t 4 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "form6") (param i32 i32 i32) (table.init $u 6 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "externs") (param i32 i32 i32) (table.init $e $externs (local.get 0) (local.get 1) (local.get 2)))
  (func (export "set16") (param i32) (table.set $t (local.get 0) (ref.func $f16)))
  (func (export "set18") (param i32) (table.set $u (local.get 0) (ref.func $f18)))
  (func (export "drop_active") (elem.drop 0) (elem.drop 2) (elem.drop 4) (elem.drop 6)))

;; What the four active forms have written, and nothing but that.
(assert_return (invoke "t" (i32.const 0)) (i32.const 10))
(assert_return (invoke "t" (i32.const 1)) (i32.const 11))
(assert_return (invoke "t.null" (i32.const 2)) (i32.const 1))
(assert_return (invoke "t.null" (i32.const 3)) (i32.const 1))
(assert_return (invoke "t" (i32.const 4)) (i32.const 17))
(assert_return (invoke "t.null" (i32.const 5)) (i32.const 1))
(assert_return (invoke "t" (i32.const 6)) (i32.const 10))
(assert_return (invoke "t.null" (i32.const 7)) (i32.const 1))
(assert_return (invoke "t.null" (i32.const 9)) (i32.const 1))
(assert_return (invoke "u.null" (i32.const 0)) (i32.const 1))
(assert_return (invoke "u" (i32.const 1)) (i32.const 14))
(assert_return (invoke "u" (i32.const 2)) (i32.const 15))
(assert_return (invoke "u.null" (i32.const 3)) (i32.const 1))
(assert_return (invoke "u" (i32.const 7)) (i32.const 12))
(assert_return (invoke "u.null" (i32.const 8)) (i32.const 1))
(assert_return (invoke "u" (i32.const 9)) (i32.const 13))
(assert_return (invoke "e.get" (i32.const 4)) (ref.null extern))

;; Active and declared ones are dropped: empty, but still there.
(assert_trap (invoke "form0" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_trap (invoke "form2" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_trap (invoke "form3" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_trap (invoke "form4" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_trap (invoke "form6" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_trap (invoke "form7" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
(assert_return (invoke "form0" (i32.const 0) (i32.const 0) (i32.const 0)))
(assert_return (invoke "form3" (i32.const 10) (i32.const 0) (i32.const 0)))
(assert_return (invoke "form7" (i32.const 10) (i32.const 0) (i32.const 0)))
(assert_return (invoke "drop_active"))
(assert_return (invoke "form6" (i32.const 10) (i32.const 0) (i32.const 0)))

;; Passive ones are whole.
(assert_return (invoke "form1" (i32.const 3) (i32.const 0) (i32.const 2)))
(assert_return (invoke "u" (i32.const 3)) (i32.const 12))
(assert_return (invoke "u" (i32.const 4)) (i32.const 13))
(assert_trap (invoke "form1" (i32.const 0) (i32.const 0) (i32.const 3)) "out of bounds table access")
(assert_return (invoke "form5" (i32.const 0) (i32.const 0) (i32.const 3)))
(assert_return (invoke "t.null" (i32.const 0)) (i32.const 1))
(assert_return (invoke "t" (i32.const 1)) (i32.const 11))
(assert_return (invoke "t" (i32.const 2)) (i32.const 11))
(assert_return (invoke "e.set" (i32.const 1) (ref.extern 5)))
(assert_return (invoke "e.set" (i32.const 4) (ref.extern 6)))
(assert_return (invoke "externs" (i32.const 1) (i32.const 0) (i32.const 3)))
(assert_return (invoke "e.get" (i32.const 1)) (ref.null extern))
(assert_return (invoke "e.get" (i32.const 4)) (ref.extern 6))
(assert_trap (invoke "externs" (i32.const 3) (i32.const 0) (i32.const 3)) "out of bounds table access")
(assert_return (invoke "e.get" (i32.const 4)) (ref.extern 6))

;; What was declared may be referred to.
(assert_return (invoke "set16" (i32.const 9)))
(assert_return (invoke "t" (i32.const 9)) (i32.const 16))
(assert_return (invoke "set18" (i32.const 0)))
(assert_return (invoke "u" (i32.const 0)) (i32.const 18))

;; The same in the binary format, where the forms that name a table may name table 0.
(module binary
  "\00asm" "\01\00\00\00"
  "\01\0a" ;; types
    "\02"
    "\60\00\01\7f" ;; (func (result i32))
    "\60\01\7f\01\7f" ;; (func (param i32) (result i32))
  "\03\05" ;; functions
    "\04\00\00\00\01"
  "\04\04" ;; tables
    "\01\70\00\08" ;; 8 of funcref
  "\07\08" ;; exports
    "\01\04\63\61\6c\6c\00\03"
  "\09\38" ;; elements
    "\08"
    "\00\41\00\0b\01\00" ;; 0: at 0, function 0
    "\01\00\01\01" ;; 1: function 1
    "\02\00\41\01\0b\00\01\01" ;; 2: table 0, at 1, kind 0, function 1
    "\03\00\01\02" ;; 3: function 2
    "\04\41\02\0b\01\d2\02\0b" ;; 4: at 2, function 2
    "\05\70\01\d0\70\0b" ;; 5: null
    "\06\00\41\03\0b\70\02\d2\00\0b\d0\70\0b" ;; 6: table 0, at 3, function 0 and null
    "\07\70\01\d2\01\0b" ;; 7: function 1
  "\0a\18" ;; code
    "\04"
    "\04\00\41\15\0b" ;; (i32.const 21)
    "\04\00\41\16\0b" ;; (i32.const 22)
    "\04\00\41\17\0b" ;; (i32.const 23)
    "\07\00\20\00\11\00\00\0b") ;; (call_indirect (type 0) (local.get 0))
(assert_return (invoke "call" (i32.const 0)) (i32.const 21))
(assert_return (invoke "call" (i32.const 1)) (i32.const 22))
(assert_return (invoke "call" (i32.const 2)) (i32.const 23))
(assert_return (invoke "call" (i32.const 3)) (i32.const 21))
(assert_trap (invoke "call" (i32.const 4)) "uninitialized element")
(assert_trap (invoke "call" (i32.const 7)) "uninitialized element")
(assert_trap (invoke "call" (i32.const 8)) "undefined element")

;; Segments are processed in their order, whatever their form: the last one wins.
(module
  (type $get (func (result i32)))
  (table $t 4 funcref)
  (elem (i32.const 0) $a $a $a $a)
  (elem (i32.const 1) funcref (ref.func $b) (ref.null func))
  (elem (table $t) (i32.const 3) func $b)
  (elem (table $t) (i32.const 3) funcref (ref.func $c))
  (elem (i32.const 0) funcref (ref.null func))
  (elem (i32.const 4) func)
  (func $a (result i32) (i32.const 1))
  (func $b (result i32) (i32.const 2))
  (func $c (result i32) (i32.const 3))
  (func (export "call") (param i32) (result i32) (call_indirect (type $get) (local.get 0))))
(assert_trap (invoke "call" (i32.const 0)) "uninitialized element")
(assert_return (invoke "call" (i32.const 1)) (i32.const 2))
(assert_trap (invoke "call" (i32.const 2)) "uninitialized element")
(assert_return (invoke "call" (i32.const 3)) (i32.const 3))

;; A table with its elements written in line, of indices and of expressions.
(module
  (type $get (func (result i32)))
  (table $a funcref (elem $one $two))
  (table $b funcref (elem (ref.func $two) (ref.null func) (ref.func $one)))
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "a") (param i32) (result i32) (call_indirect $a (type $get) (local.get 0)))
  (func (export "b") (param i32) (result i32) (call_indirect $b (type $get) (local.get 0)))
  (func (export "a.size") (result i32) (table.size $a))
  (func (export "b.size") (result i32) (table.size $b))
  (func (export "a.grow") (result i32) (table.grow $a (ref.null func) (i32.const 1))))
(assert_return (invoke "a.size") (i32.const 2))
(assert_return (invoke "b.size") (i32.const 3))
(assert_return (invoke "a" (i32.const 0)) (i32.const 1))
(assert_return (invoke "a" (i32.const 1)) (i32.const 2))
(assert_return (invoke "b" (i32.const 0)) (i32.const 2))
(assert_trap (invoke "b" (i32.const 1)) "uninitialized element")
(assert_return (invoke "b" (i32.const 2)) (i32.const 1))
(assert_return (invoke "a.grow") (i32.const -1))
