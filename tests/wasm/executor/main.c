/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* An engine for tests: runs the commands of a .wast file on instances of libwasmpool, through its public header alone.
 *
 *     execute SPECTEST.wasm FILE.json
 *
 * The pool is $WASMPOOL_ADDRESS's, embedded when not set. A line for each failure, then
 * `FILE: N/M assertions passed`, and what was skipped, and why. */

#include <stdio.h>

#include "tests/wasm/executor/script.h"

int main(int argc, char **argv) {
    struct Script script;
    bool is_good;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3) {
        fprintf(stderr, "usage: execute SPECTEST.wasm FILE.json\n");
        return 2;
    }
    is_good = script_init(&script, argv[1], argv[2]) && script_run(&script);
    script_deinit(&script);
    return !is_good;
}
