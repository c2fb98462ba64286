#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs the README's examples as they stand there, but in the build folder and with the compiler of this build, and checks what it
# prints. Usage: readme.sh BUILD COMPILER...
set -eu
build=$1
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch" "$build/run" "$build/hello" "$build/hello.c" "$build"/counter*' EXIT

# $* is the compiler with its flags, one string on purpose.
sed -n '/^```sh$/,/^```$/p' README.md | sed "/^\`\`\`/d; s|build/|$build/|g; s|^cc |$* |" >"$scratch/example.sh"

passed=0 failed=0
check() {
    if eval "$2"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

# In a process group of its own: if the example fails half-way its daemon must not stay.
setsid sh -eu "$scratch/example.sh" >"$scratch/output" 2>&1 &
example=$!
wait "$example" && status=0 || status=$?
kill -- "-$example" 2>/dev/null || :
check "the example ends with 0, not $status" '[ "$status" = 0 ]'
check "it allocates with and without the daemon" '[ "$(grep -c "^65536 bytes at 0x" "$scratch/output")" = 2 ]'
check "an instance is initialised with and without it" \
    '[ "$(grep -c "^answer 42, memory: hello from a data segment" "$scratch/output")" = 2 ]'
check "wasmpoolctl status shows the pool" 'grep -q "^memory  *1000 " "$scratch/output"'
check "the daemon had the client" 'grep -q client-accepted "$scratch/output"'
[ "$failed" = 0 ] || head -n 40 "$scratch/output"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
