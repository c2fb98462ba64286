/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/activation.h"

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define ACTIVATION_TENANTS "tenants"
#define ACTIVATION_ADMIN "admin"

static int socket_option(int fd, int option) {
    int value = -1;
    socklen_t bytes = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) ? -1 : value;
}

/* NULL, or what is wrong with it. */
static const char *socket_find_fault(int fd) {
    if (socket_option(fd, SO_TYPE) < 0)
        return "not a socket";
    if (socket_option(fd, SO_DOMAIN) != AF_UNIX)
        return "not a Unix socket";
    if (socket_option(fd, SO_TYPE) != SOCK_SEQPACKET)
        return "not a SEQPACKET socket: make it with ListenSequentialPacket=";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "not listening: leave out Accept=yes";
    return NULL;
}

/* Who may connect is what the path's mode says: an abstract address has none. */
static const char *socket_read_path(int fd, char path[PATHS_SOCKET_BYTES]) {
    struct sockaddr_un address = {0};
    socklen_t bytes = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &bytes))
        return strerror(errno);
    if (bytes <= offsetof(struct sockaddr_un, sun_path) || !*address.sun_path)
        return "not bound to a path";
    if (strnlen(address.sun_path, sizeof(address.sun_path)) >= PATHS_SOCKET_BYTES)
        return "bound to a path that is too long";
    memcpy(path, address.sun_path, PATHS_SOCKET_BYTES);
    return NULL;
}

static const char *socket_unblock(int fd) {
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? strerror(errno) : NULL;
}

/* sd_listen_fds has set CLOEXEC. */
static int activation_add(struct Activation *activation, int fd, const char *name, struct Error *error) {
    bool admin = !strcmp(name, ACTIVATION_ADMIN);
    struct ActivationSocket *socket = admin ? &activation->admin : &activation->tenants;
    struct ActivationSocket found = {.fd = fd};
    const char *fault;

    if (!admin && strcmp(name, ACTIVATION_TENANTS))
        return error_set(error, ERROR_INVALID,
                         "the service manager calls fd %d '%s': name it with FileDescriptorName=" ACTIVATION_TENANTS
                         " or FileDescriptorName=" ACTIVATION_ADMIN,
                         fd, name);
    if (socket->fd >= 0)
        return error_set(error, ERROR_INVALID, "the service manager calls both fd %d and fd %d '%s'", socket->fd, fd,
                         name);
    fault = socket_find_fault(fd);
    if (!fault)
        fault = socket_read_path(fd, found.path);
    if (!fault)
        fault = socket_unblock(fd);
    if (fault)
        return error_set(error, ERROR_INVALID, "the service manager's fd %d, '%s', is no good: %s", fd, name, fault);
    *socket = found;
    log_event(LOG_LEVEL_INFO, "socket-given", "name=%s path=%s", name, found.path);
    return 0;
}

int activation_init(struct Activation *activation, struct Error *error) {
    char **names = NULL;
    int r = 0, n = sd_listen_fds_with_names(1, &names);

    *activation = (struct Activation){.tenants = {.fd = -1}, .admin = {.fd = -1}};
    if (n < 0)
        return error_set(error, ERROR_HOST, "cannot take the service manager's sockets: %s", strerror(-n));
    for (int i = 0; !r && i < n; i++)
        r = activation_add(activation, SD_LISTEN_FDS_START + i, names[i], error);
    for (int i = 0; r && i < n; i++)
        close(SD_LISTEN_FDS_START + i);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    if (r)
        activation->tenants.fd = activation->admin.fd = -1;
    return r;
}

int activation_steal(struct ActivationSocket *socket) {
    int fd = socket->fd;

    socket->fd = -1;
    return fd;
}

void activation_deinit(struct Activation *activation) {
    struct ActivationSocket *sockets[] = {&activation->tenants, &activation->admin};

    for (unsigned i = 0; i < 2; i++) {
        int fd = activation_steal(sockets[i]);

        if (fd >= 0)
            close(fd);
    }
}
