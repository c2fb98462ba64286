/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H

/* What tests of several processes need of the machine: children that fail loudly, conditions to wait for, and what can
 * be seen of a daemon from outside. Needs no test framework. */

#include "tests/support/daemon.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What cannot be gone on from: in the process that called host_set_fail its function is called, which does not return;
 * in children the message is printed and the exit status is HOST_EXIT_FAILED. */
#define HOST_EXIT_FAILED 99
void host_set_fail(void (*fail)(const char *message));
_Noreturn void host_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define host_demand(CONDITION, ...) ((CONDITION) ? (void)0 : host_fail(__VA_ARGS__))

/* Milliseconds of CLOCK_MONOTONIC; and a nap between two looks at a condition. */
int64_t host_now_ms(void);
void host_nap(void);

/* Look at CONDITION until it is true; false after MS milliseconds. */
#define host_await(CONDITION, MS)                                                                                      \
    ({                                                                                                                 \
        int64_t until_ms_ = host_now_ms() + (MS);                                                                      \
        bool true_;                                                                                                    \
        while (!(true_ = (CONDITION)) && host_now_ms() < until_ms_)                                                    \
            host_nap();                                                                                                \
        true_;                                                                                                         \
    })

/* Run `body` in a forked child, which ends with status 0 after it, and with us. */
pid_t host_fork(void (*body)(void *), void *argument);
/* Wait for a child: its exit status, or 128 and its signal. */
int host_join(pid_t pid);

/* Zeroed memory that children share; and its end. */
void *host_share(size_t bytes);
void host_unshare(void *memory, size_t bytes);

/* PATH of a program that was built beside this one: "wasmpoold", "wasmpoolctl". */
void host_find_program(char *buffer, size_t bytes, const char *name);
/* Run it with arguments up to NULL (the first is its name), and wait. Returns as host_join; *outputp and *errorsp,
 * either of which may be NULL, are what it wrote; heap. `uid` is who runs it; 0: as we are. */
int host_run(const char *const *arguments, uid_t uid, char **outputp, char **errorsp);

/* Open fds of a process, or -1 where /proc does not tell: the daemon is not dumpable, so root alone can see. */
int host_count_fds(pid_t pid);
/* CPU time of its main thread, which is the daemon's loop; 0 where /proc does not tell. */
uint64_t host_cpu_ns(pid_t pid);
/* Lines of the daemon's log that contain both; either may be NULL. */
unsigned host_count_log(const struct PrivateDaemon *daemon, const char *part, const char *other);

#endif
