#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# sabotage.sh PROGRAM...: the .wast programs, linked with the runtime of sabotage.c, must notice each defect and none
# where there is none. The last line is `N passed, N failed`.
set -u

passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
export WASMPOOL_ADDRESS=embedded:

# What fails, one `FILE:LINE: what: how` a line.
failures() {
    for program; do
        "$program" 2>&1
    done | grep '^[a-z_]*\.wast:[0-9]*:'
}

if failures "$@" >"$scratch/out"; then
    sed 's/^/  /' "$scratch/out"
    echo "no sabotage: there are failures nevertheless"
    failed=1
else
    passed=1
fi

for SABOTAGE in memory-not-zeroed table-not-zeroed no-guard guard-of-4g max-ignored grown-elements-not-initialised \
    grown-memory-not-zeroed table-max-ignored; do
    export SABOTAGE
    if failures "$@" >"$scratch/out"; then
        passed=$((passed + 1))
        printf '%-31s caught by %3d assertions, first: ' "$SABOTAGE" "$(wc -l <"$scratch/out")"
        head -n 1 "$scratch/out"
    else
        failed=$((failed + 1))
        printf '%-31s NOT CAUGHT\n' "$SABOTAGE"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
