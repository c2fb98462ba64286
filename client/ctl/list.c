/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/list.h"

#include "client/ctl/text.h"
#include "shared/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

struct ListOutput {
    json_t *rows; /* NULL: for people */
    uint64_t n_rows;
    bool failed; /* out of memory */
};

static void list_print_head(void) {
    printf("%8s %6s %-16s %5s %5s %-8s %-8s %8s %10s %8s  %s\n", "PID", "UID", "COMMAND", "SLAB", "SLOT", "KIND",
           "STATE", "PAGES", "RESIDENT", "AGE", "LABEL");
}

static void list_print_row(const Wasmpool__ListRow *row) {
    char command[TEXT_BYTES], state[TEXT_BYTES], size[TEXT_BYTES], age[TEXT_BYTES], label[TEXT_BYTES];

    printf("%8" PRIu32 " %6" PRIu32 " %-16s %5" PRIu32 " %5" PRIu32 " %-8s %-8s %8" PRIu64 " %10s %8s  %s%s%s\n",
           row->pid, row->uid, text_clean(command, row->command), row->slab, row->slot, kind_name(row->kind),
           text_clean(state, row->state), row->pages, text_size(size, row->resident_bytes),
           row->age_ms ? text_duration(age, row->age_ms) : "-", text_clean(label, row->label),
           row->copy_on_write ? " (private)" : "", row->disconnected ? " (disconnected)" : "");
}

static json_t *list_row_json(const Wasmpool__ListRow *row) {
    char command[TEXT_BYTES], state[TEXT_BYTES], label[TEXT_BYTES];

    return json_pack("{sI sI sI ss sI sI ss ss sI sI ss sI sI sb sb}", "connection", (json_int_t)row->connection, "pid",
                     (json_int_t)row->pid, "uid", (json_int_t)row->uid, "command", text_clean(command, row->command),
                     "slab", (json_int_t)row->slab, "slot", (json_int_t)row->slot, "kind", kind_name(row->kind),
                     "state", text_clean(state, row->state), "pages", (json_int_t)row->pages, "resident_bytes",
                     (json_int_t)row->resident_bytes, "label", text_clean(label, row->label), "age_ms",
                     (json_int_t)row->age_ms, "inode", (json_int_t)row->inode, "disconnected",
                     (int)row->disconnected, "private", (int)row->copy_on_write);
}

static void list_add_row(struct ListOutput *output, const Wasmpool__ListRow *row) {
    output->n_rows++;
    if (!output->rows)
        list_print_row(row);
    else if (json_array_append_new(output->rows, list_row_json(row)))
        output->failed = true;
}

/* One page; *cursor moves to its last row. */
static int list_page(struct Channel *channel, Wasmpool__List *cursor, struct ListOutput *output, bool *lastp,
                     struct wasmpool_error *error) {
    WireMessage request = WIRE_MESSAGE(0, LIST, list, cursor);
    const Wasmpool__ListPage *page;
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    page = answer.message->list_page;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_LIST_PAGE || (!page->n_rows && !page->last)) {
        wire_packet_deinit(&answer);
        return channel_reject(channel, "does not list its slots", error);
    }
    for (size_t i = 0; i < page->n_rows; i++)
        list_add_row(output, page->rows[i]);
    if (page->n_rows) {
        const Wasmpool__ListRow *row = page->rows[page->n_rows - 1];

        cursor->more = true;
        cursor->after_connection = row->connection;
        cursor->after_slab = row->slab;
        cursor->after_slot = row->slot;
    }
    *lastp = page->last;
    wire_packet_deinit(&answer);
    return 0;
}

static int list_print_json(struct ListOutput *output, struct wasmpool_error *error) {
    json_t *root = output->failed ? NULL : json_pack("{sO}", "rows", output->rows);

    if (!root)
        return failure_errno(error, -ENOMEM, "the list");
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
    return 0;
}

int list_show(struct Channel *channel, bool json, struct wasmpool_error *error) {
    Wasmpool__List cursor = WASMPOOL__LIST__INIT;
    struct ListOutput output = {.rows = json ? json_array() : NULL};
    bool last = false;
    int r = 0;

    if (json && !output.rows)
        return failure_errno(error, -ENOMEM, "the list");
    if (!json)
        list_print_head();
    while (!r && !last)
        r = list_page(channel, &cursor, &output, &last, error);
    if (!r && json)
        r = list_print_json(&output, error);
    json_decref(output.rows);
    return r;
}
