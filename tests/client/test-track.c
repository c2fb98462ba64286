/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/allocator.h"
#include "client/reset.h"
#include "shared/memfd.h"
#include "tests/client/fixture.h"

#include <errno.h>
#include <fcntl.h>

#define PAGE 4096
#define PAGES 256
#define BYTES ((uint64_t)PAGES * PAGE)

/* A slot whose first BYTES can be touched, in a pool that tracks. */
struct Case {
    struct Fixture fixture;
    struct Taken taken;
    struct Planner planner;
    struct Image *image;
    uint8_t *contents;
};

/* Pages 10 to 19, and 100. False: skipped. */
static bool case_open(struct Case *all) {
    fixture_open(&all->fixture, EMBEDDED);
    if (!pool_tracker(all->fixture.pool)) {
        cr_skip_test("nothing can be tracked here: %s", all->fixture.pool->tracker.why);
        fixture_close(&all->fixture);
        return false;
    }
    cr_assert_eq(shelf_take(&all->fixture.pool->memories, &(struct Wish){0}, &all->taken, &all->fixture.error), 0);
    cr_assert_eq(mapping_protect(slab_slot_base(all->taken.slab, all->taken.index), 0, 2 * BYTES, NULL), 0);
    all->taken.slot->accessible = 2 * BYTES;
    planner_init(&all->planner);
    all->contents = calloc(1, 101 * PAGE);
    all->image = calloc(1, sizeof(*all->image) + 2 * sizeof(struct ImageExtent));
    *all->image = (struct Image){.id = UINT64_C(1) << 50, .bytes = all->contents, .n_extents = 2, .end = 101 * PAGE};
    all->image->extents[0] = (struct ImageExtent){10 * PAGE, 20 * PAGE};
    all->image->extents[1] = (struct ImageExtent){100 * PAGE, 101 * PAGE};
    memset(all->contents + 10 * PAGE, 0xab, 10 * PAGE);
    memset(all->contents + 100 * PAGE, 0xcd, PAGE);
    return true;
}

static void case_close(struct Case *all) {
    fixture_close(&all->fixture);
    free(all->image);
    free(all->contents);
}

static uint8_t *base_of(const struct Case *all) {
    return slab_slot_base(all->taken.slab, all->taken.index);
}

static int reset(struct Case *all, const struct Image *image, uint64_t used) {
    return reset_slot(&all->taken, &(struct ResetAsk){.image = image,
                                                      .used = used,
                                                      .keep = UINT64_MAX,
                                                      .planner = &all->planner,
                                                      .initial = BYTES});
}

/* As it is after some resets that found the same pages written. */
static void warm(struct Case *all, const struct Image *image) {
    for (int i = 0; i < 4; i++) {
        base_of(all)[15 * PAGE] = base_of(all)[50 * PAGE] = 1;
        cr_assert_eq(reset(all, image, BYTES), 0);
    }
}

static void expect_image(const struct Case *all) {
    cr_expect_arr_eq(base_of(all), all->contents, 101 * PAGE);
    for (uint64_t at = 101 * PAGE; at < BYTES; at += 8)
        cr_assert_eq(*(uint64_t *)(base_of(all) + at), 0, "at %lu", at);
}

Test(track, writes_back_what_is_hot_by_its_image) {
    struct Case all;

    if (!case_open(&all))
        return;
    warm(&all, all.image);
    expect_eq(all.taken.slot->track->armed, BYTES);
    expect_eq(all.taken.slot->track->n_pages, 2);
    memset(base_of(&all) + 8 * PAGE, 0xee, 15 * PAGE); /* across the edges of an extent */
    base_of(&all)[100 * PAGE + 5] = base_of(&all)[BYTES - 1] = 7;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_image(&all);
    expect_eq(all.taken.slot->track->n_pages, 15 + 3);
    case_close(&all);
}

/* Another reset that finds the same pages written. Has the process had no fault meanwhile? */
static bool reset_still(struct Case *all) {
    uint64_t count = all->taken.slot->track->count;

    base_of(all)[15 * PAGE] = base_of(all)[50 * PAGE] = 1;
    expect_eq(reset(all, all->image, BYTES), 0);
    return tracker_count() == count;
}

/* Where the count of faults stands still nothing is looked up. It may move for other reasons: not each time. */
Test(track, costs_no_look_where_nothing_became_hot) {
    struct Case all;
    uint64_t scan_ns;
    int fd, other, nothing, tries = 0;
    bool still;

    if (!case_open(&all))
        return;
    if (all.fixture.pool->tracker.way != TRACKER_COUNT) {
        cr_skip_test("the count of faults does not tell here");
        case_close(&all);
        return;
    }
    fd = all.fixture.pool->tracker.pagemap_fd;
    other = dup(fd);
    nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    do {
        cr_assert_eq(dup3(other, fd, O_CLOEXEC), fd);
        warm(&all, all.image);
        scan_ns = all.planner.scan_ns;
        cr_assert_eq(dup3(nothing, fd, O_CLOEXEC), fd);
        still = reset_still(&all);
    } while (!still && tries++ < 100);
    cr_assert(still, "the process always has faults");
    expect_eq(all.taken.slot->track->armed, BYTES); /* a look would have failed, and been noticed */
    expect_eq(all.planner.scan_ns, scan_ns);
    expect_image(&all);
    /* And where it fails everything that exists is written. */
    base_of(&all)[16 * PAGE] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_image(&all);
    dup3(other, fd, O_CLOEXEC);
    close(other);
    close(nothing);
    case_close(&all);
}

/* Now and then all the same, to know what a look costs. */
Test(track, looks_now_and_then_though_nothing_became_hot) {
    struct Case all;
    uint64_t scan_ns;

    if (!case_open(&all))
        return;
    warm(&all, all.image);
    all.taken.slot->track->turn = PLANNER_LOOK_EVERY - 1;
    scan_ns = all.planner.scan_ns = UINT32_MAX;
    base_of(&all)[15 * PAGE] = base_of(&all)[50 * PAGE] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    cr_expect_lt(all.planner.scan_ns, scan_ns);
    expect_image(&all);
    case_close(&all);
}

Test(track, lets_pages_fall_out_that_are_not_used_any_more) {
    struct Case all;

    if (!case_open(&all))
        return;
    warm(&all, all.image);
    all.taken.slot->track->age_max = all.taken.slot->track->age + 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_eq(all.taken.slot->track->n_pages, 0);
    base_of(&all)[50 * PAGE] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_eq(all.taken.slot->track->n_pages, 1);
    expect_image(&all);
    case_close(&all);
}

static uint64_t resident_of(const struct Case *all) {
    const struct Slab *slab = all->taken.slab;
    uint64_t resident;
    bool whole;

    cr_assert_eq(memfd_resident(slab->fd, shape_slot_offset(&slab->shape, all->taken.index), 2 * BYTES, PAGES, &resident,
                                &whole), 0);
    return resident;
}

/* Resident stays what is used: pages that were written once, or only read, go back when the others are armed again. */
Test(track, gives_pages_back_that_are_not_used_any_more) {
    struct Case all;

    if (!case_open(&all))
        return;
    memset(base_of(&all), 1, BYTES);
    cr_assert_eq(reset(&all, all.image, BYTES), 0);
    expect_eq(resident_of(&all), BYTES);
    warm(&all, all.image);
    all.taken.slot->track->age_max = all.taken.slot->track->age + 1;
    base_of(&all)[15 * PAGE] = base_of(&all)[50 * PAGE] = base_of(&all)[52 * PAGE] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_eq(resident_of(&all), 13 * PAGE); /* the image's 11, and two of those that were hot */
    /* What went back and is written again is noticed. */
    base_of(&all)[15 * PAGE] = base_of(&all)[50 * PAGE] = base_of(&all)[51 * PAGE] = base_of(&all)[BYTES - 1] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_eq(all.taken.slot->track->armed, BYTES);
    expect_eq(all.taken.slot->track->n_pages, 4);
    expect_image(&all);
    case_close(&all);
}

static int reset_keeping(struct Case *all, uint64_t keep) {
    return reset_slot(&all->taken, &(struct ResetAsk){
        .image = all->image, .used = BYTES, .keep = keep, .planner = &all->planner, .initial = BYTES});
}

/* What may stay is counted in pages that there are, not in how large a memory is. (Reading all of it would make them.)
 */
Test(track, of_a_memory_larger_than_may_be_kept_goes_on_while_its_pages_fit) {
    struct Case all;

    if (!case_open(&all))
        return;
    for (int i = 0; i < 4; i++) {
        base_of(&all)[50 * PAGE] = 1;
        expect_eq(reset_keeping(&all, 20 * PAGE), 0);
    }
    expect_eq(all.taken.slot->track->n_pages, 1);
    base_of(&all)[50 * PAGE] = 1;
    expect_eq(reset_keeping(&all, 20 * PAGE), 0);
    expect_eq(resident_of(&all), 12 * PAGE);
    /* 50 more are too many. */
    memset(base_of(&all) + 110 * PAGE, 1, 50 * PAGE);
    expect_eq(reset_keeping(&all, 20 * PAGE), 0);
    cr_expect_leq(resident_of(&all), 20 * PAGE);
    reset_fill(&all.taken, all.image);
    expect_image(&all);
    case_close(&all);
}

/* Also where they were only read. */
Test(track, of_a_memory_larger_than_may_be_kept_counts_pages_that_were_read) {
    struct Case all;

    if (!case_open(&all))
        return;
    for (int i = 0; i < 4; i++) {
        base_of(&all)[50 * PAGE] = 1;
        expect_eq(reset_keeping(&all, 20 * PAGE), 0);
    }
    for (uint64_t page = 110; page < 160; page++)
        cr_assert_eq(((volatile uint8_t *)base_of(&all))[page * PAGE], 0);
    expect_eq(reset_keeping(&all, 20 * PAGE), 0);
    cr_expect_leq(resident_of(&all), 20 * PAGE);
    case_close(&all);
}

Test(track, of_another_image_begins_anew) {
    struct Case all;

    if (!case_open(&all))
        return;
    warm(&all, NULL);
    expect_eq(reset_switch(&all.taken, all.image), 0);
    reset_fill(&all.taken, all.image);
    expect_image(&all);
    base_of(&all)[70 * PAGE] = 1;
    expect_eq(reset(&all, all.image, BYTES), 0);
    expect_image(&all);
    base_of(&all)[11 * PAGE] = 1;
    expect_eq(reset_switch(&all.taken, NULL), 0);
    base_of(&all)[200 * PAGE] = 1;
    expect_eq(reset(&all, NULL, BYTES), 0);
    expect_zero(base_of(&all), BYTES);
    case_close(&all);
}

Test(track, does_not_reach_beyond_what_a_memory_began_with) {
    struct Case all;

    if (!case_open(&all))
        return;
    warm(&all, all.image);
    memset(base_of(&all) + BYTES, 1, 3 * PAGE);
    base_of(&all)[2 * BYTES - 1] = 1;
    expect_eq(reset(&all, all.image, 2 * BYTES), 0);
    expect_eq(all.taken.slot->track->armed, BYTES);
    expect_eq(all.taken.slot->track->n_pages, 2);
    expect_image(&all);
    expect_zero(base_of(&all) + BYTES, BYTES);
    case_close(&all);
}

/* More runs than are told apart: everything is written, and watched anew. */
Test(track, of_too_many_pages_is_given_up_for_once) {
    struct Case all;
    static const uint64_t pages = 4 * TRACK_RUNS_MAX;

    if (!case_open(&all))
        return;
    cr_assert_eq(mapping_protect(base_of(&all), 2 * BYTES, pages * PAGE, NULL), 0);
    all.taken.slot->accessible = pages * PAGE;
    for (int round = 0; round < 3; round++) {
        struct ResetAsk ask = {.used = pages * PAGE, .keep = UINT64_MAX, .planner = &all.planner, .initial = pages * PAGE};

        for (uint64_t page = 0; page < pages; page += 2)
            base_of(&all)[page * PAGE] = 1;
        expect_eq(reset_slot(&all.taken, &ask), 0);
        expect_eq(all.taken.slot->track->n_pages, 0);
        expect_zero(base_of(&all), pages * PAGE);
    }
    case_close(&all);
}

/* Nothing is asked of the kernel for a small one. */
Test(track, has_no_part_in_small_memories) {
    struct Case all;

    if (!case_open(&all))
        return;
    for (int i = 0; i < 4; i++) {
        base_of(&all)[3 * PAGE] = 1;
        expect_eq(reset_slot(&all.taken, &(struct ResetAsk){.used = RESET_SMALL_BYTES,
                                                            .keep = UINT64_MAX,
                                                            .planner = &all.planner,
                                                            .initial = RESET_SMALL_BYTES}), 0);
    }
    expect_eq(all.taken.slot->track->armed, 0);
    expect_eq(all.taken.slot->track->watched, 0);
    expect_zero(base_of(&all), RESET_SMALL_BYTES);
    case_close(&all);
}

/* What it grows by costs no faults where it has pages already: in a mapping that is watched it would, each time. */
Test(track, of_a_memory_leaves_what_it_grows_by_alone) {
    static const struct wasmpool_memory_type type = {.minimum = 4};
    struct wasmpool_memory memory;
    uint64_t count = 0;
    struct Case all;

    if (!case_open(&all))
        return;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(wasmpool_allocate_memory(all.fixture.pool, &type, "grows", &memory, &all.fixture.error), 0);
        cr_assert_eq(wasmpool_grow_memory(all.fixture.pool, &memory, 8), 4);
        count = tracker_count();
        for (uint64_t at = 0; at < 12 * 65536; at += PAGE)
            memory.base[at] = 1;
        count = tracker_count() - count;
        wasmpool_deallocate_memory(all.fixture.pool, &memory);
    }
    cr_expect_lt(count, 16, "%lu faults of %d pages", count, 12 * 16);
    case_close(&all);
}

/* What the kernel does not tell of is cleared where the request has said that there may be such. */
Test(track, is_left_alone_by_memories_that_are_pinned) {
    static const struct wasmpool_memory_type type = {.minimum = 4};
    static const char label[LEASE_LABEL_BYTES];
    struct wasmpool_memory memory;
    struct Fixture fixture;
    struct Taken taken;

    fixture_open(&fixture, EMBEDDED);
    for (int i = 0; i < 6; i++) {
        bool pinned = i > 2;

        cr_assert_eq(memory_allocate(fixture.pool, &(struct MemoryRequest){.type = &type, .label = label, .pinned = pinned},
                                     &memory, &fixture.error), 0);
        expect_zero(memory.base, 4 * 65536);
        memory.base[50 * PAGE] = 1;
        cr_assert(shelf_find(fixture.pool, memory.allocation, &taken));
        cr_expect(!pinned || pwrite(taken.slab->fd, "x", 1, (off_t)shape_slot_offset(&taken.slab->shape, taken.index)) == 1);
        wasmpool_deallocate_memory(fixture.pool, &memory);
    }
    fixture_close(&fixture);
}
