/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "client/template.h"
#include "shared/memfd.h"
#include "tests/client/modules.h"

#define HOST_PAGE 4096

/* ------------------------------------------------------------------------------------------------ made once */

/* The image of a module's only memory; NULL: it has none. */
static const struct Image *image_of(const struct wasmpool_module *module) {
    const struct Images *images = NULL;

    cr_assert_eq(template_images(NULL, module, 0, &images, NULL), 0);
    return images ? images->at[0] : NULL;
}

static uint32_t runtime_data(const struct wasmpool_module *module) {
    struct wasmpool_module_counts counts;

    wasmpool_module_counts(module, &counts);
    return counts.runtime_data;
}

#define N(ARRAY) (uint32_t)(sizeof(ARRAY) / sizeof((ARRAY)[0]))

Test(image, leading_and_trailing_zeros_are_trimmed_to_host_pages) {
    static uint8_t bytes[20 * HOST_PAGE];
    const struct ModulesSegment segments[] = {{100, sizeof(bytes), bytes}};
    struct wasmpool_module *module;
    const struct Image *image;

    memset(bytes, 0, sizeof(bytes));
    bytes[7 * HOST_PAGE - 100] = 1; /* the first of its page */
    bytes[9 * HOST_PAGE - 101] = 1; /* the last of its page */
    module = modules_make(2, segments, 1);
    image = image_of(module);
    cr_assert_not_null(image);
    expect_eq(image->n_extents, 1);
    expect_eq(image->extents[0].from, 7 * HOST_PAGE);
    expect_eq(image->extents[0].to, 9 * HOST_PAGE);
    expect_eq(image->end, 9 * HOST_PAGE);
    cr_assert_neq(image->id, 0);
    cr_assert_eq(image_of(module), image, "it was made twice");
    wasmpool_module_free(module);
}

Test(image, holes_are_kept) {
    const struct ModulesSegment segments[] = {
        {30 * HOST_PAGE + 5, 1, "x"}, {0, 2, "ab"}, {10 * HOST_PAGE, 5 * HOST_PAGE, NULL}, {31 * HOST_PAGE, 1, "y"}};
    struct wasmpool_module *module = modules_make(2, segments, N(segments));
    const struct Image *image = image_of(module);

    expect_eq(image->n_extents, 2);
    expect_eq(image->extents[0].from, 0);
    expect_eq(image->extents[0].to, HOST_PAGE);
    expect_eq(image->extents[1].from, 30 * HOST_PAGE);
    expect_eq(image->extents[1].to, 32 * HOST_PAGE);
    expect_eq(runtime_data(module), 0);
    wasmpool_module_free(module);
}

Test(image, of_nothing_but_zeros_has_no_extents) {
    const struct ModulesSegment segments[] = {{100, 3 * HOST_PAGE, NULL}};
    struct wasmpool_module *module = modules_make(1, segments, 1);
    const struct Image *image = image_of(module);

    expect_eq(image ? image->n_extents : 0, 0);
    expect_eq(image ? image->end : 0, 0);
    expect_eq(runtime_data(module), 0);
    wasmpool_module_free(module);
}

Test(image, of_empty_segments_is_none) {
    const struct ModulesSegment segments[] = {{100, 0, NULL}, {WASM_PAGE, 0, NULL}};
    struct wasmpool_module *module = modules_make(1, segments, 2);

    cr_assert_null(image_of(module));
    expect_eq(runtime_data(module), 0);
    wasmpool_module_free(module);
}

/* Wasmtime: an image is less than twice as large as its data, or smaller than memory_guaranteed_dense_image_size. */
Test(image, is_made_where_its_data_is_dense) {
    const struct {
        struct ModulesSegment segments[2];
        bool possible;
    } cases[] = {
        {{{0, 1, "a"}, {16 * MIB - 2, 1, "b"}}, true},  /* spans 16 MiB less one */
        {{{0, 1, "a"}, {16 * MIB - 1, 1, "b"}}, false}, /* spans 16 MiB */
        {{{5, 1, "a"}, {16 * MIB + 3, 1, "b"}}, true},  /* counted from its first byte */
        {{{5, 1, "a"}, {16 * MIB + 4, 1, "b"}}, false},
        {{{0, 9 * MIB, NULL}, {18 * MIB, 1, "b"}}, true},      /* 18 MiB + 1 of 9 MiB + 1 */
        {{{0, 9 * MIB, NULL}, {18 * MIB + 1, 1, "b"}}, false}, /* twice as large exactly */
        {{{0, 0, NULL}, {40 * MIB, 1, "b"}}, true},            /* what is empty does not count */
    };

    for (uint32_t i = 0; i < N(cases); i++) {
        struct wasmpool_module *module = modules_make(1024, cases[i].segments, 2);

        cr_assert_eq(image_of(module) != NULL, cases[i].possible, "case %u", i);
        expect_eq(runtime_data(module), cases[i].possible ? 0 : 2);
        wasmpool_module_free(module);
    }
}

Test(image, is_made_only_of_data_that_is_in_bounds_constant_and_the_modules_own) {
    const struct ModulesSegment within[] = {{WASM_PAGE - 3, 3, "end"}}, beyond[] = {{WASM_PAGE - 2, 3, "end"}},
                                far[] = {{UINT32_MAX - 2, 3, "end"}}, empty_beyond[] = {{WASM_PAGE + 1, 0, NULL}};
    struct wasmpool_module *modules[] = {modules_make(1, within, 1), modules_make(1, beyond, 1),
                                         modules_make(1, far, 1),    modules_make(1, empty_beyond, 1),
                                         modules_load("offsets"),    modules_load("shared")};

    for (uint32_t i = 0; i < N(modules); i++) {
        static const uint32_t runtime[] = {0, 1, 1, 1, 3, 2};

        cr_assert_eq(image_of(modules[i]) != NULL, i == 0, "module %u", i);
        expect_eq(runtime_data(modules[i]), runtime[i]);
        wasmpool_module_free(modules[i]);
    }
}

/* ------------------------------------------------------------------------------------------------ in a memory */

/* What a memory must contain, worked out the simplest way. */
static void expect_contents(struct wasmpool_instance *instance, uint32_t pages, const struct ModulesSegment *segments,
                            uint32_t n) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    uint8_t *expected = calloc(pages ? pages : 1, WASM_PAGE);

    expect_eq(memory->current_length, (uint64_t)pages * WASM_PAGE);
    for (uint32_t i = 0; i < n; i++)
        if (segments[i].bytes)
            memcpy(expected + segments[i].offset, segments[i].bytes, segments[i].n);
        else
            memset(expected + segments[i].offset, 0, segments[i].n);
    for (uint64_t at = 0; at < memory->current_length && memcmp(memory->base, expected, memory->current_length); at++)
        cr_assert_eq(memory->base[at], expected[at], "byte %" PRIu64 " is %#x, not %#x", at, memory->base[at],
                     expected[at]);
    expect_trap(memory->base + memory->current_length);
    free(expected);
}

/* Instances of modules by turns in one slot: each is checked, grown, checked and dirtied everywhere. */
struct Turn {
    struct wasmpool_module *module;
    const struct ModulesSegment *segments;
    uint32_t n, pages, grow;
};

static void expect_turns(enum Implementation implementation, const struct Turn *turns, uint32_t n) {
    static const char *const keeps[] = {"64G", "0", "4096", "40000", "300000", "4M"};

    for (uint32_t k = 0; k < N(keeps); k++) {
        char setting[64];
        struct Fixture fixture;

        snprintf(setting, sizeof(setting), "linear_memory_keep_resident=%s", keeps[k]);
        fixture_open(&fixture, implementation, setting, "total_memories=1", "total_core_instances=1");
        for (uint32_t i = 0; i < 3 * n; i++) {
            const struct Turn *turn = &turns[i % n];
            struct wasmpool_instance *instance = modules_instantiate(&fixture, turn->module, NULL, 0);
            struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);

            if (!memory) {
                wasmpool_deallocate_module(&instance);
                continue;
            }
            expect_contents(instance, turn->pages, turn->segments, turn->n);
            expect_eq(wasmpool_grow_memory(fixture.pool, memory, turn->grow), turn->pages);
            expect_contents(instance, turn->pages + turn->grow, turn->segments, turn->n);
            memset(memory->base, 0xfe, memory->current_length);
            wasmpool_deallocate_module(&instance);
        }
        fixture_close(&fixture);
    }
}

static void expect_turns_and_free(enum Implementation implementation, struct Turn *turns, uint32_t n) {
    expect_turns(implementation, turns, n);
    for (uint32_t i = 0; i < n; i++)
        wasmpool_module_free(turns[i].module);
}

BothTest(image, of_overlapping_segments_the_later_one_wins) {
    const struct ModulesSegment segments[] = {
        {10, 6, "first!"}, {12, 6, "second"}, {8, 3, "abc"}, {14, 1, NULL}, {10, 0, NULL}};
    struct Turn turn = {modules_make(1, segments, N(segments)), segments, N(segments), 1, 0};

    expect_eq(image_of(turn.module)->n_extents, 1);
    expect_turns_and_free(implementation, &turn, 1);
}

/* Sizes and places that are no multiple of anything. */
BothTest(image, of_odd_sizes_at_odd_offsets) {
    static uint8_t bytes[761927];
    const struct ModulesSegment segments[] = {{4093, sizeof(bytes), bytes}},
                                edges[] = {{0, 1, "f"}, {13 * WASM_PAGE - 1, 1, "l"}},
                                small[] = {{WASM_PAGE - 1, 2, "xy"}, {3 * HOST_PAGE - 1, 2, "zz"}},
                                other[] = {{1, 65537, bytes}, {200001, 1, "o"}};
    struct Turn turns[] = {
        {NULL, segments, 1, 12, 0}, {NULL, edges, 2, 13, 1}, {NULL, small, 2, 2, 0}, {NULL, other, 2, 4, 20}};

    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251 + 1);
    for (uint32_t i = 0; i < N(turns); i++)
        turns[i].module = modules_make(turns[i].pages, turns[i].segments, turns[i].n);
    expect_turns_and_free(implementation, turns, N(turns));
}

/* Image, none, another image, zeros only, no memory at all, too sparse for an image; from small to large and back. */
BothTest(image, switches_with_none_and_others_in_one_slot) {
    static const char text[] = "0123456789abcdef";
    const struct ModulesSegment one[] = {{100, 16, text}}, two[] = {{5 * HOST_PAGE + 1, 16, text}, {0, 4, text + 4}},
                                zeros[] = {{50, 500, NULL}},
                                large[] = {{9 * WASM_PAGE, 16, text}, {2 * WASM_PAGE, 16, text}, {100, 8, text}},
                                sparse[] = {{0, 4, text}, {300 * WASM_PAGE, 4, text}};
    struct Turn turns[] = {
        {modules_make(1, one, 1), one, 1, 1, 0},       {modules_make(1, NULL, 0), NULL, 0, 1, 0},
        {modules_make(1, two, 2), two, 2, 1, 1},       {modules_make(1, zeros, 1), zeros, 1, 1, 0},
        {modules_make(10, large, 3), large, 3, 10, 0}, {modules_make(0, NULL, 0), NULL, 0, 0, 1},
        {modules_make(10, large, 3), large, 3, 10, 5}, {modules_make(1, one, 1), one, 1, 1, 12},
        {fixture_module(0, 0, 0, 0), NULL, 0, 0, 0},   {modules_make(301, sparse, 2), sparse, 2, 301, 0},
        {modules_make(15, NULL, 0), NULL, 0, 15, 0}};

    expect_turns_and_free(implementation, turns, N(turns));
}

/* What was grown goes, and what was below the size of the image is the image again. */
BothTest(image, is_whole_again_after_its_memory_grew) {
    const struct ModulesSegment segments[] = {{WASM_PAGE - 4, 4, "last"}, {0, 5, "first"}};
    struct Turn turns[] = {{modules_make(1, segments, 2), segments, 2, 1, 0},
                           {modules_make(1, segments, 2), segments, 2, 1, 100}};

    expect_turns_and_free(implementation, turns, 2);
}

/* The module may go while the slot keeps its image: another module's must not be taken for it. */
BothTest(image, of_a_module_that_was_freed_is_not_found_again) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=1");
    for (uint8_t i = 0; i < 50; i++) {
        const uint8_t text[] = {i, 1, 2, (uint8_t)(i + 1)};
        const struct ModulesSegment segments[] = {{i * 50u, 4, text}};
        struct wasmpool_module *module = modules_make(1, segments, 1);
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        module = wasmpool_module_free(module);
        expect_contents(instance, 1, segments, 1);
        wasmpool_deallocate_module(&instance);
    }
    fixture_close(&fixture);
}

/* A slot that was taken away while it was idle comes back without its image, though it held it. */
Test(image, is_written_again_when_the_slot_was_taken_back_meanwhile) {
    const struct ModulesSegment segments[] = {{100, 4, "text"}, {5 * WASM_PAGE, 4, "more"}};
    struct wasmpool_module *module = modules_make(6, segments, 2);
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, "total_memories=1");
    for (int i = 0; i < 3; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);
        struct Taken slot;

        expect_contents(instance, 6, segments, 2);
        cr_assert(shelf_find(fixture.pool, wasmpool_instance_memory(instance, 0)->allocation, &slot));
        wasmpool_deallocate_module(&instance);
        expect_eq(lease_revoke(slot.entry, lease_generation(lease_load(slot.entry))), 0);
        expect_eq(
            memfd_punch(slot.slab->fd, shape_slot_offset(&slot.slab->shape, slot.index), slot.slab->shape.slot_bytes),
            0);
        expect_eq(lease_grant(slot.entry, lease_generation(lease_load(slot.entry))), 0);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Several memories of one module have an image each. */
BothTest(image, belongs_to_one_of_several_memories) {
    struct wasmpool_module *module = modules_load("memories");
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "total_memories=3", "max_memories_per_module=3");
    for (int i = 0; i < 4; i++) {
        struct wasmpool_instance *instance = modules_instantiate(&fixture, module, NULL, 0);

        for (uint32_t m = 0; m < 3; m++) {
            struct wasmpool_memory *memory = wasmpool_instance_memory(instance, m);

            expect_zero(memory->base, m);
            cr_assert(!memcmp(memory->base + m, m == 0 ? "\0ab" : m == 1 ? "\0\0\0" : "cde", 3), "memory %u", m);
            expect_zero(memory->base + 5, memory->current_length - 5);
            memset(memory->base, 0xfe, memory->current_length);
        }
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
