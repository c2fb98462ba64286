/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Linked into a daemon with --wrap: as the host's PSI it reads the file that $WASMPOOL_TEST_PSI names, if there is
 * one, and it has no trigger. */

#include "daemon/psi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int __real_psi_open_trigger(const char *path, uint64_t percent);
int __real_psi_read(const char *path, uint64_t *totalp);
int __wrap_psi_open_trigger(const char *path, uint64_t percent);
int __wrap_psi_read(const char *path, uint64_t *totalp);

int __wrap_psi_open_trigger(const char *path, uint64_t percent) {
    return strcmp(path, PSI_MEMORY) ? __real_psi_open_trigger(path, percent) : -EOPNOTSUPP;
}

int __wrap_psi_read(const char *path, uint64_t *totalp) {
    return __real_psi_read(strcmp(path, PSI_MEMORY) ? path : getenv("WASMPOOL_TEST_PSI"), totalp);
}
