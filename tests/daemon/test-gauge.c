/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/gauge.h"
#include "tests/daemon/core.h"

#include <unistd.h>

#define PAGE 4096

static struct Pool pool;

/* In a pool that is empty before and after. */
#define GaugeTest(SENTENCE)                                                                                            \
    static void SENTENCE(void);                                                                                        \
    Test(gauge, SENTENCE) {                                                                                            \
        core_pool_init(&pool);                                                                                         \
        SENTENCE();                                                                                                    \
        core_pool_deinit(&pool);                                                                                       \
    }                                                                                                                  \
    static void SENTENCE(void)

static void write_page(const struct Slab *slab, unsigned page) {
    cr_assert_eq(pwrite(slab->fd, "x", 1, page * PAGE), 1);
}

/* The pool has a gauge for each slab with a memfd, which knows it and is known by it. */
static void expect_gauges(uint32_t n) {
    cr_assert_eq(pool.gauges.n, n, "%u gauges, not %u", pool.gauges.n, n);
    for (uint32_t i = 0; i < n; i++) {
        expect_eq(pool.gauges.all[i].slab->gauge, i);
        expect_eq(pool.gauges.all[i].fd, pool.gauges.all[i].slab->fd);
    }
}

GaugeTest(belongs_to_a_slab_as_long_as_it_lives) {
    enum { SLABS = 8 };
    struct Client *clients[3];
    struct Slab *slabs[SLABS];
    struct Error error;

    for (uint32_t i = 0; i < 3; i++)
        clients[i] = core_client(&pool, i);
    for (uint32_t i = 0; i < SLABS; i++) {
        slabs[i] = core_slab(clients[i % 3], i % 2 ? KIND_MEMORY : KIND_TABLE, 1, 0);
        write_page(slabs[i], 0);
    }
    core_slab(clients[0], KIND_INSTANCE, 1, 0);
    expect_gauges(SLABS);
    pool_measure(&pool);
    expect_eq(pool.resident_bytes, SLABS * PAGE);
    cr_assert_eq(client_close_slab(clients[0], slabs[3]->id, &error), 0);
    expect_gauges(SLABS - 1);
    client_free(clients[1]);
    expect_gauges(SLABS - 4);
    expect_eq(pool.resident_bytes, (SLABS - 4) * PAGE);
}

GaugeTest(of_a_slab_that_does_not_change_is_read_less_often) {
    struct Slab *slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 2, 2);
    uint64_t now_ms = 5000, pause_ms;

    for (pause_ms = 0; pause_ms < 100 * GAUGE_PAUSE_MAX_MS; pause_ms += 500)
        gauges_read_in_turn(&pool.gauges, now_ms += 500);
    for (unsigned pages = 1; pages <= 3; pages++) {
        uint64_t before = pool.resident_bytes;

        write_page(slab, pages);
        for (pause_ms = 0; pause_ms < 100 * GAUGE_PAUSE_MAX_MS && pool.resident_bytes == before; pause_ms += 500)
            gauges_read_in_turn(&pool.gauges, now_ms += 500);
        expect_eq(pool.resident_bytes, pages * PAGE);
        if (pages == 1)
            cr_expect(pause_ms > GAUGE_PAUSE_MS && pause_ms <= GAUGE_PAUSE_MAX_MS, "%lu", pause_ms);
        else
            expect_eq(pause_ms, GAUGE_PAUSE_MS); /* what has just changed is looked at soon */
    }
}
