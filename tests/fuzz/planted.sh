#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# planted.sh BUILD: each bug of tests/fuzz/plants, put into a copy of the reader, must be found by the fuzzer within a
# million executions: else its silence about the reader says nothing. $FUZZ_CC compiles and links.
# A plant is a sed script; its line `# file: PATH` names the file that it edits.
set -eu

build=$1
dir=$build/fuzz/planted
rm -rf "$dir"
mkdir -p "$dir/corpus"
"$build/tests/fuzz/seeds" "$dir/corpus" 500
passed=0 failed=0

for plant in tests/fuzz/plants/*.sed; do
    name=$(basename "$plant" .sed)
    file=$(sed -n 's/^# file: //p' "$plant")
    mkdir -p "$dir/$name/found" "$dir/$name/corpus"
    sed -f "$plant" "$file" >"$dir/$name/$(basename "$file")"
    if cmp -s "$file" "$dir/$name/$(basename "$file")"; then
        echo "$name: does not change $file any more"
        failed=$((failed + 1))
        continue
    fi
    object=$build/fuzz/obj/${file%.c}.o
    # FUZZ_CC is a list of words, and so are the objects.
    # shellcheck disable=SC2086,SC2046
    $FUZZ_CC -fsanitize=fuzzer-no-link -c -o "$dir/$name/planted.o" "$dir/$name/$(basename "$file")"
    # shellcheck disable=SC2086,SC2046
    $FUZZ_CC -fsanitize=fuzzer -o "$dir/$name/reader" "$dir/$name/planted.o" \
        $(find "$build/fuzz/obj" -name '*.o' ! -path "$object") "$build/gen/proto/wasmpool.pb-c.o" \
        $(pkg-config --libs libprotobuf-c libsodium)
    if "$dir/$name/reader" -seed=1 -runs=1000000 -max_len=4096 -timeout=4 -malloc_limit_mb=64 -print_final_stats=1 \
        -artifact_prefix="$dir/$name/found/" "$dir/$name/corpus" "$dir/corpus" >"$dir/$name/log" 2>&1; then
        printf '%-28s NOT FOUND in a million executions\n' "$name"
        failed=$((failed + 1))
    else
        printf '%-28s found after %8s executions: %s\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/$name/log")" \
            "$(grep -m 1 -ahE '^BROKEN|runtime error|ERROR: ' "$dir/$name/log" | cut -c 1-120)"
        passed=$((passed + 1))
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
