#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# thumbs.sh BUILD: wasmpool-thumbs with the embedded allocator over a dozen images: outcomes, outputs, wrong usage, and
# what a kill leaves behind. The last line is `N passed, N failed`.
set -u
build=$(realpath "$1")
thumbs=$build/wasmpool-thumbs
gifs=$(realpath client/examples/thumbs/gif)
scratch=$(mktemp -d)
supervisor=
finish() {
    [ -z "$supervisor" ] || { kill -9 "$supervisor" && wait "$supervisor"; } 2>/dev/null
    rm -rf "$scratch"
}
trap finish EXIT
cd "$scratch" || exit 1
unset WASMPOOL_ADDRESS

passed=0 failed=0
check() { # SENTENCE COMMAND...
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        tail -n 20 errors 2>/dev/null
    fi
}
status_is() { # STATUS COMMAND...
    local want=$1 got
    shift
    "$@" >output 2>errors
    got=$?
    [ "$got" = "$want" ] || echo "status $got, not $want: $*"
    [ "$got" = "$want" ]
}
says() { grep -q -- "$1" output errors; }
# Until a command succeeds, for at most 5 s.
eventually() {
    local end=$((SECONDS + 5))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        read -rt 0.02 <> <(:)
    done
    return 0 # not what the last wait returned
}
# A PNG's signature, and its width and height (big endian, at 16).
png_is() { # FILE WIDTH HEIGHT
    [ "$(od -An -tx1 -N8 "$1" | tr -d ' ')" = 89504e470d0a1a0a ] &&
        [ "$(od -An -tx1 -j16 -N8 "$1" | tr -d ' ')" = "$(printf '%08x%08x' "$2" "$3")" ]
}

"$build/thumbs-images" all "$gifs" >/dev/null || exit 1
mkdir some
cp all/*-64x64x* all/*-1x1x* all/*-17x1200x[34].png all/*-320x200x2.png "$gifs"/*.gif all/damaged-header-only.gif \
    all/damaged-data.png all/damaged-depth.bmp all/damaged-too-many-pixels.png all/fault-* some
count=$(find some -type f | wc -l)
rejected=4 trapped=3
done=$((count - rejected - trapped - 1))

# --- outcomes
check "every image is handled" \
    status_is 0 "$thumbs" -w 2 -s 100 -o out --timeout 2000 --verify --audit audit --json=json some
counts="$count images: $done done, $rejected rejected by the decoder, $trapped trapped, 1 timed out"
check "each outcome is counted" says "^$counts, 0 given up (killed workers), 0 unreadable$"
check "the native decoder agrees" says "same, 0 differ, 0 not verified"
check "a poke out of bounds is a trap" says "fault-1-poke.png: trapped: .*memory"
check "an endless recursion is a trap" says "fault-2-recurse.jpg: trapped: .*exhausted"
check "an endless loop ends with its time" says "fault-3-loop.gif: timed out"
check "what the guest says of a trap is shown" says "fault-4-assert.bmp: trapped: .*WPTRAP4 asked for it"
check "too many pixels are rejected" says "damaged-too-many-pixels.png: rejected: too many pixels"
check "JSON is written" grep -q '"timed_out": 1' json
check "all sandboxes lay in memfds" [ "$(grep -c ' /memfd:wasmpool.* /memfd:wasmpool' audit)" = "$count" ]
check "there are as many thumbnails" [ "$(find out -name '*.png' | wc -l)" = "$done" ]
check "nothing partial is left" [ -z "$(find out -name '.*' -type f)" ]

# --- thumbnails
check "small images keep their size" png_is out/moving.gif.png 48 48
check "wide images are scaled to the box" png_is out/transparent.gif.png 100 60
check "tall and thin ones too" png_is "$(find out -name '*-17x1200x*' | head -n 1)" 1 100
check "a single pixel is an image" png_is "$(find out -name '*-1x1x*' | head -n 1)" 1 1
check "with JSON in place of the table" status_is 0 "$thumbs" -w 1 -o out --json "$gifs"
check "it is JSON alone" [ "$(head -c 1 output)" = "{" ]

# --- wrong usage and failures
check "no path" status_is 2 "$thumbs"
check "an unknown option" status_is 2 "$thumbs" --frobnicate some
check "a wrong number" status_is 2 "$thumbs" --workers 0 some
check "the message says what is right" says "from 1 to"
check "a path that is not there" status_is 2 "$thumbs" -o out nowhere
mkdir empty
check "a directory without images" status_is 2 "$thumbs" -o out empty
check "an output that is no directory" status_is 2 "$thumbs" -o audit some
mkfifo pipe.png
check "what is no file is unreadable" status_is 1 "$thumbs" -o out pipe.png
check "which is counted" says "1 unreadable"
check "a daemon that is not there" \
    status_is 1 "$thumbs" -o out --patience 300 --address "unix:$scratch/none.sock" "$gifs"
check "is named" says "none.sock"

# --- kills
children() { cat "/proc/$supervisor/task/$supervisor/children" 2>/dev/null; }
has_children() { [ "$(children | wc -w)" -ge 1 ]; }
is_gone() { [ ! -e "/proc/$1" ] || [ "$(awk '{print $3}' "/proc/$1/stat" 2>/dev/null)" = Z ]; }
all_gone() { for pid in $workers; do is_gone "$pid" || return 1; done; }
start() {
    "$thumbs" -w 2 -o out --timeout 60000 --audit looping some/fault-3-loop.gif >output 2>errors &
    supervisor=$!
    eventually has_children && eventually test -s looping
    workers=$(children)
}

start
kill -TERM "$supervisor"
wait "$supervisor" 2>/dev/null
check "SIGTERM ends it" [ $? = 143 ]
check "and its workers" all_gone
check "with nothing partial" [ -z "$(find out -name '.*' -type f)" ]

rm looping
start
kill -KILL "$supervisor"
wait "$supervisor" 2>/dev/null
check "workers do not outlive a killed supervisor" eventually all_gone

rm looping
start
for worker in $workers; do kill -KILL "$worker"; done
another() { has_children && [ "$(children)" != "$workers" ] && [ "$(wc -l <looping)" = 2 ]; }
check "a dead worker's image is tried again" eventually another
for worker in $(children); do kill -KILL "$worker"; done
wait "$supervisor"
check "an image that killed twice is handled" [ $? = 0 ]
check "by giving it up" says "1 given up (killed workers)"
supervisor=

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
