/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef WASMPOOL_H
#define WASMPOOL_H

/* wasmpool: an instance allocator for WebAssembly whose memory may lie outside of the process that uses it.
 *
 * This is Wasmtime's InstanceAllocator in C (the split form of its version 30; item names are quoted as "Wasmtime:
 * ..."). An allocator is opened once, modules are described or read once, and instances are allocated and deallocated
 * as often as one likes; in a steady state that makes no system call, but for memories larger than 256 KiB, which the
 * kernel is asked about when they are given back.
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
    WASMPOOL_E_TRAP = 11,       /* WebAssembly traps here: a segment or a bulk operation is out of bounds */
    WASMPOOL_E_LINK = 12,       /* an import is missing, or has not the type that the module demands */
    WASMPOOL_E_BUSY = 13,       /* of the protocol; no function here returns it */
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
    uint64_t unused_warm_memories, unused_warm_tables;   /* of these, with pages */
    uint64_t unused_memory_bytes_resident, unused_table_bytes_resident;
    uint64_t slabs;                               /* mapped, also those that only drain */
    uint64_t connections;                         /* made since open: 1, and 1 more for each time the daemon was lost */
    uint64_t shared_images, private_images;       /* of modules, made through this allocator since open: with bytes that
                                                     the user's processes share, and with a copy of its own */
};
void wasmpool_metrics(struct wasmpool *pool, struct wasmpool_metrics *metrics);

/* A word for a result: "limit", "malformed", ... or the errno's text. Static. */
const char *wasmpool_strerror(int result);

/* ------------------------------------------------------------------------------------------------ types */

/* Value types, by their encoding (WebAssembly 2.0, 5.3 Types). */
enum wasmpool_value_type {
    WASMPOOL_TYPE_I32 = 0x7f,
    WASMPOOL_TYPE_I64 = 0x7e,
    WASMPOOL_TYPE_F32 = 0x7d,
    WASMPOOL_TYPE_F64 = 0x7c,
    WASMPOOL_TYPE_V128 = 0x7b,
    WASMPOOL_TYPE_FUNCREF = 0x70,
    WASMPOOL_TYPE_EXTERNREF = 0x6f,
};

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

struct wasmpool_global_type {
    enum wasmpool_value_type content;
    bool is_mutable;
};

/* A function type, also of a tag. The arrays hold value types, one byte each. */
struct wasmpool_function_type {
    const uint8_t *parameters, *results;
    uint32_t n_parameters, n_results;
    uint32_t id; /* of this process: two types are equal if and only if their ids are (Wasmtime: VMSharedTypeIndex) */
};

/* The id of a function type, for the functions of a host; `type->id` is not looked at. It stays valid until as many
 * calls of wasmpool_function_type_unref as there were of this one. Errors: INVALID (no value type), LIMIT
 * (function_types), -ENOMEM. */
int wasmpool_function_type_ref(const struct wasmpool_function_type *type, uint32_t *idp,
                               struct wasmpool_error *error);
void wasmpool_function_type_unref(uint32_t id);

/* ------------------------------------------------------------------------------------------------ modules */

/* A module by hand. Imported memories and tables come first in the index space and are the importer's own: they are
 * counted, not allocated. Such a module can be allocated; nothing of it is initialised, and nothing can be linked to
 * its imports. */
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

/* Read a module from a WebAssembly binary of `size` bytes, which is not kept. All sections are read and validated but
 * the bodies of functions, which are stepped over, and custom sections, of which only a module's name is looked at. The
 * contents of data segments are copied. What a module may have is bounded by the limits of Wasmtime's parser, e.g.
 * 100,000 data segments.
 * Errors: MALFORMED and INVALID (offset, section, reason; INVALID is what can be decoded but does not validate, or
 * exceeds a limit, which is named), UNSUPPORTED (names the proposal), -ENOMEM. Source: WebAssembly 2.0, chapters 3 and
 * 5, with the multi-memory, extended-const and exception-handling (tags) proposals. */
int wasmpool_module_read(struct wasmpool_module **modulep, const void *bytes, size_t size,
                         struct wasmpool_error *error);

/* The same from a regular file, in pieces: it is never in memory as a whole, and bodies are not even read. Errors also:
 * a negative errno when the file cannot be read; -EBUSY when it changes meanwhile. */
int wasmpool_module_read_file(struct wasmpool_module **modulep, const char *path, struct wasmpool_error *error);

/* The module is freed when its last instance has been deallocated; nothing else may use it after this call. NULL is
 * fine; returns NULL. */
struct wasmpool_module *wasmpool_module_free(struct wasmpool_module *module);

struct wasmpool_module_counts {
    uint32_t types;
    uint32_t imports; /* all of them */
    uint32_t imported_functions, imported_tables, imported_memories, imported_globals, imported_tags;
    uint32_t defined_functions, defined_tables, defined_memories, defined_globals, defined_tags;
    uint32_t exports;
    uint32_t element_segments, data_segments;
    uint32_t escaped_functions; /* have a VMFuncRef: named by an export, an element segment or a global's initialiser */
    uint32_t runtime_data;      /* data segments that are not part of an image: passive ones, and active ones if any of
                                   them is not constant or out of bounds */
};
void wasmpool_module_counts(const struct wasmpool_module *module, struct wasmpool_module_counts *counts);

/* The name in the module's name section; otherwise of the file or description, at most 23 bytes. Never NULL. */
const char *wasmpool_module_name(const struct wasmpool_module *module);

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

/* The type of an import, an export or any other item. */
struct wasmpool_external_type {
    enum wasmpool_external kind;
    union {
        struct wasmpool_function_type function; /* of functions and tags */
        struct wasmpool_table_type table;
        struct wasmpool_memory_type memory;
        struct wasmpool_global_type global;
    } of;
};

/* The type of an item, by its index in its kind's index space, imports first. What it points to lives as long as the
 * module. 0, or -ENOENT; also for the imports of a described module. */
int wasmpool_module_type(const struct wasmpool_module *module, enum wasmpool_external kind, uint32_t index,
                         struct wasmpool_external_type *typep);

/* The function type number `index` of the type section. 0, or -ENOENT. */
int wasmpool_module_function_type(const struct wasmpool_module *module, uint32_t index,
                                  struct wasmpool_function_type *typep);

/* An import or export. Names are UTF-8 of the given number of bytes, may contain NULs, end with one more, and live as
 * long as the module. */
struct wasmpool_name {
    const char *text;
    uint32_t bytes;
};
struct wasmpool_import {
    struct wasmpool_name module, name;
    enum wasmpool_external kind;
    uint32_t index; /* in that kind's index space */
};
struct wasmpool_export {
    struct wasmpool_name name;
    enum wasmpool_external kind;
    uint32_t index;
};

/* Number `i` in the order of the import or export section. 0, or -ENOENT. */
int wasmpool_module_import_at(const struct wasmpool_module *module, uint32_t i, struct wasmpool_import *importp);
int wasmpool_module_export_at(const struct wasmpool_module *module, uint32_t i, struct wasmpool_export *exportp);

/* The export called `name`: its kind and its index in that kind's index space. 0, or -ENOENT. */
int wasmpool_module_export(const struct wasmpool_module *module, const char *name, enum wasmpool_external *kindp,
                           uint32_t *indexp);

/* The start function's index, which is reported and never run. 0, or -ENOENT: it has none. */
int wasmpool_module_start(const struct wasmpool_module *module, uint32_t *indexp);

/* ------------------------------------------------------------------------------------------------ VMContext */

/* What an engine's code sees of an instance: one block of memory with a fixed part and arrays, laid out as by Wasmtime
 * 48 (wasmtime-environ: vmoffsets.rs, vmctxtypes.rs). All arrays count defined items only, imported ones only, or
 * escaped functions, as their names say. Pointers are never tagged. */

#define WASMPOOL_VMCONTEXT_MAGIC UINT32_C(0x65726f63) /* "core" */

/* The fixed part, for pointers of this host. (Wasmtime: VMContext) */
struct wasmpool_vmcontext {
    uint32_t magic;
    void *store_context;             /* these four are the request's, see wasmpool_store */
    const void *builtin_functions;
    const void *epoch_pointer;
    const void *gc_heap_data;
    const uint32_t *type_ids;        /* wasmpool_function_type.id of each type of the module */
};

/* (Wasmtime: VMFuncRef, VMFunctionImport) */
struct wasmpool_func_ref {
    const void *array_call, *wasm_call; /* code; NULL where the request has none */
    uint32_t type_index;                /* wasmpool_function_type.id */
    struct wasmpool_vmcontext *vmctx;   /* of the instance that defines the function, or whatever the host likes */
};
/* (Wasmtime: VMMemoryDefinition, VMTableDefinition, VMGlobalDefinition, VMTagDefinition) */
struct wasmpool_memory_definition {
    uint8_t *base;
    size_t current_length; /* bytes */
};
struct wasmpool_table_definition {
    void *base;
    size_t current_elements;
};
/* Little-endian, from the first byte on; a reference is a pointer: to a wasmpool_func_ref, or the host's own. */
union wasmpool_global_definition {
    uint8_t bytes[16];
    uint32_t i32;
    uint64_t i64;
    float f32;
    double f64;
    void *reference;
};
struct wasmpool_tag_definition {
    uint32_t type_index;
};
/* (Wasmtime: VMMemoryImport, VMTableImport, VMGlobalImport, VMTagImport): where the item is, whose it is, and its
 * defined index there. */
struct wasmpool_memory_import {
    struct wasmpool_memory_definition *from;
    struct wasmpool_vmcontext *vmctx;
    uint32_t index;
};
struct wasmpool_table_import {
    struct wasmpool_table_definition *from;
    struct wasmpool_vmcontext *vmctx;
    uint32_t index;
};
struct wasmpool_global_import {
    union wasmpool_global_definition *from;
    struct wasmpool_vmcontext *vmctx;
    uint32_t kind; /* 1: an instance's (Wasmtime: VMGlobalKind::Instance) */
    uint32_t index;
};
struct wasmpool_tag_import {
    struct wasmpool_tag_definition *from;
    struct wasmpool_vmcontext *vmctx;
    uint32_t index;
};

/* What the layout depends on. (Wasmtime: VMOffsetsFields) */
struct wasmpool_vmoffsets_fields {
    uint8_t pointer_size; /* bytes: 4 or 8 */
    uint32_t imported_functions, imported_tables, imported_memories, imported_globals, imported_tags;
    uint32_t defined_tables, defined_memories, owned_memories, defined_globals, defined_tags;
    uint32_t escaped_functions, runtime_data;
    bool has_startup;
};

/* Where in the VMContext each array begins, in bytes. (Wasmtime: VMOffsets) */
struct wasmpool_vmoffsets {
    struct wasmpool_vmoffsets_fields fields;
    uint32_t store_context, builtin_functions, epoch_pointer, gc_heap_data, type_ids; /* magic is at 0 */
    uint32_t imported_memories, memories, owned_memories, imported_functions, imported_tables, imported_globals,
        imported_tags, tables, globals, tags, func_refs, startup_func_ref, runtime_data_bases, runtime_data_lengths;
    uint32_t size; /* of the whole */
};

/* Compute a layout. Errors: INVALID when a field is not possible (a pointer size other than 4 and 8, more owned than
 * defined memories) or the size exceeds 32 bits, naming the region. */
int wasmpool_vmoffsets_init(struct wasmpool_vmoffsets *offsets, const struct wasmpool_vmoffsets_fields *fields,
                            struct wasmpool_error *error);

/* Which part of the whole is what, in order; their sizes add up to `size`. Names are Wasmtime's ("defined globals",
 * ...); padding counts with the region that it follows. 0, or -ENOENT: there are no more. (Wasmtime: region_sizes) */
int wasmpool_vmoffsets_region(const struct wasmpool_vmoffsets *offsets, uint32_t i, const char **namep,
                              uint32_t *bytesp);

/* A module's layout on this host; lives as long as the module. */
const struct wasmpool_vmoffsets *wasmpool_module_offsets(const struct wasmpool_module *module);

/* ------------------------------------------------------------------------------------------ memories and tables */

/* Which slot it lies in (Wasmtime: MemoryAllocationIndex, TableAllocationIndex). */
typedef uint32_t wasmpool_allocation_index;
#define WASMPOOL_NO_ALLOCATION UINT32_MAX

/* A linear memory. An engine reads `base` and `current_length`; the rest is the allocator's. Bytes from current_length
 * up to the reservation and its guard are mapped and inaccessible, unless the request has explicit_bounds: a stray
 * access is SIGSEGV with SEGV_ACCERR. (Wasmtime: Memory, VMMemoryDefinition) */
struct wasmpool_memory {
    uint8_t *base;
    uint64_t current_length; /* bytes */
    uint64_t maximum_length; /* bytes: the type's maximum, max_memory_size and the reservation, whichever is least */
    wasmpool_allocation_index allocation;
    bool has_maximum;                              /* of the type; it is part of what importers see */
    bool explicit_bounds;                          /* of the request */
    uint64_t maximum;                              /* wasm pages, if has_maximum */
    struct wasmpool_memory_definition *definition; /* kept equal when it grows; NULL: it belongs to no instance */
    const struct wasmpool_limiter *limiter;        /* asked when it grows; may be NULL */
};

/* A table: `current_elements` elements of `element_size` bytes. All bytes zero means null. (Wasmtime: Table,
 * VMTableDefinition) */
struct wasmpool_table {
    void *base;
    uint32_t current_elements;
    uint32_t maximum_elements; /* the type's maximum or table_elements, whichever is less */
    uint32_t element_size;     /* bytes */
    wasmpool_allocation_index allocation;
    struct wasmpool_table_type type;
    struct wasmpool_table_definition *definition; /* as with memories */
    const struct wasmpool_limiter *limiter;
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

/* Asked before a memory or table gets its minimum (`current` is 0) and before it grows, also beyond its maximum, which
 * is looked at next; returns whether it may. A member that is NULL allows everything. `maximum` is the type's,
 * UINT64_MAX if it has none. Called by the thread that allocates or grows; if it grows the same memory or table itself,
 * the growth that it was asked about fails. (Wasmtime: ResourceLimiter) */
struct wasmpool_limiter {
    bool (*memory_growing)(void *data, uint64_t current, uint64_t desired, uint64_t maximum); /* bytes */
    bool (*table_growing)(void *data, uint64_t current, uint64_t desired, uint64_t maximum);  /* elements */
    void *data;
};

/* What the engine wants in the VMContext's fixed part; nothing of it is looked at. (Wasmtime: StorePtr) */
struct wasmpool_store {
    void *context;
    const void *builtin_functions, *epoch_pointer, *gc_heap_data;
};

/* The code of one function, for its VMFuncRef. */
struct wasmpool_code {
    const void *array_call, *wasm_call;
};

/* What an import is bound to: an item of an instance, or a function of the host. (Wasmtime: Extern) */
struct wasmpool_extern {
    enum wasmpool_external kind;
    struct wasmpool_instance *instance; /* must outlive every instance that imports from it; and one that has put its
                                           functions into a table outlives the use of that table, as in a store */
    uint32_t index;                     /* in the instance's index space of that kind */
    const struct wasmpool_func_ref *function; /* if `instance` is NULL; copied. A func_ref is passed on as it is */
};

/* What is asked for (Wasmtime: InstanceAllocationRequest). Only `module` is needed. */
struct wasmpool_request {
    const struct wasmpool_module *module;
    const char *label; /* for those who inspect, at most 23 bytes, copied; may be NULL */
    /* In the order of the module's import section. NULL: not linked, the import arrays are null; an engine may fill
     * them itself. */
    const struct wasmpool_extern *imports;
    uint32_t n_imports;
    const struct wasmpool_limiter *limiter; /* must live as long as the instance */
    const struct wasmpool_store *store;     /* copied */
    const struct wasmpool_code *code;       /* for each defined function; must live as long as the instance */
    /* What is exhausted is waited for until this moment of CLOCK_MONOTONIC, in nanoseconds; 0: not at all. Who waits is
     * served in order within the process, and fairly among the daemon's users and then among their connections; who
     * holds one slot while it waits for the next one keeps it. LIMIT when the moment has come. Nor is a daemon that
     * does not answer waited for beyond it, but for 10 ms at least: UNAVAILABLE. */
    uint64_t deadline_ns;
    /* The memories may be written in a way that the kernel does not tell of: see wasmpool_deallocate_memories. */
    bool pinned;
    /* Generated code compares each address with current_length before it uses it, and no guard is needed: what lies
     * beyond may be accessible then. Memories are opened in larger steps, by as much as others of the module have grown
     * to, and memory.grow is seldom a system call. (Wasmtime: explicit bounds checks, where memory_guard_size is 0) */
    bool explicit_bounds;
};

/* Can this allocator ever hold an instance of the module? Static: it depends on the limits alone, not on use. Run it
 * when a module is loaded; the allocation functions trust it, and fail with INVALID for a module that would not pass.
 * Of one that passes it also makes the initial contents of memories and, with a daemon, the hash by which they are
 * found there (1 ms for 1 MiB), which the first allocation does else.
 * Errors: INVALID, naming the limit, the value (ask) and the bound; UNSUPPORTED for shared memories. (Wasmtime:
 * validate_module) */
int wasmpool_validate_module(const struct wasmpool *pool, const struct wasmpool_module *module,
                             struct wasmpool_error *error);

/* Allocate the request's defined memories, in index order, each at its minimum, and append them to the map, whose
 * capacity must have room for all. The contents are the module's image if it has one, otherwise zero: a module has an
 * image for each memory if all of its active data segments are on defined memories, at constant offsets, in bounds,
 * and not too far apart (as Wasmtime decides). Images are made once, at a module's first allocation; large ones
 * (of 1 MiB and more) are shared by all memories that begin with them, copy-on-write, and the pages that an instance
 * writes to are this process' own. What was allocated
 * before an error stays in the map: give it back with wasmpool_deallocate_memories. Errors: LIMIT, INVALID,
 * UNAVAILABLE, HOST, ... (Wasmtime: allocate_memories) */
int wasmpool_allocate_memories(struct wasmpool *pool, const struct wasmpool_request *request,
                               struct wasmpool_memories *memories, struct wasmpool_error *error);

/* Give back every memory of the map and empty it. Infallible; on an empty map it does nothing. Nobody may use the
 * memories any more. (Wasmtime: deallocate_memories)
 *
 * The next one that has their slots finds its own contents. For memories of more than one wasm page that rests on what
 * the kernel tells of writes, which is: all that this process wrote through `base`, in whatever thread, signal handler
 * or system call. It is not told of writes through pages that were pinned before (buffers registered with io_uring,
 * RDMA), by other processes (ptrace(2), process_vm_writev(2)) or by children that share the memory and are no threads
 * (CLONE_VM without CLONE_THREAD): of memories that may be written so the request must say that they are `pinned`, and
 * then they are reset as a whole. */
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
 * old size in wasm pages, or -1 when the maximum forbids it, the limiter does, or the host refuses (an outcome, not an
 * error). Source: WebAssembly 2.0, 4.4.7 memory.grow. */
int64_t wasmpool_grow_memory(struct wasmpool *pool, struct wasmpool_memory *memory, uint64_t delta);

/* table.grow: add `delta` elements, each a copy of the element_size bytes at `init` (NULL: null). Returns the old
 * number of elements, or -1. Source: WebAssembly 2.0, 4.4.6 table.grow. */
int64_t wasmpool_grow_table(struct wasmpool *pool, struct wasmpool_table *table, uint32_t delta, const void *init);

/* ------------------------------------------------------------------------------------------------ instances */

/* Allocate an instance: its imports' types are checked, then it gets its permit, its memories in index order, its
 * tables, and its VMContext. On any failure all of it is given back, memories, tables, permit, in this order, and
 * *instancep is not written. Globals have their constant values, tables are null, memories are as
 * wasmpool_allocate_memories says: the instance is still to be initialised. Errors: LINK (names the import), LIMIT
 * (names total_core_instances, total_memories, total_tables or "limiter"), INVALID, UNAVAILABLE, HOST, FORKED, -ENOMEM,
 * ... (Wasmtime: allocate_module) */
int wasmpool_allocate_module(struct wasmpool *pool, const struct wasmpool_request *request,
                             struct wasmpool_instance **instancep, struct wasmpool_error *error);

/* Give an instance back, in the same order, and write NULL to *instancep. Infallible; does nothing when it is NULL
 * already. (Wasmtime: deallocate_module) */
void wasmpool_deallocate_module(struct wasmpool_instance **instancep);

/* When out-of-bounds segments are noticed. */
enum wasmpool_order {
    WASMPOOL_BOUNDS_FIRST, /* all are checked before anything is written (before the bulk-memory proposal) */
    WASMPOOL_IN_ORDER,     /* each when its turn comes; what was written before stays (WebAssembly 2.0, 4.5.4) */
};

/* Initialise an allocated instance, once: globals from their constant expressions, tables from active element segments,
 * memories from active data segments unless the image holds them. Imports must be initialised before. The start
 * function is the caller's to run, next: wasmpool_instance_start.
 * Where all active element segments are constant and in bounds, tables are filled as a whole, and where the module's
 * last instance had the same slots that has been done when it was deallocated. It is undone, and segments are written
 * one by one, for an instance that is asked for its VMContext, its start or another function, or a table, or that is
 * imported from, between its allocation and this call: call this first.
 * Errors: TRAP (the segment, its offset, its size and the bound): with BOUNDS_FIRST no table or memory was written;
 * LINK (the module has imports and the request had none), INVALID (initialised before; a table's element_size is not
 * that of a pointer). The instance is good for nothing then but to be deallocated; after a TRAP in order, not before
 * the tables that it imports, which may hold its functions. (Wasmtime: initialize) */
int wasmpool_initialize(struct wasmpool_instance *instance, enum wasmpool_order order, struct wasmpool_error *error);

/* Drop what is kept warm for a module: idle memories that hold its images and tables that hold its elements give their
 * pages back, and the daemon need not keep the images for this process, which go on working here. Not needed before
 * wasmpool_module_free, whose memory does not depend on it; but idle memories have large images mapped, which take
 * memory until another image comes there: where modules come and go that is what to do before. (Wasmtime:
 * purge_module) */
void wasmpool_purge_module(struct wasmpool *pool, const struct wasmpool_module *module);

/* Its defined memories and tables, by defined index; NULL when there is none. They may be grown in place. */
struct wasmpool_memory *wasmpool_instance_memory(struct wasmpool_instance *instance, uint32_t index);
struct wasmpool_table *wasmpool_instance_table(struct wasmpool_instance *instance, uint32_t index);

/* The same by index in the index space, imported ones first: those are another instance's. NULL when there is none, or
 * it is not linked. */
struct wasmpool_memory *wasmpool_instance_memory_at(struct wasmpool_instance *instance, uint32_t memory_index);
struct wasmpool_table *wasmpool_instance_table_at(struct wasmpool_instance *instance, uint32_t table_index);
union wasmpool_global_definition *wasmpool_instance_global_at(struct wasmpool_instance *instance,
                                                              uint32_t global_index);
/* NULL also when the function has not escaped: then it has no VMFuncRef of its own. */
struct wasmpool_func_ref *wasmpool_instance_function_at(struct wasmpool_instance *instance, uint32_t function_index);

/* The export called `name`, as something to import. 0, or -ENOENT. */
int wasmpool_instance_export(struct wasmpool_instance *instance, const char *name, struct wasmpool_extern *externp);

/* The start function's VMFuncRef, or NULL if the module has none. It is the VMContext's startup_func_ref. */
const struct wasmpool_func_ref *wasmpool_instance_start(struct wasmpool_instance *instance);

const struct wasmpool_module *wasmpool_instance_module(const struct wasmpool_instance *instance);
struct wasmpool *wasmpool_instance_pool(const struct wasmpool_instance *instance);

/* The VMContext, and back: for builtins, which get it from the engine's code. */
struct wasmpool_vmcontext *wasmpool_instance_vmctx(struct wasmpool_instance *instance);
struct wasmpool_instance *wasmpool_vmctx_instance(struct wasmpool_vmcontext *vmctx);

/* ------------------------------------------------------------------------------------------------ bulk operations */

/* The instructions of these names, with their immediates and operands; indices are in the index spaces of the module.
 * Bounds are checked before anything is written. Return 0, or TRAP: out of bounds (or an index that does not exist,
 * which validation excludes). A dropped segment has length 0, and so has an active or declared one once the instance is
 * initialised. Source: WebAssembly 2.0, 4.4.6 Table Instructions and 4.4.7 Memory Instructions. (Wasmtime: libcalls
 * memory_init, ...) */
int wasmpool_memory_init(struct wasmpool_instance *instance, uint32_t memory_index, uint32_t data_index, uint64_t to,
                         uint64_t from, uint64_t bytes);
int wasmpool_memory_copy(struct wasmpool_instance *instance, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                         uint64_t from, uint64_t bytes);
int wasmpool_memory_fill(struct wasmpool_instance *instance, uint32_t memory_index, uint64_t to, uint8_t value,
                         uint64_t bytes);
int wasmpool_table_init(struct wasmpool_instance *instance, uint32_t table_index, uint32_t element_index, uint64_t to,
                        uint64_t from, uint64_t count);
int wasmpool_table_copy(struct wasmpool_instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to,
                        uint64_t from, uint64_t count);
/* `value`: element_size bytes, or NULL for null. */
int wasmpool_table_fill(struct wasmpool_instance *instance, uint32_t table_index, uint64_t to, const void *value,
                        uint64_t count);
void wasmpool_data_drop(struct wasmpool_instance *instance, uint32_t data_index);
void wasmpool_elem_drop(struct wasmpool_instance *instance, uint32_t element_index);

#ifdef __cplusplus
}
#endif

#endif
