#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# translate.sh GENERATE FILE.wast DIRECTORY ARCHIVE: a .wast file becomes an archive of everything that its program
# needs save the host and the runtime. $CC compiles, $GUEST_CFLAGS are its flags. Used by the Makefile.
set -eu

generate=$1 wast=$2 directory=$3 archive=$4
name=$(basename "$wast" .wast)

rm -rf "$directory" "$archive"
mkdir -p "$directory"
wast2json --enable-multi-memory "$wast" -o "$directory/$name.json"
"$generate" --names "$directory/$name.json" | while read -r wasm module; do
    wasm2c --enable-multi-memory -n "$module" "$directory/$wasm" -o "$directory/${wasm%.wasm}.c"
done
"$generate" "$directory/$name.json" >"$directory/commands.c"
# GUEST_CFLAGS is a list of words.
# shellcheck disable=SC2086
find "$directory" -name '*.c' | sed 's/\.c$//' | xargs -P 2 -I '{}' ${CC:-gcc} $GUEST_CFLAGS -c '{}.c' -o '{}.o'
ar cr "$archive" "$directory"/*.o
