/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_GAUGE_H
#define DAEMON_GAUGE_H

/* Gauges: what each slab that has a memfd was seen to hold, and when it was looked at. They stand side by side, apart
 * from their slabs: what is gone through every second must not touch pages of its own for each of thousands of
 * connections that do nothing. A page that was not touched for a second can cost microseconds. */

#include <stddef.h>
#include <stdint.h>

struct Pool;
struct Slab;

/* From one reading to the next, of a slab that has just changed and of one that does not: what idle clients cost,
 * against how late it is noticed that they grow. */
#define GAUGE_PAUSE_MS 1000
#define GAUGE_PAUSE_MAX_MS 8000

struct Gauge {
    struct Slab *slab;
    uint64_t resident_bytes; /* the slab's */
    uint64_t looked_ms;      /* when its slots were looked at last, by trim_idle; 0: never */
    uint64_t read_ms;        /* when it is read again, */
    uint32_t pause_ms;       /* and how long after the last reading that is */
    int fd;                  /* the slab's */
};

struct Gauges {
    struct Gauge *all; /* in no order: a slab knows its place */
    uint32_t n, room;
};

/* Room for one more. 0 or -ENOMEM. */
int gauge_reserve(struct Gauges *gauges);
/* The slab's own, where there is room; and its end. Slabs without a memfd have none. */
void gauge_add(struct Gauges *gauges, struct Slab *slab);
void gauge_remove(struct Gauges *gauges, struct Slab *slab);
void gauges_deinit(struct Gauges *gauges);

/* Bytes of pages of a slab's memfd; what it was seen to hold last where they cannot be read. */
uint64_t gauge_read(const struct Gauge *gauge);

/* Measure the slabs whose turn it is: the longer one has not changed the later it comes. */
void gauges_read_in_turn(const struct Gauges *gauges, uint64_t now_ms);

#endif
