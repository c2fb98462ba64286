/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/session.h"

#include "daemon/log.h"
#include "daemon/session-image.h"
#include "daemon/text.h"
#include "shared/features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------------------------- identity */

/* For a terminal, a log and JSON: printable ASCII, everything else a question mark. */
static void text_copy(char *to, size_t bytes, const char *text, size_t length) {
    size_t n = 0;

    for (; n < length && n < bytes - 1 && text[n]; n++)
        to[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
    to[n] = '\0';
}

/* For people only: empty where /proc does not tell. */
static void command_read(char command[WIRE_NAME_BYTES], pid_t pid) {
    char path[40], text[WIRE_NAME_BYTES];

    *command = '\0';
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    if (!text_read(text, sizeof(text), path))
        text_copy(command, WIRE_NAME_BYTES, text, strcspn(text, "\n"));
}

static int identity_read(int socket, struct ClientIdentity *identity, int *pidfdp, struct Error *error) {
    struct ucred credentials;
    socklen_t bytes = sizeof(credentials);
    int fd;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes))
        return answer_host_error(error, -errno, "cannot tell who connected");
    fd = features_peer_pidfd(socket, credentials.pid);
    if (fd == -ESRCH || fd == -EINVAL || fd == -ENODATA)
        return error_set(error, ERROR_REFUSED, "the process that connected, pid %d, has ended", (int)credentials.pid);
    if (fd < 0)
        return answer_host_error(error, fd, "cannot watch the process that connected");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *identity = (struct ClientIdentity){.pid = credentials.pid, .uid = credentials.uid};
    command_read(identity->command, credentials.pid);
    *pidfdp = fd;
    return 0;
}

/* -------------------------------------------------------------------------------------------------- state */

static const char *session_state_name(enum SessionState state) {
    static const char *const names[] = {"hello", "unacked", "ready", "disconnected", "ended"};

    return names[state];
}

void session_enter(struct Session *session, enum SessionState state) {
    log_event(LOG_LEVEL_DEBUG, "session-state", "connection=%lu from=%s to=%s", session->client->id,
              session_state_name(session->state), session_state_name(state));
    session->state = state;
}

/* Why may be NULL where the event says it all. */
static void session_log(const struct Session *session, enum LogLevel level, const char *event, const char *why) {
    const struct Client *client = session->client;

    if (!why) {
        log_event(level, event, "connection=%lu pid=%d uid=%u command=%s", client->id, (int)client->identity.pid,
                  (unsigned)client->identity.uid, client->identity.command);
        return;
    }
    log_event(level, event, "connection=%lu pid=%d uid=%u command=%s why=%s", client->id, (int)client->identity.pid,
              (unsigned)client->identity.uid, client->identity.command, why);
}

static void session_set_stalled(struct Session *session, bool stalled) {
    session->server->n_stalled += (unsigned)stalled - (unsigned)session->stalled;
    session->stalled = stalled;
}

static struct Session *session_of(struct Link *link) {
    return (struct Session *)((char *)link - offsetof(struct Session, link));
}

/* The memory goes with the last handle. */
static void session_put(struct Session *session) {
    if (!--session->n_open)
        free(session);
}

static void session_on_link_closed(struct Link *link) {
    session_put(session_of(link));
}

static void session_on_process_closed(uv_handle_t *handle) {
    session_put(handle->data);
}

static void session_unlink(struct Session *session) {
    if (session->next)
        session->next->previous = session->previous;
    if (session->previous)
        session->previous->next = session->next;
    else
        session->server->session_list = session->next;
}

static void session_link(struct Session *session) {
    session->next = session->server->session_list;
    if (session->next)
        session->next->previous = session;
    session->server->session_list = session;
}

/* -------------------------------------------------------------------------------------------------- ends */

static void session_forget_want(struct Session *session) {
    session->server->n_deferred -= session->want_id != 0;
    session->want_id = 0;
}

/* Nobody in the process sleeps through it: who waits for slots finds the socket at its end. */
static void session_tell_end(const struct Session *session) {
    struct LeaseTable *table = session->client->table;

    if (!table)
        return;
    atomic_fetch_add(&table->header.epoch, 1);
    lease_wake(table);
}

/* Everything is given back: the process is dead, or has said that it uses nothing, or was never given anything. */
static void session_end(struct Session *session, const char *why) {
    if (session->state == SESSION_ENDED)
        return;
    session_log(session, LOG_LEVEL_INFO, "client-ended", why);
    session_enter(session, SESSION_ENDED);
    session->pending = false;
    session_set_stalled(session, false);
    session_forget_want(session);
    link_close(&session->link);
    session_tell_end(session);
    uv_close((uv_handle_t *)&session->process, session_on_process_closed);
    close(session->pidfd);
    session->client = client_free(session->client);
    session_unlink(session);
    server_resume_listeners(session->server);
}

/* fds in flight are bounded over all clients: one that goes on without having received its own would use up the
 * others'. */
static bool session_is_unread(const struct Session *session) {
    int bytes = 0;

    return !ioctl(session->link.socket, SIOCOUTQ, &bytes) && bytes > 0;
}

/* The socket is done with; the process lives, and may be using what it was granted. */
static void session_disconnect(struct Session *session, const char *why) {
    if (session->state == SESSION_HELLO) {
        session_end(session, why);
        return;
    }
    if (session->state >= SESSION_DISCONNECTED)
        return;
    session_log(session, LOG_LEVEL_INFO, "client-disconnected", why);
    /* What the peer has not received stays in flight until it closes its end: its connection counts as long. */
    session->owes_fd = session->state == SESSION_UNACKED && session_is_unread(session);
    session_enter(session, SESSION_DISCONNECTED);
    session->pending = false;
    session_set_stalled(session, false);
    session_forget_want(session);
    link_close(&session->link);
    session_tell_end(session);
    client_disconnect(session->client);
    if (!session->owes_fd && client_is_spent(session->client))
        session_end(session, "nothing was in use");
    else
        server_resume_listeners(session->server);
}

/* One last Error, if there is room for it, and the connection ends. */
static void session_refuse(struct Session *session, uint64_t id, const struct Error *error) {
    answer_error(&session->answer, id, error);
    link_send(&session->link, &session->answer.message, -1);
    session_disconnect(session, error_code_name(error->code));
}

/* The peer has broken the protocol. */
void session_cut_off(struct Session *session, uint64_t id, const char *why) {
    struct Error error;

    session->server->counters.cut_off++;
    session_log(session, LOG_LEVEL_NOTICE, "client-cut-off", why);
    error_set(&error, ERROR_PROTOCOL, "cut off: the client %s", why);
    session_refuse(session, id, &error);
}

static void session_on_process(uv_poll_t *poll, int status, int events) {
    struct Session *session = poll->data;

    (void)events;
    if (status < 0) {
        /* libuv has stopped watching. Not a sign of death: the slots stay until the daemon ends. */
        session_log(session, LOG_LEVEL_ERROR, "process-watch-lost", uv_strerror(status));
        return;
    }
    session_end(session, "process dead");
}

static void session_on_end(struct Link *link, int outcome) {
    struct Session *session = session_of(link);

    if (outcome == WIRE_E_END)
        session_disconnect(session, "closed the connection");
    else if (outcome == LINK_E_DEADLINE)
        session_cut_off(session, 0, "did not say hello in time");
    else if (outcome > 0)
        session_cut_off(session, 0, wire_outcome_phrase(outcome));
    else
        session_disconnect(session, strerror(-outcome));
}

/* -------------------------------------------------------------------------------------------------- answers */

/* Until the answer is in the socket nothing is read: output is bounded by one answer. */
void session_send(struct Session *session) {
    int r = link_send(&session->link, &session->answer.message, session->answer.fd);

    session_set_stalled(session, r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM);
    session->pending = session->stalled || r == WIRE_E_AGAIN;
    if (session->stalled) {
        /* The kernel bounds the fds in flight of a user, over all its sockets: no event says when there is room. */
        log_event(LOG_LEVEL_WARNING, "answer-delayed", "connection=%lu why=%s", session->client->id, strerror(-r));
        link_pause(&session->link);
    } else if (session->pending) {
        link_wait(&session->link);
    } else if (!r || r == WIRE_E_END) {
        /* A peer that is gone may have said Goodbye before: it is still to be read. */
        link_read(&session->link);
    } else {
        session_log(session, LOG_LEVEL_ERROR, "answer-failed", r < 0 ? strerror(-r) : wire_outcome_phrase(r));
        session_disconnect(session, "could not be answered");
    }
}

static void session_on_room(struct Link *link) {
    struct Session *session = session_of(link);

    session_send(session);
    if (session->server->stopping && session->state != SESSION_ENDED)
        session_stop(session, false);
}

/* A refusal names who is refused, as the core does where it compares clients. */
static void identity_name(const struct ClientIdentity *identity, uint64_t connection, struct Error *error) {
    char message[sizeof(error->message)], who[64] = "";

    if (error->code != ERROR_LIMIT || !strncmp(error->message, "connection ", strlen("connection ")))
        return;
    memcpy(message, error->message, sizeof(message));
    if (connection)
        snprintf(who, sizeof(who), "connection %lu (", connection);
    snprintf(error->message, sizeof(error->message), "%spid %d, %s%s: %.160s", who, (int)identity->pid,
             identity->command, connection ? ")" : "", message);
}

void session_answer_failure(struct Session *session, uint64_t id, int r, struct Error *error) {
    session->server->counters.refused++;
    identity_name(&session->client->identity, session->client->id, error);
    answer_failure(&session->answer, id, r, error);
    /* The first says that something is wrong; all of them would leave no room in the log for others. */
    session_log(session, r == ERROR_LIMIT || session->refused ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "request-refused",
                session->answer.error.message);
    session->refused |= r != ERROR_LIMIT;
    session_send(session);
}

/* -------------------------------------------------------------------------------------------------- messages */

static void session_hello(struct Session *session, uint64_t id, const Wasmpool__Hello *hello) {
    struct Client *client = session->client;
    struct Error error = {0};
    int r = 0;

    if (hello->major != WIRE_MAJOR)
        r = error_set(&error, ERROR_VERSION, "the client speaks version %u.%u of the protocol, the daemon %u.%u",
                      hello->major, hello->minor, WIRE_MAJOR, WIRE_MINOR);
    else
        r = client_open_table(client, &error);
    if (r) {
        session->server->counters.refused++;
        answer_failure(&session->answer, id, r, &error);
        error = session->answer.error;
        session_refuse(session, id, &error);
        return;
    }
    link_greet(&session->link);
    if (*hello->name)
        text_copy(client->identity.command, WIRE_NAME_BYTES, hello->name, strlen(hello->name));
    session_enter(session, SESSION_UNACKED);
    session_log(session, LOG_LEVEL_DEBUG, "client-welcomed", NULL);
    answer_welcome(&session->answer, id, client->id, &session->server->pool.limits, client->table_fd,
                   LEASE_ENTRIES_MAX);
    session_send(session);
}

static void session_hear_tracking(struct Session *session, const Wasmpool__Tracking *said) {
    struct ClientTracking *tracking = &session->client->tracking;

    tracking->said = true;
    tracking->way = said->way;
    text_copy(tracking->why, TRACKING_WHY_BYTES, said->why, strlen(said->why));
}

static void session_open_slab(struct Session *session, uint64_t id, const Wasmpool__OpenSlab *asked) {
    struct Error error = {0};
    struct Shape shape;
    struct Slab *slab;
    uint32_t granted;
    int r;

    if (session->state == SESSION_UNACKED && asked->kind != (Wasmpool__Kind)KIND_INSTANCE) {
        session_cut_off(session, id, "asked for a slab before it acknowledged the last message with an fd");
        return;
    }
    if (asked->tracking)
        session_hear_tracking(session, asked->tracking);
    wire_shape_get(&shape, asked);
    client_measure(session->client);
    client_follow_cgroup(session->client);
    r = client_open_slab(session->client, &shape, asked->want, &slab, &granted, &error);
    if (r) {
        session_answer_failure(session, id, r, &error);
        return;
    }
    log_event(LOG_LEVEL_DEBUG, "slab-opened", "connection=%lu slab=%u kind=%s slots=%u granted=%u", session->client->id,
              slab->id, kind_name(shape.kind), shape.count, granted);
    answer_slab_opened(&session->answer, id, slab, granted);
    if (slab->fd >= 0)
        session_enter(session, SESSION_UNACKED);
    session_send(session);
}

static void session_defer_want(struct Session *session, uint64_t id, uint32_t slab) {
    session->want_id = id;
    session->want_slab = slab;
    session->server->n_deferred++;
    link_pause(&session->link);
}

static void session_want(struct Session *session, uint64_t id, uint32_t slab) {
    struct Error error = {0};
    uint32_t granted;
    int r = client_want(session->client, slab, &granted, &error);

    if (r == CLIENT_E_CLEANING) {
        session_defer_want(session, id, slab);
        return;
    }
    if (r) {
        session_answer_failure(session, id, r, &error);
        return;
    }
    answer_granted(&session->answer, id, granted);
    session_send(session);
}

void session_resume_want(struct Session *session) {
    uint64_t id = session->want_id;

    if (!id)
        return;
    session_forget_want(session);
    session_want(session, id, session->want_slab);
}

static void session_want_quietly(struct Session *session, uint32_t slab) {
    struct Error error = {0};

    if (client_want_quietly(session->client, slab, &error))
        session_cut_off(session, 0, "wanted slots of a slab that it does not have");
}

static void session_close_slab(struct Session *session, const Wasmpool__CloseSlab *close_slab) {
    struct Error error = {0};

    if (client_close_slab(session->client, close_slab->slab, &error))
        session_cut_off(session, 0, "closed a slab that it does not have");
}

static void session_ack(struct Session *session) {
    if (session->state == SESSION_UNACKED && session_is_unread(session))
        session_cut_off(session, 0, "acknowledged a message that it has not received");
    else if (session->state == SESSION_UNACKED)
        session_enter(session, SESSION_READY);
    else
        session_cut_off(session, 0, "acknowledged a message without an fd");
}

/* A one-way message of a newer minor version changes nothing, and nobody waits for an answer. */
static void session_unsupported(struct Session *session, uint64_t id) {
    struct Error error;
    int r;

    if (!id)
        return;
    r = error_set(&error, ERROR_UNSUPPORTED, "the daemon (protocol %u.%u) does not know this message here",
                  WIRE_MAJOR, WIRE_MINOR);
    session_answer_failure(session, id, r, &error);
}

static bool body_is_request(Wasmpool__Packet__BodyCase body_case) {
    return body_case == WASMPOOL__PACKET__BODY_HELLO || body_case == WASMPOOL__PACKET__BODY_OPEN_SLAB ||
           body_case == WASMPOOL__PACKET__BODY_FIND_IMAGE || body_case == WASMPOOL__PACKET__BODY_CREATE_IMAGE ||
           body_case == WASMPOOL__PACKET__BODY_SEAL_IMAGE;
}

/* False: it is not about images. */
static bool session_dispatch_image(struct Session *session, const WireMessage *message) {
    switch (message->body_case) {
    case WASMPOOL__PACKET__BODY_FIND_IMAGE:
        session_find_image(session, message->id, message->find_image);
        return true;
    case WASMPOOL__PACKET__BODY_CREATE_IMAGE:
        session_create_image(session, message->id, message->create_image);
        return true;
    case WASMPOOL__PACKET__BODY_SEAL_IMAGE:
        session_seal_image(session, message->id, message->seal_image);
        return true;
    case WASMPOOL__PACKET__BODY_RELEASE_IMAGE:
        session_release_image(session, message->release_image);
        return true;
    default:
        return false;
    }
}

static void session_dispatch(struct Session *session, const WireMessage *message) {
    switch (message->body_case) {
    case WASMPOOL__PACKET__BODY_HELLO:
        session_cut_off(session, message->id, "said hello twice");
        break;
    case WASMPOOL__PACKET__BODY_OPEN_SLAB:
        session_open_slab(session, message->id, message->open_slab);
        break;
    case WASMPOOL__PACKET__BODY_CLOSE_SLAB:
        session_close_slab(session, message->close_slab);
        break;
    case WASMPOOL__PACKET__BODY_WANT:
        if (message->id)
            session_want(session, message->id, message->want->slab);
        else
            session_want_quietly(session, message->want->slab);
        break;
    case WASMPOOL__PACKET__BODY_KICK:
        client_kick(session->client);
        break;
    case WASMPOOL__PACKET__BODY_ACK:
        session_ack(session);
        break;
    case WASMPOOL__PACKET__BODY_GOODBYE:
        if (session_is_unread(session))
            session_cut_off(session, 0, "said goodbye before it received what it was sent");
        else
            session_end(session, "goodbye");
        break;
    default:
        if (!session_dispatch_image(session, message))
            session_unsupported(session, message->id);
    }
}

static void session_on_message(struct Link *link, struct WirePacket *packet) {
    struct Session *session = session_of(link);
    const WireMessage *message = packet->message;

    session->server->pool.now_ms = uv_now(&session->server->loop);
    if (body_is_request(message->body_case) && !message->id)
        session_cut_off(session, 0, "sent a request without an id");
    else if (session->state != SESSION_HELLO)
        session_dispatch(session, message);
    else if (message->body_case == WASMPOOL__PACKET__BODY_HELLO)
        session_hello(session, message->id, message->hello);
    else
        session_cut_off(session, message->id, "did not begin with hello");
}

/* -------------------------------------------------------------------------------------------------- life */

static const struct LinkEvents session_link_events = {
    .message = session_on_message,
    .room = session_on_room,
    .end = session_on_end,
    .closed = session_on_link_closed,
};

/* The handles, of which either both are open afterwards or none will be. */
static int session_watch(struct Session *session, int socket) {
    struct Server *server = session->server;
    int r = uv_poll_init(&server->loop, &session->process, session->pidfd);

    if (r)
        return r;
    session->process.data = session;
    session->n_open = 1;
    r = link_open(&session->link, &server->loop, socket, server->config.hello_deadline_ms, &session_link_events);
    if (r) {
        uv_close((uv_handle_t *)&session->process, session_on_process_closed);
        return r;
    }
    session->n_open = 2;
    uv_poll_start(&session->process, UV_READABLE, session_on_process);
    return 0;
}

int session_new(struct Server *server, int socket, struct Error *error) {
    struct Session *session = calloc(1, sizeof(*session));
    struct ClientIdentity identity;
    int r;

    if (!session)
        return answer_host_error(error, -ENOMEM, "the daemon is out of memory");
    session->server = server;
    r = identity_read(socket, &identity, &session->pidfd, error);
    if (r) {
        free(session);
        return r;
    }
    r = client_new(&session->client, &server->pool, &identity, error);
    if (!r) {
        r = session_watch(session, socket);
        if (r)
            r = answer_host_error(error, r, "the daemon cannot watch this connection");
    }
    if (r) {
        identity_name(&identity, 0, error);
        session->client = client_free(session->client);
        close(session->pidfd);
        if (!session->n_open)
            free(session);
        return r > 0 ? r : answer_host_error(error, r, "the daemon cannot serve this client");
    }
    session_link(session);
    session_log(session, LOG_LEVEL_INFO, "client-accepted", NULL);
    return 0;
}

void session_tick(struct Session *session) {
    if (session->state == SESSION_DISCONNECTED) {
        client_sweep(session->client);
        if (!session->owes_fd && client_is_spent(session->client))
            session_end(session, "everything was released");
    } else if (session->stalled)
        session_send(session);
}

void session_stop(struct Session *session, bool now) {
    if (session->pending && !session->stalled && !now)
        return;
    session_end(session, "the daemon ends");
}
