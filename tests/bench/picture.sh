#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# picture.sh BUILD: what the README shows of a bench beside Wasmtime, the picture and the table between its two marks,
# becomes that of the last run.
set -eu

build=$1 picture=tests/bench/picture.svg
begin='<!-- bench.md -->' end='<!-- /bench.md -->'

fail() {
    echo "picture.sh: $1" >&2
    exit 1
}

for file in "$build/bench.svg" "$build/bench.md"; do
    [ -s "$file" ] || fail "there is no $file: run make bench PEERS=wasmtime, or make bench-peers"
done
for mark in "$begin" "$end"; do
    [ "$(grep -cFx "$mark" README.md)" = 1 ] || fail "README.md does not have one line $mark"
done
new=$(mktemp)
trap 'rm -f "$new"' EXIT
awk -v begin="$begin" -v end="$end" -v table="$build/bench.md" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin {
        inside = 1
        print ""
        while ((getline line < table) > 0) print line
        print ""
    }' README.md >"$new"
cat "$new" >README.md
cp "$build/bench.svg" $picture
