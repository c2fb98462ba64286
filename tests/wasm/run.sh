#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# run.sh WASMPOOLD PROGRAM...: run the .wast programs on both implementations, embedded: and a private daemon's unix:,
# or, if WASMPOOL_ADDRESS is set, on that one. The last line is `N passed, N failed`.
set -u

wasmpoold=$1
shift
passed=0 failed=0
scratch=$(mktemp -d)
daemon=

finish() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# A program that dies without its summary has failed at least once.
run_all() {
    echo "wasm: $WASMPOOL_ADDRESS"
    for program; do
        "$program" >"$scratch/out" 2>&1
        status=$?
        sed 's/^/  /' "$scratch/out"
        counts=$(sed -n 's|^.*: \([0-9]*\)/\([0-9]*\) assertions passed.*|\1 \2|p' "$scratch/out")
        if [ -z "$counts" ]; then
            echo "  $(basename "$program"): ended with status $status, without a summary"
            failed=$((failed + 1))
            continue
        fi
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* } - ${counts% *}))
    done
}

start_daemon() {
    "$wasmpoold" "--socket=$scratch/wasmpool.sock" "--admin-socket=$scratch/admin.sock" \
        --set max_memories_per_module=100 --set max_tables_per_module=100 >"$scratch/log" 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        [ -S "$scratch/wasmpool.sock" ] && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.05
    done
    echo "wasm: the daemon does not start:"
    sed 's/^/  /' "$scratch/log"
    exit 1
}

if [ -n "${WASMPOOL_ADDRESS:-}" ]; then
    run_all "$@"
else
    export WASMPOOL_ADDRESS=embedded:
    run_all "$@"
    start_daemon
    WASMPOOL_ADDRESS=unix:$scratch/wasmpool.sock
    run_all "$@"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
