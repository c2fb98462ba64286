#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vmoffsets.sh BUILD: the layouts of random modules are those that Wasmtime computes, which tests/client/vmoffsets asks
# for them where there is cargo. WASMPOOL_VMOFFSETS_SEED=N gives the rows of an earlier run again. The last line is
# `N passed, N failed, N skipped`.
set -u
export LC_ALL=C

build=$1 crate=tests/client/vmoffsets rows=10000
seed=${WASMPOOL_VMOFFSETS_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
needs=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' $crate/Cargo.toml)
passed=0 failed=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

finish() {
    echo "$passed passed, $failed failed, $1 skipped"
    [ $failed = 0 ]
    exit
}

skip() {
    echo "SKIP vmoffsets.sh: $1"
    finish 1
}

check() {
    if [ "$1" = 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED  $2 (seed $seed)"; cat "$scratch/said"; fi
}

# What takes longer hangs; $1: seconds.
in_time() {
    seconds=$1
    shift
    timeout -k 10 "$seconds" env CARGO_TARGET_DIR="$build/cargo/vmoffsets" CARGO_NET_RETRY=1 CARGO_HTTP_TIMEOUT=20 \
        "$@" >"$scratch/said" 2>&1 </dev/null
}

command -v cargo >/dev/null || skip "there is no cargo"
has=$(cargo --version 2>"$scratch/said" | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$has" ] || skip "cargo does not run: $(head -n 1 "$scratch/said")"
[ "$(printf '%s\n' "$needs" "$has" | sort -V | head -n 1)" = "$needs" ] ||
    skip "cargo is $has, and wasmtime-environ needs $needs"

if ! in_time 180 cargo fetch --locked --manifest-path $crate/Cargo.toml; then
    # A lock file that does not fit is ours to mend, everything else the network's.
    ! grep -q 'lock file' "$scratch/said" || { check 1 "$crate/Cargo.lock does not fit Cargo.toml"; finish 0; }
    skip "crates cannot be fetched: $(grep -v '^ *$' "$scratch/said" | tail -n 1 | sed 's/^ *//')"
fi
in_time 600 cargo build --locked --offline --manifest-path $crate/Cargo.toml
check $? "$crate does not build"
[ $failed = 0 ] || finish 0
program=$build/cargo/vmoffsets/debug/vmoffsets

: >"$scratch/said"
"$program" "$seed" $rows >"$scratch/fresh.csv" 2>"$scratch/said" && [ "$(wc -l <"$scratch/fresh.csv")" = $((rows + 1)) ]
check $? "vmoffsets does not print $rows rows"
[ "$(tail -n +2 "$scratch/fresh.csv" | cut -d, -f1 | sort -u | tr '\n' ' ')" = "4 8 " ]
check $? "there are not both sizes of pointers"

# A filter that fits no test passes too, so the number of tests is looked at.
WASMPOOL_VMOFFSETS_CSV=$scratch/fresh.csv timeout -k 10 300 "$build/tests/client/test-vmoffsets" --color=never \
    --filter 'vmoffsets/of_a_given_file_*' >"$scratch/said" 2>&1 && grep -aq 'Tested: 1 | Passing: 1 ' "$scratch/said"
check $? "not what Wasmtime computes:"

"$program" 4 100 4 2>"$scratch/said" | diff - tests/client/vmoffsets-4.csv >>"$scratch/said"
check $? "tests/client/vmoffsets-4.csv is not what \`vmoffsets 4 100 4\` prints:"

echo "$rows random rows, seed $seed"
finish 0
