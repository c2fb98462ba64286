#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# spec.sh: wabt's own harness, run-spec-wasm2c.py, with our directory as its --wasmrt-dir, over the specification's
# tests and over our .wast files. Both come with Debian's source packages: unpack `apt-get source wabt` (the harness)
# and `apt-get source binaryen` (.wast files) into one directory and name it in WASM_SPEC_DIR. $BUILD holds
# libwasmpool.a; $CC compiles.
set -u

skip() {
    echo "SKIP wasm-spec: $1"
    exit 0
}

[ -n "${WASM_SPEC_DIR:-}" ] || skip "WASM_SPEC_DIR is not set (a directory with Debian's sources of wabt and binaryen)"
command -v python3 >/dev/null || skip "python3 is not installed, which wabt's harness is written in"
harness=$(find "$WASM_SPEC_DIR" -name run-spec-wasm2c.py | head -n 1)
[ -n "$harness" ] || skip "there is no run-spec-wasm2c.py in $WASM_SPEC_DIR"

# Those of the specification's tests about memories and tables that wasm2c 1.0.32 translates and stock wabt passes.
names='address align call_indirect data endianness exports float_memory func_ptrs globals imports linking load memory
memory_grow memory_redundancy memory_size memory_trap nop ref_is_null ref_null select stack start store table_get
table_grow table_set table_size traps unreachable unwind'

root=$(pwd)
export WASMPOOL_ADDRESS="${WASMPOOL_ADDRESS:-embedded:}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
passed=0 failed=0

# The harness knows nothing of the library that our runtime needs.
cat >"$scratch/cc" <<CC
#!/bin/sh
case " \$* " in
*" -c "*) exec ${CC:-gcc} -I'$root/client' "\$@" ;;
*) exec ${CC:-gcc} -pthread "\$@" '$(realpath "$BUILD")/libwasmpool.a' $(pkg-config --libs libprotobuf-c libsodium) ;;
esac
CC
chmod +x "$scratch/cc"

run() {
    output=$(python3 "$harness" --bindir /usr/bin --wasmrt-dir "$root/client/wasm2c" --cc "$scratch/cc" \
        -o "$scratch/out" --enable-multi-memory "$1" 2>"$scratch/errors")
    status=$?
    counts=$(printf '%s\n' "$output" | sed -n 's|^\([0-9]*\)/\([0-9]*\) tests passed\.$|\1 \2|p')
    if [ -z "$counts" ]; then
        echo "  $2: no result, status $status: $(tail -n 3 "$scratch/errors" | tr '\n' ' ' | cut -c 1-300)"
        failed=$((failed + 1))
    else
        [ "${counts% *}" = "${counts#* }" ] || printf '%s\n' "$output" | sed 's/^/    /'
        echo "  $2: ${counts% *}/${counts#* }"
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* } - ${counts% *}))
    fi
    rm -rf "$scratch/out"
}

for name in $names; do
    wast=$(find "$WASM_SPEC_DIR" \( -path "*/spec/$name.wast" -o -path "*/testsuite/$name.wast" \) | head -n 1)
    [ -z "$wast" ] || run "$wast" "$name.wast"
done
for wast in tests/wasm/*.wast; do
    run "$root/$wast" "tests/wasm/$(basename "$wast")"
done
echo "wasm-spec: $passed passed, $failed failed"
[ "$failed" = 0 ]
