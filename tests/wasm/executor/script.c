/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 2
#define REASONS_MAX 16

uint8_t *script_read_file(const char *path, size_t *sizep) {
    FILE *file = fopen(path, "re");
    uint8_t *bytes = NULL;
    long size;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size + 1);
        if (bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
            bytes[size] = 0;
            *sizep = (size_t)size;
        } else {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

/* wast2json 1.0.32 forgets the commas between the types that a trapping call would have returned. */
static json_t *load_json(const char *path) {
    static const char broken[] = "}{\"type\"";
    size_t size, used = 0;
    char *text = (char *)script_read_file(path, &size), *mended;
    json_error_t error = {.text = "cannot be read"};
    json_t *root = NULL;

    mended = text ? malloc(2 * size + 1) : NULL;
    if (mended) {
        for (size_t i = 0; i < size; i++) {
            mended[used++] = text[i];
            if (!strncmp(text + i, broken, strlen(broken)))
                mended[used++] = ',';
        }
        root = json_loadb(mended, used, JSON_ALLOW_NUL, &error);
    }
    if (!root)
        printf("%s: %s\n", path, error.text);
    free(mended);
    free(text);
    return root;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool load_spectest(struct Script *script, const char *path) {
    struct wasmpool_error error = {0};
    size_t size;
    uint8_t *bytes = script_read_file(path, &size);
    bool is_good = bytes && code_new(&script->spectest, bytes, size, &error) == 0;

    if (!is_good)
        printf("%s: %s\n", path, bytes ? error.message : "cannot be read");
    free(bytes);
    return is_good;
}

bool script_init(struct Script *script, const char *spectest_path, const char *json_path) {
    struct wasmpool_error error = {0};
    const char *source;

    *script = (struct Script){0};
    if (store_init(&script->store, &error) != 0) {
        printf("the pool cannot be opened: %s\n", error.message);
        return false;
    }
    script->root = load_json(json_path);
    if (!script->root || !load_spectest(script, spectest_path))
        return false;
    source = json_string_value(json_object_get(script->root, "source_filename"));
    script->name = strdup(last_part(source ? source : json_path));
    script->directory = strndup(json_path, (size_t)(last_part(json_path) - json_path));
    script->commands = json_object_get(script->root, "commands");
    script->n_commands = json_array_size(script->commands);
    script->codes = calloc(script->n_commands + 1, sizeof(script->codes[0]));
    script->results = calloc(script->n_commands + 1, sizeof(script->results[0]));
    return script->name && script->directory && script->codes && script->results;
}

void script_deinit(struct Script *script) {
    store_empty(&script->store);
    for (size_t i = 0; script->codes && i < script->n_commands; i++)
        code_free(script->codes[i]);
    code_free(script->spectest);
    store_deinit(&script->store);
    free(script->codes);
    free(script->results);
    free(script->name);
    free(script->directory);
    json_decref(script->root);
}

void script_report(const struct Script *script, size_t i, const char *format, ...) {
    const json_t *command = json_array_get(script->commands, i);
    const json_t *field = json_object_get(json_object_get(command, "action"), "field");
    const char *file = json_string_value(json_object_get(command, "filename"));
    va_list arguments;

    printf("%s:%d: ", script->name, (int)json_integer_value(json_object_get(command, "line")));
    if (field)
        fwrite(json_string_value(field), 1, json_string_length(field), stdout);
    else
        printf("%s", file ? file : i == script->n_commands ? "end of file" : "command");
    printf("%s: ", script->round ? " (second round)" : "");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* ------------------------------------------------------------------------------------------------ rounds */

/* One assertion more: with its instances gone the pool has nothing allocated. */
static struct Result check_nothing_left(struct Script *script) {
    struct wasmpool_metrics metrics = {0};

    store_empty(&script->store);
    wasmpool_metrics(script->store.pool, &metrics);
    if (!metrics.core_instances && !metrics.memories && !metrics.tables)
        return (struct Result){.verdict = VERDICT_PASSED};
    script_report(script, script->n_commands,
                  "got %" PRIu64 " instances, %" PRIu64 " memories and %" PRIu64 " tables allocated, expected none",
                  metrics.core_instances, metrics.memories, metrics.tables);
    return (struct Result){.verdict = VERDICT_FAILED};
}

/* The worst of all rounds counts, and a skipped command is not skipped less for having been run. */
static void add_result(struct Script *script, size_t i, struct Result result) {
    if (result.verdict > script->results[i].verdict)
        script->results[i] = result;
}

static void run_round(struct Script *script) {
    struct Outcome outcome;

    store_instantiate(&script->store, script->spectest, &outcome);
    if (script->store.current) {
        store_bind(&script->store.registered, (struct Name){"spectest", 8}, script->store.current);
        script->store.current = NULL;
    } else {
        script_report(script, script->n_commands, "spectest: got %s, expected an instance", outcome.text);
        add_result(script, script->n_commands, (struct Result){.verdict = VERDICT_FAILED});
    }
    for (size_t i = 0; i < script->n_commands; i++)
        add_result(script, i, command_run(script, i));
    add_result(script, script->n_commands, check_nothing_left(script));
}

static void print_reasons(const struct Script *script) {
    const char *reasons[REASONS_MAX];
    unsigned counts[REASONS_MAX] = {0}, n_reasons = 0, r;

    for (size_t i = 0; i < script->n_commands; i++) {
        if (script->results[i].verdict != VERDICT_SKIPPED)
            continue;
        for (r = 0; r < n_reasons && reasons[r] != script->results[i].reason; r++)
            ;
        if (r == n_reasons && n_reasons < REASONS_MAX)
            reasons[n_reasons++] = script->results[i].reason;
        if (r < n_reasons)
            counts[r]++;
    }
    for (r = 0; r < n_reasons; r++)
        printf("; skipped %u: %s", counts[r], reasons[r]);
}

bool script_run(struct Script *script) {
    unsigned counts[VERDICT_FAILED + 1] = {0};

    for (script->round = 0; script->round < ROUNDS; script->round++)
        run_round(script);
    for (size_t i = 0; i <= script->n_commands; i++)
        counts[script->results[i].verdict]++;
    printf("%s: %u/%u assertions passed", script->name, counts[VERDICT_PASSED],
           counts[VERDICT_PASSED] + counts[VERDICT_FAILED]);
    print_reasons(script);
    putchar('\n');
    return counts[VERDICT_FAILED] == 0;
}
