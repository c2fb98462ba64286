/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_STRESS_DEFECT_H
#define TESTS_STRESS_DEFECT_H

/* Defects of the reset of slots, which a test must notice: functions of the library with something left out, in front
 * of which the linker puts ours (--wrap). None unless one is planted. */

#include "client/overlay.h"
#include "client/reset.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *defect_planted;

static const char *const DEFECTS[] = {"page", "scan", "arm", "rearm", "count", "image", "switch", "grown", "drop", "cover"};

static bool defect_is_planted(void) {
    return defect_planted;
}

static bool defect_is(const char *name) {
    return defect_planted && !strcmp(defect_planted, name);
}

static void defect_plant(const char *name) {
    for (size_t i = 0; i < sizeof(DEFECTS) / sizeof(DEFECTS[0]); i++)
        if (!strcmp(DEFECTS[i], name)) {
            defect_planted = name;
            return;
        }
    fprintf(stderr, "there is no defect called '%s'\n", name);
    exit(2);
}

/* One hot page is not written back. */
void __real_track_restore(const struct Track *track, uint8_t *base, bool mends);
void __wrap_track_restore(const struct Track *track, uint8_t *base, bool mends);
void __wrap_track_restore(const struct Track *track, uint8_t *base, bool mends) {
    struct Track less = *track;

    less.n_runs -= defect_is("page") && less.n_runs;
    __real_track_restore(&less, base, mends);
}

/* One page that was written is not named. */
int __real_tracker_scan(const struct Tracker *tracker, const uint8_t *base, uint64_t bytes, struct TrackerRun *runs,
                        uint32_t most, uint32_t *np);
int __wrap_tracker_scan(const struct Tracker *tracker, const uint8_t *base, uint64_t bytes, struct TrackerRun *runs,
                        uint32_t most, uint32_t *np);
int __wrap_tracker_scan(const struct Tracker *tracker, const uint8_t *base, uint64_t bytes, struct TrackerRun *runs,
                        uint32_t most, uint32_t *np) {
    int r = __real_tracker_scan(tracker, base, bytes, runs, most, np);

    if (!r)
        *np -= defect_is("scan") && *np;
    return r;
}

/* Pages are not armed, and it looks as if they were. */
int __real_tracker_arm(const struct Tracker *tracker, uint8_t *base, uint64_t bytes);
int __wrap_tracker_arm(const struct Tracker *tracker, uint8_t *base, uint64_t bytes);
int __wrap_tracker_arm(const struct Tracker *tracker, uint8_t *base, uint64_t bytes) {
    return defect_is("arm") ? 0 : __real_tracker_arm(tracker, base, bytes);
}

/* The same of those that are armed again only. */
int __real_track_arm_again(struct Track *track, const struct Tracker *tracker, uint8_t *base);
int __wrap_track_arm_again(struct Track *track, const struct Tracker *tracker, uint8_t *base);
int __wrap_track_arm_again(struct Track *track, const struct Tracker *tracker, uint8_t *base) {
    if (!defect_is("rearm"))
        return __real_track_arm_again(track, tracker, base);
    track->n_runs = track->n_pages = track->age = 0;
    return 0;
}

/* Faults are not counted. */
uint64_t __real_tracker_count(void);
uint64_t __wrap_tracker_count(void);
uint64_t __wrap_tracker_count(void) {
    return defect_is("count") ? 1 : __real_tracker_count();
}

/* Of an image the contents of the page before. */
struct ImagePiece __real_image_find(const struct Image *image, uint64_t from, uint64_t to, uint32_t *nextp);
struct ImagePiece __wrap_image_find(const struct Image *image, uint64_t from, uint64_t to, uint32_t *nextp);
struct ImagePiece __wrap_image_find(const struct Image *image, uint64_t from, uint64_t to, uint32_t *nextp) {
    struct ImagePiece piece = __real_image_find(image, from, to, nextp);

    if (defect_is("image") && piece.source && piece.source > image->bytes)
        piece.source -= 4096;
    return piece;
}

/* What another image left is not cleared, where that was a copy. */
int __real_reset_switch(struct Taken *taken, const struct Image *image);
int __wrap_reset_switch(struct Taken *taken, const struct Image *image);
int __wrap_reset_switch(struct Taken *taken, const struct Image *image) {
    if (defect_is("switch") && !overlay_of(taken))
        return 0;
    return __real_reset_switch(taken, image);
}

/* What an instance has grown by is left accessible. */
int __real_mapping_protect(uint8_t *slot, uint64_t was, uint64_t bytes, struct wasmpool_error *error);
int __wrap_mapping_protect(uint8_t *slot, uint64_t was, uint64_t bytes, struct wasmpool_error *error);
int __wrap_mapping_protect(uint8_t *slot, uint64_t was, uint64_t bytes, struct wasmpool_error *error) {
    if (defect_is("grown") && bytes < was)
        return 0;
    return __real_mapping_protect(slot, was, bytes, error);
}

/* What was written to an image that lies over its slot stays there. */
int __real_overlay_drop(const struct Taken *taken);
int __wrap_overlay_drop(const struct Taken *taken);
int __wrap_overlay_drop(const struct Taken *taken) {
    return defect_is("drop") ? 0 : __real_overlay_drop(taken);
}

/* A slot that was taken back while it was idle, and looks empty, is covered by the image that it had. */
int __real_overlay_remove(struct Taken *taken);
int __wrap_overlay_remove(struct Taken *taken);
int __wrap_overlay_remove(struct Taken *taken) {
    return defect_is("cover") && taken->slot->provenance == PROVENANCE_EMPTY ? 0 : __real_overlay_remove(taken);
}

#endif
