/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/input.h"
#include "tests/fuzz/promise.h"
#include "tests/fuzz/target.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FILE_ONE_IN = 32,          /* inputs that are read from a file as well */
    FILE_PADDING_MAX = 200000, /* bytes of a custom section before them */
    PADDING_HEAD = 4,          /* of these: its id and its size */
    HEADER = 8,                /* bytes before the first section */
};

static int read_bytes(const uint8_t *bytes, size_t size, struct wasmpool_module **modulep,
                      struct wasmpool_error *error) {
    struct wasmpool_module *const untouched = (void *)error;
    int r;

    *modulep = untouched;
    *error = (struct wasmpool_error){0};
    r = wasmpool_module_read(modulep, bytes, size, error);
    if (r) {
        PROMISE(*modulep == untouched);
        PROMISE(r == WASMPOOL_E_MALFORMED || r == WASMPOOL_E_INVALID || r == WASMPOOL_E_UNSUPPORTED);
        PROMISE(error->code == r && error->message[0]);
        PROMISE(memchr(error->message, '\0', sizeof(error->message)));
        *modulep = NULL;
    }
    return r;
}

static int read_file(const uint8_t *bytes, size_t size, struct wasmpool_module **modulep,
                     struct wasmpool_error *error) {
    static int file = -1;
    static char path[40];

    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    PROMISE(!ftruncate(file, (off_t)size) && pwrite(file, bytes, size, 0) == (ssize_t)size);
    *modulep = NULL;
    *error = (struct wasmpool_error){0};
    return wasmpool_module_read_file(modulep, path, error);
}

static void check_equal(int result, const struct wasmpool_module *module, const struct wasmpool_error *error, int other,
                        const struct wasmpool_module *module_other, const struct wasmpool_error *error_other) {
    PROMISE(result == other);
    PROMISE(!strcmp(error->message, error_other->message));
    if (result)
        return;
    PROMISE(!memcmp(&module->counts, &module_other->counts, sizeof(module->counts)));
    for (uint32_t i = 0; i < module->counts.exports; i++)
        PROMISE(!memcmp(module->exports[i].name.text, module_other->exports[i].name.text,
                        module->exports[i].name.bytes + 1));
    for (uint32_t i = 0; i < module->counts.data_segments; i++)
        PROMISE(!module->data[i].bytes ||
                !memcmp(module_data(module, &module->data[i]), module_data(module_other, &module_other->data[i]),
                        module->data[i].bytes));
}

/* The binary with a custom section in front, for files: either so long that it is leapt over, or so that the first
 * window ends within the binary. NULL: as it is, or it has no header to put it behind. */
static uint8_t *pad(const uint8_t *bytes, size_t size, uint32_t hash, size_t *sizep) {
    uint32_t how = hash % 4, n = (hash >> 2) % FILE_PADDING_MAX;
    uint8_t *padded, *at;

    if (size <= HEADER || size > INPUT_WINDOW_BYTES / 2 || !how)
        return NULL;
    if (how > 1)
        n = INPUT_WINDOW_BYTES - HEADER - PADDING_HEAD - n % (uint32_t)(size - HEADER);
    at = padded = calloc(1, size + PADDING_HEAD + n);
    PROMISE(padded);
    at = (uint8_t *)mempcpy(at, bytes, HEADER) + 1;
    *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)(n >> 7 | 0x80);
    *at++ = (uint8_t)(n >> 14 & 0x7f);
    memcpy(at + n, bytes + HEADER, size - HEADER);
    *sizep = size + PADDING_HEAD + n;
    return padded;
}

static void check_file(const uint8_t *bytes, size_t size, uint32_t hash) {
    size_t padded_size = size;
    uint8_t *padded = pad(bytes, size, hash, &padded_size);
    struct wasmpool_module *module, *from_file;
    struct wasmpool_error error, error_file;
    int r = read_bytes(padded ? padded : bytes, padded_size, &module, &error);
    int r_file = read_file(padded ? padded : bytes, padded_size, &from_file, &error_file);

    check_equal(r, module, &error, r_file, from_file, &error_file);
    wasmpool_module_free(module);
    wasmpool_module_free(from_file);
    free(padded);
}

bool target_run(const uint8_t *bytes, size_t size) {
    struct wasmpool_module *module, *again;
    struct wasmpool_error error, error_again;
    uint32_t hash = UINT32_C(0x811c9dc5);
    int r = read_bytes(bytes, size, &module, &error), r_again;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT32_C(0x01000193);
    if (!r) {
        promise_module(module);
        r_again = read_bytes(bytes, size, &again, &error_again);
        check_equal(r, module, &error, r_again, again, &error_again);
        wasmpool_module_free(again);
    }
    wasmpool_module_free(module);
    /* Of an empty file it is said that it is empty. */
    if (size && !(hash % FILE_ONE_IN))
        check_file(bytes, size, hash / FILE_ONE_IN);
    return !r;
}
