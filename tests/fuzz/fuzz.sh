#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# fuzz.sh BUILD SECONDS: two libFuzzer processes over one corpus that begins with generated modules. Prints how many
# executions that were and which part of the reader's lines the corpus runs through; fails when something was found,
# which is then in BUILD/fuzz/found, or when that part is less than 90 %.
set -eu

build=$1 seconds=$2
dir=$build/fuzz
rm -rf "$dir/corpus" "$dir/found" "$dir"/log.*
mkdir -p "$dir/corpus" "$dir/found"
"$build/tests/fuzz/seeds" "$dir/corpus" 500

# Files that make up the reader.
reader='reader binary input buffer section segment expression types constant functype'

fuzz() {
    "$dir/reader" -seed="$1" -max_total_time="$seconds" -max_len=4096 -timeout=10 -malloc_limit_mb=64 -reload=5 \
        -print_final_stats=1 -artifact_prefix="$dir/found/" "$dir/corpus" >"$dir/log.$1" 2>&1
}
fuzz 1 &
first=$!
fuzz 2 &
second=$!
trap 'kill $first $second 2>/dev/null; exit 1' INT TERM HUP
wait $first && status=0 || status=$?
wait $second || status=$?

statistic() {
    sed -n "s/^stat::$1: *//p" "$dir"/log.* | awk '{ sum += $1 } END { print sum + 0 }'
}
executions=$(statistic number_of_executed_units)
kept=$(find "$dir/corpus" -type f | wc -l)
echo "$executions executions in $seconds s, $((executions / seconds)) a second; $kept inputs kept"

# The lines, from a build that counts them: what gcov says of each file.
find "$dir/coverage" -name '*.gcda' -exec rm -f '{}' +
find "$dir/corpus" -type f -print0 | xargs -0 "$dir/coverage/replay" >/dev/null
lines=0 run=0
for name in $reader; do
    set -- $(gcov -n -o "$dir/coverage/client/$name.gcno" "client/$name.c" 2>/dev/null |
        sed -n "/^File 'client\/$name.c'/{n;s/^Lines executed:\([0-9.]*\)% of \([0-9]*\)/\1 \2/p}")
    printf '  client/%-12s %6s %% of %4s lines\n' "$name.c" "$1" "$2"
    lines=$((lines + $2))
    run=$((run + $(awk "BEGIN { printf \"%d\", $1 * $2 / 100 + 0.5 }")))
done
echo "$((run * 1000 / lines / 10)).$((run * 1000 / lines % 10)) % of the reader's $lines lines"

failed=0
if [ "$status" -ne 0 ] || [ -n "$(ls "$dir/found")" ]; then
    failed=1
    grep -hE '^(BROKEN|SUMMARY|.*runtime error)|ERROR: ' "$dir"/log.* || tail -n 5 "$dir"/log.*
    echo "FAILED: something was found, see $dir/found"
fi
if [ $((run * 10)) -lt $((lines * 9)) ]; then
    failed=1
    echo "FAILED: less than 90 % of the lines"
fi
echo "$((1 - failed)) passed, $failed failed, 0 skipped"
exit $failed
