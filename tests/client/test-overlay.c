/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/overlay.h"
#include "client/pool.h"
#include "client/template.h"
#include "client/track.h"
#include "tests/client/modules.h"
#include "tests/support/leak.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_PAGE 4096
#define LARGE (80 * WASM_PAGE) /* 5 MiB */
#define LARGE_PAGES 90
#define OFFSET 70001 /* no multiple of anything */
#define N(ARRAY) (uint32_t)(sizeof(ARRAY) / sizeof((ARRAY)[0]))

static uint8_t contents[2][LARGE];

static void contents_init(void) {
    for (uint32_t i = 0; i < LARGE; i++) {
        contents[0][i] = (uint8_t)(i * 31 + i / 251 + 1);
        contents[1][i] = (uint8_t)(i * 17 + i / 127 + 3);
    }
    memset(contents[0] + 20 * HOST_PAGE, 0, 30 * HOST_PAGE); /* a hole */
}

TestSuite(overlay, .init = contents_init);

/* ------------------------------------------------------------------------------------------------ what it must be */

/* A module, and what its memory begins with. */
struct Subject {
    struct wasmpool_module *module;
    uint32_t pages;
    const uint8_t *data; /* LARGE bytes at `offset`; NULL: zero, but for `text` there */
    uint32_t offset;
    const char *text;
    bool pinned;
};

static struct Subject large_of(int i, uint32_t pages) {
    const struct ModulesSegment segments[] = {{OFFSET, LARGE, contents[i]}};

    return (struct Subject){modules_make(pages, segments, 1), pages, contents[i], OFFSET, NULL, false};
}

static struct Subject small_of(uint32_t pages) {
    const struct ModulesSegment segments[] = {{99 * HOST_PAGE - 2, 4, "text"}};

    return (struct Subject){modules_make(pages, segments, 1), pages, NULL, 99 * HOST_PAGE - 2, "text", false};
}

static struct Subject none_of(uint32_t pages) {
    return (struct Subject){modules_make(pages, NULL, 0), pages, NULL, 0, "", false};
}

static void subject_expect(const struct Subject *subject, const struct wasmpool_memory *memory) {
    uint8_t *expected = calloc(1, memory->current_length);

    if (subject->data)
        memcpy(expected + subject->offset, subject->data, LARGE);
    else
        memcpy(expected + subject->offset, subject->text, strlen(subject->text));
    for (uint64_t at = 0; at < memory->current_length && memcmp(memory->base, expected, memory->current_length); at++)
        cr_assert_eq(memory->base[at], expected[at], "byte %" PRIu64 " is %#x, not %#x", at, memory->base[at],
                     expected[at]);
    free(expected);
}

static struct wasmpool_instance *instantiate(struct Fixture *fixture, const struct Subject *subject) {
    struct wasmpool_request request = {.module = subject->module, .pinned = subject->pinned};
    struct wasmpool_instance *instance = NULL;

    expect_result(fixture, wasmpool_allocate_module(fixture->pool, &request, &instance, &fixture->error), 0);
    expect_result(fixture, wasmpool_initialize(instance, WASMPOOL_BOUNDS_FIRST, &fixture->error), 0);
    return instance;
}

static struct wasmpool_memory *memory_of(struct wasmpool_instance *instance) {
    return wasmpool_instance_memory(instance, 0);
}

static struct Taken slot_of(const struct Fixture *fixture, struct wasmpool_instance *instance) {
    struct Taken taken;

    cr_assert(shelf_find(fixture->pool, memory_of(instance)->allocation, &taken));
    return taken;
}

static bool is_overlaid(const struct Fixture *fixture, struct wasmpool_instance *instance) {
    struct Taken taken = slot_of(fixture, instance);
    bool is = overlay_of(&taken);

    cr_assert_eq(is, !!(taken.entry->flags & LEASE_FLAG_PRIVATE), "the entry says something else");
    return is;
}

static uint64_t file_bytes(int fd) {
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* How many bytes of this mapping are the process' own. */
static uint64_t own_bytes(const uint8_t *at) {
    FILE *file = fopen("/proc/self/smaps", "re");
    unsigned long from, to, kilobytes, found = ULONG_MAX;
    bool inside = false;
    char line[512];

    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)at >= from && (uintptr_t)at < to;
        else if (inside && sscanf(line, "Anonymous: %lu", &kilobytes) == 1)
            found = kilobytes;
    }
    fclose(file);
    cr_assert_neq(found, ULONG_MAX);
    return found * 1024;
}

static const uint8_t *image_at(struct wasmpool_instance *instance) {
    return memory_of(instance)->base + OFFSET / HOST_PAGE * HOST_PAGE;
}

/* ------------------------------------------------------------------------------------------------ memory */

BothTest(overlay, instances_of_a_large_image_share_its_pages) {
    struct Subject subject = large_of(1, LARGE_PAGES);
    struct wasmpool_instance *instances[16];
    const struct Images *images;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=16");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 16; i++) {
            instances[i] = instantiate(&fixture, &subject);
            subject_expect(&subject, memory_of(instances[i]));
            cr_assert(is_overlaid(&fixture, instances[i]));
            memory_of(instances[i])->base[OFFSET + 1000] = 7;
        }
        for (int i = 0; i < 16; i++)
            expect_eq(own_bytes(image_at(instances[i])), HOST_PAGE);
        /* All of it was read: before and behind the image lie pages of zero. */
        cr_assert_lt(file_bytes(slot_of(&fixture, instances[0]).slab->fd), 16 * 11 * (uint64_t)WASM_PAGE);
        for (int i = 0; i < 16; i++)
            wasmpool_deallocate_module(&instances[i]);
    }
    cr_assert_eq(template_images(fixture.pool, subject.module, 0, &images, NULL), 0);
    cr_assert_leq(file_bytes(images->at[0]->file), LARGE + HOST_PAGE);
    fixture_close(&fixture);
    wasmpool_module_free(subject.module);
}

BothTest(overlay, is_for_large_images_alone) {
    static const struct {
        uint64_t bytes;
        const char *keep;
        bool overlaid;
    } cases[] = {{OVERLAY_BYTES - HOST_PAGE, "linear_memory_keep_resident=64G", false},
                 {OVERLAY_BYTES, "linear_memory_keep_resident=64G", true},
                 {OVERLAY_EACH_TIME_BYTES, "linear_memory_keep_resident=128K", false},
                 {OVERLAY_EACH_TIME_BYTES, "linear_memory_keep_resident=127K", true},
                 {OVERLAY_EACH_TIME_BYTES, "linear_memory_keep_resident=0", true},
                 {OVERLAY_EACH_TIME_BYTES - HOST_PAGE, "linear_memory_keep_resident=0", false}};

    for (uint32_t i = 0; i < N(cases); i++) {
        const struct ModulesSegment segments[] = {{0, (uint32_t)cases[i].bytes, contents[1]}};
        struct Subject subject = {.module = modules_make(LARGE_PAGES, segments, 1)};
        struct wasmpool_instance *instance;
        struct Fixture fixture;

        fixture_open(&fixture, implementation, cases[i].keep);
        instance = instantiate(&fixture, &subject);
        cr_assert_eq(is_overlaid(&fixture, instance), cases[i].overlaid, "case %u", i);
        wasmpool_deallocate_module(&instance);
        fixture_close(&fixture);
        wasmpool_module_free(subject.module);
    }
}

/* The image's file goes with the module, and what was mapped of it with the slot's next use: descriptors and
 * mappings are compared when a test ends. */
BothTest(overlay, outlives_its_image_and_is_not_found_again) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    for (int i = 0; i < 6; i++) {
        struct Subject subject = large_of(i % 2, LARGE_PAGES);
        struct wasmpool_instance *instance = instantiate(&fixture, &subject);

        subject.module = wasmpool_module_free(subject.module);
        subject_expect(&subject, memory_of(instance));
        cr_assert(is_overlaid(&fixture, instance));
        memset(memory_of(instance)->base, 0xfe, memory_of(instance)->current_length);
        wasmpool_deallocate_module(&instance);
        expect_eq(leak_count_maps("wasmpool-image"), 1);
    }
    fixture_close(&fixture);
}

BothTest(overlay, goes_when_its_module_is_purged) {
    struct Subject subject = large_of(0, LARGE_PAGES);
    struct wasmpool_instance *instances[3];
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=3");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++)
            instances[i] = instantiate(&fixture, &subject);
        expect_eq(leak_count_maps("wasmpool-image"), 1 + 3);
        wasmpool_deallocate_module(&instances[0]);
        wasmpool_deallocate_module(&instances[1]);
        wasmpool_purge_module(fixture.pool, subject.module);
        expect_eq(leak_count_maps("wasmpool-image"), 1 + 1);
        subject_expect(&subject, memory_of(instances[2]));
        wasmpool_deallocate_module(&instances[2]);
    }
    wasmpool_module_free(subject.module);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ contents */

/* Leave something everywhere that an instance reaches, or here and there, by itself and through the kernel. */
static void soil(struct Fixture *fixture, struct wasmpool_memory *memory, uint32_t turn) {
    uint64_t grown = turn % 3 ? 7 : 0;
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    cr_assert_geq(zero, 0);
    cr_assert_geq(wasmpool_grow_memory(fixture->pool, memory, grown), 0);
    expect_zero(memory->base + memory->current_length - grown * WASM_PAGE, grown * WASM_PAGE);
    if (turn % 4 == 0)
        memset(memory->base, 0xfe, memory->current_length);
    for (uint64_t at = turn * 4099; at < memory->current_length; at += 300007) {
        memory->base[at] ^= 0x55;
        cr_assert_eq(read(zero, memory->base + at / 2, 5000 < memory->current_length - at / 2 ? 5000 : 1) > 0, true);
    }
    memory->base[memory->current_length - 1] = 9;
    close(zero);
}

/* Each in turn in one slot, several times in a row, with different bounds and ways to write. */
static void expect_turns(enum Implementation implementation, const char *tracking, const char *keep,
                         const struct Subject *subjects, uint32_t n) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, tracking, keep, "total_memories=1");
    for (uint32_t i = 0; i < 12 * n; i++) {
        const struct Subject *subject = &subjects[i / 3 % n];
        struct wasmpool_instance *instance = instantiate(&fixture, subject);

        subject_expect(subject, memory_of(instance));
        expect_trap(memory_of(instance)->base + memory_of(instance)->current_length);
        cr_assert_eq(is_overlaid(&fixture, instance), subject->data && !subject->pinned, "turn %u", i);
        soil(&fixture, memory_of(instance), i);
        wasmpool_deallocate_module(&instance);
    }
    fixture_close(&fixture);
}

static void expect_all_turns(enum Implementation implementation, const char *tracking) {
    static const char *const keeps[] = {"linear_memory_keep_resident=64G", "linear_memory_keep_resident=0",
                                        "linear_memory_keep_resident=300K", "linear_memory_keep_resident=1M"};
    struct Subject subjects[] = {large_of(0, LARGE_PAGES), small_of(7),     large_of(1, LARGE_PAGES + 3),
                                 none_of(LARGE_PAGES),     large_of(1, 82), large_of(0, LARGE_PAGES)};

    subjects[5].pinned = true;
    for (uint32_t k = 0; k < N(keeps); k++)
        expect_turns(implementation, tracking, keeps[k], subjects, N(subjects));
    for (uint32_t i = 0; i < N(subjects); i++)
        wasmpool_module_free(subjects[i].module);
}

BothTest(overlay, is_whole_again_and_switches_with_others) {
    expect_all_turns(implementation, "pagemap_scan=auto");
}

BothTest(overlay, is_whole_again_where_nothing_is_tracked) {
    expect_all_turns(implementation, "pagemap_scan=no");
}

/* ------------------------------------------------------------------------------------------------ how it is reset */

static void expect_reset(const struct Taken *slot, uint32_t way, uint32_t pages) {
    uint32_t reset = slot->entry->reset;

    expect_eq(lease_reset_way(reset), way);
    expect_eq(lease_reset_pages(reset), pages);
}

/* What was written stays the process' own, and is written back; beyond keep_resident it goes back. */
Test(overlay, keeps_hot_pages_up_to_keep_resident) {
    static const struct {
        const char *keep;
        uint64_t kept;
    } cases[] = {{"linear_memory_keep_resident=64G", 100 * HOST_PAGE}, /* all */
                 {"linear_memory_keep_resident=1M", 100 * HOST_PAGE},
                 {"linear_memory_keep_resident=399K", 0},
                 {"linear_memory_keep_resident=0", 0}};
    struct Subject subject = large_of(1, 82), none = none_of(82);

    for (uint32_t i = 0; i < N(cases); i++) {
        struct wasmpool_instance *instance;
        struct Fixture fixture;
        struct Taken slot;

        fixture_open(&fixture, EMBEDDED, cases[i].keep, "total_memories=1");
        /* What the slab has beneath is watched by then, and goes. */
        instance = instantiate(&fixture, &none);
        memset(memory_of(instance)->base, 0xfe, memory_of(instance)->current_length);
        wasmpool_deallocate_module(&instance);
        for (int round = 0; round < 5; round++) {
            instance = instantiate(&fixture, &subject);
            slot = slot_of(&fixture, instance);
            subject_expect(&subject, memory_of(instance));
            for (int page = 0; page < 100; page++)
                memory_of(instance)->base[(40 + 2 * page) * HOST_PAGE] ^= 1;
            expect_eq(own_bytes(image_at(instance)), 100 * HOST_PAGE);
            cr_assert_leq(file_bytes(slot.slab->fd), 82 * WASM_PAGE - LARGE);
            wasmpool_deallocate_module(&instance);
            if (round && pool_tracker(fixture.pool))
                expect_eq(own_bytes(slab_slot_base(slot.slab, 0) + LARGE / 2), cases[i].kept);
            if (round && pool_tracker(fixture.pool))
                expect_reset(&slot, LEASE_RESET_PRIVATE, cases[i].kept / HOST_PAGE);
        }
        fixture_close(&fixture);
    }
    wasmpool_module_free(none.module);
    wasmpool_module_free(subject.module);
}

/* Now and then all goes back, and only what is used comes again: also what fell out of the hot pages is memory. */
Test(overlay, gives_back_pages_that_are_not_used_any_more) {
    struct Subject subject = large_of(1, LARGE_PAGES);
    struct wasmpool_instance *instance;
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int round = 0; round < 40; round++) {
        instance = instantiate(&fixture, &subject);
        slot = slot_of(&fixture, instance);
        for (int page = 0; page < (round < 10 ? 100 : 2); page++)
            memory_of(instance)->base[(40 + 2 * page) * HOST_PAGE] ^= 1;
        if (slot.slot->track)
            slot.slot->track->age_max = 5;
        wasmpool_deallocate_module(&instance);
        if (round == 9 && pool_tracker(fixture.pool))
            expect_eq(own_bytes(slab_slot_base(slot.slab, 0) + LARGE / 2), 100 * HOST_PAGE);
    }
    cr_assert_leq(own_bytes(slab_slot_base(slot.slab, 0) + LARGE / 2), 2 * HOST_PAGE);
    instance = instantiate(&fixture, &subject);
    subject_expect(&subject, memory_of(instance));
    wasmpool_deallocate_module(&instance);
    fixture_close(&fixture);
    wasmpool_module_free(subject.module);
}

/* More runs of pages than are told: they go back in one call, and it is tracked again. */
Test(overlay, gives_back_more_than_is_tracked) {
    const struct ModulesSegment segments[] = {{0, LARGE, contents[1]}, {LARGE, LARGE, contents[1]}};
    struct wasmpool_module *module = modules_make(2 * LARGE / WASM_PAGE, segments, 2);
    struct wasmpool_instance *instance;
    struct Fixture fixture;
    struct Taken slot;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int round = 0; round < 6; round++) {
        instance = modules_instantiate(&fixture, module, NULL, 0);
        slot = slot_of(&fixture, instance);
        for (int i = 0; i < 2; i++)
            cr_assert(!memcmp(memory_of(instance)->base + i * LARGE, contents[1], LARGE), "round %d", round);
        for (uint64_t page = 20; page < (round % 2 ? 26 : 2 * LARGE / HOST_PAGE); page += 2)
            memory_of(instance)->base[page * HOST_PAGE] ^= 1;
        wasmpool_deallocate_module(&instance);
        expect_reset(&slot, LEASE_RESET_PRIVATE, round % 2 && pool_tracker(fixture.pool) ? 3 : 0);
        expect_eq(own_bytes(slab_slot_base(slot.slab, 0) + LARGE / 2),
                  round % 2 && pool_tracker(fixture.pool) ? 3 * HOST_PAGE : 0);
    }
    fixture_close(&fixture);
    wasmpool_module_free(module);
}

/* ------------------------------------------------------------------------------------------------ from outside */

/* As a daemon does with a slot that is idle. */
static void take_back(const struct Taken *slot) {
    const struct Slab *slab = slot->slab;
    uint64_t generation = lease_generation(lease_load(slot->entry));

    expect_eq(lease_revoke(slot->entry, generation), 0);
    cr_assert_eq(fallocate(slab->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           (off_t)shape_slot_offset(&slab->shape, slot->index), (off_t)slab->shape.slot_bytes), 0);
    expect_eq(lease_grant(slot->entry, generation + 1), 0);
}

/* Everything is written: the second time it is hot. */
static struct Taken use_twice(struct Fixture *fixture, const struct Subject *subject) {
    struct Taken slot;

    for (int i = 0; i < 2; i++) {
        struct wasmpool_instance *instance = instantiate(fixture, subject);

        slot = slot_of(fixture, instance);
        subject_expect(subject, memory_of(instance));
        memset(memory_of(instance)->base, 0xfe, memory_of(instance)->current_length);
        wasmpool_deallocate_module(&instance);
    }
    return slot;
}

Test(overlay, is_emptied_when_the_slot_was_taken_back) {
    struct Subject subjects[] = {large_of(0, LARGE_PAGES), large_of(1, LARGE_PAGES), small_of(7), none_of(LARGE_PAGES)};

    for (uint32_t next = 0; next < N(subjects); next++) {
        struct Fixture fixture;

        fixture_open(&fixture, EMBEDDED, "total_memories=1");
        for (int round = 0; round < 3; round++) {
            struct wasmpool_instance *instance;
            struct Taken slot = use_twice(&fixture, &subjects[0]);

            if (pool_tracker(fixture.pool))
                expect_eq(own_bytes(slab_slot_base(slot.slab, 0) + LARGE / 2), LARGE + HOST_PAGE);
            take_back(&slot);
            instance = instantiate(&fixture, &subjects[next]);
            if (is_overlaid(&fixture, instance))
                expect_eq(own_bytes(image_at(instance)), 0);
            subject_expect(&subjects[next], memory_of(instance));
            soil(&fixture, memory_of(instance), 4);
            wasmpool_deallocate_module(&instance);
            take_back(&slot);
        }
        fixture_close(&fixture);
    }
    for (uint32_t i = 0; i < N(subjects); i++)
        wasmpool_module_free(subjects[i].module);
}

/* ------------------------------------------------------------------------------------------------ refusals */

/* So many mappings that there can be no other: pages that are accessible by turns. */
static uint8_t *fill_mappings(uint64_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the address sanitizer needs mappings itself");
#endif
    uint8_t *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert_neq(base, MAP_FAILED);
    for (uint64_t at = 0; at < bytes; at += 2 * HOST_PAGE)
        if (mprotect(base + at, HOST_PAGE, PROT_READ))
            return base;
    cr_skip_test("vm.max_map_count is large here");
    return base;
}

/* vm.max_map_count: it is a copy then, and lies over the slot again when there is room. */
Test(overlay, is_a_copy_where_there_can_be_no_more_mappings) {
    struct Subject none = none_of(LARGE_PAGES), subject = large_of(0, LARGE_PAGES);
    uint64_t bytes = UINT64_C(1) << 30;
    const struct Images *images;
    struct Fixture fixture;
    struct wasmpool_instance *instance;
    uint8_t *filled;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    cr_assert_eq(template_images(fixture.pool, subject.module, 0, &images, NULL), 0);
    instance = instantiate(&fixture, &none);
    wasmpool_deallocate_module(&instance);
    filled = fill_mappings(bytes);
    for (int i = 0; i < 2; i++) {
        instance = instantiate(&fixture, &subject);
        cr_assert(!is_overlaid(&fixture, instance));
        if (i)
            munmap(filled, bytes);
        subject_expect(&subject, memory_of(instance));
        memset(memory_of(instance)->base, 0xfe, memory_of(instance)->current_length);
        wasmpool_deallocate_module(&instance);
    }
    instance = instantiate(&fixture, &none);
    subject_expect(&none, memory_of(instance));
    wasmpool_deallocate_module(&instance);
    instance = instantiate(&fixture, &subject);
    cr_assert(is_overlaid(&fixture, instance));
    subject_expect(&subject, memory_of(instance));
    wasmpool_deallocate_module(&instance);
    fixture_close(&fixture);
    wasmpool_module_free(none.module);
    wasmpool_module_free(subject.module);
}

/* Memory that is locked is not given back by the kernel. */
Test(overlay, is_written_back_where_the_kernel_gives_nothing_back) {
    struct Subject subject = large_of(0, LARGE_PAGES), none = none_of(LARGE_PAGES);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, "total_memories=1", "pagemap_scan=no");
    for (int i = 0; i < 3; i++) {
        instance = instantiate(&fixture, &subject);
        subject_expect(&subject, memory_of(instance));
        if (mlock(image_at(instance), LARGE))
            cr_skip_test("nothing can be locked here: %s", strerror(errno));
        memset(memory_of(instance)->base, 0xfe, memory_of(instance)->current_length);
        wasmpool_deallocate_module(&instance);
    }
    instance = instantiate(&fixture, &none);
    subject_expect(&none, memory_of(instance));
    wasmpool_deallocate_module(&instance);
    fixture_close(&fixture);
    wasmpool_module_free(none.module);
    wasmpool_module_free(subject.module);
}
