/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"
#include "tests/client/modules.h"

#define TRAP WASMPOOL_E_TRAP
#define NONE UINT32_MAX

/* Segments of bulk.wat. */
enum { ELEMENT_PASSIVE, ELEMENT_ACTIVE, ELEMENT_DECLARED, ELEMENT_EXTERN };
enum { DATA_PASSIVE, DATA_ACTIVE, DATA_EMPTY };

struct Bulk {
    struct Fixture fixture;
    struct wasmpool_module *module;
    struct wasmpool_instance *instance;
    uint8_t *memory;
    void **table;
};

static void bulk_open(struct Bulk *bulk, enum Implementation implementation) {
    fixture_open(&bulk->fixture, implementation, "max_memories_per_module=2", "max_tables_per_module=3");
    bulk->module = modules_load("bulk");
    bulk->instance = modules_instantiate(&bulk->fixture, bulk->module, NULL, 0);
    bulk->memory = wasmpool_instance_memory(bulk->instance, 0)->base;
    bulk->table = wasmpool_instance_table(bulk->instance, 0)->base;
}

static void bulk_close(struct Bulk *bulk) {
    wasmpool_deallocate_module(&bulk->instance);
    wasmpool_module_free(bulk->module);
    fixture_close(&bulk->fixture);
}

/* Operands that must trap against something of SIZE units, whatever the other operands are. */
#define BEYOND(SIZE)                                                                                                   \
    {                                                                                                                  \
        {(SIZE) + 1, 0}, {(SIZE), 1}, {0, (SIZE) + 1}, {(SIZE)-1, 2}, {UINT32_MAX, 0}, {UINT32_MAX, 1},                \
            {0, UINT32_MAX}, {1, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}, {UINT64_MAX, 0}, {UINT64_MAX, 1},              \
            {0, UINT64_MAX}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {UINT64_MAX - (SIZE) + 1, (SIZE)},             \
            {UINT64_C(1) << 32, 0}, {0, UINT64_C(1) << 32}, {UINT64_C(1) << 61, 8}, {8, UINT64_C(1) << 61},            \
    }
#define N_BEYOND 19

struct Operands {
    uint64_t at, n;
};
static const struct Operands BEYOND_MEMORY[N_BEYOND] = BEYOND(WASM_PAGE), BEYOND_TABLE[N_BEYOND] = BEYOND(10),
                             BEYOND_SMALL_TABLE[N_BEYOND] = BEYOND(5), BEYOND_DATA[N_BEYOND] = BEYOND(10),
                             BEYOND_ELEMENT[N_BEYOND] = BEYOND(3);

BothTest(bulk, memory_init_copies_a_part_of_a_segment) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, 5, 3, 4), 0);
    expect_zero(bulk.memory, 5);
    cr_assert(!memcmp(bulk.memory + 5, "3456", 4));
    expect_zero(bulk.memory + 9, 100);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, WASM_PAGE - 10, 0, 10), 0);
    cr_assert(!memcmp(bulk.memory + WASM_PAGE - 10, "0123456789", 10));
    expect_eq(wasmpool_memory_init(instance, 1, DATA_PASSIVE, 0, 9, 1), 0);
    expect_eq(wasmpool_instance_memory(instance, 1)->base[0], '9');
    /* Nothing, at the very end of both. */
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, WASM_PAGE, 10, 0), 0);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_EMPTY, WASM_PAGE, 0, 0), 0);
    bulk_close(&bulk);
}

BothTest(bulk, memory_init_traps_beyond_either_end_and_writes_nothing) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    memset(bulk.memory, 0xfe, WASM_PAGE);
    for (int i = 0; i < N_BEYOND; i++) {
        expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, BEYOND_MEMORY[i].at, 0, BEYOND_MEMORY[i].n), TRAP);
        expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, 0, BEYOND_DATA[i].at, BEYOND_DATA[i].n), TRAP);
    }
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, WASM_PAGE - 9, 0, 10), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_EMPTY, 0, 0, 1), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_EMPTY, 0, 1, 0), TRAP);
    expect_eq(wasmpool_memory_init(instance, 2, DATA_PASSIVE, 0, 0, 0), TRAP);
    expect_eq(wasmpool_memory_init(instance, NONE, DATA_PASSIVE, 0, 0, 0), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, 3, 0, 0, 0), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, NONE, 0, 0, 0), TRAP);
    for (int i = 0; i < WASM_PAGE; i++)
        cr_assert_eq(bulk.memory[i], 0xfe, "byte %d was written", i);
    bulk_close(&bulk);
}

BothTest(bulk, a_dropped_data_segment_is_empty) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, 0, 0, 1), 0);
    /* An active one is dropped once it is in the memory. */
    expect_eq(wasmpool_memory_init(instance, 0, DATA_ACTIVE, 0, 0, 1), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_ACTIVE, 0, 0, 0), 0);
    wasmpool_data_drop(instance, DATA_PASSIVE);
    wasmpool_data_drop(instance, DATA_PASSIVE);
    wasmpool_data_drop(instance, DATA_ACTIVE);
    wasmpool_data_drop(instance, 3);
    wasmpool_data_drop(instance, NONE);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, 0, 0, 1), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, 0, 1, 0), TRAP);
    expect_eq(wasmpool_memory_init(instance, 0, DATA_PASSIVE, WASM_PAGE, 0, 0), 0);
    /* The next instance has it again. */
    wasmpool_deallocate_module(&bulk.instance);
    bulk.instance = modules_instantiate(&bulk.fixture, bulk.module, NULL, 0);
    expect_eq(wasmpool_memory_init(bulk.instance, 0, DATA_PASSIVE, 0, 0, 10), 0);
    bulk_close(&bulk);
}

BothTest(bulk, memory_copy_moves_what_overlaps) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    memcpy(bulk.memory, "0123456789", 10);
    expect_eq(wasmpool_memory_copy(instance, 0, 0, 2, 0, 8), 0);
    cr_assert(!memcmp(bulk.memory, "0101234567", 10));
    expect_eq(wasmpool_memory_copy(instance, 0, 0, 0, 2, 8), 0);
    cr_assert(!memcmp(bulk.memory, "0123456767", 10));
    for (uint32_t i = 0; i < WASM_PAGE; i++)
        wasmpool_instance_memory(instance, 1)->base[i] = (uint8_t)(i % 251);
    expect_eq(wasmpool_memory_copy(instance, 1, 1, 1, 0, WASM_PAGE - 1), 0);
    expect_eq(wasmpool_memory_copy(instance, 1, 1, 0, 77, WASM_PAGE - 77), 0);
    for (uint32_t i = 0; i < WASM_PAGE - 77; i++)
        cr_assert_eq(wasmpool_instance_memory(instance, 1)->base[i], (i + 76) % 251, "byte %u", i);
    expect_eq(wasmpool_memory_fill(instance, 1, 0, 0, WASM_PAGE), 0);
    expect_eq(wasmpool_memory_copy(instance, 1, 0, WASM_PAGE - 10, 0, 10), 0);
    cr_assert(!memcmp(wasmpool_instance_memory(instance, 1)->base + WASM_PAGE - 10, "0123456767", 10));
    expect_eq(wasmpool_memory_copy(instance, 0, 1, 0, 0, WASM_PAGE), 0);
    expect_zero(bulk.memory, WASM_PAGE - 10);
    expect_eq(wasmpool_memory_copy(instance, 0, 1, WASM_PAGE, WASM_PAGE, 0), 0);
    bulk_close(&bulk);
}

BothTest(bulk, memory_copy_traps_beyond_either_end_and_writes_nothing) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    memset(bulk.memory, 0xfe, WASM_PAGE);
    for (int i = 0; i < N_BEYOND; i++) {
        expect_eq(wasmpool_memory_copy(instance, 1, 0, BEYOND_MEMORY[i].at, 0, BEYOND_MEMORY[i].n), TRAP);
        expect_eq(wasmpool_memory_copy(instance, 1, 0, 0, BEYOND_MEMORY[i].at, BEYOND_MEMORY[i].n), TRAP);
    }
    expect_eq(wasmpool_memory_copy(instance, 2, 0, 0, 0, 0), TRAP);
    expect_eq(wasmpool_memory_copy(instance, 0, NONE, 0, 0, 0), TRAP);
    expect_zero(wasmpool_instance_memory(instance, 1)->base, WASM_PAGE);
    bulk_close(&bulk);
}

BothTest(bulk, memory_fill_fills_and_traps) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    for (int i = 0; i < N_BEYOND; i++)
        expect_eq(wasmpool_memory_fill(instance, 1, BEYOND_MEMORY[i].at, 0xaa, BEYOND_MEMORY[i].n), TRAP);
    expect_eq(wasmpool_memory_fill(instance, 2, 0, 0xaa, 0), TRAP);
    expect_zero(wasmpool_instance_memory(instance, 1)->base, WASM_PAGE);
    expect_eq(wasmpool_memory_fill(instance, 0, WASM_PAGE, 0xaa, 0), 0);
    expect_eq(wasmpool_memory_fill(instance, 0, 10, 0xaa, 3), 0);
    expect_zero(bulk.memory, 10);
    cr_assert(!memcmp(bulk.memory + 10, "\xaa\xaa\xaa", 4));
    expect_eq(wasmpool_memory_fill(instance, 0, 0, 0x55, WASM_PAGE), 0);
    expect_eq(bulk.memory[WASM_PAGE - 1], 0x55);
    /* What grew is within. */
    expect_eq(wasmpool_memory_fill(instance, 0, WASM_PAGE, 1, 1), TRAP);
    expect_eq(wasmpool_grow_memory(bulk.fixture.pool, wasmpool_instance_memory(instance, 0), 1), 1);
    expect_eq(wasmpool_memory_fill(instance, 0, WASM_PAGE, 1, WASM_PAGE), 0);
    expect_eq(wasmpool_memory_fill(instance, 0, WASM_PAGE, 1, WASM_PAGE + 1), TRAP);
    bulk_close(&bulk);
}

/* ------------------------------------------------------------------------------------------------ tables */

BothTest(bulk, table_init_writes_references) {
    struct wasmpool_func_ref *functions[3];
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_not_null(functions[i] = wasmpool_instance_function_at(instance, i));
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 7, 0, 3), 0);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 2, 1, 2), 0);
    for (uint32_t i = 0; i < 10; i++) {
        void *expected = i == 0 ? functions[0] : i == 2 || i == 3 ? functions[i - 1] : i >= 7 ? functions[i - 7] : NULL;

        cr_assert_eq(bulk.table[i], expected, "element %u is %p, not %p", i, bulk.table[i], expected);
    }
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 10, 3, 0), 0);
    expect_eq(wasmpool_table_init(instance, 2, ELEMENT_EXTERN, 3, 0, 2), 0);
    expect_zero(wasmpool_instance_table(instance, 2)->base, 5 * 8);
    bulk_close(&bulk);
}

BothTest(bulk, table_init_traps_beyond_either_end_and_writes_nothing) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    for (int i = 0; i < N_BEYOND; i++) {
        expect_eq(
            wasmpool_table_init(instance, 1, ELEMENT_PASSIVE, BEYOND_SMALL_TABLE[i].at, 0, BEYOND_SMALL_TABLE[i].n),
            TRAP);
        expect_eq(wasmpool_table_init(instance, 1, ELEMENT_PASSIVE, 0, BEYOND_ELEMENT[i].at, BEYOND_ELEMENT[i].n),
                  TRAP);
    }
    expect_eq(wasmpool_table_init(instance, 3, ELEMENT_PASSIVE, 0, 0, 0), TRAP);
    expect_eq(wasmpool_table_init(instance, NONE, ELEMENT_PASSIVE, 0, 0, 0), TRAP);
    expect_eq(wasmpool_table_init(instance, 1, 4, 0, 0, 0), TRAP);
    expect_eq(wasmpool_table_init(instance, 1, NONE, 0, 0, 0), TRAP);
    expect_zero(wasmpool_instance_table(instance, 1)->base, 5 * 8);
    bulk_close(&bulk);
}

BothTest(bulk, a_dropped_element_segment_is_empty) {
    struct wasmpool_instance *instance;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 0, 0, 3), 0);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_ACTIVE, 0, 0, 1), TRAP);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_DECLARED, 0, 0, 1), TRAP);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_DECLARED, 10, 0, 0), 0);
    wasmpool_elem_drop(instance, ELEMENT_PASSIVE);
    wasmpool_elem_drop(instance, ELEMENT_PASSIVE);
    wasmpool_elem_drop(instance, 4);
    wasmpool_elem_drop(instance, NONE);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 0, 0, 1), TRAP);
    expect_eq(wasmpool_table_init(instance, 0, ELEMENT_PASSIVE, 0, 0, 0), 0);
    expect_eq(wasmpool_table_init(instance, 2, ELEMENT_EXTERN, 0, 0, 1), 0); /* its own bit, not a neighbour's */
    wasmpool_deallocate_module(&bulk.instance);
    bulk.instance = modules_instantiate(&bulk.fixture, bulk.module, NULL, 0);
    expect_eq(wasmpool_table_init(bulk.instance, 0, ELEMENT_PASSIVE, 0, 0, 3), 0);
    bulk_close(&bulk);
}

BothTest(bulk, table_copy_moves_what_overlaps_and_traps) {
    struct wasmpool_instance *instance;
    void **other;
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    other = wasmpool_instance_table(instance, 1)->base;
    for (int i = 0; i < N_BEYOND; i++) {
        expect_eq(wasmpool_table_copy(instance, 1, 0, BEYOND_SMALL_TABLE[i].at, 0, BEYOND_SMALL_TABLE[i].n), TRAP);
        expect_eq(wasmpool_table_copy(instance, 1, 0, 0, BEYOND_TABLE[i].at, BEYOND_TABLE[i].n), TRAP);
    }
    expect_eq(wasmpool_table_copy(instance, 3, 0, 0, 0, 0), TRAP);
    expect_eq(wasmpool_table_copy(instance, 0, NONE, 0, 0, 0), TRAP);
    expect_zero(other, 5 * 8);
    for (uintptr_t i = 0; i < 10; i++)
        bulk.table[i] = (void *)(i + 1);
    expect_eq(wasmpool_table_copy(instance, 0, 0, 3, 0, 7), 0);
    for (uintptr_t i = 0; i < 10; i++)
        cr_assert_eq((uintptr_t)bulk.table[i], i < 3 ? i + 1 : i - 2);
    expect_eq(wasmpool_table_copy(instance, 0, 0, 0, 3, 7), 0);
    for (uintptr_t i = 0; i < 7; i++)
        cr_assert_eq((uintptr_t)bulk.table[i], i + 1);
    expect_eq(wasmpool_table_copy(instance, 1, 0, 0, 1, 5), 0);
    for (uintptr_t i = 0; i < 5; i++)
        cr_assert_eq((uintptr_t)other[i], i + 2);
    expect_eq(wasmpool_table_copy(instance, 1, 0, 5, 10, 0), 0);
    memset(bulk.table, 0, 80);
    memset(other, 0, 40);
    bulk_close(&bulk);
}

BothTest(bulk, table_fill_fills_and_traps) {
    struct wasmpool_instance *instance;
    const uint64_t value = UINT64_C(0x1234567890abcdef);
    struct Bulk bulk;

    bulk_open(&bulk, implementation);
    instance = bulk.instance;
    for (int i = 0; i < N_BEYOND; i++) {
        expect_eq(wasmpool_table_fill(instance, 1, BEYOND_SMALL_TABLE[i].at, &value, BEYOND_SMALL_TABLE[i].n), TRAP);
        expect_eq(wasmpool_table_fill(instance, 1, BEYOND_SMALL_TABLE[i].at, NULL, BEYOND_SMALL_TABLE[i].n), TRAP);
    }
    expect_eq(wasmpool_table_fill(instance, 3, 0, &value, 0), TRAP);
    expect_zero(wasmpool_instance_table(instance, 1)->base, 5 * 8);
    expect_eq(wasmpool_table_fill(instance, 0, 2, &value, 3), 0);
    expect_eq(wasmpool_table_fill(instance, 0, 10, &value, 0), 0);
    for (int i = 1; i < 10; i++)
        expect_eq((uintptr_t)bulk.table[i], i >= 2 && i < 5 ? value : 0);
    expect_eq(wasmpool_table_fill(instance, 0, 0, NULL, 10), 0);
    expect_zero(bulk.table, 80);
    bulk_close(&bulk);
}

/* A passive segment of one imported global, in an instance that an engine has not linked. wabt does not assemble it. */
Test(bulk, table_init_of_an_item_that_is_not_linked_traps) {
    struct wasmpool_module *module;
    struct wasmpool_instance *instance;
    struct Fixture fixture;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 2, "\1\1m\1g\3\x70\0");
    SECTION(&bytes, 4, "\1\x70\0\2");
    SECTION(&bytes, 9, "\1\5\x70\2\xd0\x70\xb\x23\0\xb");
    module = read_well(&bytes);
    fixture_open(&fixture, EMBEDDED);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_eq(wasmpool_table_init(instance, 0, 0, 0, 0, 2), TRAP);
    expect_eq(wasmpool_table_init(instance, 0, 0, 0, 0, 1), 0);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
