/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/gauge.h"

#include "daemon/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define GAUGE_BLOCK_BYTES 512 /* of st_blocks: stat(2) */

int gauge_reserve(struct Gauges *gauges) {
    uint32_t room = gauges->room ? 2 * gauges->room : 16;
    struct Gauge *all;

    if (gauges->n < gauges->room)
        return 0;
    all = realloc(gauges->all, room * sizeof(*all));
    if (!all)
        return -ENOMEM;
    gauges->all = all;
    gauges->room = room;
    return 0;
}

void gauge_add(struct Gauges *gauges, struct Slab *slab) {
    if (slab->fd < 0)
        return;
    slab->gauge = gauges->n++;
    gauges->all[slab->gauge] = (struct Gauge){.slab = slab, .fd = slab->fd};
}

void gauge_remove(struct Gauges *gauges, struct Slab *slab) {
    struct Gauge *gauge;

    if (slab->fd < 0)
        return;
    gauge = &gauges->all[slab->gauge];
    *gauge = gauges->all[--gauges->n];
    gauge->slab->gauge = slab->gauge;
}

void gauges_deinit(struct Gauges *gauges) {
    free(gauges->all);
    *gauges = (struct Gauges){0};
}

uint64_t gauge_read(const struct Gauge *gauge) {
    struct stat st;

    return fstat(gauge->fd, &st) ? gauge->resident_bytes : (uint64_t)st.st_blocks * GAUGE_BLOCK_BYTES;
}

static void gauge_read_in_turn(struct Gauge *gauge, uint64_t now_ms) {
    if (gauge_read(gauge) != gauge->resident_bytes) {
        slab_measure(gauge->slab);
        gauge->pause_ms = GAUGE_PAUSE_MS;
    } else if (!gauge->pause_ms)
        gauge->pause_ms = GAUGE_PAUSE_MS;
    else if (gauge->pause_ms < GAUGE_PAUSE_MAX_MS)
        gauge->pause_ms *= 2;
    gauge->read_ms = now_ms + gauge->pause_ms;
}

void gauges_read_in_turn(const struct Gauges *gauges, uint64_t now_ms) {
    for (uint32_t i = 0; i < gauges->n; i++)
        if (now_ms >= gauges->all[i].read_ms)
            gauge_read_in_turn(&gauges->all[i], now_ms);
}
