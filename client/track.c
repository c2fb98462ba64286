/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/track.h"

#include "client/mapping.h"
#include "client/mend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Arming hot pages costs a call for each run and then a fault for each that is used: as much as some ten resets. Where
 * none has fallen out it is done half as often. */
#define TRACK_AGE_MIN 1024
#define TRACK_AGE_MAX (1 << 20)

#define TRACK_ROOM 16 /* for runs, at first */

struct Track *track_new(void) {
    struct Track *track = calloc(1, sizeof(*track));

    if (track)
        track->age_max = TRACK_AGE_MIN;
    return track;
}

struct Track *track_free(struct Track *track) {
    if (track)
        free(track->runs);
    free(track);
    return NULL;
}

int track_watch(struct Track *track, const struct Tracker *tracker, uint8_t *base, uint64_t bytes) {
    int r = track->watched >= bytes ? 0 : tracker_watch(tracker, base, bytes);

    if (!r && track->watched < bytes)
        track->watched = bytes;
    return r;
}

int track_arm(struct Track *track, const struct Tracker *tracker, uint8_t *base, uint64_t bytes,
              const struct Image *image) {
    int r = tracker_arm(tracker, base, bytes);

    track->armed = r ? 0 : bytes;
    track->image_id = image ? image->id : 0;
    track->n_runs = track->n_pages = track->n_before = 0;
    track->age = 0;
    return r;
}

/* ------------------------------------------------------------------------------------------------ hot pages */

static int track_add(struct Track *track, uint64_t from, uint64_t to, const uint8_t *source) {
    uint64_t page = host_page();

    if (track->n_runs == track->room) {
        uint32_t room = track->room ? 2 * track->room : TRACK_ROOM;
        struct TrackRun *runs = room > 2 * TRACK_RUNS_MAX ? NULL : realloc(track->runs, room * sizeof(*runs));

        if (!runs)
            return -E2BIG;
        track->runs = runs;
        track->room = room;
    }
    track->runs[track->n_runs++] =
        (struct TrackRun){(uint32_t)(from / page), (uint32_t)((to - from) / page), source};
    track->n_pages += (uint32_t)((to - from) / page);
    return 0;
}

/* Hot bytes, in pieces that come from one place each. */
static int track_add_pieces(struct Track *track, const struct Image *image, uint64_t from, uint64_t to,
                            uint32_t *nextp) {
    int r = 0;

    while (from < to && !r) {
        struct ImagePiece piece = image_find(image, from, to, nextp);

        r = track_add(track, from, piece.to, piece.source);
        from = piece.to;
    }
    return r;
}

int track_look(struct Track *track, const struct Tracker *tracker, const uint8_t *base, const struct Image *image) {
    struct TrackerRun found[TRACK_RUNS_MAX];
    uint64_t page = host_page();
    uint32_t n, next = 0;
    int r = tracker_scan(tracker, base, track->armed, found, TRACK_RUNS_MAX, &n);

    track->n_runs = track->n_pages = 0;
    for (uint32_t i = 0; !r && i < n; i++)
        r = track_add_pieces(track, image, found[i].page * page, (found[i].page + (uint64_t)found[i].pages) * page,
                             &next);
    if (r)
        track_forget(track);
    return r;
}

static void run_restore(const struct TrackRun *run, uint8_t *to, uint64_t bytes, bool mends) {
    if (run->source && mends)
        mend_copy(to, run->source, bytes);
    else if (run->source)
        memcpy(to, run->source, bytes);
    else if (mends)
        mend_zero(to, bytes);
    else
        memset(to, 0, bytes);
}

void track_restore(const struct Track *track, uint8_t *base, bool mends) {
    uint64_t page = host_page();

    for (uint32_t i = 0; i < track->n_runs; i++) {
        const struct TrackRun *run = &track->runs[i];

        run_restore(run, base + run->page * page, run->pages * page, mends);
    }
}

int track_arm_again(struct Track *track, const struct Tracker *tracker, uint8_t *base) {
    uint64_t page = host_page();
    int r = 0;

    if (track->n_pages < track->n_before)
        track->age_max = TRACK_AGE_MIN;
    else if (track->age_max < TRACK_AGE_MAX)
        track->age_max *= 2;
    for (uint32_t i = 0; i < track->n_runs && !r; i++)
        r = tracker_arm(tracker, base + track->runs[i].page * page, track->runs[i].pages * page);
    track->n_before = track->n_pages;
    track->n_runs = track->n_pages = 0;
    track->age = 0;
    if (r)
        track_forget(track);
    return r;
}
