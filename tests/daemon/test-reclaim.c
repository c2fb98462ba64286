/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/reclaim.h"
#include "tests/daemon/core.h"

#include <unistd.h>

#define PAGE 4096

static struct Pool pool;

/* Four slots with 1, 2, 3 and 4 pages, revoked in this order; in a pool that is empty before and after. */
#define ReclaimTest(SENTENCE)                                                                                          \
    static void SENTENCE(struct Slab *slab);                                                                           \
    Test(reclaim, SENTENCE) {                                                                                          \
        core_pool_init(&pool);                                                                                         \
        SENTENCE(revoked_slab());                                                                                      \
        core_pool_deinit(&pool);                                                                                       \
    }                                                                                                                  \
    static void SENTENCE(struct Slab *slab)

static struct Slab *revoked_slab(void) {
    struct Slab *slab = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 4);

    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t page = 0; page <= i; page++)
            cr_assert_eq(pwrite(slab->fd, "x", 1, (off_t)(shape_slot_offset(&slab->shape, i) + page * PAGE)), 1);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(grant_revoke(slab, i), 0);
    expect_eq(pool.n_reclaims, 4);
    return slab;
}

static uint64_t resident(struct Slab *slab) {
    slab_measure(slab);
    return slab->resident_bytes / PAGE;
}

ReclaimTest(of_few_takes_as_many_as_have_few_pages) {
    struct Reclaim *few = reclaim_steal_few(&pool, 8 * PAGE);

    expect_eq(pool.n_reclaims, 2);
    reclaim_run(few);
    reclaim_finish(few);
    expect_eq(resident(slab), 1 + 2);
    expect_eq(slab->n_cleaning, 2);
    core_reclaim(&pool);
    expect_eq(resident(slab), 0);
    expect_eq(slab->n_cleaning, 0);
}

ReclaimTest(of_few_takes_none_that_has_many_pages) {
    cr_expect_null(reclaim_steal_few(&pool, 4 * PAGE - 1));
    expect_eq(pool.n_reclaims, 4);
    expect_eq(resident(slab), 1 + 2 + 3 + 4);
    core_reclaim(&pool);
}

ReclaimTest(of_few_never_takes_a_slab) {
    struct Error error;

    client_close_slab(slab->client, slab->id, &error);
    cr_expect_null(reclaim_steal_few(&pool, UINT64_MAX - 1));
    expect_eq(pool.n_reclaims, 5);
}
