/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wasmpool.h>

/* Reading a binary, and freeing what became of it. */

struct ReadState {
    const char *path;
    uint8_t *bytes; /* the whole file; NULL: it is read from the disk's cache each time */
    size_t size;
};

static struct ReadState *read_open_file(const struct WorkOptions *options) {
    struct ReadState *state = work_allocate(sizeof(*state));

    if (!options->file)
        work_fail("--file", "says which module to read");
    state->path = options->file;
    return state;
}

static void *read_file_open(const struct WorkOptions *options) {
    return read_open_file(options);
}

static void *read_memory_open(const struct WorkOptions *options) {
    struct ReadState *state = read_open_file(options);
    FILE *file = fopen(state->path, "re");
    struct stat st;

    if (!file || fstat(fileno(file), &st))
        work_fail(state->path, strerror(errno));
    state->size = (size_t)st.st_size;
    state->bytes = work_allocate(state->size ? state->size : 1);
    if (fread(state->bytes, 1, state->size, file) != state->size)
        work_fail(state->path, "cannot be read");
    fclose(file);
    return state;
}

static void read_run(void *opaque, uint64_t cycles) {
    const struct ReadState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        struct wasmpool_module *module;
        struct wasmpool_error error;
        int r = state->bytes ? wasmpool_module_read(&module, state->bytes, state->size, &error)
                             : wasmpool_module_read_file(&module, state->path, &error);

        if (r)
            work_fail(state->path, error.message);
        wasmpool_module_free(module);
    }
}

static void read_close(void *opaque) {
    struct ReadState *state = opaque;

    free(state->bytes);
    free(state);
}

const struct Work WORK_READ = {
    .name = "read",
    .meaning = "wasmpool_module_read and wasmpool_module_free of --file, which is in memory",
    .open = read_memory_open,
    .run = read_run,
    .close = read_close,
};

const struct Work WORK_READ_FILE = {
    .name = "read-file",
    .meaning = "wasmpool_module_read_file and wasmpool_module_free of --file",
    .open = read_file_open,
    .run = read_run,
    .close = read_close,
};
