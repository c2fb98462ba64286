/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_SCRIPT_H
#define TESTS_WASM_EXECUTOR_SCRIPT_H

/* The commands of a .wast file, as wast2json writes them. They are run twice over the same pool and the same modules:
 * the second time instances get slots that were used before. */

#include <jansson.h>

#include "tests/wasm/executor/store.h"

enum Verdict {
    VERDICT_NONE, /* nothing was asserted, and nothing failed */
    VERDICT_PASSED,
    VERDICT_SKIPPED,
    VERDICT_FAILED, /* in one round at least */
};

struct Result {
    enum Verdict verdict;
    const char *reason; /* why it was skipped, a static text */
};

struct Script {
    char *name; /* of the .wast file, without its directory */
    char *directory;
    json_t *root, *commands;
    struct Store store;
    struct Code *spectest;
    struct Code **codes;    /* of each command that has a module */
    struct Result *results; /* of each command, and one more: nothing is left behind */
    size_t n_commands;
    unsigned round;
};

/* Read FILE.json and the module that files import as "spectest". What is wrong is printed. `script` must be freed in
 * any case. */
bool script_init(struct Script *script, const char *spectest_path, const char *json_path);
void script_deinit(struct Script *script);

/* Run everything, print a line for each failure and the summary. Returns whether all that was asserted holds. */
bool script_run(struct Script *script);

/* Print where and why command number `i` fails. */
__attribute__((format(printf, 3, 4))) void script_report(const struct Script *script, size_t i, const char *format,
                                                         ...);

/* One command; in command.c. */
struct Result command_run(struct Script *script, size_t i);

/* A file's bytes, the caller's to free, or NULL. */
uint8_t *script_read_file(const char *path, size_t *sizep);

#endif
