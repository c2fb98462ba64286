#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# fault-share.sh FILE COMMAND...: run the command with its processes sampled by perf, and print which part of the
# samples lies in the handler of page faults, 0 to 1. Prints nothing where perf is not there or may not look.

file=$1
shift
perf record --quiet --event cpu-clock --freq 4999 --call-graph fp --output "$file" -- "$@" >/dev/null 2>&1 || exit 0
perf report --input "$file" --children --sort sym --call-graph none --stdio 2>/dev/null |
    awk '$NF == "asm_exc_page_fault" { sub("%", "", $1); print $1 / 100; exit }'
