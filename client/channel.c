/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/channel.h"

#include "shared/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct Channel {
    int socket;
    const struct Patience *patience;
    uint64_t last_id;    /* of the latest request */
    uint64_t awaited_id; /* of a request whose answer did not come in time; 0: none */
    bool ended;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* Of what is begun now. */
static uint64_t channel_deadline_ns(const struct Channel *channel) {
    const struct Patience *patience = channel->patience;
    uint64_t deadline_ns = clock_now_ns() + patience->timeout_ms * NS_PER_MS;

    return patience->deadline_ns && patience->deadline_ns < deadline_ns ? patience->deadline_ns : deadline_ns;
}

static int channel_unavailable(struct Channel *channel, const char *why, struct wasmpool_error *error) {
    return error_set(failure(error), ERROR_UNAVAILABLE, "the daemon at %s %s", channel->path, why);
}

/* Wait until the socket is ready for `events`, or `deadline_ns`. 0 or -ETIMEDOUT. */
static int channel_wait(struct Channel *channel, short events, uint64_t deadline_ns) {
    struct pollfd poll_fd = {.fd = channel->socket, .events = events};

    for (;;) {
        uint64_t now_ns = clock_now_ns();
        int r;

        if (now_ns >= deadline_ns)
            return -ETIMEDOUT;
        r = poll(&poll_fd, 1, (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS));
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

static int channel_connect_error(struct Channel *channel, int r, struct wasmpool_error *error) {
    if (r == ENOENT || r == ECONNREFUSED)
        return error_set(failure(error), ERROR_UNAVAILABLE, "no daemon listens at %s: %s", channel->path, strerror(r));
    if (r == EACCES || r == EPERM)
        return error_set(failure(error), ERROR_REFUSED, "no permission to connect to %s", channel->path);
    if (r == EAGAIN)
        return channel_unavailable(channel, "does not accept connections in time", error);
    return failure_errno(error, -r, channel->path);
}

/* connect(2) on a Unix socket is immediate, but for a full backlog: EAGAIN, and nothing to poll for. */
static int channel_connect_socket(struct Channel *channel, const struct sockaddr_un *address) {
    uint64_t deadline_ns = channel_deadline_ns(channel);

    while (connect(channel->socket, (const struct sockaddr *)address, sizeof(*address))) {
        if (errno != EAGAIN && errno != EINTR)
            return errno;
        if (clock_now_ns() > deadline_ns)
            return EAGAIN;
        poll(NULL, 0, 1);
    }
    return 0;
}

int channel_connect(struct Channel **channelp, const char *path, const struct Patience *patience,
                    struct wasmpool_error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct Channel *channel;
    int r;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(failure(error), ERROR_INVALID, "the socket's path is longer than %zu bytes: %s",
                         sizeof(address.sun_path) - 1, path);
    channel = calloc(1, sizeof(*channel));
    if (!channel)
        return failure_errno(error, -ENOMEM, "a connection");
    channel->patience = patience;
    strcpy(channel->path, path);
    strcpy(address.sun_path, path);
    channel->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = channel->socket < 0 ? errno : channel_connect_socket(channel, &address);
    if (r) {
        r = channel_connect_error(channel, r, error);
        channel_close(channel);
        return r;
    }
    *channelp = channel;
    return 0;
}

struct Channel *channel_close(struct Channel *channel) {
    if (!channel)
        return NULL;
    if (channel->socket >= 0)
        close(channel->socket);
    free(channel);
    return NULL;
}

void channel_probe(struct Channel *channel) {
    struct pollfd poll_fd = {.fd = channel->socket, .events = POLLRDHUP};

    if (!channel->ended && poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR))
        channel->ended = true;
}

bool channel_has_ended(const struct Channel *channel) {
    return channel->ended;
}

bool channel_is_owed(const struct Channel *channel) {
    return channel->awaited_id;
}

int channel_reject(struct Channel *channel, const char *what, struct wasmpool_error *error) {
    channel->ended = true;
    return error_set(failure(error), ERROR_PROTOCOL, "the daemon at %s %s", channel->path, what);
}

static int channel_send(struct Channel *channel, const WireMessage *message, uint64_t deadline_ns,
                        struct wasmpool_error *error) {
    int r = 0;

    if (channel->ended)
        return channel_unavailable(channel, "has gone", error);
    while ((r = wire_send(channel->socket, message, NULL, 0)) == WIRE_E_AGAIN)
        if (channel_wait(channel, POLLOUT, deadline_ns))
            return channel_unavailable(channel, "does not read in time", error);
    if (r == WIRE_E_END) {
        channel->ended = true;
        return channel_unavailable(channel, "has gone", error);
    }
    return r ? channel_reject(channel, wire_outcome_phrase(r), error) : 0;
}

int channel_tell(struct Channel *channel, WireMessage *message) {
    message->id = 0;
    return channel_send(channel, message, channel_deadline_ns(channel), NULL);
}

/* The image that a message brings; 0: none. */
static uint32_t channel_image_of(const WireMessage *message) {
    if (message->body_case == WASMPOOL__PACKET__BODY_IMAGE_FOUND)
        return message->image_found->image;
    return message->body_case == WASMPOOL__PACKET__BODY_IMAGE_CREATED ? message->image_created->image : 0;
}

/* An answer to a request that we no longer wait for. What it brought is given back at once. */
static void channel_discard(struct Channel *channel, struct WirePacket *packet) {
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;
    Wasmpool__ReleaseImage release_image = WASMPOOL__RELEASE_IMAGE__INIT;
    WireMessage acked = WIRE_MESSAGE(0, ACK, ack, &ack);
    WireMessage closed = WIRE_MESSAGE(0, CLOSE_SLAB, close_slab, &close_slab);
    WireMessage released = WIRE_MESSAGE(0, RELEASE_IMAGE, release_image, &release_image);

    if (packet->n_fds)
        channel_tell(channel, &acked);
    if (packet->message->body_case == WASMPOOL__PACKET__BODY_SLAB_OPENED) {
        close_slab.slab = packet->message->slab_opened->slab;
        channel_tell(channel, &closed);
    }
    release_image.image = channel_image_of(packet->message);
    if (release_image.image)
        channel_tell(channel, &released);
    wire_packet_deinit(packet);
}

static uint64_t channel_fds_max(void) {
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : limit.rlim_cur;
}

/* The next packet, within the deadline. */
static int channel_receive(struct Channel *channel, uint64_t deadline_ns, struct WirePacket *packetp,
                           struct wasmpool_error *error) {
    for (;;) {
        int r = wire_recv(channel->socket, 1, packetp);

        if (!r)
            return 0;
        if (r == WIRE_E_AGAIN) {
            if (channel_wait(channel, POLLIN, deadline_ns))
                return channel_unavailable(channel, "does not answer in time", error);
            continue;
        }
        if (r == WIRE_E_END) {
            channel->ended = true;
            return channel_unavailable(channel, "has gone", error);
        }
        channel_reject(channel, wire_outcome_phrase(r), error);
        if (r != WIRE_E_NO_ROOM)
            return ERROR_PROTOCOL;
        return error_limit(failure(error), ERROR_HOST, "RLIMIT_NOFILE", channel_fds_max(), channel_fds_max(), 1,
                           "no file descriptor is left for what the daemon sent");
    }
}

/* The answer to request `id`. An Error of id 0 is about the connection: it was refused before anything was asked. */
static int channel_await(struct Channel *channel, uint64_t id, uint64_t deadline_ns, struct WirePacket *answerp,
                         struct wasmpool_error *error) {
    for (;;) {
        int r;

        channel->awaited_id = id;
        r = channel_receive(channel, deadline_ns, answerp, error);
        if (r)
            return r;
        channel->awaited_id = 0;
        if (answerp->message->id == id)
            return 0;
        if (answerp->message->id == 0 && answerp->message->body_case == WASMPOOL__PACKET__BODY_ERROR) {
            channel->ended = true;
            return 0;
        }
        channel_discard(channel, answerp);
    }
}

/* A request that we gave up is answered all the same. Its answer comes first, and may bring an fd that must be
 * acknowledged before the next is asked for. */
static int channel_settle(struct Channel *channel, uint64_t deadline_ns, struct wasmpool_error *error) {
    struct WirePacket late;
    int r;

    if (!channel->awaited_id)
        return 0;
    r = channel_await(channel, channel->awaited_id, deadline_ns, &late, error);
    if (!r)
        channel_discard(channel, &late);
    return r;
}

int channel_call(struct Channel *channel, WireMessage *request, size_t fds_max, struct WirePacket *answerp,
                 struct wasmpool_error *error) {
    uint64_t deadline_ns = channel_deadline_ns(channel);
    struct WirePacket answer;
    int r = channel->ended ? 0 : channel_settle(channel, deadline_ns, error);

    if (r)
        return r;
    request->id = ++channel->last_id;
    r = channel_send(channel, request, deadline_ns, error);
    /* A daemon that refuses a connection says why before it closes: what it said may still be there to read. */
    if (r && !(r == ERROR_UNAVAILABLE && channel->ended && request->id == 1))
        return r;
    r = channel_await(channel, request->id, deadline_ns, &answer, error);
    if (r)
        return r;
    if (answer.message->body_case == WASMPOOL__PACKET__BODY_ERROR) {
        r = wire_error_get(failure(error), answer.message->error);
        wire_packet_deinit(&answer);
        return r;
    }
    if (answer.n_fds > fds_max) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, wire_outcome_phrase(WIRE_E_FDS), error);
    }
    *answerp = answer;
    return 0;
}

int channel_hello(struct Channel *channel, const char *name, size_t fds_max, struct WirePacket *welcomep,
                  struct wasmpool_error *error) {
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;
    WireMessage request = WIRE_MESSAGE(0, HELLO, hello, &hello);
    struct WirePacket answer;
    char version[96], shortened[WIRE_NAME_BYTES];
    int r;

    hello.major = WIRE_MAJOR;
    hello.minor = WIRE_MINOR;
    hello.features = WIRE_FEATURES;
    snprintf(shortened, sizeof(shortened), "%s", name ? name : "");
    hello.name = shortened;
    r = channel_call(channel, &request, fds_max, &answer, error);
    if (r)
        return r;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_WELCOME || !answer.message->welcome->limits) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not say welcome", error);
    }
    if (answer.message->welcome->major != WIRE_MAJOR) {
        snprintf(version, sizeof(version), "speaks version %u of the protocol, this client %u",
                 answer.message->welcome->major, WIRE_MAJOR);
        wire_packet_deinit(&answer);
        channel_reject(channel, version, error);
        if (error)
            error->code = ERROR_VERSION;
        return ERROR_VERSION;
    }
    *welcomep = answer;
    return 0;
}
