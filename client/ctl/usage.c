/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/usage.h"

#include "client/ctl/text.h"
#include "shared/lease.h"
#include "shared/tracking.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>

#define USAGE_KINDS 3

static const enum Kind usage_kinds[USAGE_KINDS] = {KIND_MEMORY, KIND_TABLE, KIND_INSTANCE};

/* What users and clients have alike, per kind; NULL: not said. */
struct UsageKinds {
    const uint64_t *granted, *busy, *due, *slots_max;
    size_t n_granted, n_busy, n_due, n_slots_max;
};

static uint64_t at(const uint64_t *numbers, size_t n, size_t i) {
    return i < n ? numbers[i] : 0;
}

/* -------------------------------------------------------------------------------------------------- for people */

/* A quota of 0 is none. */
static const char *quota_text(char buffer[TEXT_BYTES], uint64_t quota) {
    if (!quota)
        return "-";
    snprintf(buffer, TEXT_BYTES, "%" PRIu64, quota);
    return buffer;
}

/* "5/10/-", or "3+2/10/-" where busy is known */
static const char *kind_text(char buffer[TEXT_BYTES], const struct UsageKinds *kinds, size_t i) {
    uint64_t granted = at(kinds->granted, kinds->n_granted, i), busy = at(kinds->busy, kinds->n_busy, i);
    uint64_t due = at(kinds->due, kinds->n_due, i);
    char quota_buffer[TEXT_BYTES];
    const char *quota = quota_text(quota_buffer, at(kinds->slots_max, kinds->n_slots_max, i));

    if (kinds->busy)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 "+%" PRIu64 "/%" PRIu64 "/%.24s", busy,
                 granted > busy ? granted - busy : 0, due, quota);
    else
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 "/%" PRIu64 "/%.24s", granted, due, quota);
    return buffer;
}

/* "12/-" */
static const char *use_text(char buffer[TEXT_BYTES], uint64_t use, uint64_t max) {
    char quota[TEXT_BYTES];

    snprintf(buffer, TEXT_BYTES, "%" PRIu64 "/%.24s", use, quota_text(quota, max));
    return buffer;
}

static const char *size_text(char buffer[TEXT_BYTES], uint64_t use, uint64_t max) {
    char bytes[TEXT_BYTES], quota[TEXT_BYTES];

    snprintf(buffer, TEXT_BYTES, "%.24s/%.24s", text_size(bytes, use), max ? text_size(quota, max) : "-");
    return buffer;
}

/* The columns that both tables end with. */
static void use_print(const struct UsageKinds *kinds, const char *resident, const char *fds, const char *images) {
    char buffer[TEXT_BYTES];

    for (size_t i = 0; i < USAGE_KINDS; i++)
        printf(" %14s", kind_text(buffer, kinds, i));
    printf(" %16s %8s %8s", resident, fds, images);
}

/* -------------------------------------------------------------------------------------------------- for programs */

/* JSON's numbers have a sign. */
static json_int_t number_json(uint64_t number) {
    return number > INT64_MAX ? INT64_MAX : (json_int_t)number;
}

static json_t *kinds_json(const struct UsageKinds *kinds) {
    json_t *object = json_object();

    for (size_t i = 0; i < USAGE_KINDS; i++) {
        json_t *kind = json_pack("{sI sI sI}", "granted", number_json(at(kinds->granted, kinds->n_granted, i)), "due",
                                 number_json(at(kinds->due, kinds->n_due, i)), "max",
                                 number_json(at(kinds->slots_max, kinds->n_slots_max, i)));

        if (kinds->busy)
            json_object_set_new(kind, "busy", json_integer(number_json(at(kinds->busy, kinds->n_busy, i))));
        json_object_set_new(object, kind_name(usage_kinds[i]), kind);
    }
    return object;
}

/* -------------------------------------------------------------------------------------------------- users */

struct UsageOutput {
    json_t *rows; /* NULL: for people */
    bool failed;  /* out of memory */
};

static struct UsageKinds user_kinds(const Wasmpool__UserRow *row) {
    return (struct UsageKinds){
        .granted = row->granted,
        .n_granted = row->n_granted,
        .due = row->due,
        .n_due = row->n_due,
        .slots_max = row->slots_max,
        .n_slots_max = row->n_slots_max,
    };
}

static const char *user_name(char buffer[TEXT_BYTES], uint32_t uid) {
    const struct passwd *user = getpwuid(uid);

    return text_clean(buffer, user ? user->pw_name : "-");
}

static void user_print_head(void) {
    printf("%6s %-12s %6s %11s %14s %14s %14s %16s %8s %8s %16s\n", "UID", "NAME", "WEIGHT", "CONNECTIONS", "MEMORIES",
           "TABLES", "INSTANCES", "RESIDENT", "FDS", "IMAGES", "IMAGE BYTES");
}

static void user_print_row(const Wasmpool__UserRow *row) {
    char name[TEXT_BYTES], connections[TEXT_BYTES], resident[TEXT_BYTES], fds[TEXT_BYTES], images[TEXT_BYTES];
    char bytes[TEXT_BYTES];
    struct UsageKinds kinds = user_kinds(row);

    printf("%6" PRIu32 " %-12s %6" PRIu64 " %11s", row->uid, user_name(name, row->uid), row->weight,
           use_text(connections, row->connections, row->connections_max));
    use_print(&kinds, size_text(resident, row->resident_bytes, row->resident_bytes_max),
              use_text(fds, row->fds, row->fds_max), use_text(images, row->images, row->images_max));
    printf(" %16s\n", size_text(bytes, row->image_bytes, row->image_bytes_max));
}

static json_t *user_row_json(const Wasmpool__UserRow *row) {
    struct UsageKinds kinds = user_kinds(row);
    char name[TEXT_BYTES];

    return json_pack("{sI ss sI sI sI so sI sI sI sI sI sI sI sI}", "uid", (json_int_t)row->uid, "name",
                     user_name(name, row->uid), "weight", number_json(row->weight), "connections",
                     number_json(row->connections), "connections_max", number_json(row->connections_max), "kinds",
                     kinds_json(&kinds), "resident_bytes", number_json(row->resident_bytes), "resident_bytes_max",
                     number_json(row->resident_bytes_max), "fds", number_json(row->fds), "fds_max",
                     number_json(row->fds_max), "images", number_json(row->images), "images_max",
                     number_json(row->images_max), "image_bytes", number_json(row->image_bytes), "image_bytes_max",
                     number_json(row->image_bytes_max));
}

static void user_add_row(struct UsageOutput *output, const Wasmpool__UserRow *row) {
    if (!output->rows)
        user_print_row(row);
    else if (json_array_append_new(output->rows, user_row_json(row)))
        output->failed = true;
}

static int user_page(struct Channel *channel, Wasmpool__ListUsers *cursor, struct UsageOutput *output, bool *lastp,
                     struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, LIST_USERS, list_users, cursor);
    const Wasmpool__UserPage *page;
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    page = answer.message->user_page;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_USER_PAGE || (!page->n_rows && !page->last)) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not list its users", error);
    }
    for (size_t i = 0; i < page->n_rows; i++) {
        user_add_row(output, page->rows[i]);
        cursor->more = true;
        cursor->after = page->rows[i]->uid;
    }
    *lastp = page->last;
    wire_packet_deinit(&answer);
    return 0;
}

/* -------------------------------------------------------------------------------------------------- clients */

static struct UsageKinds client_kinds(const Wasmpool__ClientRow *row) {
    return (struct UsageKinds){
        .granted = row->granted,
        .n_granted = row->n_granted,
        .busy = row->busy,
        .n_busy = row->n_busy,
        .due = row->due,
        .n_due = row->n_due,
        .slots_max = row->slots_max,
        .n_slots_max = row->n_slots_max,
    };
}

static void client_print_head(void) {
    printf("%10s %8s %6s %-16s %14s %14s %14s %16s %8s %8s %8s %7s\n", "CONNECTION", "PID", "UID", "COMMAND",
           "MEMORIES", "TABLES", "INSTANCES", "RESIDENT", "FDS", "IMAGES", "TRACKING", "WAITING");
}

static void client_print_row(const Wasmpool__ClientRow *row) {
    char command[TEXT_BYTES], resident[TEXT_BYTES], fds[TEXT_BYTES], images[TEXT_BYTES];
    struct UsageKinds kinds = client_kinds(row);

    printf("%10" PRIu64 " %8" PRIu32 " %6" PRIu32 " %-16s", row->connection, row->pid, row->uid,
           text_clean(command, row->command));
    use_print(&kinds, size_text(resident, row->resident_bytes, row->resident_bytes_max),
              use_text(fds, row->fds, row->fds_max), use_text(images, row->images, row->images_max));
    printf(" %8s %7" PRIu64 "%s\n", row->tracking ? tracker_way_name(row->tracking->way) : "-", row->waiting,
           row->disconnected ? " (disconnected)" : "");
}

/* null: it has not said. */
static json_t *client_tracking_json(const Wasmpool__ClientRow *row) {
    char why[TEXT_BYTES];

    if (!row->tracking)
        return json_null();
    return json_pack("{ss ss}", "way", tracker_way_name(row->tracking->way), "why",
                     text_clean(why, row->tracking->why));
}

static json_t *client_row_json(const Wasmpool__ClientRow *row) {
    struct UsageKinds kinds = client_kinds(row);
    char command[TEXT_BYTES];

    return json_pack("{sI sI sI ss sb so so sI sI sI sI sI sI sI}", "connection", number_json(row->connection), "pid",
                     (json_int_t)row->pid, "uid", (json_int_t)row->uid, "command", text_clean(command, row->command),
                     "disconnected", (int)row->disconnected, "kinds", kinds_json(&kinds), "tracking",
                     client_tracking_json(row), "waiting", number_json(row->waiting), "resident_bytes",
                     number_json(row->resident_bytes), "resident_bytes_max", number_json(row->resident_bytes_max),
                     "fds", number_json(row->fds), "fds_max", number_json(row->fds_max), "images",
                     number_json(row->images), "images_max", number_json(row->images_max));
}

static void client_add_row(struct UsageOutput *output, const Wasmpool__ClientRow *row) {
    if (!output->rows)
        client_print_row(row);
    else if (json_array_append_new(output->rows, client_row_json(row)))
        output->failed = true;
}

static int client_page(struct Channel *channel, Wasmpool__ListClients *cursor, struct UsageOutput *output, bool *lastp,
                       struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, LIST_CLIENTS, list_clients, cursor);
    const Wasmpool__ClientPage *page;
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    page = answer.message->client_page;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_CLIENT_PAGE || (!page->n_rows && !page->last)) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not list its clients", error);
    }
    for (size_t i = 0; i < page->n_rows; i++) {
        client_add_row(output, page->rows[i]);
        cursor->after = page->rows[i]->connection;
    }
    *lastp = page->last;
    wire_packet_deinit(&answer);
    return 0;
}

/* -------------------------------------------------------------------------------------------------- both */

static int usage_begin(struct UsageOutput *output, bool json, struct wasmpool_error *error) {
    *output = (struct UsageOutput){.rows = json ? json_array() : NULL};
    return json && !output->rows ? failure_errno(error, -ENOMEM, "the list") : 0;
}

/* `r` is how the asking went. */
static int usage_end(struct UsageOutput *output, int r, struct wasmpool_error *error) {
    json_t *root = output->rows && !r && !output->failed ? json_pack("{sO}", "rows", output->rows) : NULL;

    if (!r && output->rows && !root)
        r = failure_errno(error, -ENOMEM, "the list");
    if (root) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(root);
    json_decref(output->rows);
    return r;
}

int usage_show_users(struct Channel *channel, bool json, struct wasmpool_error *error) {
    Wasmpool__ListUsers cursor = WASMPOOL__LIST_USERS__INIT;
    struct UsageOutput output;
    bool last = false;
    int r = usage_begin(&output, json, error);

    if (r)
        return r;
    if (!json)
        user_print_head();
    while (!r && !last)
        r = user_page(channel, &cursor, &output, &last, error);
    return usage_end(&output, r, error);
}

int usage_show_clients(struct Channel *channel, bool json, struct wasmpool_error *error) {
    Wasmpool__ListClients cursor = WASMPOOL__LIST_CLIENTS__INIT;
    struct UsageOutput output;
    bool last = false;
    int r = usage_begin(&output, json, error);

    if (r)
        return r;
    if (!json)
        client_print_head();
    while (!r && !last)
        r = client_page(channel, &cursor, &output, &last, error);
    return usage_end(&output, r, error);
}
