#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# exports.sh BUILD: what the libraries in BUILD export is what client/wasmpool.h declares, no more and no less, and the
# header compiles alone, as C and as C++. The last line is `N passed, N failed, N skipped`.
set -u

build=$1 header=client/wasmpool.h
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

check() {
    if [ "$1" = 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED  $2"; fi
}

# Declarations only: comments name functions too.
sed -e 's|/\*.*\*/||' -e '\|/\*|,\|\*/|d' $header |
    grep -o 'wasmpool_[a-z0-9_]*(' | tr -d '(' | sort -u >"$scratch/declared"
[ "$(wc -l <"$scratch/declared")" -ge 20 ]
check $? "$header declares no functions that this script can find"

same() {
    diff "$scratch/declared" "$scratch/$1" >"$scratch/difference"
    check $? "$2 and $header differ (<: declared only, >: exported only):"
    cat "$scratch/difference"
}

nm -D --defined-only "$build/libwasmpool.so.0" |
    awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort -u >"$scratch/shared"
same shared libwasmpool.so.0
nm -g --defined-only "$build/libwasmpool.a" | awk 'NF == 3 { print $3 }' | sort -u >"$scratch/archive"
same archive libwasmpool.a
sed -n 's/^ *\(wasmpool_[a-z0-9_]*\);$/\1/p' client/wasmpool.map | sort -u >"$scratch/map"
same map client/wasmpool.map

readelf -d "$build/libwasmpool.so.0" | grep -q 'SONAME.*\[libwasmpool.so.0\]'
check $? "libwasmpool.so.0 has another soname"

echo '#include "wasmpool.h"' >"$scratch/alone.c"
${CC:-gcc} -std=c11 -pedantic-errors -Wall -Wextra -Werror -Iclient -fsyntax-only "$scratch/alone.c"
check $? "$header does not compile alone, as C11"

# Linked, so that the functions' names must not be mangled.
cat >"$scratch/alone.cc" <<'EOF'
#include "wasmpool.h"
int main() {
    wasmpool *pool = nullptr;
    wasmpool_error error;
    return wasmpool_open(&pool, nullptr, &error) == 0 && wasmpool_close(pool) == nullptr ? 0 : 1;
}
EOF
if command -v "${CXX:-g++}" >/dev/null; then
    ${CXX:-g++} -std=c++11 -pedantic-errors -Wall -Wextra -Werror -Iclient -fsyntax-only "$scratch/alone.cc"
    check $? "$header does not compile as C++11"
    nm "$build/libwasmpool.a" | grep -q __asan_ || nm "$build/libwasmpool.a" | grep -q __tsan_ || {
        ${CXX:-g++} -Iclient -o "$scratch/alone" "$scratch/alone.cc" "$build/libwasmpool.a" \
            $(pkg-config --libs libprotobuf-c libsodium) &&
            env -u WASMPOOL_ADDRESS "$scratch/alone"
        check $? "a C++ program does not link with libwasmpool.a, or does not run"
    }
else
    skipped=$((skipped + 1))
    echo "SKIP the header as C++: there is no ${CXX:-g++}"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
