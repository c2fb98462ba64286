#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# tests/stress/defects.sh BUILD: each defect that the reset of a slot could have is noticed by reset-cycles.
set -u
program=$1/tests/stress/reset-cycles
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0

if "$program" 1 | grep '^SKIP .*the ways that track'; then
    exit 0
fi
for defect in page scan arm rearm count image switch grown drop cover; do
    if "$program" 5000 $defect >"$output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL the defect '$defect' was not noticed"
        tail -n 3 "$output"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
