#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# A race that is planted must be reported by the thread sanitizer: else its silence about the others says nothing.
# Usage: planted-race.sh BUILD, a build with SANITIZE=thread.
output=$("$1/tests/stress/pool-threads" --race 2>&1) && status=0 || status=$?
if [ "$status" = 66 ] && printf '%s\n' "$output" | grep -q 'ThreadSanitizer: data race.* in race'; then
    echo "1 passed, 0 failed"
else
    printf 'FAILED: the planted race was not reported (exit %s)\n%s\n' "$status" "$output"
    echo "0 passed, 1 failed"
    exit 1
fi
