#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# A warm cycle of a module with one 64 KiB memory makes no system call, and nobody wakes the daemon for it. Run by
# with-daemon; $1 is bench-cycle.

set -u
cycle=$1
export ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_leaks=0" # the leak check cannot work under ptrace
passed=0 failed=0 skipped=0

verdict() { # STATUS TEXT
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "ok      $2"
    else failed=$((failed + 1)); echo "FAILED  $2"; fi
}

skip() {
    skipped=$((skipped + 1)); echo "skipped $1"
}

# All system calls of a whole run, and how often it waited for an answer of the daemon. Whether it had to wait, which is
# a recvmsg in vain and a poll, is chance: these are counted apart.
calls() { # ADDRESS CYCLES
    strace -f -c -U calls,errors,name -o '|cat >&3' "$cycle" \
        --address "$1" --module memory64k --touch 4 --cycles "$2" 3>&1 >/dev/null |
        awk '$1 !~ /^[0-9]+$/ { next }
             { name = $NF; errors = NF == 3 ? $2 : 0 }
             name == "total" { total = $1 }
             name == "poll" { waits += $1; vain += $1 }
             name == "recvmsg" { vain += errors }
             END { if (total) print total - vain, waits + 0 }'
}

check_calls() { # NAME ADDRESS
    name=$1
    set -- $(calls "$2" 10000) $(calls "$2" 20000)
    # One wait for each request that opens a connection and its slabs, never one for each cycle.
    [ $# = 4 ] && [ "$1" = "$3" ] && [ "$2" -le 16 ] && [ "$4" -le 16 ]
    verdict $? "$name: ${1:-no} system calls in a run of 10000 cycles, ${3:-no} in one of 20000 \
(and ${2:-no}, ${4:-no} waits for an answer)"
}

# Beside its tick once a second the daemon must not run. What preempts it in the middle of a tick makes two timeslices
# of one, so it may be tried three times: a daemon that cycles do wake runs thousands of times in each.
check_daemon() {
    slices= run= cycles= seconds=0
    for attempt in 1 2 3; do
        result=$("$cycle" --address "$BENCH_ADDRESS" --module memory64k --touch 4 \
            --warm 100000 --ms 3000 --watch "$BENCH_DAEMON_PID" | tr '\n' ' ') || break
        set -- $result # CYCLES NS watched TIMESLICES NS NS
        [ $# = 6 ] || break
        slices=$4 run=$5 seconds=$(($6 / 1000000000)) cycles=$1
        [ "$slices" -gt $((seconds + 1)) ] || break
    done
    # Three seconds hold three ticks, and a fourth when they begin and end at one. A busy machine makes it more seconds. What
    # a tick costs is for `make bench` to say: to wake at all takes a virtual machine up to 2 ms, and this long nothing may
    # run that cycles have a part in.
    [ -n "$slices" ] && [ "$slices" -le $((seconds + 1)) ] && [ "$run" -le $((slices * 5000000)) ]
    verdict $? "daemon: ran ${slices:-?} times, ${run:-?} ns in all, during $seconds s of ${cycles:-?} cycles; \
its tick is once a second"
}

if reason=$(strace -qq -o /dev/null true 2>&1); then
    check_calls embedded embedded:
    check_calls daemon "$BENCH_ADDRESS"
else
    skip "system calls of a cycle: ${reason:-strace does not work}"
fi
if [ -r "/proc/$BENCH_DAEMON_PID/schedstat" ]; then
    check_daemon
else
    skip "the daemon's sleep: this kernel has no /proc/PID/schedstat"
fi

if [ $skipped = 0 ]; then echo "$passed passed, $failed failed"
else echo "$passed passed, $failed failed, $skipped skipped"; fi
[ $failed = 0 ]
