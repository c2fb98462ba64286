#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# run.sh BUILD: our reader against libwabt, over all modules that there are: what the .wast and .wat files of tests/
# translate to, the guest of wasmpool-thumbs, what clang makes of a few lines, and the specification's tests if
# WASM_SPEC_DIR has them (see tests/wasm/spec.sh). compare adds the generated ones and the mutants of all.
set -eu

build=$1
out=$build/gen/wabt
rm -rf "$out"
mkdir -p "$out"

for wast in tests/wasm/*.wast; do
    wast2json --enable-multi-memory --enable-extended-const --enable-exceptions "$wast" \
        -o "$out/$(basename "$wast" .wast).json"
done
for wat in tests/bench/*.wat; do
    wat2wasm "$wat" -o "$out/bench-$(basename "$wat" .wat).wasm"
done
cp "$build/gen/thumbs/thumbs.wasm" "$out"

cat >"$out/program.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
static int (*const calls[])(int) = {abs, putchar};
int exported_data[1000] = {1, 2, 3};
int main(int argc, char *argv[]) {
    for (int i = 0; i < argc; i++)
        printf("%s %d\n", argv[i], calls[i & 1](i));
    return 0;
}
C
compile() {
    name=$1
    shift
    clang --target=wasm32-wasi "$@" -o "$out/clang-$name.wasm" "$out/program.c"
}
compile small -O2
compile debug -O0 -g
compile reactor -Os -mexec-model=reactor -Wl,--export-all,--export-table,--growable-table
compile imports -Os -Wl,--import-memory,--import-table,--allow-undefined
compile object -O1 -c
compile features -O2 -msimd128 -mbulk-memory -mmultivalue -mreference-types -mmutable-globals

# Not all of them translate, and not all that is in them is of features that both readers know.
if [ -n "${WASM_SPEC_DIR:-}" ]; then
    find "$WASM_SPEC_DIR" \( -path '*/spec/*.wast' -o -path '*/testsuite/*.wast' \) | sort | while read -r wast; do
        wast2json --enable-multi-memory --enable-extended-const --enable-exceptions "$wast" \
            -o "$out/spec-$(basename "$wast" .wast).json" 2>/dev/null || echo "  $(basename "$wast") does not translate"
    done
fi

# Names without spaces.
# shellcheck disable=SC2046
exec "$build/tests/wabt/compare" $(find "$out" -name '*.wasm' | LC_ALL=C sort)
