/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/notify.h"

#include "daemon/log.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static void notify_send(struct Notify *notify, const char *message) {
    int r = sd_notify(0, message);

    if (r >= 0 || notify->failed)
        return;
    notify->failed = true;
    log_event(LOG_LEVEL_WARNING, "notify-failed", "why=%s", strerror(-r));
}

void notify_status(struct Notify *notify, const char *status) {
    char message[sizeof(notify->status) + sizeof("STATUS=")];

    if (!strncmp(notify->status, status, sizeof(notify->status) - 1))
        return;
    snprintf(notify->status, sizeof(notify->status), "%s", status);
    snprintf(message, sizeof(message), "STATUS=%s", notify->status);
    notify_send(notify, message);
}

void notify_ready(struct Notify *notify) {
    notify_send(notify, "READY=1");
}

/* The time is how the manager of a service of Type=notify-reload tells this reload from one before. */
void notify_reloading(struct Notify *notify) {
    char message[64];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    notify_send(notify, message);
}

void notify_stopping(struct Notify *notify) {
    notify_send(notify, "STOPPING=1");
}
