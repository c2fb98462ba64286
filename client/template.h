/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TEMPLATE_H
#define CLIENT_TEMPLATE_H

/* What is worked out once for a module, so that an instance costs one copy and few patches: which functions escape in
 * which order, which data and elements are in images, how the instance's block is laid out, and a VMContext that is
 * complete but for pointers to its own instance. */

#include "client/image.h"
#include "client/planner.h"
#include "client/pool.h"
#include "client/refs.h"
#include "client/table-image.h"

#include <pthread.h>

/* Where in an instance's block (see instance.h) the maps are, and how large it is: what max_core_instance_size bounds.
 * And how large the one is that is allocated for it, see handle.h. */
struct TemplateBlock {
    uint64_t memories, tables, dropped, bytes, reserved;
};

struct Template {
    struct wasmpool_vmoffsets offsets;
    struct TemplateBlock block;
    struct TableImages *table_images; /* NULL: none */
    uint8_t *vmcontext; /* offsets.size bytes, with constant globals, the ids of types, and runtime data */
    uint32_t *escaped;  /* the escaped functions' indices, rising */
    uint32_t *computed; /* defined globals whose values are not constant, and so not in the VMContext yet */
    uint32_t n_computed;
    bool has_images;
    struct Images *_Atomic images; /* NULL until the first allocation */
    struct Images *prepared;       /* until then; NULL: not yet */
    pthread_mutex_t lock;          /* for making them */
    struct Planner *planners;      /* of each defined memory */
    struct Refs refs;              /* see module_ref */
    _Atomic bool is_freed;         /* by its owner */
};

/* For a module whose arrays are complete; its `escaped` holds anything but MODULE_NONE for functions that escape, and
 * is numbered here, as are the data segments' `runtime`. Sets module->template and the counts that it decides. Errors:
 * INVALID (the layout exceeds 32 bits), -ENOMEM. */
int template_new(struct wasmpool_module *module, struct wasmpool_error *error);
struct Template *template_free(struct Template *template);

/* Make the module's images before they are asked for, and if `names` is set work out their names, so that the first
 * instance need not wait for that. What fails is tried again then. */
void template_prepare(const struct wasmpool_module *module, bool names);

/* The module's images, made when first asked for; *imagesp is NULL for a module that has none. The first pool that asks
 * shares them with other processes, if it can by deadline_ns (0: none); all pools of this process use the same from
 * then on, whatever becomes of that one. NULL as a pool shares nothing. 0, or -ENOMEM. */
int template_images(struct wasmpool *pool, const struct wasmpool_module *module, uint64_t deadline_ns,
                    const struct Images **imagesp, struct wasmpool_error *error);

#endif
