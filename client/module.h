/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_MODULE_H
#define CLIENT_MODULE_H

/* struct wasmpool_module: what allocation needs to know of a module, however it came to be known. */

#include "client/failure.h"
#include "shared/lease.h"

struct ModuleExport {
    char *name; /* may contain NULs: a name is any UTF-8 */
    uint32_t name_bytes;
    enum wasmpool_external kind;
    uint32_t index;
};

struct wasmpool_module {
    struct wasmpool_module_counts counts;
    struct wasmpool_memory_type *memories; /* defined ones */
    struct wasmpool_table_type *tables;
    struct ModuleExport *exports;
    char label[LEASE_LABEL_BYTES]; /* its name, cut off and padded with NULs */
};

/* An empty module with a name, which may be NULL. */
int module_new(struct wasmpool_module **modulep, const char *name, struct wasmpool_error *error);

/* Append; the arrays grow with what has really been read, not with what a count announces. 0 or -ENOMEM. */
int module_add_memory(struct wasmpool_module *module, const struct wasmpool_memory_type *type);
int module_add_table(struct wasmpool_module *module, const struct wasmpool_table_type *type);
int module_add_export(struct wasmpool_module *module, const uint8_t *name, uint32_t name_bytes,
                      enum wasmpool_external kind, uint32_t index);

/* Write a label of at most 23 bytes, padded with NULs; `text` may be NULL. */
void module_label(char label[static LEASE_LABEL_BYTES], const char *text);

#endif
