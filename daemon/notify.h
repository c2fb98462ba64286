/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* What the service manager is told, see sd_notify(3). Without one, nobody is told anything. There is no keep-alive
 * (WATCHDOG=1): it would wake a daemon that sleeps while nothing happens. */

#include <stdbool.h>

struct Notify {
    int socket;       /* connected to the manager's, to see whether there is room; -1: there is no such */
    bool failed;      /* and that was logged */
    char status[160]; /* what `systemctl status` shows */
};

/* A manager that does not read is left alone: sd_notify would wait for it, for ever. What is not said then is said the
 * next time, if it still holds. */
void notify_open(struct Notify *notify);
void notify_close(struct Notify *notify);

/* One line for people. Cheap when it is the same as before. */
void notify_status(struct Notify *notify, const char *status);

/* Clients can connect; also: the reload has ended, however. */
void notify_ready(struct Notify *notify);

void notify_reloading(struct Notify *notify);
void notify_stopping(struct Notify *notify);

#endif
