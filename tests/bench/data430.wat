;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
;; As linkers lay out a small program: a stack of 1 MiB, its 430 bytes of data, and the rest of the last page.
(module
  (memory (export "memory") 17)
  (data (i32.const 1048576)
    "the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs; "
    "how vexingly quick daft zebras jump; sphinx of black quartz, judge my vow; the five bo"
    "xing wizards jump quickly; jackdaws love my big sphinx of quartz; a wizards job is to"
    " vex chumps quickly in fog; watch jeopardy, alex trebeks fun tv quiz game; crazy fred"
    "ericka bought many very exquisite opal jewels; sixty zippers were quickly picked from..."))
