/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/reclaim.h"

#include "shared/memfd.h"

#include <stdlib.h>
#include <unistd.h>

struct Reclaim *reclaim_new(void) {
    return calloc(1, sizeof(struct Reclaim));
}

void reclaim_add(struct Pool *pool, struct Reclaim *reclaim, int fd, uint64_t offset, uint64_t bytes) {
    *reclaim = (struct Reclaim){pool->reclaims, fd, offset, bytes};
    pool->reclaims = reclaim;
}

struct Reclaim *reclaim_steal(struct Pool *pool) {
    struct Reclaim *reclaim = pool->reclaims;

    pool->reclaims = NULL;
    return reclaim;
}

struct Reclaim *reclaim_run(struct Reclaim *reclaim) {
    while (reclaim) {
        struct Reclaim *next = reclaim->next;

        memfd_punch(reclaim->fd, reclaim->offset, reclaim->bytes);
        close(reclaim->fd);
        free(reclaim);
        reclaim = next;
    }
    return NULL;
}
