/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_FUZZ_PROMISE_H
#define TESTS_FUZZ_PROMISE_H

/* What must hold of a module that was read, whatever it was read from. */

#include "client/module.h"

#include <stdio.h>
#include <stdlib.h>

/* A broken promise. The text is what a planted bug is recognised by. */
#define PROMISE(holds)                                                                                                 \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "BROKEN: %s:%d: %s\n", __FILE__, __LINE__, #holds);                                        \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Look at everything that can be asked of a module. */
void promise_module(const struct wasmpool_module *module);

#endif
