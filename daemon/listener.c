/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/listener.h"

#include "daemon/answer.h"
#include "daemon/link.h"
#include "daemon/log.h"
#include "shared/features.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_BACKLOG 512
#define LISTENER_BATCH_MAX 16   /* connections accepted in one turn of the loop */
#define LISTENER_LOCK_TRIES 16  /* the lock file can vanish under us each time that a daemon ends */

/* -------------------------------------------------------------------------------------------------- path */

static int listener_error(struct Error *error, int r, const char *doing, const char *path) {
    return error_set(error, r == -EACCES || r == -EPERM ? ERROR_REFUSED : ERROR_HOST, "cannot %s %s: %s", doing, path,
                     strerror(-r));
}

/* Whoever can replace files in the directory can put itself in the daemon's place. */
static void directory_warn(const char *directory, const char *path) {
    struct stat st;

    if (stat(directory, &st))
        return;
    if ((st.st_uid && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX)))
        log_event(LOG_LEVEL_WARNING, "directory-unsafe", "path=%s uid=%u why=%s", path, (unsigned)st.st_uid,
                  "others can replace what lies in its directory");
}

static int directory_make(const char *path, struct Error *error) {
    char directory[PATHS_SOCKET_BYTES];
    char *slash;
    mode_t umask_before;
    int r;

    snprintf(directory, sizeof(directory), "%s", path);
    slash = strrchr(directory, '/');
    if (!slash || slash == directory)
        return 0;
    *slash = '\0';
    umask_before = umask(022);
    r = mkdir(directory, 0755) && errno != EEXIST ? -errno : 0;
    umask(umask_before);
    if (r)
        return listener_error(error, r, "make the directory", directory);
    directory_warn(directory, path);
    return 0;
}

static void lock_path(char *buffer, size_t bytes, const char *path) {
    snprintf(buffer, bytes, "%s.lock", path);
}

/* A daemon that ends removes its lock file while it holds the lock: what was locked may be a file without a name. */
static bool lock_is_current(int fd, const char *path) {
    struct stat here, there;

    return !fstat(fd, &here) && !lstat(path, &there) && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

static int lock_take(const char *path, int *fdp, struct Error *error) {
    char lock[PATHS_SOCKET_BYTES + 8];
    int fd, r;

    lock_path(lock, sizeof(lock), path);
    for (unsigned i = 0; i < LISTENER_LOCK_TRIES; i++) {
        fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return listener_error(error, -errno, "open the lock file", lock);
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            r = -errno;
            close(fd);
            if (r == -EWOULDBLOCK)
                return error_set(error, ERROR_REFUSED, "another daemon holds %s (its lock is %s)", path, lock);
            return listener_error(error, r, "lock", lock);
        }
        if (lock_is_current(fd, lock)) {
            *fdp = fd;
            return 0;
        }
        close(fd);
    }
    return listener_error(error, -EAGAIN, "lock", lock);
}

/* A service manager holds its socket without a lock while no daemon runs. */
static bool path_is_served(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool served;

    strcpy(address.sun_path, path);
    served = fd >= 0 && (!connect(fd, (struct sockaddr *)&address, sizeof(address)) || errno == EAGAIN ||
                         errno == EPROTOTYPE);
    if (fd >= 0)
        close(fd);
    return served;
}

static int stale_remove(const char *path, struct Error *error) {
    struct stat st;

    if (lstat(path, &st))
        return errno == ENOENT ? 0 : listener_error(error, -errno, "look at", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(error, ERROR_INVALID, "%s exists and is not a socket: remove it, or choose another path",
                         path);
    if (path_is_served(path))
        return error_set(error, ERROR_REFUSED,
                         "somebody listens at %s, a service manager perhaps: stop its socket, or choose another path",
                         path);
    if (unlink(path))
        return listener_error(error, -errno, "remove the stale socket", path);
    log_event(LOG_LEVEL_NOTICE, "stale-socket-removed", "path=%s", path);
    return 0;
}

/* -------------------------------------------------------------------------------------------------- socket */

/* Nobody gets in between bind and chmod: the socket is born with mode 0600. */
static int socket_bind(int fd, const struct ListenerOptions *options) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t umask_before;
    int r;

    strcpy(address.sun_path, options->path);
    umask_before = umask(0177);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
    umask(umask_before);
    if (r)
        return r;
    if (options->group != (gid_t)-1 && chown(options->path, (uid_t)-1, options->group))
        return -errno;
    if (chmod(options->path, options->mode))
        return -errno;
    return 0;
}

static int listener_listen(struct Listener *listener, const struct ListenerOptions *options, struct Error *error) {
    int r;

    listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return listener_error(error, -errno, "make a socket for", options->path);
    /* Before anyone can connect: who does inherits it. Older kernels drop fds as they come, and say so. */
    features_refuse_rights(listener->fd);
    r = socket_bind(listener->fd, options);
    if (r)
        return listener_error(error, r, "bind", options->path);
    if (listen(listener->fd, LISTENER_BACKLOG))
        return listener_error(error, -errno, "listen at", options->path);
    return 0;
}

static void given_warn(const struct ListenerOptions *options) {
    struct stat st;

    if (!lstat(options->path, &st) && st.st_mode & ~options->mode & 0222)
        log_event(LOG_LEVEL_WARNING, "socket-unsafe", "path=%s why=%s", options->path,
                  "its mode lets more users connect than the daemon would");
}

static int listener_claim(struct Listener *listener, const struct ListenerOptions *options, struct Error *error) {
    int r = directory_make(options->path, error);

    if (!r)
        r = lock_take(options->path, &listener->lock_fd, error);
    if (r)
        return r;
    if (listener->given) {
        features_refuse_rights(listener->fd);
        given_warn(options);
        return 0;
    }
    r = stale_remove(options->path, error);
    return r ? r : listener_listen(listener, options, error);
}

static int reserve_open(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events);

static int listener_start(struct Listener *listener, uv_loop_t *loop, struct Error *error) {
    int r;

    listener->reserve_fd = reserve_open();
    if (listener->reserve_fd < 0)
        return listener_error(error, -errno, "open", "/dev/null");
    r = uv_poll_init(loop, &listener->poll, listener->fd);
    if (r)
        return listener_error(error, r, "poll", listener->path);
    listener->poll.data = listener;
    listener->open = true;
    uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
    return 0;
}

static int fd_close(int fd) {
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The lock goes last: until then nobody else touches the path. */
static void listener_remove(struct Listener *listener) {
    char lock[PATHS_SOCKET_BYTES + 8];

    if (listener->lock_fd >= 0) {
        lock_path(lock, sizeof(lock), listener->path);
        if (listener->fd >= 0 && !listener->given)
            unlink(listener->path);
        unlink(lock);
    }
    listener->fd = fd_close(listener->fd);
    listener->reserve_fd = fd_close(listener->reserve_fd);
    listener->lock_fd = fd_close(listener->lock_fd);
}

int listener_open(struct Listener *listener, uv_loop_t *loop, const struct ListenerOptions *options,
                  struct Error *error) {
    int r;

    *listener = (struct Listener){.fd = options->given_fd, .lock_fd = -1, .reserve_fd = -1};
    listener->given = options->given_fd >= 0;
    listener->accepted = options->accepted;
    listener->data = options->data;
    if (strlen(options->path) >= sizeof(listener->path)) {
        listener->fd = fd_close(listener->fd);
        return error_set(error, ERROR_INVALID, "a socket's path has at most %zu bytes, this one is longer: %s",
                         sizeof(listener->path) - 1, options->path);
    }
    strcpy(listener->path, options->path);
    r = listener_claim(listener, options, error);
    if (!r)
        r = listener_start(listener, loop, error);
    if (r)
        listener_remove(listener);
    return r;
}

void listener_close(struct Listener *listener) {
    if (!listener->open)
        return;
    listener->open = false;
    uv_close((uv_handle_t *)&listener->poll, NULL);
    listener_remove(listener);
}

/* -------------------------------------------------------------------------------------------------- accepting */

static int listener_accept(const struct Listener *listener) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return -errno;
    /* Who connected before the daemon ran has inherited nothing. */
    if (listener->given)
        features_refuse_rights(fd);
    return fd;
}

static void listener_pause(struct Listener *listener, int r) {
    uv_poll_stop(&listener->poll);
    listener->paused = true;
    log_event(LOG_LEVEL_WARNING, "listener-paused", "path=%s why=%s", listener->path, strerror(-r));
}

void listener_resume(struct Listener *listener) {
    if (!listener->open)
        return;
    if (listener->reserve_fd < 0)
        listener->reserve_fd = reserve_open();
    if (!listener->paused || listener->reserve_fd < 0)
        return;
    listener->paused = false;
    uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
    log_event(LOG_LEVEL_INFO, "listener-resumed", "path=%s", listener->path);
}

/* Each call turns one connection away, or pauses: a full table of descriptors never makes the loop spin. */
static void listener_turn_away(struct Listener *listener, int r) {
    struct Error error;
    int socket;

    listener->reserve_fd = fd_close(listener->reserve_fd);
    socket = listener_accept(listener);
    if (socket >= 0) {
        answer_host_error(&error, r, "the daemon has no file descriptor left for a connection");
        link_turn_away(socket, &error);
        listener->n_refused++;
        log_event(LOG_LEVEL_WARNING, "connection-refused", "path=%s why=%s", listener->path, error.message);
    }
    listener->reserve_fd = reserve_open();
    if (socket < 0 || listener->reserve_fd < 0)
        listener_pause(listener, r);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events) {
    struct Listener *listener = poll->data;

    (void)events;
    if (status < 0) { /* libuv has stopped polling already */
        listener_pause(listener, status);
        return;
    }
    for (unsigned i = 0; i < LISTENER_BATCH_MAX && listener->open; i++) {
        int r = listener_accept(listener);

        if (r >= 0) {
            listener->accepted(listener, r);
            continue;
        }
        if (r == -EMFILE || r == -ENFILE)
            listener_turn_away(listener, r);
        else if (r != -EAGAIN && r != -EINTR && r != -ECONNABORTED)
            listener_pause(listener, r);
        return;
    }
}
