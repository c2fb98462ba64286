/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/limit.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

int limit_find_uid(const char *who, uint64_t *uidp) {
    const struct passwd *user;

    if (*who && !who[strspn(who, "0123456789")])
        return limits_parse_number(who, uidp) ? -1 : 0;
    user = getpwnam(who);
    if (!user)
        return -1;
    *uidp = user->pw_uid;
    return 0;
}

static bool scope_is_of_one(Wasmpool__LimitScope scope) {
    return scope == WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER || scope == WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT;
}

static const char *scope_name(Wasmpool__LimitScope scope) {
    static const char *const names[] = {"?", "pool", "users", "user", "clients", "client"};

    return names[(unsigned)scope < 6 ? (unsigned)scope : 0];
}

/* "users", "user 1000" */
static const char *scope_text(char buffer[TEXT_BYTES], Wasmpool__LimitScope scope, uint64_t id) {
    if (scope_is_of_one(scope))
        snprintf(buffer, TEXT_BYTES, "%s %" PRIu64, scope_name(scope), id);
    else
        snprintf(buffer, TEXT_BYTES, "%s", scope_name(scope));
    return buffer;
}

/* As one would write it: "4G", "true", "1000". */
static const char *value_text(char buffer[TEXT_BYTES], const char *name, uint64_t value) {
    static const struct LimitInfo count = {.unit = LIMIT_COUNT}, size = {.unit = LIMIT_BYTES};
    const struct LimitInfo *info = limits_find(name);

    if (!info)
        info = strstr(name, "_bytes") ? &size : &count;
    return limits_format(buffer, TEXT_BYTES, info, value);
}

/* JSON's numbers have a sign. */
static json_t *value_json(uint64_t value) {
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* -------------------------------------------------------------------------------------------------- show */

static void show_row(const Wasmpool__LimitRow *row) {
    char scope[TEXT_BYTES], name[TEXT_BYTES], value[TEXT_BYTES];

    printf("%-16s %-28s %s\n", scope_text(scope, row->scope, row->id), text_clean(name, row->name),
           value_text(value, row->name, row->value));
}

/* Those of all are objects by name; those of single ones are objects of such objects by id. */
static void show_row_json(json_t *root, const Wasmpool__LimitRow *row) {
    const char *scope = scope_name(row->scope);
    json_t *object = json_object_get(root, scope);
    char id[24], name[TEXT_BYTES];

    if (!object)
        json_object_set_new(root, scope, object = json_object());
    if (scope_is_of_one(row->scope)) {
        json_t *objects = object;

        snprintf(id, sizeof(id), "%" PRIu64, row->id);
        object = json_object_get(objects, id);
        if (!object)
            json_object_set_new(objects, id, object = json_object());
    }
    json_object_set_new(object, text_clean(name, row->name), value_json(row->value));
}

/* One page; *cursor moves to its last row, whose name is kept in `name`. */
static int show_page(struct Channel *channel, Wasmpool__ListLimits *cursor, char name[TEXT_BYTES], json_t *root,
                     bool *lastp, struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, LIST_LIMITS, list_limits, cursor);
    const Wasmpool__LimitPage *page;
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    page = answer.message->limit_page;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_LIMIT_PAGE || (!page->n_rows && !page->last)) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not list its limits", error);
    }
    for (size_t i = 0; i < page->n_rows; i++) {
        const Wasmpool__LimitRow *row = page->rows[i];

        if (root)
            show_row_json(root, row);
        else
            show_row(row);
        cursor->after_scope = row->scope;
        cursor->after_id = row->id;
        cursor->after_name = (char *)text_clean(name, row->name);
    }
    *lastp = page->last;
    wire_packet_deinit(&answer);
    return 0;
}

static void json_print(const json_t *root) {
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
}

int limit_show(struct Channel *channel, bool json, struct wasmpool_error *error) {
    Wasmpool__ListLimits cursor = WASMPOOL__LIST_LIMITS__INIT;
    json_t *root = json ? json_object() : NULL;
    char name[TEXT_BYTES];
    bool last = false;
    int r = 0;

    if (json && !root)
        return failure_errno(error, -ENOMEM, "the limits");
    if (!json)
        printf("%-16s %-28s %s\n", "OF", "NAME", "VALUE");
    while (!r && !last)
        r = show_page(channel, &cursor, name, root, &last, error);
    if (!r && json)
        json_print(root);
    json_decref(root);
    return r;
}

/* -------------------------------------------------------------------------------------------------- set */

static int set_one(struct Channel *channel, Wasmpool__SetLimit *asked, uint64_t *fromp, uint64_t *top,
                   struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, SET_LIMIT, set_limit, asked);
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_LIMIT_SET) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not say what it has set", error);
    }
    *fromp = answer.message->limit_set->from;
    *top = answer.message->limit_set->to;
    wire_packet_deinit(&answer);
    return 0;
}

static void set_print(const Wasmpool__SetLimit *asked, uint64_t from, uint64_t to, json_t *changes) {
    char scope[TEXT_BYTES], before[TEXT_BYTES], after[TEXT_BYTES];

    scope_text(scope, asked->scope, asked->id);
    if (changes)
        json_array_append_new(changes, json_pack("{ss ss so so}", "of", scope, "name", asked->name, "from",
                                                 value_json(from), "to", value_json(to)));
    else
        printf("%s: %s: %s -> %s\n", scope, asked->name, value_text(before, asked->name, from),
               value_text(after, asked->name, to));
}

static int set_pair(struct Channel *channel, const struct LimitChanges *changes, const char *pair, json_t *array,
                    struct wasmpool_error *error) {
    Wasmpool__SetLimit asked = WASMPOOL__SET_LIMIT__INIT;
    size_t n = strcspn(pair, "=");
    char name[TEXT_BYTES];
    uint64_t from = 0, to = 0;
    int r;

    snprintf(name, sizeof(name), "%.*s", (int)n, pair);
    asked.scope = changes->scope;
    asked.id = changes->id;
    asked.name = name;
    asked.value = (char *)pair + n + 1;
    r = set_one(channel, &asked, &from, &to, error);
    if (!r)
        set_print(&asked, from, to, array);
    return r;
}

int limit_set(struct Channel *channel, const struct LimitChanges *changes, bool json, struct wasmpool_error *error) {
    json_t *array = json ? json_array() : NULL;
    json_t *root = json ? json_pack("{so}", "changes", array) : NULL;
    int r = 0;

    if (json && !root)
        return failure_errno(error, -ENOMEM, "the changes");
    for (size_t i = 0; !r && i < changes->n_pairs; i++)
        r = set_pair(channel, changes, changes->pairs[i], array, error);
    if (json)
        json_print(root);
    json_decref(root);
    return r;
}
