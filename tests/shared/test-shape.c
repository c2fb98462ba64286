/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/shape.h"
#include "tests/support/test.h"

#include <string.h>
#include <unistd.h>

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))

static struct Shape memory_shape(uint64_t reservation, uint64_t guard, bool before, uint32_t count) {
    return (struct Shape){
        .kind = KIND_MEMORY, .reservation = reservation, .guard = guard, .guard_before = before, .count = count};
}

static struct Shape table_shape(uint64_t elements, uint32_t element_size, uint32_t count) {
    return (struct Shape){.kind = KIND_TABLE, .elements = elements, .element_size = element_size, .count = count};
}

Test(shape, memories_lie_a_reservation_and_a_guard_apart) {
    struct Shape shape = memory_shape(UINT64_C(4) << 30, 32 << 20, true, 64);

    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.stride, (UINT64_C(4) << 30) + (32 << 20));
    expect_eq(shape.origin, 32 << 20);
    expect_eq(shape.slot_bytes, UINT64_C(4) << 30);
    expect_eq(shape.file_bytes, shape.origin + 64 * shape.stride);
    expect_eq(shape_slot_offset(&shape, 0), shape.origin);
    expect_eq(shape_slot_offset(&shape, 63), shape.origin + 63 * shape.stride);
}

Test(shape, every_memory_has_a_guard_behind_it_and_the_last_one_too) {
    struct Shape shape = memory_shape(1 << 20, 1 << 16, false, 3);

    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.origin, 0);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t end = shape_slot_offset(&shape, i) + shape.slot_bytes;

        expect_eq((i < 2 ? shape_slot_offset(&shape, i + 1) : shape.file_bytes) - end, 1 << 16);
    }
}

Test(shape, memories_without_guards_are_adjacent) {
    struct Shape shape = memory_shape(1 << 20, 0, true, 3);

    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.origin, 0);
    expect_eq(shape.file_bytes, 3 << 20);
}

Test(shape, tables_are_rounded_up_to_pages) {
    static const struct {
        uint64_t elements;
        uint32_t element_size;
        uint64_t pages;
    } cases[] = {{0, 8, 1}, {1, 8, 1}, {512, 8, 1}, {513, 8, 2}, {20000, 8, 40}, {20000, 24, 118}, {10, 64, 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct Shape shape = table_shape(cases[i].elements, cases[i].element_size, 5);

        expect_eq(shape_finish(&shape, NULL), 0);
        expect_eq(shape.stride, cases[i].pages * 4096);
        expect_eq(shape.slot_bytes, shape.stride);
        expect_eq(shape.origin, 0);
        expect_eq(shape.file_bytes, 5 * shape.stride);
    }
}

Test(shape, instances_have_no_bytes) {
    struct Shape shape = {
        .kind = KIND_INSTANCE, .reservation = 1 << 20, .elements = 1000, .element_size = 8, .count = 256};

    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.file_bytes, 0);
    expect_eq(shape.stride, 0);
}

Test(shape, what_was_computed_is_computed_anew) {
    struct Shape shape = memory_shape(1 << 20, 0, false, 1);

    shape.origin = shape.stride = shape.slot_bytes = shape.file_bytes = UINT64_MAX;
    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.file_bytes, 1 << 20);
    shape.kind = KIND_INSTANCE;
    expect_eq(shape_finish(&shape, NULL), 0);
    expect_eq(shape.slot_bytes, 0);
    expect_eq(shape.file_bytes, 0);
}

static void expect_refused(struct Shape shape, const char *says) {
    struct Error error = {0};
    int r = shape_finish(&shape, &error);

    cr_expect_eq(r, ERROR_INVALID, "'%s': %d, not %d", says, r, ERROR_INVALID);
    expect_says(error.message, says);
}

Test(shape, sizes_must_be_whole_pages) {
    expect_refused(memory_shape(0, 0, false, 1), "multiples of the page size");
    expect_refused(memory_shape(PAGE - 1, 0, false, 1), "multiples of the page size");
    expect_refused(memory_shape(PAGE, 1, false, 1), "multiples of the page size");
    expect_refused(memory_shape(PAGE + 1, 0, false, 1), "multiples of the page size");
}

Test(shape, counts_are_bounded) {
    struct Shape most = memory_shape(PAGE, 0, false, SHAPE_SLOTS_MAX);

    expect_eq(shape_finish(&most, NULL), 0);
    expect_refused(memory_shape(PAGE, 0, false, 0), "1 to 4096 slots, not 0");
    expect_refused(memory_shape(PAGE, 0, false, SHAPE_SLOTS_MAX + 1), "not 4097");
    expect_refused(memory_shape(PAGE, 0, false, UINT32_MAX), "not 4294967295");
}

Test(shape, element_sizes_are_multiples_of_8_up_to_64) {
    for (uint32_t size = 0; size <= 80; size++) {
        struct Shape shape = table_shape(1, size, 1);
        int expected = size && size % 8 == 0 && size <= 64 ? 0 : ERROR_INVALID;

        cr_expect_eq(shape_finish(&shape, NULL), expected, "element size %u: not %d", size, expected);
    }
    expect_refused(table_shape(1, UINT32_MAX - 7, 1), "element size");
}

Test(shape, nothing_overflows) {
    const uint64_t most = UINT64_MAX - UINT64_MAX % PAGE;

    expect_refused(memory_shape(most, PAGE, false, 1), "overflow");
    expect_refused(memory_shape(PAGE, most, false, 1), "overflow");
    expect_refused(memory_shape(most / 2 - most / 2 % PAGE, PAGE, false, 4), "too large");
    expect_refused(memory_shape(UINT64_C(1) << 53, 0, false, 4096), "too large"); /* 2^65 */
    expect_refused(memory_shape(PAGE, most - 2 * PAGE, true, 1), "too large");
    expect_refused(table_shape(UINT64_MAX, 8, 1), "overflows");
    expect_refused(table_shape(UINT64_MAX / 8, 8, 1), "overflows");
    expect_refused(table_shape(UINT64_C(1) << 52, 8, 4096), "too large");
}

Test(shape, files_are_bounded_by_name) {
    struct Shape shape = memory_shape(SHAPE_SLAB_BYTES_MAX, 0, false, 1);
    struct Error error;

    expect_eq(shape_finish(&shape, NULL), 0);
    shape = memory_shape(SHAPE_SLAB_BYTES_MAX, PAGE, false, 1);
    expect_eq(shape_finish(&shape, &error), ERROR_INVALID);
    expect_str(error.limit, "slab_bytes_max");
    expect_eq(error.bound, SHAPE_SLAB_BYTES_MAX);
    expect_eq(error.ask, SHAPE_SLAB_BYTES_MAX + PAGE);
}

Test(shape, unknown_kinds_are_refused) {
    struct Shape shape = memory_shape(PAGE, 0, false, 1);

    shape.kind = (enum Kind)0;
    expect_refused(shape, "no slab kind 0");
    shape.kind = (enum Kind)4;
    expect_refused(shape, "no slab kind 4");
}
