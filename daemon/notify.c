/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/notify.h"

#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

void notify_open(struct Notify *notify) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;

    notify->socket = -1;
    if (!length || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (*path == '@')
        address.sun_path[0] = '\0';
    notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->socket >= 0 && connect(notify->socket, (const struct sockaddr *)&address,
                                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)))
        notify_close(notify);
}

void notify_close(struct Notify *notify) {
    if (notify->socket >= 0)
        close(notify->socket);
    notify->socket = -1;
}

static bool notify_has_room(const struct Notify *notify) {
    struct pollfd manager = {.fd = notify->socket, .events = POLLOUT};

    return notify->socket < 0 || poll(&manager, 1, 0) != 0;
}

static bool notify_send(struct Notify *notify, const char *message) {
    int r = notify_has_room(notify) ? sd_notify(0, message) : -EAGAIN;

    if (r >= 0 || notify->failed)
        return r >= 0;
    notify->failed = true;
    log_event(LOG_LEVEL_WARNING, "notify-failed", "why=%s",
              r == -EAGAIN ? "the service manager does not read its socket" : strerror(-r));
    return false;
}

void notify_status(struct Notify *notify, const char *status) {
    char message[sizeof(notify->status) + sizeof("STATUS=")];

    if (!strncmp(notify->status, status, sizeof(notify->status) - 1))
        return;
    snprintf(message, sizeof(message), "STATUS=%.*s", (int)sizeof(notify->status) - 1, status);
    if (notify_send(notify, message))
        snprintf(notify->status, sizeof(notify->status), "%s", status);
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
