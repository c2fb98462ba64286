/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/admin-usage.h"

#include "daemon/client.h"
#include "daemon/image-room.h"
#include "daemon/slab.h"
#include "daemon/user.h"

#include <stdlib.h>
#include <string.h>

#define USAGE_KINDS 3

/* Numbers of a row by kind: memories, tables, instances. */
struct UsageNumbers {
    uint64_t granted[USAGE_KINDS], busy[USAGE_KINDS], slots_max[USAGE_KINDS], due[USAGE_KINDS];
};

static void usage_copy(uint64_t *to, const uint64_t *by_kind) {
    to[0] = by_kind[KIND_MEMORY];
    to[1] = by_kind[KIND_TABLE];
    to[2] = by_kind[KIND_INSTANCE];
}

static uint64_t client_count_waiting(const struct Client *client) {
    uint64_t n = 0;

    for (const struct Slab *slab = client->slabs; slab; slab = slab->next)
        n += slab->ticket != 0;
    return n;
}

/* -------------------------------------------------------------------------------------------------- users */

struct UserWalk {
    bool full;
    size_t n_rows;
    const struct User *users[ADMIN_USAGE_ROWS_MAX]; /* of the rows */
    Wasmpool__UserRow *pointers[ADMIN_USAGE_ROWS_MAX];
    Wasmpool__UserRow rows[ADMIN_USAGE_ROWS_MAX];
    struct UsageNumbers numbers[ADMIN_USAGE_ROWS_MAX];
};

/* Where the uid is among the users so far, or belongs. */
static size_t user_walk_find(const struct UserWalk *walk, uid_t uid) {
    size_t low = 0, high = walk->n_rows;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (walk->users[middle]->uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The pool's list of users is in no order: keep the least uids, as many as a page has rows. */
static void user_walk_add(struct UserWalk *walk, const struct User *user) {
    size_t place = user_walk_find(walk, user->uid);

    if (walk->n_rows == ADMIN_USAGE_ROWS_MAX) {
        walk->full = true;
        if (place == ADMIN_USAGE_ROWS_MAX)
            return;
        walk->n_rows--;
    }
    memmove(&walk->users[place + 1], &walk->users[place], (walk->n_rows - place) * sizeof(walk->users[0]));
    walk->users[place] = user;
    walk->n_rows++;
}

static void user_walk_fill_row(struct UserWalk *walk, size_t i) {
    struct UsageNumbers *numbers = &walk->numbers[i];
    Wasmpool__UserRow *row = &walk->rows[i];
    const struct User *user = walk->users[i];

    wasmpool__user_row__init(row);
    usage_copy(numbers->granted, user->granted);
    usage_copy(numbers->slots_max, user->quota.slots_max);
    usage_copy(numbers->due, user->due);
    row->uid = user->uid;
    row->weight = user->quota.weight;
    row->connections = user->n_clients;
    row->connections_max = user->quota.connections_max;
    row->granted = numbers->granted;
    row->slots_max = numbers->slots_max;
    row->due = numbers->due;
    row->n_granted = row->n_slots_max = row->n_due = USAGE_KINDS;
    row->resident_bytes = user->resident_bytes;
    row->resident_bytes_max = user->quota.resident_bytes_max;
    row->fds = user->n_fds;
    row->fds_max = user->quota.fds_max;
    row->images = user->n_images;
    row->images_max = image_user_bound(user->quota.images_max, user->pool->bounds.images_max);
    row->image_bytes = user->image_bytes;
    row->image_bytes_max = image_user_bound(user->quota.image_bytes_max, user->pool->bounds.image_bytes_max);
    walk->pointers[i] = row;
}

bool admin_list_users(struct Admin *admin, const WireMessage *request) {
    const Wasmpool__ListUsers *cursor = request->list_users;
    Wasmpool__UserPage page = WASMPOOL__USER_PAGE__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, USER_PAGE, user_page, &page);
    struct UserWalk *walk = malloc(sizeof(*walk));
    struct Pool *pool = &admin->server->pool;
    bool done;

    if (!walk)
        return false;
    if (!cursor->more)
        pool_measure(pool);
    walk->full = false;
    walk->n_rows = 0;
    for (const struct User *user = pool->users; user; user = user->next)
        if (!cursor->more || user->uid > cursor->after)
            user_walk_add(walk, user);
    for (size_t i = 0; i < walk->n_rows; i++)
        user_walk_fill_row(walk, i);
    page.rows = walk->pointers;
    page.n_rows = walk->n_rows;
    page.last = !walk->full;
    done = admin_send(admin, &message);
    free(walk);
    return done;
}

/* -------------------------------------------------------------------------------------------------- clients */

struct ClientWalk {
    uint64_t n_looked; /* slots */
    bool full;
    size_t n_rows;
    Wasmpool__ClientRow *pointers[ADMIN_USAGE_ROWS_MAX];
    Wasmpool__ClientRow rows[ADMIN_USAGE_ROWS_MAX];
    Wasmpool__Tracking trackings[ADMIN_USAGE_ROWS_MAX];
    struct UsageNumbers numbers[ADMIN_USAGE_ROWS_MAX];
};

static void client_walk_fill_numbers(struct UsageNumbers *numbers, const struct Client *client) {
    static const enum Kind kinds[USAGE_KINDS] = {KIND_MEMORY, KIND_TABLE, KIND_INSTANCE};

    usage_copy(numbers->granted, client->granted);
    usage_copy(numbers->slots_max, client->quota.slots_max);
    usage_copy(numbers->due, client->due);
    for (size_t i = 0; i < USAGE_KINDS; i++)
        numbers->busy[i] = client->granted[kinds[i]] ? client_count_busy(client, kinds[i]) : 0;
}

static void client_walk_fill_row(Wasmpool__ClientRow *row, struct UsageNumbers *numbers, const struct Client *client) {
    wasmpool__client_row__init(row);
    client_walk_fill_numbers(numbers, client);
    row->connection = client->id;
    row->pid = (uint32_t)client->identity.pid;
    row->uid = client->identity.uid;
    row->command = (char *)client->identity.command;
    row->disconnected = client->state == CLIENT_DISCONNECTED;
    row->granted = numbers->granted;
    row->busy = numbers->busy;
    row->slots_max = numbers->slots_max;
    row->due = numbers->due;
    row->n_granted = row->n_busy = row->n_slots_max = row->n_due = USAGE_KINDS;
    row->waiting = client_count_waiting(client);
    row->resident_bytes = client->resident_bytes;
    row->resident_bytes_max = client->quota.resident_bytes_max;
    row->fds = client->n_fds;
    row->fds_max = client->quota.fds_max;
    row->images = client->n_images;
    row->images_max = client->quota.images_max;
}

static void client_walk_fill_tracking(Wasmpool__Tracking *tracking, Wasmpool__ClientRow *row,
                                      const struct Client *client) {
    if (!client->tracking.said)
        return;
    wasmpool__tracking__init(tracking);
    tracking->way = client->tracking.way;
    tracking->why = (char *)client->tracking.why;
    row->tracking = tracking;
}

/* One client at least, whatever it has; then as many as a turn's slots allow for. */
static void client_walk_add(struct ClientWalk *walk, struct Client *client) {
    walk->full = walk->n_rows == ADMIN_USAGE_ROWS_MAX || walk->n_looked >= ADMIN_SLOTS_MAX;
    if (walk->full)
        return;
    client_measure(client);
    client_walk_fill_row(&walk->rows[walk->n_rows], &walk->numbers[walk->n_rows], client);
    client_walk_fill_tracking(&walk->trackings[walk->n_rows], &walk->rows[walk->n_rows], client);
    for (const struct Slab *slab = client->slabs; slab; slab = slab->next)
        walk->n_looked += slab->shape.count;
    walk->pointers[walk->n_rows] = &walk->rows[walk->n_rows];
    walk->n_rows++;
}

bool admin_list_clients(struct Admin *admin, const WireMessage *request) {
    Wasmpool__ClientPage page = WASMPOOL__CLIENT_PAGE__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, CLIENT_PAGE, client_page, &page);
    struct ClientWalk *walk = malloc(sizeof(*walk));
    bool done;

    if (!walk)
        return false;
    walk->n_looked = 0;
    walk->full = false;
    walk->n_rows = 0;
    for (struct Client *client = admin->server->pool.clients; client && !walk->full; client = client->next)
        if (client->id > request->list_clients->after)
            client_walk_add(walk, client);
    page.rows = walk->pointers;
    page.n_rows = walk->n_rows;
    page.last = !walk->full;
    done = admin_send(admin, &message);
    free(walk);
    return done;
}
