/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

/* A private wasmpoold in a directory of its own. Needs no test framework. The program is $WASMPOOL_DAEMON, or the one
 * that was built with the tests. A test that fails leaves nothing behind either: what still runs when its process exits
 * is killed and removed then. */

#include <stdbool.h>
#include <sys/types.h>

#define PRIVATE_DAEMON_PATH_BYTES 100 /* fits sun_path */

struct PrivateDaemon {
    pid_t pid; /* 0: not running */
    int pidfd;
    char directory[64];
    char socket[PRIVATE_DAEMON_PATH_BYTES], admin[PRIVATE_DAEMON_PATH_BYTES];
    char address[PRIVATE_DAEMON_PATH_BYTES + 8]; /* "unix:SOCKET" */
    char log[PRIVATE_DAEMON_PATH_BYTES];         /* what it wrote to its standard error */
};

/* Called in the process that becomes the next daemon, for what it is to inherit; NULL: nothing. */
extern void (*private_daemon_prepare)(void);

/* Start it with `settings`, "name=value" strings or whole "--options" up to NULL (which may be NULL itself), and wait
 * until it listens on both sockets. Aborts with the daemon's log when it does not. Nothing connects to it here: its
 * counters start at 0. */
void private_daemon_start(struct PrivateDaemon *daemon, const char *const *settings);

/* Ask it to end (SIGTERM), wait for it, and remove the directory. Returns its exit status, or 128 + the signal that it
 * died of. Does nothing when it is not there. */
int private_daemon_stop(struct PrivateDaemon *daemon);

/* kill -9, and wait. The directory stays, with a stale socket in it. */
void private_daemon_kill(struct PrivateDaemon *daemon);

/* Its directory and paths alone, for who prepares something there; private_daemon_restart starts it. */
void private_daemon_init(struct PrivateDaemon *daemon);

/* Start another one in the directory of one that was killed, or of none yet. */
void private_daemon_restart(struct PrivateDaemon *daemon, const char *const *settings);

/* Its log so far; heap. */
char *private_daemon_read_log(const struct PrivateDaemon *daemon);

#endif
