/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_MODULE_H
#define CLIENT_MODULE_H

/* struct wasmpool_module: what allocation and initialisation need to know of a module, however it came to be known.
 * Immutable once it is finished. */

#include "client/constant.h"
#include "client/failure.h"
#include "shared/lease.h"

/* What a module may have: the limits of Wasmtime's parser (wasmparser: limits.rs). Arrays grow with what has really
 * been read, never with what a count announces. */
#define MODULE_TYPES_MAX 1000000
#define MODULE_PARAMETERS_MAX 1000
#define MODULE_RESULTS_MAX 1000
#define MODULE_IMPORTS_MAX 1000000
#define MODULE_FUNCTIONS_MAX 1000000
#define MODULE_TABLES_MAX 100
#define MODULE_MEMORIES_MAX 100
#define MODULE_GLOBALS_MAX 1000000
#define MODULE_TAGS_MAX 1000000
#define MODULE_EXPORTS_MAX 1000000
#define MODULE_ELEMENTS_MAX 100000
#define MODULE_DATA_MAX 100000
#define MODULE_STRING_BYTES_MAX 100000
#define MODULE_FUNCTION_BYTES_MAX 7654321 /* of one body */
#define MODULE_ELEMENT_ITEMS_MAX 10000000 /* of all segments; the largest table that there may be */
#define MODULE_DATA_BYTES_MAX (UINT64_C(1) << 30) /* of all segments: they are kept in memory */
/* Of all names, function types and constant expressions: far more than real modules have, and what a sparse file of
 * some gigabytes can make of a process is bounded. */
#define MODULE_NAMES_BYTES_MAX (UINT64_C(1) << 28)
#define MODULE_TYPE_BYTES_MAX (UINT64_C(1) << 26)
#define MODULE_EXPRESSION_BYTES_MAX (UINT64_C(1) << 26)

#define MODULE_NONE UINT32_MAX

struct ModuleGlobal {
    struct wasmpool_global_type type;
    struct Constant init; /* defined ones */
};

enum ModuleSegment { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARED };

/* An element segment's items: a function index, or ITEM_NULL, or ITEM_GLOBAL and the index of an imported global. */
#define ITEM_NULL UINT32_MAX
#define ITEM_GLOBAL (UINT32_C(1) << 31)

struct ModuleElement {
    uint8_t mode;    /* enum ModuleSegment */
    uint8_t type;    /* enum wasmpool_reference */
    uint32_t table;  /* active: table index */
    struct Constant offset; /* active */
    uint32_t first_item, n_items; /* in the module's items */
};

struct ModuleData {
    uint8_t mode;      /* SEGMENT_ACTIVE or SEGMENT_PASSIVE */
    uint32_t memory;   /* active: memory index */
    uint32_t runtime;  /* its runtime data index, or MODULE_NONE: see template.h */
    uint32_t bytes;
    uint64_t at;       /* in the module's data bytes */
    struct Constant offset; /* active */
};

struct wasmpool_module {
    struct wasmpool_module_counts counts;
    bool is_described; /* by hand: nothing is known of its imports, functions and globals but how many there are */
    struct wasmpool_function_type *types; /* their arrays lie in type_bytes */
    uint8_t *type_bytes;
    uint32_t *type_ids;      /* for the VMContext: as in `types` */
    /* Index spaces, imported items first. Those of a described module have no imported items. */
    uint32_t *functions;     /* their types' indices */
    uint32_t *escaped;       /* of each function: its index among the escaped ones, or MODULE_NONE */
    struct wasmpool_table_type *table_types;
    struct wasmpool_memory_type *memory_types;
    struct ModuleGlobal *globals;
    uint32_t *tags;          /* their types' indices */
    /* The defined ones of these: */
    const struct wasmpool_table_type *tables;
    const struct wasmpool_memory_type *memories;
    struct wasmpool_import *imports; /* names lie in `names` */
    struct wasmpool_export *exports;
    uint32_t *exports_by_name;       /* indices into `exports`, sorted by name */
    char *names;
    struct ModuleElement *elements;
    uint32_t *items;
    struct ModuleData *data;
    uint8_t *data_bytes;
    uint8_t *expressions;
    uint32_t start; /* function index, or MODULE_NONE */
    char *name;     /* of the name section, or NULL */
    char label[LEASE_LABEL_BYTES]; /* its name, cut off and padded with NULs */
    struct Template *template;     /* see template.h */
    struct wasmpool_module *next_freed, **freed_link; /* see module_unref */
};

/* An empty module with a name, which may be NULL. */
int module_new(struct wasmpool_module **modulep, const char *name, struct wasmpool_error *error);

/* A name in a message: cut off to `bytes` with the NUL, printable characters only. */
void module_print_name(const struct wasmpool_name *name, char *text, size_t bytes);

/* By bytes, and by length where one is the beginning of the other. */
int module_compare_names(const struct wasmpool_name *a, const struct wasmpool_name *b);

/* Set exports_by_name; names may be there twice. 0, or -ENOMEM. */
int module_sort_exports(struct wasmpool_module *module, struct wasmpool_error *error);

/* Once the arrays are complete: what is made of them, the ids of the types and the template. Errors: LIMIT
 * (function_types), INVALID, -ENOMEM. */
int module_finish(struct wasmpool_module *module, struct wasmpool_error *error);

/* Free it at once. NULL and half-built ones are fine. */
void module_destroy(struct wasmpool_module *module);

/* What keeps a module when its owner has freed it: its instances, by their permits, and memories with its images that
 * were allocated without one, by their slots. */
void module_ref(const struct wasmpool_module *module, wasmpool_allocation_index which);
void module_unref(const struct wasmpool_module *module, wasmpool_allocation_index which);

/* Write a label of at most 23 bytes, padded with NULs; `text` may be NULL. */
void module_label(char label[static LEASE_LABEL_BYTES], const char *text);

static inline const uint8_t *module_data(const struct wasmpool_module *module, const struct ModuleData *data) {
    return module->data_bytes + data->at;
}

#endif
