/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/burst/watch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client/examples/thumbs/demo-process.h"

static json_t *ask(const struct Watch *watch, const char *what) {
    const char *argv[] = {watch->ctl, "--runtime-dir", watch->runtime_dir, what, "--json", NULL};
    char *text = process_capture(argv, watch->errors);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    return json;
}

static void note_row(const struct Watch *watch, struct Sample *sample, json_t *row) {
    const char *kind, *state;
    json_int_t pid;

    if (json_unpack(row, "{s:I, s:s, s:s}", "pid", &pid, "kind", &kind, "state", &state) || strcmp(kind, "memory"))
        return;
    for (unsigned i = 0; i < watch->n_pids; i++)
        if (watch->pids[i] == pid) {
            sample->granted[i]++;
            sample->busy[i] += !strcmp(state, "busy") || !strcmp(state, "recalled");
        }
    sample->listed++;
}

static bool look_at_list(const struct Watch *watch, struct Sample *sample) {
    json_t *json = ask(watch, "list"), *rows = json_object_get(json, "rows"), *row;
    bool answered = rows != NULL;
    size_t i;

    json_array_foreach(rows, i, row) note_row(watch, sample, row);
    json_decref(json);
    return answered;
}

static bool look_at_status(const struct Watch *watch, struct Sample *sample) {
    json_t *json = ask(watch, "status");
    json_int_t memories, instances, most, resident_bytes;
    int r = json_unpack(json, "{s:{s:{s:I}, s:{s:I}}, s:I, s:I}", "kinds", "memory", "granted", &memories, "instance",
                        "granted", &instances, "granted_most", &most, "resident_bytes", &resident_bytes);

    json_decref(json);
    if (r)
        return false;
    sample->memories = (uint32_t)memories;
    sample->instances = (uint32_t)instances;
    sample->most = (uint32_t)most;
    sample->resident_bytes = (uint64_t)resident_bytes;
    return true;
}

bool watch_look(const struct Watch *watch, struct Sample *samplep) {
    struct Sample sample = {0};

    if (!look_at_list(watch, &sample) || !look_at_status(watch, &sample))
        return false;
    *samplep = sample;
    return true;
}
