/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* What the service manager is told, see sd_notify(3). Without one, nobody is told anything. There is no keep-alive
 * (WATCHDOG=1): it would wake a daemon that sleeps while nothing happens. */

#include <stdbool.h>

struct Notify {
    bool failed;      /* and that was logged */
    char status[160]; /* what `systemctl status` shows */
};

/* One line for people. Cheap when it is the same as before. */
void notify_status(struct Notify *notify, const char *status);

/* Clients can connect; also: the reload has ended, however. */
void notify_ready(struct Notify *notify);

void notify_reloading(struct Notify *notify);
void notify_stopping(struct Notify *notify);

#endif
