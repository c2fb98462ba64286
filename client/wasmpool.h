/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_H
#define WASMPOOL_H

/* wasmpool: an instance allocator for WebAssembly whose memory may lie outside of the process that uses it.
 *
 * This is Wasmtime's InstanceAllocator in C (the split form of its version 30; item names are quoted as "Wasmtime:
 * ..."). An allocator is opened once, modules are described or read once, and instances are allocated and deallocated
 * as often as one likes; in a steady state that makes no system call.
 *
 * Rules that hold for every function:
 *  - It returns 0, or a negative errno, or a positive WASMPOOL_E_*. Outputs end in `p` and are written only on success.
 *  - `struct wasmpool_error *error` may be NULL. Otherwise it is filled whenever the result is not 0.
 *  - Functions on one allocator may be called by any number of threads at once. One instance, one memory or one table
 *    is used by one thread at a time, as a store is in Wasmtime.
 *  - In a child made by fork(2) an allocator is refused (WASMPOOL_E_FORKED): the child opens its own. */

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Outcomes. */
enum {
    WASMPOOL_E_LIMIT = 1,       /* exhausted: `limit` is in use up to `bound`; works again after a release */
    WASMPOOL_E_INVALID = 2,     /* can never work: a module or request outside the limits, or a wrong argument */
    WASMPOOL_E_MALFORMED = 3,   /* not a WebAssembly binary */
    WASMPOOL_E_UNSUPPORTED = 4, /* a proposal, or a feature of the host, that is not supported */
    WASMPOOL_E_UNAVAILABLE = 5, /* the daemon does not answer or has gone; what is granted stays usable */
    WASMPOOL_E_REFUSED = 6,     /* the daemon does not want this client */
    WASMPOOL_E_PROTOCOL = 7,    /* the daemon broke the protocol, or sent memory with wrong seals or size */
    WASMPOOL_E_VERSION = 8,     /* the daemon speaks another major version of the protocol */
    WASMPOOL_E_FORKED = 9,      /* called in a forked child */
    WASMPOOL_E_HOST = 10,       /* a ceiling of the host, named in `limit`: vm.max_map_count, RLIMIT_AS, ... */
};

/* Details of a result that is not 0. The caller owns it; nothing in it is on the heap. */
struct wasmpool_error {
    int code;            /* the result */
    char limit[40];      /* the limit's name, or empty */
    uint64_t bound;      /* what the limit is */
    uint64_t use;        /* what was in use when asked */
    uint64_t ask;        /* what was asked for */
    char message[256];   /* one line, for people */
};

struct wasmpool;          /* an allocator */
struct wasmpool_module;   /* what allocation needs to know of a module; immutable */
struct wasmpool_instance; /* an instance handle (Wasmtime: InstanceHandle) */

/* ------------------------------------------------------------------------------------------------ allocator */

struct wasmpool_options {
    /* "embedded:" (no daemon: this process makes its own memory), "unix:PATH" or "unix:" (the daemon's tenant socket;
     * without PATH where wasmpoold puts it by default). NULL: $WASMPOOL_ADDRESS, and if that is not set, embedded. An
     * address that does not answer is an error, never a silent fall back. */
    const char *address;
    /* "name=value" strings, NULL-terminated; NULL for none. Names, units and defaults are those of Wasmtime's
     * PoolingAllocationConfig; `wasmpoold --help` lists them. With "unix:" the totals and maxima are the daemon's;
     * only memory_reservation, memory_guard_size and guard_before_linear_memory can be set, for this client's slabs. */
    const char *const *settings;
    /* What the client calls itself, for those who inspect; NULL: none. */
    const char *name;
    /* Bytes of one table element, multiples of 8; 0: 8. wasm2c's funcref is 24. */
    uint32_t funcref_size, externref_size;
    /* How long to wait for the daemon's answer, in milliseconds; 0: 5000. */
    uint32_t timeout_ms;
};

/* Open an allocator. `options` may be NULL for all defaults, and is not kept.
 * Errors: INVALID (address or settings), UNAVAILABLE, REFUSED, LIMIT (connections), VERSION, PROTOCOL, HOST, -ENOMEM.
 */
int wasmpool_open(struct wasmpool **poolp, const struct wasmpool_options *options, struct wasmpool_error *error);

/* Close it: all slots go back to the daemon. Every instance, memory and table must have been deallocated, and no other
 * thread may use it. NULL is fine; returns NULL. In a forked child only the child's copy is freed. */
struct wasmpool *wasmpool_close(struct wasmpool *pool);

/* The value of a limit in force, by its name. 0, or -ENOENT. */
int wasmpool_limit(const struct wasmpool *pool, const char *name, uint64_t *valuep);

/* What this process holds; a snapshot, and all zero in a forked child. (Wasmtime: PoolingAllocatorMetrics) */
struct wasmpool_metrics {
    uint64_t core_instances, memories, tables;    /* allocated */
    uint64_t idle_instances, idle_memories, idle_tables; /* granted to this process and free */
    uint64_t slabs;                               /* mapped, also those that only drain */
    uint64_t connections;                         /* made since open: 1, and 1 more for each time the daemon was lost */
};
void wasmpool_metrics(struct wasmpool *pool, struct wasmpool_metrics *metrics);

/* A word for a result: "limit", "malformed", ... or the errno's text. Static. */
const char *wasmpool_strerror(int result);

/* ------------------------------------------------------------------------------------------------ modules */

/* Sizes of memories are in wasm pages of 65536 bytes, of tables in elements (WebAssembly 2.0, 2.3.4 Limits). */
struct wasmpool_memory_type {
    uint64_t minimum;
    uint64_t maximum; /* meaningful if has_maximum */
    bool has_maximum;
    bool shared;
};

enum wasmpool_reference { WASMPOOL_FUNCREF, WASMPOOL_EXTERNREF };

struct wasmpool_table_type {
    uint32_t minimum;
    uint32_t maximum; /* meaningful if has_maximum */
    bool has_maximum;
    enum wasmpool_reference element;
};

/* A module by hand. Imported memories and tables come first in the index space and are the importer's own: they are
 * counted, not allocated. */
struct wasmpool_module_description {
    const char *name; /* for those who inspect; may be NULL */
    uint32_t imported_functions, imported_tables, imported_memories, imported_globals;
    uint32_t defined_functions, defined_globals;
    const struct wasmpool_memory_type *memories; /* defined ones */
    uint32_t n_memories;
    const struct wasmpool_table_type *tables; /* defined ones */
    uint32_t n_tables;
};

/* Make a module from a description, which is not kept. Errors: INVALID, -ENOMEM. */
int wasmpool_module_describe(struct wasmpool_module **modulep, const struct wasmpool_module_description *description,
                             struct wasmpool_error *error);

/* Read a module from a WebAssembly binary of `size` bytes, which is not kept. The sections type, import, function,
 * table, memory, tag, global and export are read, as far as allocation needs them: their structure and their indices
 * are checked, not the types of constant expressions, nor that names are unique. Other sections are stepped over.
 * Errors: MALFORMED (offset, section, reason), UNSUPPORTED (names the proposal), -ENOMEM. Source: WebAssembly 2.0,
 * chapter 5, Binary Format. */
int wasmpool_module_read(struct wasmpool_module **modulep, const void *bytes, size_t size,
                         struct wasmpool_error *error);

/* The same from a file. Errors also: a negative errno when the file cannot be read. */
int wasmpool_module_read_file(struct wasmpool_module **modulep, const char *path, struct wasmpool_error *error);

/* NULL is fine; returns NULL. No instance may be alive. */
struct wasmpool_module *wasmpool_module_free(struct wasmpool_module *module);

struct wasmpool_module_counts {
    uint32_t types;
    uint32_t imported_functions, imported_tables, imported_memories, imported_globals, imported_tags;
    uint32_t defined_functions, defined_tables, defined_memories, defined_globals, defined_tags;
    uint32_t exports;
};
void wasmpool_module_counts(const struct wasmpool_module *module, struct wasmpool_module_counts *counts);

/* The type of a defined memory or table; `index` counts the defined ones. NULL when there is none. */
const struct wasmpool_memory_type *wasmpool_module_memory(const struct wasmpool_module *module, uint32_t index);
const struct wasmpool_table_type *wasmpool_module_table(const struct wasmpool_module *module, uint32_t index);

enum wasmpool_external {
    WASMPOOL_EXTERNAL_FUNCTION,
    WASMPOOL_EXTERNAL_TABLE,
    WASMPOOL_EXTERNAL_MEMORY,
    WASMPOOL_EXTERNAL_GLOBAL,
    WASMPOOL_EXTERNAL_TAG,
};

/* The export called `name`: its kind and its index in that kind's index space. 0, or -ENOENT. */
int wasmpool_module_export(const struct wasmpool_module *module, const char *name, enum wasmpool_external *kindp,
                           uint32_t *indexp);

/* ------------------------------------------------------------------------------------------ memories and tables */

/* Which slot it lies in (Wasmtime: MemoryAllocationIndex, TableAllocationIndex). */
typedef uint32_t wasmpool_allocation_index;
#define WASMPOOL_NO_ALLOCATION UINT32_MAX

/* A linear memory. An engine reads `base` and `current_length`; the rest is the allocator's. Bytes from current_length
 * up to the reservation and its guard are mapped and inaccessible: a stray access is SIGSEGV with SEGV_ACCERR.
 * (Wasmtime: Memory, VMMemoryDefinition) */
struct wasmpool_memory {
    uint8_t *base;
    uint64_t current_length; /* bytes */
    uint64_t maximum_length; /* bytes: the type's maximum, max_memory_size and the reservation, whichever is least */
    wasmpool_allocation_index allocation;
};

/* A table: `current_elements` elements of `element_size` bytes. All bytes zero means null. (Wasmtime: Table,
 * VMTableDefinition) */
struct wasmpool_table {
    void *base;
    uint32_t current_elements;
    uint32_t maximum_elements; /* the type's maximum or table_elements, whichever is less */
    uint32_t element_size;     /* bytes */
    wasmpool_allocation_index allocation;
};

/* Maps from defined index to memory or table (Wasmtime: PrimaryMap<DefinedMemoryIndex, ..>): storage is the caller's.
 */
struct wasmpool_memories {
    struct wasmpool_memory *at;
    uint32_t count, capacity;
};

struct wasmpool_tables {
    struct wasmpool_table *at;
    uint32_t count, capacity;
};

/* What is asked for (Wasmtime: InstanceAllocationRequest). */
struct wasmpool_request {
    const struct wasmpool_module *module;
    const char *label; /* for those who inspect, at most 23 bytes, copied; may be NULL */
};

/* Can this allocator ever hold an instance of the module? Static: it depends on the limits alone, not on use. Run it
 * when a module is loaded; the allocation functions trust it, and fail with INVALID for a module that would not pass.
 * Errors: INVALID, naming the limit, the value (ask) and the bound; UNSUPPORTED for shared memories. (Wasmtime:
 * validate_module) */
int wasmpool_validate_module(const struct wasmpool *pool, const struct wasmpool_module *module,
                             struct wasmpool_error *error);

/* Allocate the request's defined memories, in index order, each at its minimum and all zero, and append them to the
 * map, whose capacity must have room for all. What was allocated before an error stays in the map: give it back with
 * wasmpool_deallocate_memories. Errors: LIMIT, INVALID, UNAVAILABLE, HOST, ... (Wasmtime: allocate_memories) */
int wasmpool_allocate_memories(struct wasmpool *pool, const struct wasmpool_request *request,
                               struct wasmpool_memories *memories, struct wasmpool_error *error);

/* Give back every memory of the map and empty it. Infallible; on an empty map it does nothing. Nobody may use the
 * memories any more. (Wasmtime: deallocate_memories) */
void wasmpool_deallocate_memories(struct wasmpool *pool, struct wasmpool_memories *memories);

/* The same for tables; all elements are null. (Wasmtime: allocate_tables, deallocate_tables) */
int wasmpool_allocate_tables(struct wasmpool *pool, const struct wasmpool_request *request,
                             struct wasmpool_tables *tables, struct wasmpool_error *error);
void wasmpool_deallocate_tables(struct wasmpool *pool, struct wasmpool_tables *tables);

/* The hooks, one at a time, for runtimes that call so. `label` may be NULL. The memory or table struct is plain data
 * and may be copied and moved, but given back once. (Wasmtime: InstanceAllocatorImpl::allocate_memory, ...) */
int wasmpool_allocate_memory(struct wasmpool *pool, const struct wasmpool_memory_type *type, const char *label,
                             struct wasmpool_memory *memory, struct wasmpool_error *error);
void wasmpool_deallocate_memory(struct wasmpool *pool, struct wasmpool_memory *memory);
int wasmpool_allocate_table(struct wasmpool *pool, const struct wasmpool_table_type *type, const char *label,
                            struct wasmpool_table *table, struct wasmpool_error *error);
void wasmpool_deallocate_table(struct wasmpool *pool, struct wasmpool_table *table);

/* memory.grow: add `delta` wasm pages; the new bytes are zero, `base` does not move. Local: no round trip. Returns the
 * old size in wasm pages, or -1 when the maximum forbids it or the host refuses (an outcome, not an error). Source:
 * WebAssembly 2.0, 4.4.7 memory.grow. */
int64_t wasmpool_grow_memory(struct wasmpool *pool, struct wasmpool_memory *memory, uint64_t delta);

/* table.grow: add `delta` elements, each a copy of the element_size bytes at `init` (NULL: null). Returns the old
 * number of elements, or -1. Source: WebAssembly 2.0, 4.4.6 table.grow. */
int64_t wasmpool_grow_table(struct wasmpool *pool, struct wasmpool_table *table, uint32_t delta, const void *init);

/* ------------------------------------------------------------------------------------------------ instances */

/* Allocate an instance: its permit, then its memories in index order, then its tables, then the handle. On any failure
 * all of it is given back, memories, tables, permit, in this order, and *instancep is not written. The module must
 * outlive the instance. Errors: LIMIT (names total_core_instances, total_memories or total_tables), INVALID,
 * UNAVAILABLE, HOST, FORKED, -ENOMEM, ... (Wasmtime: allocate_module) */
int wasmpool_allocate_module(struct wasmpool *pool, const struct wasmpool_request *request,
                             struct wasmpool_instance **instancep, struct wasmpool_error *error);

/* Give an instance back, in the same order, and write NULL to *instancep. Infallible; does nothing when it is NULL
 * already. (Wasmtime: deallocate_module) */
void wasmpool_deallocate_module(struct wasmpool_instance **instancep);

/* Its defined memories and tables, by defined index; NULL when there is none. They may be grown in place. */
struct wasmpool_memory *wasmpool_instance_memory(struct wasmpool_instance *instance, uint32_t index);
struct wasmpool_table *wasmpool_instance_table(struct wasmpool_instance *instance, uint32_t index);
const struct wasmpool_module *wasmpool_instance_module(const struct wasmpool_instance *instance);

#ifdef __cplusplus
}
#endif

#endif
