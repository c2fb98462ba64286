/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_READER_H
#define CLIENT_READER_H

/* A binary on its way to becoming a module: what has been read of it so far. */

#include "client/binary.h"
#include "client/module.h"

#include <errno.h>

enum {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_TABLE = 4,
    SECTION_MEMORY = 5,
    SECTION_GLOBAL = 6,
    SECTION_EXPORT = 7,
    SECTION_START = 8,
    SECTION_ELEMENT = 9,
    SECTION_CODE = 10,
    SECTION_DATA = 11,
    SECTION_DATA_COUNT = 12,
    SECTION_TAG = 13,
    SECTION_N = 14,
};

struct Reader {
    struct Binary binary;
    struct wasmpool_module *module;        /* counts, start and name are set as they are read, arrays at the end */
    struct wasmpool_module_counts *counts; /* the module's */
    uint32_t announced_data;               /* of the data count section, or MODULE_NONE */
    bool has_code;
    /* Its arrays. Names and types are not linked yet: they lie in `names` and `type_bytes` in order. */
    struct Buffer types, type_bytes, functions, escaped, table_types, memory_types, globals, tags, imports, exports,
        names, elements, items, data, data_bytes, expressions;
    struct Buffer export_marks; /* offset of each export, for a fault that shows at the end */
};

static inline uint32_t reader_functions(const struct Reader *reader) {
    return reader->counts->imported_functions + reader->counts->defined_functions;
}

static inline uint32_t reader_tables(const struct Reader *reader) {
    return reader->counts->imported_tables + reader->counts->defined_tables;
}

static inline uint32_t reader_memories(const struct Reader *reader) {
    return reader->counts->imported_memories + reader->counts->defined_memories;
}

static inline uint32_t reader_globals(const struct Reader *reader) {
    return reader->counts->imported_globals + reader->counts->defined_globals;
}

static inline uint32_t reader_tags(const struct Reader *reader) {
    return reader->counts->imported_tags + reader->counts->defined_tags;
}

/* Append an item to one of the arrays. */
static inline void reader_add(struct Reader *reader, struct Buffer *buffer, const void *item, size_t bytes) {
    if (!reader->binary.result && buffer_add(buffer, item, bytes))
        binary_fail_errno(&reader->binary, -ENOMEM);
}

/* The contents of a section but custom ones, up to its end: section.c, and segment.c for elements and data. */
void section_read(struct Reader *reader, uint8_t section);
void segment_read_elements(struct Reader *reader);
void segment_read_data(struct Reader *reader);

/* A constant expression, with its end, that gives one value of a type. Functions that it names escape. */
struct Constant expression_read(struct Reader *reader, uint8_t type);

/* The count of a section's items, on top of `n` that there are; `limit` names the maximum. */
uint32_t section_count(struct Reader *reader, uint32_t n, const char *limit, uint32_t maximum);

/* An index that must be below `n`; `what` it is of. */
uint32_t section_index(struct Reader *reader, uint32_t n, const char *what);

/* A module from an input, which is consumed. `name` may be NULL. Errors as wasmpool_module_read. */
int reader_read(struct wasmpool_module **modulep, struct Input *input, const char *name, struct wasmpool_error *error);

#endif
