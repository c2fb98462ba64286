/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_RECLAIM_H
#define DAEMON_RECLAIM_H

/* Memory on its way back to the kernel: slabs whose client is gone, punched whole, so that it returns even if a stray
 * child still maps them, single slots that have pages and are nobody's, and images. Punching takes time with the pages
 * there are, which is for the client to choose: the driver steals the list, runs it in another thread, and finishes it
 * on its own. But a few pages are punched sooner than a thread is woken: those it may run itself, once it has answered
 * everyone. A slot is not granted while it is being cleaned. */

#include "daemon/pool.h"

/* A slab's memfd, or an image's. That has a reference, and so has each reclaim under way; the last one closes it. */
struct Backing {
    uint64_t *count;   /* of such memfds, where it is counted; NULL: not yet */
    struct Slab *slab; /* NULL once that is gone, and for an image's */
    int fd;
    unsigned n_refs;
};

struct Reclaim {
    struct Reclaim *next;
    struct Backing *backing;
    uint64_t offset, bytes;
    uint64_t resident_bytes; /* as far as we know */
    bool closes;  /* an image's, which takes no punch: closing is what gives its pages back */
    bool is_slot; /* of the backing's slab, which waits for it */
    uint32_t slot;
    int result;
};

/* With one reference; the fd is consumed. NULL when out of memory: then it is not. */
struct Backing *backing_new(int fd);
/* NULL is fine; returns NULL. */
struct Backing *backing_unref(struct Backing *backing);

/* A slab's record is made with the slab, so that giving it back cannot fail. NULL when out of memory. */
struct Reclaim *reclaim_new(void);

/* Put a range on the pool's list; the record is consumed, and takes a reference of its own. */
void reclaim_add(struct Pool *pool, struct Reclaim *reclaim, struct Backing *backing, uint64_t offset, uint64_t bytes,
                 uint64_t resident_bytes);

/* Take the whole list from the pool; NULL when it is empty. */
struct Reclaim *reclaim_steal(struct Pool *pool);

/* Take those alone that were added last, as long as together they have at most so many bytes of pages. */
struct Reclaim *reclaim_steal_few(struct Pool *pool, uint64_t resident_bytes_max);

/* Punch what the list says. Touches nothing but its records: may run in any thread. */
void reclaim_run(struct Reclaim *reclaim);

/* Tell the slots that were waited for, close and free. Without a run before it nothing is punched. Returns NULL. */
struct Reclaim *reclaim_finish(struct Reclaim *reclaim);

#endif
