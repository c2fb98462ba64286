/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/admin.h"

#include "daemon/admin-image.h"
#include "daemon/admin-limit.h"
#include "daemon/admin-status.h"
#include "daemon/admin-usage.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/log.h"
#include "daemon/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN_PAGE_FRAME_BYTES 64 /* of a page's packet, around its rows */
#define ADMIN_ROW_FRAME_BYTES 4   /* of a row in it: tag and length */

static struct Admin *admin_of(struct Link *link) {
    return (struct Admin *)((char *)link - offsetof(struct Admin, link));
}

/* -------------------------------------------------------------------------------------------------- ends */

static void admin_on_link_closed(struct Link *link) {
    free(admin_of(link));
}

static void admin_end(struct Admin *admin, const char *why) {
    struct Admin **place = &admin->server->admin_list;

    if (admin->state == ADMIN_ENDED)
        return;
    log_event(LOG_LEVEL_DEBUG, "admin-ended", "why=%s", why);
    admin->state = ADMIN_ENDED;
    wire_packet_deinit(&admin->request);
    link_close(&admin->link);
    while (*place != admin)
        place = &(*place)->next;
    *place = admin->next;
    admin->server->n_admins--;
    server_resume_listeners(admin->server);
}

static void admin_cut_off(struct Admin *admin, uint64_t id, int code, const char *why) {
    struct Answer answer;
    struct Error error;

    admin->server->counters.cut_off++;
    log_event(LOG_LEVEL_NOTICE, "admin-cut-off", "why=%s", why);
    error_set(&error, code, "cut off: the client %s", why);
    answer_error(&answer, id, &error);
    link_send(&admin->link, &answer.message, -1);
    admin_end(admin, why);
}

static void admin_on_end(struct Link *link, int outcome) {
    struct Admin *admin = admin_of(link);

    if (outcome == WIRE_E_END || outcome < 0)
        admin_end(admin, outcome < 0 ? strerror(-outcome) : wire_outcome_phrase(outcome));
    else if (outcome == LINK_E_DEADLINE)
        admin_cut_off(admin, 0, ERROR_PROTOCOL, "did not say hello in time");
    else
        admin_cut_off(admin, 0, ERROR_PROTOCOL, wire_outcome_phrase(outcome));
}

/* -------------------------------------------------------------------------------------------------- answers */

bool admin_send(struct Admin *admin, const WireMessage *message) {
    int r = link_send(&admin->link, message, -1);

    if (r == WIRE_E_AGAIN || r == -ENOBUFS || r == -ENOMEM)
        return false;
    if (r && r != WIRE_E_END)
        log_event(LOG_LEVEL_ERROR, "admin-answer-failed", "why=%s", r < 0 ? strerror(-r) : wire_outcome_phrase(r));
    return true;
}

static bool admin_hello(struct Admin *admin, const WireMessage *message) {
    struct Answer answer;

    if (message->hello->major != WIRE_MAJOR) {
        char why[96];

        snprintf(why, sizeof(why), "speaks version %u.%u of the protocol, the daemon %u.%u", message->hello->major,
                 message->hello->minor, WIRE_MAJOR, WIRE_MINOR);
        admin_cut_off(admin, message->id, ERROR_VERSION, why);
        return true;
    }
    link_greet(&admin->link);
    admin->state = ADMIN_READY;
    answer_welcome(&answer, message->id, 0, &admin->server->pool.limits, -1, 0);
    return admin_send(admin, &answer.message);
}

static bool admin_unsupported(struct Admin *admin, const WireMessage *message) {
    struct Answer answer;
    struct Error error;

    if (!message->id)
        return true; /* one-way, of a newer minor version */
    admin->server->counters.refused++;
    error_set(&error, ERROR_UNSUPPORTED, "the daemon (protocol %u.%u) does not know this message here", WIRE_MAJOR,
              WIRE_MINOR);
    answer_error(&answer, message->id, &error);
    return admin_send(admin, &answer.message);
}

/* -------------------------------------------------------------------------------------------------- list */

struct ListWalk {
    uint64_t now_ns;
    Wasmpool__List cursor; /* the slot that was looked at last */
    unsigned n_looked;
    bool full; /* of rows, or of slots looked at */
    size_t n_rows, bytes;
    Wasmpool__ListRow *pointers[ADMIN_ROWS_MAX];
    Wasmpool__ListRow rows[ADMIN_ROWS_MAX];
    char labels[ADMIN_ROWS_MAX][LEASE_LABEL_BYTES];
};

/* What the client says of the time may be anything. */
static uint64_t walk_age_ms(const struct ListWalk *walk, const struct SlotView *view) {
    return view->taken_ns && view->taken_ns < walk->now_ns ? (walk->now_ns - view->taken_ns) / 1000000 : 0;
}

static void walk_fill_row(struct ListWalk *walk, const struct Slab *slab, uint32_t slot, const struct SlotView *view) {
    const struct Client *client = slab->client;
    Wasmpool__ListRow *row = &walk->rows[walk->n_rows];
    char *label = walk->labels[walk->n_rows];

    wasmpool__list_row__init(row);
    memcpy(label, view->label, LEASE_LABEL_BYTES);
    row->connection = client->id;
    row->pid = (uint32_t)client->identity.pid;
    row->uid = client->identity.uid;
    row->command = (char *)client->identity.command;
    row->slab = slab->id;
    row->slot = slot;
    row->kind = (Wasmpool__Kind)slab->shape.kind;
    row->state = (char *)view->state;
    row->pages = view->pages;
    row->resident_bytes = view->resident_bytes;
    row->label = label;
    row->age_ms = walk_age_ms(walk, view);
    row->inode = slab->inode;
    row->disconnected = client->state == CLIENT_DISCONNECTED;
    row->copy_on_write = view->copy_on_write;
}

/* Keep the row that was filled if the packet has room for it. */
static bool walk_keep_row(struct ListWalk *walk) {
    size_t bytes = wasmpool__list_row__get_packed_size(&walk->rows[walk->n_rows]) + ADMIN_ROW_FRAME_BYTES;

    if (walk->bytes + bytes > WIRE_BYTES_MAX - ADMIN_PAGE_FRAME_BYTES)
        return false;
    walk->bytes += bytes;
    walk->pointers[walk->n_rows] = &walk->rows[walk->n_rows];
    walk->n_rows++;
    return true;
}

static void walk_slot(struct ListWalk *walk, const struct Slab *slab, uint32_t slot) {
    struct SlotView view;

    if (walk->n_rows == ADMIN_ROWS_MAX || walk->n_looked == ADMIN_SLOTS_MAX) {
        walk->full = true;
        return;
    }
    slab_view(slab, slot, &view);
    if (view.state) {
        walk_fill_row(walk, slab, slot, &view);
        walk->full = !walk_keep_row(walk);
        if (walk->full)
            return;
    }
    walk->n_looked++;
    walk->cursor.more = true;
    walk->cursor.after_connection = slab->client->id;
    walk->cursor.after_slab = slab->id;
    walk->cursor.after_slot = slot;
}

/* The first slot of the slab that is behind the cursor. */
static uint32_t walk_first_slot(const struct ListWalk *walk, const struct Slab *slab) {
    const Wasmpool__List *cursor = &walk->cursor;

    if (!cursor->more || cursor->after_connection != slab->client->id || cursor->after_slab < slab->id)
        return 0;
    if (cursor->after_slab > slab->id || cursor->after_slot >= slab->shape.count)
        return slab->shape.count;
    return cursor->after_slot + 1;
}

static void walk_client(struct ListWalk *walk, const struct Client *client) {
    for (const struct Slab *slab = client->slabs; slab && !walk->full; slab = slab->next)
        for (uint32_t slot = walk_first_slot(walk, slab); slot < slab->shape.count && !walk->full; slot++)
            walk_slot(walk, slab, slot);
}

/* Clients and their slabs are in the order of their ids, so a cursor stays good when its client or slab has gone. */
static bool admin_list(struct Admin *admin, const WireMessage *request) {
    Wasmpool__ListPage page = WASMPOOL__LIST_PAGE__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, LIST_PAGE, list_page, &page);
    struct ListWalk *walk = malloc(sizeof(*walk));
    bool done;

    if (!walk)
        return false;
    walk->now_ns = uv_hrtime();
    walk->cursor = *request->list;
    walk->n_looked = 0;
    walk->full = false;
    walk->n_rows = walk->bytes = 0;
    for (const struct Client *client = admin->server->pool.clients; client && !walk->full; client = client->next)
        if (!request->list->more || client->id >= request->list->after_connection)
            walk_client(walk, client);
    page.rows = walk->pointers;
    page.n_rows = walk->n_rows;
    page.last = !walk->full;
    /* A page without a row could not say how far it came: go on from there in the next turn. */
    done = (page.n_rows || page.last) && admin_send(admin, &message);
    if (!page.n_rows && !page.last)
        *request->list = walk->cursor;
    free(walk);
    return done;
}

/* -------------------------------------------------------------------------------------------------- messages */

static const struct AdminRequest {
    Wasmpool__Packet__BodyCase body_case;
    bool (*answer)(struct Admin *admin, const WireMessage *message);
} admin_requests[] = {
    {WASMPOOL__PACKET__BODY_STATUS, admin_status},         {WASMPOOL__PACKET__BODY_LIST, admin_list},
    {WASMPOOL__PACKET__BODY_SET_LIMIT, admin_set_limit},   {WASMPOOL__PACKET__BODY_LIST_LIMITS, admin_list_limits},
    {WASMPOOL__PACKET__BODY_LIST_USERS, admin_list_users}, {WASMPOOL__PACKET__BODY_LIST_CLIENTS, admin_list_clients},
    {WASMPOOL__PACKET__BODY_LIST_IMAGES, admin_list_images},
};

/* NULL: not one that administration knows. */
static const struct AdminRequest *admin_find_request(const WireMessage *message) {
    for (size_t i = 0; i < sizeof(admin_requests) / sizeof(admin_requests[0]); i++)
        if (admin_requests[i].body_case == message->body_case)
            return &admin_requests[i];
    return NULL;
}

static bool admin_answer(struct Admin *admin, const WireMessage *message) {
    const struct AdminRequest *request = admin_find_request(message);

    if (admin->state == ADMIN_HELLO)
        return admin_hello(admin, message);
    return request ? request->answer(admin, message) : admin_unsupported(admin, message);
}

static void admin_proceed(struct Admin *admin) {
    bool done = admin_answer(admin, admin->request.message);

    if (admin->state == ADMIN_ENDED)
        return;
    if (!done) {
        link_wait(&admin->link);
        return;
    }
    wire_packet_deinit(&admin->request);
    admin->changed = false;
    link_read(&admin->link);
}

static const char *admin_violation(const struct Admin *admin, const WireMessage *message) {
    bool hello = message->body_case == WASMPOOL__PACKET__BODY_HELLO;

    if (admin->state == ADMIN_HELLO && !hello)
        return "did not begin with hello";
    if (admin->state == ADMIN_READY && hello)
        return "said hello twice";
    if (!message->id && (hello || admin_find_request(message)))
        return "sent a request without an id";
    return NULL;
}

static void admin_on_message(struct Link *link, struct WirePacket *packet) {
    struct Admin *admin = admin_of(link);
    const char *violation = admin_violation(admin, packet->message);

    if (violation) {
        admin_cut_off(admin, packet->message->id, ERROR_PROTOCOL, violation);
        return;
    }
    admin->request = *packet;
    *packet = (struct WirePacket){0};
    admin_proceed(admin);
}

static void admin_on_room(struct Link *link) {
    admin_proceed(admin_of(link));
}

/* -------------------------------------------------------------------------------------------------- life */

static const struct LinkEvents admin_link_events = {
    .message = admin_on_message,
    .room = admin_on_room,
    .end = admin_on_end,
    .closed = admin_on_link_closed,
};

int admin_new(struct Server *server, int socket, struct Error *error) {
    struct Admin *admin;
    int r;

    if (server->n_admins >= ADMIN_CONNECTIONS_MAX)
        return error_limit(error, ERROR_LIMIT, "admin_connections_max", ADMIN_CONNECTIONS_MAX, server->n_admins, 1,
                           "too many administration connections");
    admin = calloc(1, sizeof(*admin));
    r = admin ? link_open(&admin->link, &server->loop, socket, server->config.hello_deadline_ms, &admin_link_events)
              : -ENOMEM;
    if (r) {
        free(admin);
        return answer_host_error(error, r, "the daemon cannot watch this connection");
    }
    admin->server = server;
    admin->next = server->admin_list;
    server->admin_list = admin;
    server->n_admins++;
    log_event(LOG_LEVEL_DEBUG, "admin-accepted", "connections=%u", server->n_admins);
    return 0;
}

void admin_stop(struct Admin *admin) {
    admin_end(admin, "the daemon ends");
}
