#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# wasmtime.sh BUILD MODULE...: build BUILD/bench-wasmtime, and compile each MODULE.wasm with it into MODULE.cwasm. Where
# that cannot be, for want of cargo or of a network, there is a reason in BUILD/bench-wasmtime.skipped instead.
set -u
export LC_ALL=C

build=$1 crate=tests/bench/wasmtime
shift
program=$build/bench-wasmtime reason=$build/bench-wasmtime.skipped
needs=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' $crate/Cargo.toml)
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
trap 'exit 1' HUP INT TERM
rm -f "$reason"

skip() {
    rm -f "$program"
    echo "$1" >"$reason"
    exit 0
}

fail() {
    echo "wasmtime.sh: $1" >&2
    cat "$said" >&2
    exit 1
}

# $1: seconds.
in_time() {
    seconds=$1
    shift
    timeout -k 10 "$seconds" env CARGO_TARGET_DIR="$build/cargo/bench-wasmtime" CARGO_NET_RETRY=1 CARGO_HTTP_TIMEOUT=20 \
        "$@" >"$said" 2>&1 </dev/null
}

command -v cargo >/dev/null || skip "there is no cargo"
has=$(cargo --version 2>"$said" | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$has" ] || skip "cargo does not run: $(head -n 1 "$said")"
[ "$(printf '%s\n' "$needs" "$has" | sort -V | head -n 1)" = "$needs" ] || skip "cargo is $has, and wasmtime needs $needs"
if ! in_time 300 cargo fetch --locked --manifest-path $crate/Cargo.toml; then
    # A lock file that does not fit is ours to mend, everything else the network's.
    ! grep -q 'lock file' "$said" || fail "$crate/Cargo.lock does not fit Cargo.toml"
    skip "crates cannot be fetched: $(grep -v '^ *$' "$said" | tail -n 1 | sed 's/^ *//')"
fi
in_time 3600 cargo build --release --locked --offline --manifest-path $crate/Cargo.toml || fail "$crate does not build"
ln -f "$build/cargo/bench-wasmtime/release/bench-wasmtime" "$program" || exit 1

for module; do
    [ "$module.cwasm" -nt "$module.wasm" ] && [ "$module.cwasm" -nt "$program" ] && continue
    "$program" --file "$module.wasm" --compile-to "$module.cwasm" 2>"$said" || fail "$module.wasm does not compile"
done
