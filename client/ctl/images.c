/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/images.h"

#include "client/ctl/text.h"
#include "shared/hash.h"
#include "shared/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define IMAGES_HASH_CHARS 16 /* for people: enough to tell a few thousand apart */

/* The last row of a page. */
struct ImagesCursor {
    Wasmpool__ListImages list;
    uint8_t hash[HASH_BYTES];
};

static void images_print_head(void) {
    printf("%-16s %6s %10s %10s %6s %8s %9s  %s\n", "HASH", "UID", "SIZE", "RESIDENT", "USERS", "HITS", "LAST USE",
           "RESET (SLOTS, PAGES, TIME)");
}

/* Pages and time of one slot. */
static void images_print_reset(const Wasmpool__ResetUse *reset) {
    printf(" %s (%" PRIu64 ", %" PRIu64 ", %" PRIu64 " ns)", lease_reset_name(reset->way), reset->slots,
           reset->slots ? reset->pages / reset->slots : 0, reset->slots ? reset->ns / reset->slots : 0);
}

static void images_print_row(const Wasmpool__ImageRow *row) {
    char hash[HASH_TEXT_BYTES], bytes[TEXT_BYTES], resident[TEXT_BYTES], idle[TEXT_BYTES];

    printf("%.*s %6" PRIu32 " %10s %10s %6" PRIu64 " %8" PRIu64 " %9s ", IMAGES_HASH_CHARS,
           hash_format(hash, row->hash.data), row->uid, text_size(bytes, row->bytes),
           text_size(resident, row->resident_bytes), row->users, row->hits, text_duration(idle, row->idle_ms));
    for (size_t i = 0; i < row->n_resets; i++)
        images_print_reset(row->resets[i]);
    printf("\n");
}

static json_t *images_resets_json(const Wasmpool__ImageRow *row) {
    json_t *resets = json_array();

    for (size_t i = 0; i < row->n_resets; i++) {
        const Wasmpool__ResetUse *reset = row->resets[i];

        json_array_append_new(resets, json_pack("{ss ss sI sI sI}", "way", lease_reset_name(reset->way), "why",
                                                lease_reset_why(reset->way), "slots", (json_int_t)reset->slots,
                                                "pages", (json_int_t)reset->pages, "ns", (json_int_t)reset->ns));
    }
    return resets;
}

static json_t *images_row_json(const Wasmpool__ImageRow *row) {
    char hash[HASH_TEXT_BYTES];

    return json_pack("{ss sI sI sI sI sI sI so}", "hash", hash_format(hash, row->hash.data), "uid",
                     (json_int_t)row->uid, "bytes", (json_int_t)row->bytes, "resident_bytes",
                     (json_int_t)row->resident_bytes, "users", (json_int_t)row->users, "hits", (json_int_t)row->hits,
                     "idle_ms", (json_int_t)row->idle_ms, "resets", images_resets_json(row));
}

/* Rows may be NULL: for people. */
static int images_add_row(json_t *rows, struct ImagesCursor *cursor, const Wasmpool__ImageRow *row) {
    if (rows && json_array_append_new(rows, images_row_json(row)))
        return -ENOMEM;
    if (!rows)
        images_print_row(row);
    memcpy(cursor->hash, row->hash.data, HASH_BYTES);
    cursor->list.after_uid = row->uid;
    cursor->list.after_hash = (ProtobufCBinaryData){HASH_BYTES, cursor->hash};
    return 0;
}

static bool images_page_is_sound(const WireMessage *message) {
    const Wasmpool__ImagePage *page = message->image_page;

    if (message->body_case != WASMPOOL__PACKET__BODY_IMAGE_PAGE || (!page->n_rows && !page->last))
        return false;
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i]->hash.len != HASH_BYTES)
            return false;
    return true;
}

static int images_page(struct Channel *channel, struct ImagesCursor *cursor, json_t *rows, bool *lastp,
                       struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, LIST_IMAGES, list_images, &cursor->list);
    const Wasmpool__ImagePage *page;
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    if (!images_page_is_sound(answer.message)) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not list its images", error);
    }
    page = answer.message->image_page;
    for (size_t i = 0; i < page->n_rows && !r; i++)
        r = images_add_row(rows, cursor, page->rows[i]);
    *lastp = page->last;
    wire_packet_deinit(&answer);
    return r ? failure_errno(error, r, "the list") : 0;
}

int images_show(struct Channel *channel, bool json, struct wasmpool_error *error) {
    struct ImagesCursor cursor = {.list = WASMPOOL__LIST_IMAGES__INIT};
    json_t *rows = json ? json_array() : NULL, *root;
    bool last = false;
    int r = json && !rows ? failure_errno(error, -ENOMEM, "the list") : 0;

    if (!json)
        images_print_head();
    while (!r && !last)
        r = images_page(channel, &cursor, rows, &last, error);
    root = rows && !r ? json_pack("{sO}", "rows", rows) : NULL;
    if (!r && rows && !root)
        r = failure_errno(error, -ENOMEM, "the list");
    if (root) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(root);
    json_decref(rows);
    return r;
}
