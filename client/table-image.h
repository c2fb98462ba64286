/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TABLE_IMAGE_H
#define CLIENT_TABLE_IMAGE_H

/* The initial elements of a module's tables, worked out once from its active element segments. Whether a module can
 * have such images is decided much as Wasmtime decides it (wasmtime-environ: try_func_table_init).
 *
 * What can be shared. An element is the address of a VMFuncRef in the VMContext of the instance: it holds in one
 * process, and for one instance there. The same for all is only where in its VMContext an instance has that VMFuncRef,
 * which the module decides, for imported functions too. So that is what an image has: an offset for each element. It
 * is four bytes an element that any process works out from the module, which it has read anyway; to have the daemon
 * keep it would cost a round trip and a mapping for each module, and save nothing. So each process has its own.
 *
 * What is kept. A table that comes back is not made null but given its first elements again, and its slot remembers
 * which image these are of and which VMContext they point into. The next instance of the module with the same block
 * (the rule, as slots of both kinds are used last in, first out) finds them there, and has nothing to write; with
 * another block they are written anew, and who has another image, or none, has them cleared first. The VMContext may
 * be gone by then: its address is compared, never followed.
 *
 * What is seen. Tables are null until the instance is initialised, though the elements may be there before. Nobody can
 * tell as long as nobody has a way to the table, and every way leads through an instance_see: there the elements are
 * cleared, once, and come back item by item when the instance is initialised. */

#include "client/lane.h"
#include "client/mend.h"
#include "client/module.h"

struct wasmpool_instance;

/* Of one image: 256 KiB of table, which are written at once where nothing tells what has changed. Segments of larger
 * tables, as a few bytes of binary can demand, are written item by item. */
#define TABLE_IMAGE_ELEMENTS_MAX 32768

#define TABLE_IMAGE_UNIT (MEND_BYTES / sizeof(void *)) /* elements that are written at a time */

struct TableImage {
    uint64_t id; /* of this process, never 0 and never used again; memories have ids of their own */
    uint32_t n;  /* elements, whole units of them; those behind are null. They may exceed the table, not its slot */
    _Alignas(32) uint32_t offsets[]; /* of their VMFuncRefs in the VMContext; 0: null */
};

/* A module's images, by defined table; NULL for those that begin as null. */
struct TableImages {
    uint64_t first_id; /* image i's is first_id + i */
    uint32_t count;
    uint8_t *dropped; /* element segments that are dropped when all of it has been written, a bit each */
    struct TableImage *at[];
};

/* Does an active element segment write the same to each new instance? */
bool table_image_is_constant(const struct wasmpool_module *module, const struct ModuleElement *element);

/* Make them; func_refs is the VMContext's. *imagesp is NULL for a module that has no active element segments, or one
 * that is not constant. 0, or -ENOMEM. */
int table_images_new(const struct wasmpool_module *module, uint32_t func_refs, struct TableImages **imagesp);
struct TableImages *table_images_free(struct TableImages *images);

/* Make a taken slot that has an image null. */
void table_image_clear(const struct Taken *taken);

/* What a taken slot still has of another image, or of any if `image` is NULL, is cleared. */
static inline void table_image_switch(const struct Taken *taken, const struct TableImage *image) {
    uint64_t id = taken->slot->image_id;

    if (id && id != (image ? image->id : 0))
        table_image_clear(taken);
}

/* Give a taken slot, of which so many bytes were used, the image's elements in that VMContext again. False: it is too
 * large for that, or to keep; nothing was done. */
bool table_image_restore(const struct Taken *taken, const struct TableImage *image,
                         const struct wasmpool_vmcontext *vmctx, uint64_t used, uint64_t keep);

/* Write an instance's elements where they are not there already, to tables that nobody has seen, and drop the segments
 * that this took. */
void table_images_fill(struct wasmpool_instance *instance);

/* Clear those that are there too early: somebody is about to see the tables. */
void table_images_retract(struct wasmpool_instance *instance);

#endif
