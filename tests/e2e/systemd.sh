#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# systemd.sh BUILD: what `make install` gives systemd, looked at by systemd's own tools in a staged root; and whether the
# daemon makes do with the system calls that its unit allows. The last line is `N passed, N failed, N skipped`.
set -u
export LC_ALL=C
build=$(realpath "$1")
exposure_max=2.5
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
stage=$scratch/root
units=$stage/usr/lib/systemd/system
service=$units/wasmpoold.service
output=$scratch/output

check() { # STATUS TEXT
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2"
        tail -n 20 "$output"
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "SKIP $1"
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}

# ------------------------------------------------------------------------------------------------ install

make -s install-run BUILD="$build" DESTDIR="$stage" PREFIX=/usr >"$output" 2>&1
check $? "make install with DESTDIR fails"
# The command as the unit has it, %t being /run.
command=$(sed -n 's/^ExecStart=//p' "$service" | sed 's|%t|/run|g')
"$stage"$command --config /dev/null --check >"$output" 2>&1 && grep -qx 'runtime_dir = /run/wasmpool' "$output"
check $? "ExecStart=$command is not what was installed, or is wrong usage"

command -v systemd-analyze >"$output" || {
    skip "what systemd says of it: there is no systemd-analyze"
    finish
}

# ------------------------------------------------------------------------------------------------ units

# What our units refer to in any system: targets, kill, and manual pages, which are looked for if there is a man.
for folder in /usr/lib/systemd/system /lib/systemd/system; do
    [ ! -d "$folder" ] || cp "$folder"/*.target "$units"
done
mkdir -p "$stage/bin" "$stage/etc"
cp "$(command -v env)" "$stage/bin/kill"
command -v man >"$output" && man=yes || man=no
MANPATH=$stage/usr/share/man
export MANPATH

verify() {
    systemd-analyze verify --man=$man --root="$stage" \
        wasmpoold.service wasmpoold.socket wasmpoold-admin.socket >"$output" 2>&1 && [ ! -s "$output" ]
}
verify
check $? "systemd-analyze verify is not silent"
mv "$stage/usr/bin/wasmpoold" "$scratch"
verify
check $((!$?)) "systemd-analyze verify is silent though the daemon is missing"
mv "$scratch/wasmpoold" "$stage/usr/bin"

systemd-analyze security --offline=true --root="$stage" wasmpoold.service >"$output" 2>&1
exposure=$(sed -n 's/.*Overall exposure level for wasmpoold.service: \([0-9.]*\) .*/\1/p' "$output")
[ -n "$exposure" ] && awk "BEGIN { exit !($exposure < $exposure_max) }"
check $? "systemd-analyze security: the exposure is '$exposure', not below $exposure_max"

# ------------------------------------------------------------------------------------------------ user, directory

if systemd-sysusers --help | grep -q -- --dry-run; then
    systemd-sysusers --root="$stage" --dry-run >"$output" 2>&1 &&
        grep -q "Creating user 'wasmpool' (wasmpool daemon)" "$output" && grep -q "Creating group 'wasmpool'" "$output"
    check $? "systemd-sysusers would not make the user and the group"
else
    skip "what systemd-sysusers would do: this one has no --dry-run"
fi
if [ "$(id -u)" = 0 ]; then
    systemd-sysusers --root="$stage" >"$output" 2>&1 && systemd-tmpfiles --root="$stage" --create >"$output" 2>&1
    check $? "systemd-sysusers or systemd-tmpfiles fails in an empty root"
    owner=$(sed -n 's/^wasmpool:[^:]*:\([0-9]*\):\([0-9]*\):.*/\1:\2/p' "$stage/etc/passwd" 2>"$output")
    [ -n "$owner" ] && [ "$(stat -c '%u:%g %a' "$stage/run/wasmpool" 2>"$output")" = "$owner 755" ]
    check $? "systemd-tmpfiles has not made the directory for the user '$owner'"
else
    skip "the user and the directory that are made: only root can make them"
fi

# ------------------------------------------------------------------------------------------------ system calls

# The sets of SystemCallFilter= by name, down to the calls.
expand() {
    for name; do
        case $name in
        @*) expand $(systemd-analyze syscall-filter "$name" | sed '1d; /#/d') ;;
        *) echo "$name" ;;
        esac
    done
}

# What the lines leave allowed: each one adds to those before it or, with ~, takes away.
filter() {
    : >"$scratch/allowed"
    sed -n 's/^SystemCallFilter=//p' "$service" | while read -r line; do
        expand ${line#"~"} | sort -u >"$scratch/line"
        case $line in
        "~"*) comm -23 "$scratch/allowed" "$scratch/line" >"$scratch/next" ;;
        *) sort -um "$scratch/allowed" "$scratch/line" >"$scratch/next" ;;
        esac
        mv "$scratch/next" "$scratch/allowed"
    done
}

# `strace -D` leaves the daemon the process that with-daemon starts; the trace is whole when the pipe ends.
trace() {
    mkfifo "$scratch/pipe"
    cat "$scratch/pipe" >"$scratch/trace" &
    printf '%s\n' '#!/bin/sh' "exec strace -D -f -qq -o '$scratch/pipe' '$build/wasmpoold' \"\$@\"" >"$scratch/daemon"
    cat >"$scratch/work" <<'WORK'
directory=$(dirname "${BENCH_ADDRESS#unix:}")
"$1/wasmpool-thumbs" --quiet --workers 2 --address "$BENCH_ADDRESS" --out "$2/thumbs" client/examples/thumbs/gif &&
    kill -HUP "$BENCH_DAEMON_PID" && "$1/wasmpoolctl" --runtime-dir "$directory" status &&
    "$1/wasmpoolctl" --runtime-dir "$directory" list
WORK
    chmod +x "$scratch/daemon"
    timeout 120 "$build/with-daemon" "$scratch/daemon" --config /dev/null -- sh "$scratch/work" "$build" "$scratch" \
        >"$output" 2>&1 || { kill $! 2>/dev/null; return 1; }
    wait $!
}

if ! command -v strace >"$output"; then
    skip "the daemon's system calls: there is no strace"
elif nm "$build/wasmpoold" | grep -q __asan_; then
    skip "the daemon's system calls: AddressSanitizer makes others"
else
    trace
    check $? "a daemon under strace does not do its work"
    filter
    # @default always is. chown: root's daemon gives its socket to a group that the unit's daemon is in to begin with.
    expand @default chown >>"$scratch/allowed"
    sort -u -o "$scratch/allowed" "$scratch/allowed"
    # An older strace calls cachestat by its number.
    sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$scratch/trace" | sed 's/^syscall_0x1c3$/cachestat/' | sort -u >"$scratch/made"
    comm -23 "$scratch/made" "$scratch/allowed" >"$output"
    grep -qx recvmsg "$scratch/made" && ! grep -qx setrlimit "$scratch/allowed" && [ ! -s "$output" ]
    check $? "these system calls of the daemon are not in SystemCallFilter=:"
fi
finish
