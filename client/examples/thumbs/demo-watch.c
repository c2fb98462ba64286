/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/demo-watch.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client/examples/thumbs/demo-process.h"

bool numbers_have(const struct Numbers *numbers, uint64_t number) {
    for (uint32_t i = 0; i < numbers->count; i++)
        if (numbers->at[i] == number)
            return true;
    return false;
}

void numbers_add(struct Numbers *numbers, uint64_t number) {
    if (numbers_have(numbers, number))
        return;
    if (numbers->count == numbers->capacity) {
        uint32_t capacity = numbers->capacity ? 2 * numbers->capacity : 16;
        uint64_t *at = reallocarray(numbers->at, capacity, sizeof(*at));

        if (!at)
            return; /* then a check fails for want of it, and says so */
        numbers->at = at;
        numbers->capacity = capacity;
    }
    numbers->at[numbers->count++] = number;
}

struct Row {
    json_int_t pid, slab, slot, pages, inode;
    const char *command, *kind, *state, *label;
};

static bool row_read(const json_t *json, struct Row *row) {
    *row = (struct Row){0};
    return !json_unpack((json_t *)json, "{s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "pid", &row->pid, "slab",
                        &row->slab, "slot", &row->slot, "pages", &row->pages, "inode", &row->inode, "command",
                        &row->command, "kind", &row->kind, "state", &row->state, "label", &row->label);
}

static bool row_is_busy(const struct Row *row) {
    return !strcmp(row->state, "busy") || !strcmp(row->state, "recalled");
}

static json_t *ask(const struct Watch *watch, const char *what) {
    const char *argv[] = {watch->ctl, "--runtime-dir", watch->runtime_dir, what, "--json", NULL};
    char *text = process_capture(argv, watch->errors);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    return json;
}

static void note_row(struct Watch *watch, const struct Row *row, struct Numbers *pids, uint32_t *busyp) {
    if (!strcmp(row->kind, "table"))
        numbers_add(&watch->table_inodes, (uint64_t)row->inode);
    if (strcmp(row->kind, "memory"))
        return;
    numbers_add(&watch->memory_inodes, (uint64_t)row->inode);
    if (!row_is_busy(row))
        return;
    (*busyp)++;
    numbers_add(pids, (uint64_t)row->pid);
    numbers_add(&watch->busy_pids, (uint64_t)row->pid);
    watch->busy_pid = (pid_t)row->pid;
}

static void print_rows(const json_t *rows) {
    struct Row row;
    json_t *json;
    size_t i;

    printf("  %8s %-14s %5s %5s %-9s %-8s %7s %-12s %10s\n", "pid", "command", "slab", "slot", "kind", "state",
           "pages", "label", "inode");
    json_array_foreach(rows, i, json)
        if (row_read(json, &row) && row_is_busy(&row))
            printf("  %8" PRId64 " %-14s %5" PRId64 " %5" PRId64 " %-9s %-8s %7" PRId64 " %-12s %10" PRId64 "\n",
                   (int64_t)row.pid, row.command, (int64_t)row.slab, (int64_t)row.slot, row.kind, row.state,
                   (int64_t)row.pages, row.label, (int64_t)row.inode);
}

bool watch_sample(struct Watch *watch, uint32_t show) {
    json_t *json = ask(watch, "list"), *rows = json_object_get(json, "rows"), *each;
    uint32_t pids_most = watch->pids_most, busy = 0;
    struct Numbers pids = {0};
    struct Row row;
    size_t i;

    watch->busy_pid = 0;
    json_array_foreach(rows, i, each)
        if (row_read(each, &row))
            note_row(watch, &row, &pids, &busy);
    watch->samples += rows != NULL;
    watch->busy_most = busy > watch->busy_most ? busy : watch->busy_most;
    watch->pids_most = pids.count > pids_most ? pids.count : pids_most;
    if (show && pids_most < show && pids.count >= show) {
        printf("busy slots, as wasmpoolctl list shows them:\n");
        print_rows(rows);
    }
    free(pids.at);
    json_decref(json);
    return rows != NULL;
}

bool watch_has_pid(struct Watch *watch, pid_t pid, bool busy_only) {
    json_t *json = ask(watch, "list"), *each;
    bool found = false;
    struct Row row;
    size_t i;

    json_array_foreach(json_object_get(json, "rows"), i, each)
        if (row_read(each, &row) && row.pid == pid && (!busy_only || (row_is_busy(&row) &&
                                                                      !strcmp(row.kind, "memory"))))
            found = true;
    json_decref(json);
    return found;
}

bool watch_status(const struct Watch *watch, uint64_t *heldp, uint64_t *granted_mostp) {
    json_t *json = ask(watch, "status"), *kinds = json_object_get(json, "kinds"), *kind;
    const char *name;

    *heldp = 0;
    json_object_foreach(kinds, name, kind)
        *heldp += (uint64_t)json_integer_value(json_object_get(kind, "granted")) +
                  (uint64_t)json_integer_value(json_object_get(kind, "busy"));
    *granted_mostp = (uint64_t)json_integer_value(json_object_get(json, "granted_most"));
    json_decref(json);
    return kinds != NULL;
}

void watch_deinit(struct Watch *watch) {
    free(watch->busy_pids.at);
    free(watch->memory_inodes.at);
    free(watch->table_inodes.at);
    *watch = (struct Watch){0};
}
