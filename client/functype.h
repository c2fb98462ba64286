/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_FUNCTYPE_H
#define CLIENT_FUNCTYPE_H

/* Function types by structure: equal ones have one id. (Wasmtime: TypeRegistry) */

#include "client/failure.h"

#include <pthread.h>

/* Ids in use at one time, of a process: those of ten of the largest modules. */
#define FUNCTYPES_MAX 10000000

#define FUNCTYPE_NONE 0 /* not an id, so that a VMFuncRef of zeroes has no function's type */

struct Functype {
    uint64_t hash, refs;
    uint32_t next; /* in its bucket: an id */
    uint32_t n_parameters, n_results;
    uint8_t bytes[]; /* of value types, results behind parameters */
};

struct Functypes {
    pthread_mutex_t lock; /* of everything below */
    const char *limit;
    uint32_t maximum;
    uint32_t n;               /* in use */
    uint32_t n_ids, capacity; /* ever used, and of the arrays; id i is at i - 1 */
    uint32_t free;            /* an unused id, or FUNCTYPE_NONE */
    struct Functype **at;     /* NULL: unused */
    uint32_t *next_free;
    uint32_t *buckets; /* as many as `capacity`, a power of two */
    uint64_t key[2];   /* of the hash: the types are whatever a module says */
};

#define FUNCTYPES_INIT(MAXIMUM)                                                                                        \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .limit = "function_types", .maximum = (MAXIMUM) }

/* As wasmpool_function_type_ref and _unref, which have a registry for the process. All of it is freed with the last
 * type. */
int functypes_ref(struct Functypes *types, const struct wasmpool_function_type *type, uint32_t *idp,
                  struct wasmpool_error *error);
void functypes_unref(struct Functypes *types, uint32_t id);

#endif
