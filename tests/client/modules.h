/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_CLIENT_MODULES_H
#define TESTS_CLIENT_MODULES_H

/* Modules for tests: those of tests/client/modules, assembled when the tests are built, and ones of one memory whose
 * data is made up as the test goes. TEST_MODULES is the directory. */

#include "tests/client/fixture.h"

#include <stdio.h>

static inline struct wasmpool_module *modules_load(const char *name) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s.wasm", TEST_MODULES, name);
    cr_assert_eq(wasmpool_module_read_file(&module, path, &error), 0, "%s: %s", path, error.message);
    return module;
}

/* The file's bytes, for a test that changes some; heap. */
static inline uint8_t *modules_bytes(const char *name, size_t *np) {
    char path[4096];
    uint8_t *bytes;
    FILE *file;
    long n;

    snprintf(path, sizeof(path), "%s/%s.wasm", TEST_MODULES, name);
    file = fopen(path, "rbe");
    cr_assert_not_null(file, "%s", path);
    cr_assert(!fseek(file, 0, SEEK_END) && (n = ftell(file)) > 0 && !fseek(file, 0, SEEK_SET), "%s", path);
    bytes = malloc((size_t)n);
    cr_assert_eq(fread(bytes, 1, (size_t)n, file), (size_t)n, "%s", path);
    fclose(file);
    *np = (size_t)n;
    return bytes;
}

/* ------------------------------------------------------------------------------------------------ made up */

struct ModulesSegment {
    uint32_t offset;
    uint32_t n;
    const void *bytes; /* NULL: n zeros */
};

static inline uint8_t *modules_put_u32(uint8_t *at, uint32_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* An i32.const, signed and as long as any may be. */
static inline uint8_t *modules_put_i32(uint8_t *at, uint32_t value) {
    int64_t left = (int32_t)value;

    for (int i = 0; i < 4; i++, left >>= 7)
        *at++ = (uint8_t)(left | 0x80);
    *at++ = (uint8_t)left & 0x7f;
    return at;
}

static inline uint8_t *modules_put_section(uint8_t *at, uint8_t id, const uint8_t *body, const uint8_t *end) {
    *at++ = id;
    at = modules_put_u32(at, (uint32_t)(end - body));
    memcpy(at, body, (size_t)(end - body));
    return at + (end - body);
}

/* One memory of `pages` with these active segments. */
static inline struct wasmpool_module *modules_make(uint32_t pages, const struct ModulesSegment *segments, uint32_t n) {
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    size_t most = 64;
    uint8_t *bytes, *body, *at, *end;

    for (uint32_t i = 0; i < n; i++)
        most += segments[i].n + 24;
    bytes = malloc(most);
    body = malloc(most);
    memcpy(bytes, head, sizeof(head));
    body[0] = 1; /* memory */
    body[1] = 0; /* without a maximum */
    at = modules_put_section(bytes + sizeof(head), 5, body, modules_put_u32(body + 2, pages));
    end = modules_put_u32(body, n);
    for (uint32_t i = 0; i < n; i++) {
        *end++ = 0;
        *end++ = 0x41;
        end = modules_put_i32(end, segments[i].offset);
        *end++ = 0x0b;
        end = modules_put_u32(end, segments[i].n);
        if (segments[i].bytes)
            memcpy(end, segments[i].bytes, segments[i].n);
        else
            memset(end, 0, segments[i].n);
        end += segments[i].n;
    }
    at = modules_put_section(at, 11, body, end);
    cr_assert_eq(wasmpool_module_read(&module, bytes, (size_t)(at - bytes), &error), 0, "%s", error.message);
    free(bytes);
    free(body);
    return module;
}

/* ------------------------------------------------------------------------------------------------ instances */

static inline int modules_allocate(struct Fixture *fixture, const struct wasmpool_module *module,
                                   const struct wasmpool_extern *imports, uint32_t n_imports,
                                   struct wasmpool_instance **instancep) {
    struct wasmpool_request request = {.module = module, .imports = imports, .n_imports = n_imports};

    return wasmpool_allocate_module(fixture->pool, &request, instancep, &fixture->error);
}

/* Allocated and initialised. */
static inline struct wasmpool_instance *modules_instantiate(struct Fixture *fixture,
                                                            const struct wasmpool_module *module,
                                                            const struct wasmpool_extern *imports, uint32_t n_imports) {
    struct wasmpool_instance *instance = NULL;

    expect_result(fixture, modules_allocate(fixture, module, imports, n_imports, &instance), 0);
    expect_result(fixture, wasmpool_initialize(instance, WASMPOOL_BOUNDS_FIRST, &fixture->error), 0);
    return instance;
}

/* An instance's export, which must be there. */
static inline struct wasmpool_extern modules_export(struct wasmpool_instance *instance, const char *name) {
    struct wasmpool_extern item = {0};

    cr_assert_eq(wasmpool_instance_export(instance, name, &item), 0, "there is no export '%s'", name);
    return item;
}

/* Bind each import to the export of its name of the instance that is called as the import's module. */
struct ModulesNamed {
    const char *name;
    struct wasmpool_instance *instance;
};

static inline uint32_t modules_bind(const struct wasmpool_module *module, const struct ModulesNamed *named,
                                    struct wasmpool_extern *imports, uint32_t capacity) {
    struct wasmpool_import import;
    uint32_t n = 0;

    for (; !wasmpool_module_import_at(module, n, &import); n++) {
        const struct ModulesNamed *from = named;

        cr_assert_lt(n, capacity);
        while (from->name && strcmp(from->name, import.module.text))
            from++;
        cr_assert_not_null(from->name, "nothing is called '%s'", import.module.text);
        imports[n] = modules_export(from->instance, import.name.text);
    }
    return n;
}

#endif
