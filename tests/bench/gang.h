/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_GANG_H
#define TESTS_BENCH_GANG_H

/* Processes side by side. */

#include <pthread.h>
#include <stddef.h>

/* Run `member` in so many processes, each with its number, and wait for all. 0 when all ended well. When one did not,
 * the others may wait for it for ever: they end when this process does. */
int gang_run(unsigned n, void (*member)(void *argument, unsigned self), void *argument);

/* Memory that all of them see; zero. */
void *gang_share(size_t bytes);

/* A place in it where n of them wait for each other. */
void gang_barrier_init(pthread_barrier_t *barrier, unsigned n);

#endif
