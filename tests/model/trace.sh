#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# tests/model/trace.sh BUILD runs what was built with -DLEASE_TRACE, processes with a daemon and threads without one, and
# replays the edges that they walked through the model's table. Its last line is `N passed, N failed`.
set -u
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' HUP INT TERM
build=$1
export WASMPOOL_DAEMON="$build/traced/wasmpoold"
passed=0 failed=0

# Count what a program's last line says.
run() {
    "$@" >"$directory/said" 2>&1
    status=$?
    cat "$directory/said"
    p=$(sed -n '$s/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$directory/said")
    f=$(sed -n '$s/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$directory/said")
    [ -n "$f" ] && { [ "$status" -eq 0 ] || [ "$f" -ne 0 ]; } || f=1
    passed=$((passed + ${p:-0})) failed=$((failed + f))
}

# trace PROGRAM [planted]
trace() {
    export LEASE_TRACE="$directory/$1"
    mkdir "$LEASE_TRACE"
    run "$build/traced/$1"
    run "$build/tests/model/replay" "$LEASE_TRACE" ${2-}
}

trace fleet planted
trace wait-threads
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
