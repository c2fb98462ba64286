/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_VMCONTEXT_H
#define CLIENT_VMCONTEXT_H

/* The VMContext of one instance: a copy of its module's template, and what differs. */

#include "client/instance.h"

#include <string.h>

/* Begin with the template. */
static inline void vmcontext_copy(struct wasmpool_instance *instance) {
    memcpy(instance_vmctx(instance), instance->module->template->vmcontext, instance_offsets(instance)->size);
}

/* Complete it. The instance's memories and tables must have been allocated, which keep their definitions up to date
 * from now on, and the imports linked (link.h). */
void vmcontext_init(struct wasmpool_instance *instance, const struct wasmpool_store *store);

#endif
