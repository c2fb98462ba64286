/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/keep.h"

#include "client/track.h"
#include "shared/memfd.h"

#include <errno.h>
#include <unistd.h>

/* On the way through a slot, from its first byte on. */
struct KeepWalk {
    const struct Taken *taken;
    const struct Tracker *tracker;
    const struct Image *image;
    uint64_t origin;        /* of the slot in its file */
    uint32_t run, extent;   /* the next of the hot pages, and of the image */
};

static int keep_punch(const struct KeepWalk *walk, uint64_t from, uint64_t to) {
    const struct Slab *slab = walk->taken->slab;
    int r = memfd_punch(slab->fd, walk->origin + from, to - from);

    return r ? r : tracker_arm(walk->tracker, slab_slot_base(slab, walk->taken->index) + from, to - from);
}

/* Where the hot pages at or behind a place begin and end. */
static struct ImageExtent keep_find_hot(struct KeepWalk *walk, uint64_t from) {
    const struct Track *track = walk->taken->slot->track;
    uint64_t page = host_page();

    for (; walk->run < track->n_runs; walk->run++) {
        const struct TrackRun *run = &track->runs[walk->run];

        if ((run->page + (uint64_t)run->pages) * page > from)
            return (struct ImageExtent){run->page * page, (run->page + (uint64_t)run->pages) * page};
    }
    return (struct ImageExtent){UINT64_MAX, UINT64_MAX};
}

static int keep_punch_cold(struct KeepWalk *walk, uint64_t from, uint64_t to) {
    int r = 0;

    while (from < to && !r) {
        struct ImageExtent hot = keep_find_hot(walk, from);
        struct ImagePiece piece;

        if (hot.from <= from) {
            from = hot.to;
            continue;
        }
        piece = image_find(walk->image, from, hot.from < to ? hot.from : to, &walk->extent);
        if (!piece.source)
            r = keep_punch(walk, from, piece.to);
        from = piece.to;
    }
    return r;
}

int keep_give_back(const struct Taken *taken, const struct Tracker *tracker, const struct Image *image) {
    struct KeepWalk walk = {taken, tracker, image, shape_slot_offset(&taken->slab->shape, taken->index), 0, 0};
    uint64_t at = walk.origin, end = walk.origin + taken->slot->track->armed;
    int fd = taken->slab->fd, r = 0;

    for (int i = 0; i < KEEP_EXTENTS_MAX && at < end && !r; i++) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        if ((uint64_t)data >= end)
            return 0;
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        at = (uint64_t)hole < end ? (uint64_t)hole : end;
        r = keep_punch_cold(&walk, (uint64_t)data - walk.origin, at - walk.origin);
    }
    return r;
}

bool keep_is_exceeded(const struct Taken *taken, uint64_t bytes, uint64_t keep) {
    const struct Slab *slab = taken->slab;
    uint64_t resident;
    bool whole;

    return memfd_resident(slab->fd, shape_slot_offset(&slab->shape, taken->index), bytes, KEEP_EXTENTS_MAX, &resident,
                          &whole) ||
           !whole || resident > keep;
}
