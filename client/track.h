/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TRACK_H
#define CLIENT_TRACK_H

/* What is known of the written pages of one slot, and of how to write them back.
 *
 * The first bytes of a slot, those that a memory begins with, are armed once and left so. A page that is written
 * becomes writable, and is *hot* from then on: it is made what it was at each reset, whether it was written again or
 * not, and costs no fault. Now and then the hot pages are armed again, so that those that are not used any more fall
 * out.
 *
 * All that a new instance must find is then: armed and not hot, so never written, or hot, and written back. */

#include "client/image.h"
#include "client/tracker.h"
#include "client/trial.h"

#define TRACK_RUNS_MAX 1024 /* of hot pages: beyond that a slot is reset as a whole */

/* Hot pages in a row, and where their contents come from. */
struct TrackRun {
    uint32_t page, pages;
    const uint8_t *source; /* of the image; NULL: they are zero */
};

struct Track {
    uint64_t watched;  /* bytes from the slot's start of which the kernel can be asked to tell */
    uint64_t armed;    /* bytes from the slot's start; 0: nothing is known */
    uint64_t image_id; /* that they are, where they were not written; 0: zero */
    uint64_t count;    /* tracker_count at the last reset; UINT64_MAX: it was not asked for */
    uint32_t n_runs, room;
    uint32_t n_pages;  /* hot ones */
    uint32_t age;      /* resets since the hot pages were armed last, */
    uint32_t age_max;  /* and at how many they are next */
    uint32_t n_before; /* hot ones then */
    uint32_t turn;     /* resets: see planner.h */
    uint64_t ns;       /* that the last one took that was timed */
    struct Trial writing; /* back: 0, what differs, or 1, all */
    struct TrackRun *runs;
};

/* NULL when out of memory. */
struct Track *track_new(void);
/* NULL is fine; returns NULL. */
struct Track *track_free(struct Track *track);

/* Nothing is known of it any more. NULL is fine. */
static inline void track_forget(struct Track *track) {
    if (track)
        track->armed = 0;
}

/* Its slot is not mapped any more. NULL is fine. */
static inline void track_unmap(struct Track *track) {
    if (track)
        track->watched = track->armed = 0;
}

/* Have the slot's first `bytes`, which are mapped, watched; not more: where writes are watched, pages fault again
 * whenever they are made accessible, as those that a memory grows by are. 0 or a negative errno. */
int track_watch(struct Track *track, const struct Tracker *tracker, uint8_t *base, uint64_t bytes);

/* The slot's first `bytes` are as the image says, or zero: have the kernel tell what is written from now on. 0 or a
 * negative errno: nothing is known. */
int track_arm(struct Track *track, const struct Tracker *tracker, uint8_t *base, uint64_t bytes,
              const struct Image *image);

/* Find which pages have become hot. 0, or a negative errno (-E2BIG: too many): nothing is known. */
int track_look(struct Track *track, const struct Tracker *tracker, const uint8_t *base, const struct Image *image);

/* Write the hot pages back: all of them, or what differs. */
void track_restore(const struct Track *track, uint8_t *base, bool mends);

/* They were written back, once more. Is it time to arm them again? */
static inline bool track_ages(struct Track *track) {
    return ++track->age >= track->age_max;
}

/* Not before so many resets: what has to be looked at then costs something, too. */
static inline void track_age_least(struct Track *track, uint32_t resets) {
    if (track->age_max < resets)
        track->age_max = resets;
}

/* Do so. 0 or a negative errno: nothing is known. */
int track_arm_again(struct Track *track, const struct Tracker *tracker, uint8_t *base);

#endif
