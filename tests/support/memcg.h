/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_MEMCG_H
#define TESTS_SUPPORT_MEMCG_H

/* A cgroup with a limit of memory, in version 2 or in version 1, whichever this machine has the controller in. Needs no
 * test framework. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMCG_PATH_BYTES 256

struct Memcg {
    char path[MEMCG_PATH_BYTES];
    bool is_v1;
};

/* NULL, or why there can be none here. */
const char *memcg_open(struct Memcg *memcg, uint64_t limit_bytes);
/* Its processes must have ended. */
void memcg_close(const struct Memcg *memcg);

/* Put this process in it. */
void memcg_enter(const struct Memcg *memcg);

/* How often the kernel has killed a process in it for want of memory. */
uint64_t memcg_count_killed(const struct Memcg *memcg);

#endif
