/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reset.h"

#include "client/keep.h"
#include "client/mend.h"
#include "client/overlay.h"
#include "client/pool.h"
#include "client/slot.h"
#include "shared/clock.h"
#include "shared/memfd.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void reset_holds(struct Slot *slot, const struct Image *image) {
    slot->image_id = image ? image->id : 0;
    slot->image_end = image ? image->end : 0;
}

/* Give back what the slot has from there on. */
static int reset_punch(const struct Taken *taken, uint64_t from) {
    const struct Slab *slab = taken->slab;

    return memfd_punch(slab->fd, shape_slot_offset(&slab->shape, taken->index) + from, slab->shape.slot_bytes - from);
}

int reset_empty(struct Taken *taken) {
    int r = overlay_remove(taken);

    if (!r)
        r = reset_punch(taken, 0);
    reset_holds(taken->slot, NULL);
    track_forget(taken->slot->track);
    taken->slot->provenance = r ? PROVENANCE_UNKNOWN : PROVENANCE_EMPTY;
    return r;
}

/* ------------------------------------------------------------------------------------------------ what exists */

/* Restore those of the slot's pages that exist, from `done` on, as long as they are at most *keep bytes, which are so
 * many less then. Returns the number of bytes up to which the slot is as the image says, or a negative errno. A hole
 * where the image has something can only come from outside (MADV_REMOVE); it costs nothing to look. */
static int64_t reset_extents(struct Taken *taken, const struct Image *image, uint64_t done, uint64_t used,
                             uint64_t *keep) {
    struct Slab *slab = taken->slab;
    uint64_t origin = shape_slot_offset(&slab->shape, taken->index);
    uint8_t *base = slab_slot_base(slab, taken->index);
    uint32_t next = 0;

    for (int i = 0; i < RESET_EXTENTS_MAX && done < used; i++) {
        off_t data = lseek(slab->fd, (off_t)(origin + done), SEEK_DATA), hole;
        uint64_t from, to;

        if (data < 0 && errno != ENXIO)
            return -errno;
        if (data < 0 || (uint64_t)data - origin >= used) {
            image_restore(image, base, done, used, true, &next);
            return (int64_t)used;
        }
        hole = lseek(slab->fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        from = (uint64_t)data - origin;
        to = (uint64_t)hole - origin < used ? (uint64_t)hole - origin : used;
        if (to - from > *keep)
            to = from + *keep;
        image_restore(image, base, done, from, true, &next);
        image_restore(image, base, from, to, false, &next);
        *keep -= to - from;
        done = to;
        if (!*keep)
            break;
    }
    return (int64_t)done;
}

static void reset_is_clean(struct Slot *slot, const struct Image *image) {
    reset_holds(slot, image);
    slot->provenance = PROVENANCE_CLEAN;
}

/* From `done` on nothing stays. */
static int reset_existing_to(struct Taken *taken, const struct ResetAsk *ask, int64_t done) {
    if (done < 0 || (ask->image && (uint64_t)done < ask->image->end))
        return reset_empty(taken);
    if ((uint64_t)done < ask->used && reset_punch(taken, (uint64_t)done))
        return reset_empty(taken);
    reset_is_clean(taken->slot, ask->image);
    return 0;
}

/* Whatever is known of it. */
static int reset_existing(struct Taken *taken, const struct ResetAsk *ask, uint64_t keep) {
    uint64_t start_ns = clock_now_ns(), left = keep;
    int r;

    track_forget(taken->slot->track);
    r = reset_existing_to(taken, ask, keep ? reset_extents(taken, ask->image, 0, ask->used, &left) : -ENOSPC);
    slot_announce_reset(taken->entry, LEASE_RESET_EXTENTS,
                        taken->slot->provenance == PROVENANCE_CLEAN ? (keep - left) / host_page() : 0,
                        clock_now_ns() - start_ns);
    return r;
}

static struct Track *reset_track(struct Slot *slot) {
    if (!slot->track)
        slot->track = track_new();
    return slot->track;
}

static void reset_write_small(const struct Taken *taken, const struct ResetAsk *ask, bool mends) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    uint32_t next = 0;

    if (mends)
        image_mend(ask->image, base, ask->used);
    else
        image_restore(ask->image, base, 0, ask->used, false, &next);
}

/* Without a system call, but for a clock's now and then. */
static int reset_small(struct Taken *taken, const struct ResetAsk *ask) {
    struct Track *track = reset_track(taken->slot);
    struct TrialTurn turn = {.way = 1};
    uint64_t start_ns;

    track_forget(track);
    if (track && !(ask->used % MEND_BYTES))
        turn = trial_turn(&track->writing, ++track->turn);
    start_ns = turn.timed ? clock_now_ns() : 0;
    reset_write_small(taken, ask, !turn.way);
    if (turn.timed)
        trial_learn(&track->writing, turn.way, clock_now_ns() - start_ns);
    slot_announce_reset(taken->entry, LEASE_RESET_SMALL, ask->used / host_page(),
                        track ? track->writing.ns[turn.way] : 0);
    reset_is_clean(taken->slot, ask->image);
    return 0;
}

/* `timed`: see reset_is_timed. */
static int reset_whole(struct Taken *taken, const struct ResetAsk *ask, bool timed) {
    struct Track *track = taken->slot->track;
    uint64_t start_ns = timed ? clock_now_ns() : 0;
    uint32_t next = 0;

    track_forget(track);
    image_restore(ask->image, slab_slot_base(taken->slab, taken->index), 0, ask->used, false, &next);
    if (timed)
        track->ns = clock_now_ns() - start_ns;
    slot_announce_reset(taken->entry, LEASE_RESET_WHOLE, ask->used / host_page(), track ? track->ns : 0);
    reset_is_clean(taken->slot, ask->image);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ what is hot */

static bool reset_is_tracked(const struct Taken *taken, const struct ResetAsk *ask) {
    const struct Track *track = taken->slot->track;

    return track && track->armed && track->armed == ask->initial &&
           track->image_id == (ask->image ? ask->image->id : 0);
}

/* It is clean: be told what is written from now on. What cannot be told will be looked for. */
static void reset_begin_tracking(struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    struct Track *track = reset_track(taken->slot);

    if (!track || taken->slot->provenance != PROVENANCE_CLEAN)
        return;
    if (track_watch(track, tracker, base, ask->initial) || overlay_watch(taken, tracker))
        return;
    track->count = tracker_count();
    track_arm(track, tracker, base, ask->initial, ask->image);
    track_age_least(track, planner_resets_for_scan(ask->planner));
}

/* Can no page have become hot? Where that is not asked for, it is now and then all the same, twice in a row, to know
 * what it would have saved. */
static bool reset_is_still(struct Track *track, enum LeaseReset way, struct PlannerSample *sample, bool timed) {
    uint64_t start_ns = timed ? clock_now_ns() : 0, before = track->count;

    *sample = (struct PlannerSample){0};
    track->count = UINT64_MAX;
    if (way != LEASE_RESET_COUNT && !timed)
        return false;
    track->count = tracker_count();
    sample->count_ns = timed ? clock_now_ns() - start_ns : 0;
    sample->counted = before != UINT64_MAX;
    sample->still = track->count == before;
    return sample->still && way == LEASE_RESET_COUNT && track->turn % PLANNER_LOOK_EVERY;
}

/* A page that is read for the first time is a fault, too: where nothing has become hot, none is there that was not. */
static int reset_look(struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker) {
    uint64_t start_ns = clock_now_ns();
    int r = track_look(taken->slot->track, tracker, slab_slot_base(taken->slab, taken->index), ask->image);

    planner_learn_scan(ask->planner, clock_now_ns() - start_ns);
    if (!r && ask->initial > ask->keep && keep_is_exceeded(taken, ask->initial, ask->keep))
        return -ENOSPC;
    return r;
}

/* Beyond what it began with nothing is armed: a memory that grew. */
static int reset_grown(struct Taken *taken, const struct ResetAsk *ask) {
    uint64_t keep = ask->keep > ask->initial ? ask->keep - ask->initial : 0;
    int64_t done;

    if (ask->used <= ask->initial)
        return 0;
    done = reset_extents(taken, ask->image, ask->initial, ask->used, &keep);
    if (done < 0)
        return (int)done;
    return (uint64_t)done == ask->used ? 0 : reset_punch(taken, (uint64_t)done);
}

static void reset_write_hot(struct Track *track, uint8_t *base) {
    struct TrialTurn turn = trial_turn(&track->writing, track->turn);
    uint64_t start_ns = turn.timed ? clock_now_ns() : 0;

    track_restore(track, base, !turn.way);
    if (turn.timed)
        trial_learn(&track->writing, turn.way, clock_now_ns() - start_ns);
}

/* What became hot and is not used any more falls out, and what fell out the time before goes. */
static void reset_age(const struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker) {
    struct Track *track = taken->slot->track;

    if (keep_give_back(taken, tracker, ask->image))
        track_forget(track);
    else
        track_arm_again(track, tracker, slab_slot_base(taken->slab, taken->index));
    track_age_least(track, planner_resets_for_scan(ask->planner));
}

static enum LeaseReset reset_announced(const struct Taken *taken, enum LeaseReset way) {
    if (overlay_of(taken))
        return LEASE_RESET_PRIVATE;
    return way == LEASE_RESET_SCAN ? LEASE_RESET_SCAN : LEASE_RESET_COUNT;
}

static int reset_hot(struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker,
                     enum LeaseReset way) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);
    struct Track *track = taken->slot->track;
    uint32_t turn = ++track->turn % planner_every(ask->planner, way);
    bool timed = !turn || (way == LEASE_RESET_SCAN && turn == 1), clocked = timed || !track->ns;
    uint64_t start_ns = clocked ? clock_now_ns() : 0;
    struct PlannerSample sample;
    int r = 0;

    if (!reset_is_still(track, way, &sample, timed))
        r = reset_look(taken, ask, tracker);
    if (r)
        return r;
    reset_write_hot(track, base);
    r = reset_grown(taken, ask);
    if (r)
        return r;
    reset_is_clean(taken->slot, ask->image);
    if (clocked)
        track->ns = clock_now_ns() - start_ns;
    if (timed) {
        sample.hot = track->n_pages;
        sample.pages = (uint32_t)(ask->initial / host_page());
        planner_learn(ask->planner, &sample);
    }
    slot_announce_reset(taken->entry, reset_announced(taken, way), track->n_pages, track->ns);
    if (track_ages(track))
        reset_age(taken, ask, tracker);
    return 0;
}

/* A slot that is not tracked yet, or of which too much was written to be told, is reset by what exists, and tracked
 * from then on. */
static int reset_tracked(struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker,
                         enum LeaseReset way) {
    int r;

    if (reset_is_tracked(taken, ask) && !reset_hot(taken, ask, tracker, way))
        return 0;
    r = reset_existing(taken, ask, ask->keep);
    if (!r)
        reset_begin_tracking(taken, ask, tracker);
    return r;
}

/* ------------------------------------------------------------------------------------------------ copy-on-write */

/* All that was written to the image, whatever is known of it. Where the kernel does not give it back it is written,
 * which needs no promise of the kernel's. */
static void reset_overlay(const struct Taken *taken, const struct Image *image) {
    const struct Overlay *overlay = overlay_of(taken);
    uint32_t next = 0;

    if (overlay_drop(taken))
        image_restore(image, slab_slot_base(taken->slab, taken->index), overlay->from, overlay->to, false, &next);
}

/* What exists of the slab's pages before and behind the image, where the image has nothing. Returns up to where that is
 * zero, or a negative errno. */
static int64_t reset_beside(struct Taken *taken, const struct Overlay *overlay, uint64_t used, uint64_t keep) {
    int64_t done = reset_extents(taken, NULL, 0, overlay->from, &keep);

    if (done < 0 || (uint64_t)done < overlay->from)
        return done;
    return reset_extents(taken, NULL, overlay->to, used, &keep);
}

static int reset_give_back_kept(struct Taken *taken, const struct ResetAsk *ask) {
    int64_t done;
    int r;

    reset_overlay(taken, ask->image);
    done = reset_beside(taken, overlay_of(taken), ask->used, ask->keep);
    if (done < 0 || (uint64_t)done < ask->used) {
        r = reset_punch(taken, done < 0 ? 0 : (uint64_t)done);
        if (r)
            return r;
    }
    reset_is_clean(taken->slot, ask->image);
    return 0;
}

static int reset_give_back(struct Taken *taken, const struct ResetAsk *ask) {
    uint64_t start_ns = clock_now_ns();
    int r;

    track_forget(taken->slot->track);
    r = ask->keep ? reset_give_back_kept(taken, ask) : reset_empty(taken);
    slot_announce_reset(taken->entry, LEASE_RESET_PRIVATE, 0, clock_now_ns() - start_ns);
    return r;
}

/* As other slots that are tracked, while hot pages are few enough. At the age at which they would be armed again all go
 * back: those that fell out are memory too, and the others cost a fault either way. */
static bool reset_hot_private(struct Taken *taken, const struct ResetAsk *ask, const struct Tracker *tracker,
                              uint64_t keep) {
    const struct Track *track = taken->slot->track;
    bool counts = tracker->way == TRACKER_COUNT && planner_way(ask->planner) != LEASE_RESET_SCAN;

    return reset_is_tracked(taken, ask) &&
           !reset_hot(taken, ask, tracker, counts ? LEASE_RESET_COUNT : LEASE_RESET_SCAN) && track->age &&
           track->n_pages <= keep / host_page();
}

/* The image that is asked for lies over it. What the slab has beneath is not resident, so that no room is needed to
 * keep it; but pages that are hot are memory like any other. */
static int reset_overlaid(struct Taken *taken, const struct ResetAsk *asked) {
    const struct Overlay *overlay = overlay_of(taken);
    const struct Tracker *tracker = asked->planner && asked->initial ? pool_tracker(taken->slab->shelf->pool) : NULL;
    struct Track *track = taken->slot->track;
    struct ResetAsk ask = *asked;
    uint32_t n_before;
    int r;

    if (!asked->image || asked->image->id != overlay->image_id)
        return -EFAULT; /* it is broken */
    if (asked->keep && __builtin_add_overflow(asked->keep, overlay->to - overlay->from, &ask.keep))
        ask.keep = UINT64_MAX;
    if (ask.used > ask.keep || !tracker)
        return reset_give_back(taken, asked);
    if (reset_hot_private(taken, &ask, tracker, asked->keep))
        return 0;
    n_before = track ? track->n_before : 0;
    r = reset_give_back(taken, asked);
    if (r)
        return r;
    reset_begin_tracking(taken, asked, tracker);
    if (track)
        track->n_before = n_before;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ all in all */

static bool reset_is_timed(struct Slot *slot) {
    struct Track *track = reset_track(slot);

    return track && !(track->turn++ % PLANNER_EVERY);
}

/* Nothing tells what was written. */
static int reset_untracked(struct Taken *taken, const struct ResetAsk *ask, bool fits) {
    if (fits && ask->used <= RESET_ZERO_BYTES)
        return reset_whole(taken, ask, reset_is_timed(taken->slot));
    return reset_existing(taken, ask, ask->keep);
}

/* All pages of a slot are written anyway: whether they were is not asked for. */
static int reset_planned_whole(struct Taken *taken, const struct ResetAsk *ask, bool fits) {
    bool timed = reset_is_timed(taken->slot);

    if (timed)
        planner_learn(ask->planner, &(struct PlannerSample){0});
    return fits ? reset_whole(taken, ask, timed) : reset_existing(taken, ask, ask->keep);
}

static int reset_keep(struct Taken *taken, const struct ResetAsk *ask) {
    const struct Tracker *tracker = NULL;
    bool fits = ask->used <= ask->keep;
    enum LeaseReset way;

    if (overlay_of(taken))
        return reset_overlaid(taken, ask);
    if (fits && ask->used <= RESET_SMALL_BYTES)
        return reset_small(taken, ask);
    if (ask->keep && ask->planner && ask->initial)
        tracker = pool_tracker(taken->slab->shelf->pool);
    if (!tracker)
        return reset_untracked(taken, ask, fits);
    way = planner_way(ask->planner);
    if (way == LEASE_RESET_WHOLE)
        return reset_planned_whole(taken, ask, fits);
    return reset_tracked(taken, ask, tracker, tracker->way == TRACKER_SCAN ? LEASE_RESET_SCAN : way);
}

int reset_slot(struct Taken *taken, const struct ResetAsk *asked) {
    struct ResetAsk ask = *asked;
    int r;

    taken->slot->provenance = PROVENANCE_UNKNOWN;
    ask.keep -= ask.keep % host_page();
    r = reset_keep(taken, &ask);
    if (!r || ask.keep >= ask.used)
        return r;
    /* If the kernel does not take pages back, they can be written all the same. */
    ask.keep = ask.used;
    return reset_keep(taken, &ask);
}

void reset_found(struct Taken *taken) {
    struct Slot *slot = taken->slot;
    const struct Overlay *overlay;

    if (slot->provenance != PROVENANCE_EMPTY)
        return;
    track_forget(slot->track);
    overlay = overlay_of(taken);
    if (!overlay)
        return;
    /* They are as the image says; what is wanted is their memory. */
    overlay_drop(taken);
    slot->image_id = overlay->image_id;
    slot->image_end = overlay->to;
}

/* Pages that are pinned must stay what they are. */
static bool reset_may_overlay(const struct Slot *slot, const struct Image *image) {
    return image && image->has_file && slot->planner;
}

/* What the slab has beneath and beside it is zero. */
static int reset_uncover(struct Taken *taken) {
    int r = overlay_remove(taken);

    track_forget(taken->slot->track);
    if (r)
        taken->slot->provenance = PROVENANCE_UNKNOWN;
    else
        reset_holds(taken->slot, NULL);
    return r;
}

int reset_switch(struct Taken *taken, const struct Image *image) {
    struct Slot *slot = taken->slot;
    bool holds = slot->image_id == (image ? image->id : 0);

    if (overlay_of(taken))
        return holds && reset_may_overlay(slot, image) ? 0 : reset_uncover(taken);
    if (holds || !slot->image_id)
        return 0;
    track_forget(slot->track);
    return reset_slot(taken, &(struct ResetAsk){.used = slot->image_end, .keep = UINT64_MAX});
}

/* Pages that do not exist yet are made in bulk, which costs a third of a fault for each. Where the kernel cannot, they
 * are made as they are written. */
static void reset_populate(uint8_t *base, const struct Image *image) {
    for (uint32_t i = 0; i < image->n_extents; i++) {
        const struct ImageExtent *extent = &image->extents[i];

        if (extent->to - extent->from >= RESET_POPULATE_BYTES)
            madvise(base + extent->from, extent->to - extent->from, MADV_POPULATE_WRITE);
    }
}

static void reset_copy(struct Taken *taken, const struct Image *image) {
    uint8_t *base = slab_slot_base(taken->slab, taken->index);

    if (taken->slot->provenance == PROVENANCE_EMPTY)
        reset_populate(base, image);
    image_copy(image, base);
}

int reset_fill(struct Taken *taken, const struct Image *image) {
    int r = OVERLAY_E_REFUSED;

    if (!image || taken->slot->image_id == image->id)
        return 0;
    if (reset_may_overlay(taken->slot, image))
        r = overlay_put(taken, image);
    if (r < 0) {
        taken->slot->provenance = PROVENANCE_UNKNOWN;
        return r;
    }
    if (r)
        reset_copy(taken, image);
    else
        track_forget(taken->slot->track);
    reset_holds(taken->slot, image);
    return 0;
}
