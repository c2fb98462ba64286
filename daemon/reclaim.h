/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_RECLAIM_H
#define DAEMON_RECLAIM_H

/* Memory that no process may use any more: of memfds whose client is gone, punched whole, so that it returns even if a stray
 * child still maps them, and of slots that were revoked for good. Punching takes time with the pages there are: the
 * driver steals the list and runs it off the loop. Nothing here may ever be granted again: the punch comes later. */

#include "daemon/pool.h"

struct Reclaim {
    struct Reclaim *next;
    int fd;
    uint64_t offset, bytes;
};

/* A slab's record is made with the slab, so that giving it back cannot fail. NULL when out of memory. */
struct Reclaim *reclaim_new(void);

/* Put a range of a memfd on the pool's list; the record and the fd are consumed. */
void reclaim_add(struct Pool *pool, struct Reclaim *reclaim, int fd, uint64_t offset, uint64_t bytes);

/* Take the whole list from the pool; NULL when it is empty. */
struct Reclaim *reclaim_steal(struct Pool *pool);

/* Punch, close and free the whole list. Touches nothing else: may run in any thread. Returns NULL. */
struct Reclaim *reclaim_run(struct Reclaim *reclaim);

#endif
