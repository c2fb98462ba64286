/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

#define ROOM "max_memories_per_module=4", "max_tables_per_module=4"

/* An allocator with an initialised exporter.wat. */
struct Stage {
    struct Fixture fixture;
    struct wasmpool_module *exporter_module;
    struct wasmpool_instance *exporter;
    struct wasmpool_extern imports[8];
    uint32_t n_imports;
};

static void stage_open(struct Stage *stage, enum Implementation implementation) {
    *stage = (struct Stage){0};
    fixture_open(&stage->fixture, implementation, ROOM);
    stage->exporter_module = modules_load("exporter");
    stage->exporter = modules_instantiate(&stage->fixture, stage->exporter_module, NULL, 0);
}

static struct wasmpool_instance *stage_instantiate(struct Stage *stage, const struct wasmpool_module *module) {
    stage->n_imports =
        modules_bind(module, (struct ModulesNamed[]){{"exporter", stage->exporter}, {NULL, NULL}}, stage->imports, 8);
    return modules_instantiate(&stage->fixture, module, stage->imports, stage->n_imports);
}

static void stage_close(struct Stage *stage) {
    wasmpool_deallocate_module(&stage->exporter);
    wasmpool_module_free(stage->exporter_module);
    fixture_close(&stage->fixture);
}

/* ------------------------------------------------------------------------------------------------ globals */

#define IMPORTED_GLOBALS 4

BothTest(initialize, globals_of_every_type_and_expression) {
    static const union wasmpool_global_definition values[] = {
        {.i32 = UINT32_C(0xffffffff)},
        {.i64 = UINT64_C(0xfffffffffffffffe)},
        {.i32 = UINT32_C(0x7fa00001)},
        {.i64 = UINT64_C(0x8018000000000000)},
        {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}},
        {.i64 = 0},
        {.i64 = 0},
        {.i64 = 0}, /* ref.func: below */
        {.i64 = 0},
        {.i32 = 40},
        {.i64 = UINT64_C(0x1122334455667788)},
        {.bytes = {8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11}},
        {.i64 = 0}, /* global.get of a reference: below */
        {.i32 = (uint32_t)-1},
        {.i64 = UINT64_C(0x1122334455667787)},
        {.i32 = UINT32_C(0x80000000)},
    };
    struct wasmpool_module *module = modules_load("globals");
    struct wasmpool_instance *instance;
    struct wasmpool_func_ref *add;
    struct Stage stage;

    stage_open(&stage, implementation);
    instance = stage_instantiate(&stage, module);
    add = wasmpool_instance_function_at(stage.exporter, 1);
    for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const union wasmpool_global_definition *global = wasmpool_instance_global_at(instance, IMPORTED_GLOBALS + i);
        union wasmpool_global_definition value = values[i];

        if (i == 7)
            value.reference = wasmpool_instance_function_at(instance, 1);
        if (i == 8)
            value.reference = wasmpool_instance_function_at(instance, 0);
        if (i == 12)
            value.reference = add;
        cr_assert(!memcmp(global, &value, sizeof(value)), "global %u is %#" PRIx64 ", not %#" PRIx64, i, global->i64,
                  value.i64);
    }
    /* A reference to an imported function is the importer's own VMFuncRef of it, equal to the exporter's. */
    cr_assert_not_null(add);
    cr_assert_not_null(wasmpool_instance_function_at(instance, 0));
    cr_assert(!memcmp(wasmpool_instance_function_at(instance, 0), add, sizeof(*add)));
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    stage_close(&stage);
}

/* What an instance left in its globals is not what the next one begins with. */
BothTest(initialize, globals_begin_anew_in_each_instance) {
    struct wasmpool_instance *instance;
    struct Stage stage;

    stage_open(&stage, implementation);
    for (int i = 0; i < 3; i++) {
        instance = modules_instantiate(&stage.fixture, stage.exporter_module, NULL, 0);
        expect_eq(wasmpool_instance_global_at(instance, 3)->i32, 17);
        expect_zero(wasmpool_instance_global_at(instance, 3)->bytes + 4, 12);
        memset(wasmpool_instance_global_at(instance, 3), 0xfe, 16);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* An import's value is that of the time: initialising reads it, and a mutable one is the same global for both. */
BothTest(initialize, globals_are_read_when_the_importer_is_initialised) {
    struct wasmpool_module *module = modules_load("globals");
    struct wasmpool_instance *instance;
    struct Stage stage;

    stage_open(&stage, implementation);
    wasmpool_instance_global_at(stage.exporter, 1)->i32 = 1000;
    instance = stage_instantiate(&stage, module);
    expect_eq(wasmpool_instance_global_at(instance, IMPORTED_GLOBALS + 9)->i32, 1000);
    expect_eq(wasmpool_instance_global_at(instance, IMPORTED_GLOBALS + 13)->i32, 2879);
    cr_assert_eq(wasmpool_instance_global_at(instance, 0), wasmpool_instance_global_at(stage.exporter, 1));
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    stage_close(&stage);
}

/* ------------------------------------------------------------------------------------------------ elements */

/* Where an element of elements.wat is said by an import: wat2wasm knows ref.func and ref.null only. */
static struct wasmpool_module *load_elements(void) {
    static const uint8_t function[] = {0xd2, 3, 0x0b, 5, 0x70}, global[] = {0x23, 0, 0x0b, 5, 0x70};
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    uint8_t *bytes, *at;
    size_t n;

    bytes = modules_bytes("elements", &n);
    at = memmem(bytes, n, function, sizeof(function));
    cr_assert_not_null(at);
    memcpy(at, global, sizeof(global));
    cr_assert_eq(wasmpool_module_read(&module, bytes, n, &error), 0, "%s", error.message);
    free(bytes);
    return module;
}

BothTest(initialize, element_segments_of_all_eight_forms) {
    struct wasmpool_module *module = load_elements();
    struct wasmpool_instance *instance;
    struct wasmpool_func_ref *functions[4], *add;
    struct Stage stage;
    void **zero, **one;

    stage_open(&stage, implementation);
    instance = stage_instantiate(&stage, module);
    add = wasmpool_instance_function_at(stage.exporter, 1);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_not_null(functions[i] = wasmpool_instance_function_at(instance, i));
    zero = wasmpool_instance_table(instance, 0)->base;
    for (uint32_t i = 0; i < 10; i++) {
        void *expected = i == 1   ? functions[0]
                         : i == 2 ? functions[1]
                         : i == 3 ? functions[3]
                         : i == 4 ? functions[2]
                         : i == 6 ? add
                                  : NULL;

        cr_assert_eq(zero[i], expected, "element %u is %p, not %p", i, zero[i], expected);
    }
    one = wasmpool_instance_table(instance, 1)->base;
    for (uint32_t i = 0; i < 50; i++) {
        void *expected = i == 7 ? functions[1] : i == 40 ? functions[3] : NULL;

        cr_assert_eq(one[i], expected, "element %u is %p, not %p", i, one[i], expected);
    }
    expect_zero(wasmpool_instance_table(instance, 2)->base, 4 * 8);
    /* Of the eleven only the passive ones, 1 and 5, are left. */
    for (uint32_t i = 0; i < 11; i++)
        expect_eq(wasmpool_table_init(instance, 0, i, 0, 0, 1), i == 1 || i == 5 ? 0 : WASMPOOL_E_TRAP);
    cr_assert_null(zero[0]); /* segment 5 begins with null */
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    stage_close(&stage);
}

/* ------------------------------------------------------------------------------------------------ data */

BothTest(initialize, segments_are_written_to_what_is_imported) {
    struct wasmpool_module *module = modules_load("shared");
    struct wasmpool_memory *memory;
    struct wasmpool_instance *instance;
    struct wasmpool_func_ref **table;
    struct Stage stage;

    stage_open(&stage, implementation);
    instance = stage_instantiate(&stage, module);
    memory = wasmpool_instance_memory(stage.exporter, 1);
    expect_zero(memory->base, 40);
    cr_assert(!memcmp(memory->base + 40, "shared", 6));
    expect_zero(memory->base + 46, WASM_PAGE - 46);
    memory = wasmpool_instance_memory(instance, 0);
    expect_zero(memory->base, 5);
    cr_assert(!memcmp(memory->base + 5, "own", 3));
    expect_zero(memory->base + 8, WASM_PAGE - 8);
    table = wasmpool_instance_table(stage.exporter, 1)->base;
    cr_assert(!table[0] && !table[1] && !table[3] && !table[4]);
    cr_assert_eq(table[2], wasmpool_instance_function_at(instance, 0));
    cr_assert_eq(table[2]->vmctx, wasmpool_instance_vmctx(instance));
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    stage_close(&stage);
}

/* ------------------------------------------------------------------------------------------------ bounds */

/* offsets.wat, which takes its offsets from two globals. */
struct Placed {
    struct wasmpool_module *source_module, *module;
    struct wasmpool_instance *source, *instance;
};

static void placed_allocate(struct Placed *placed, struct Fixture *fixture, uint32_t element, uint32_t data) {
    struct wasmpool_extern imports[2];

    placed->source_module = modules_load("exporter");
    placed->module = modules_load("offsets");
    placed->source = modules_instantiate(fixture, placed->source_module, NULL, 0);
    imports[0] = modules_export(placed->source, "offset");
    imports[1] = imports[0];
    imports[1].index = 0;
    wasmpool_instance_global_at(placed->source, imports[0].index)->i32 = element;
    wasmpool_instance_global_at(placed->source, 0)->i32 = data;
    expect_result(fixture, modules_allocate(fixture, placed->module, imports, 2, &placed->instance), 0);
}

static void placed_free(struct Placed *placed) {
    wasmpool_deallocate_module(&placed->instance);
    wasmpool_deallocate_module(&placed->source);
    wasmpool_module_free(placed->module);
    wasmpool_module_free(placed->source_module);
}

/* Which segments have been written, a bit each: elements 0 to 2, then data 0 to 2. The second may be anywhere. */
static unsigned placed_written(struct Placed *placed) {
    const uint8_t *memory = wasmpool_instance_memory(placed->instance, 0)->base;
    struct wasmpool_func_ref *const *table = wasmpool_instance_table(placed->instance, 0)->base;
    struct wasmpool_func_ref *second = wasmpool_instance_function_at(placed->instance, 1);
    unsigned written = 0;

    written |= table[0] == wasmpool_instance_function_at(placed->instance, 0) ? 1 : 0;
    for (int i = 0; i < 9; i++)
        written |= table[i] == second ? 2 : 0;
    written |= table[9] == second ? 4 : 0;
    written |= memory[0] == 'f' ? 8 : 0;
    written |= memmem(memory, WASM_PAGE, "second", 6) ? 16 : 0;
    written |= memory[100] == 't' ? 32 : 0;
    return written;
}

static const struct {
    uint32_t element, data;
    unsigned in_order; /* what has been written, or is all of it */
    const char *segment;
    uint64_t offset, size, bound;
} PLACES[] = {
    {4, 200, 63, NULL, 0, 0, 0},
    {6, WASM_PAGE - 6, 63, NULL, 0, 0, 0},
    {8, 200, 1, "element segment 1", 8, 3, 10},
    {7, WASM_PAGE - 5, 7 | 8, "data segment 1", WASM_PAGE - 5, 6, WASM_PAGE},
    {10, 200, 1, "element segment 1", 10, 3, 10},
    {11, 200, 1, "element segment 1", 11, 3, 10},
    {UINT32_MAX, 200, 1, "element segment 1", UINT32_MAX, 3, 10},
    {UINT32_MAX - 2, UINT32_MAX, 1, "element segment 1", UINT32_MAX - 2, 3, 10},
    {INT32_MAX, 200, 1, "element segment 1", INT32_MAX, 3, 10},
    {4, WASM_PAGE, 7 | 8, "data segment 1", WASM_PAGE, 6, WASM_PAGE},
    {4, UINT32_MAX, 7 | 8, "data segment 1", UINT32_MAX, 6, WASM_PAGE},
    {4, UINT32_MAX - 5, 7 | 8, "data segment 1", UINT32_MAX - 5, 6, WASM_PAGE},
    {4, UINT32_C(0x80000000), 7 | 8, "data segment 1", UINT32_C(0x80000000), 6, WASM_PAGE},
};

static void expect_places(enum Implementation implementation, enum wasmpool_order order) {
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        int wanted = PLACES[i].segment ? WASMPOOL_E_TRAP : 0;
        struct Placed placed;

        placed_allocate(&placed, &fixture, PLACES[i].element, PLACES[i].data);
        expect_result(&fixture, wasmpool_initialize(placed.instance, order, &fixture.error), wanted);
        expect_eq(placed_written(&placed), !wanted || order == WASMPOOL_IN_ORDER ? PLACES[i].in_order : 0);
        /* What was active is dropped, also where no image held it. */
        for (uint32_t d = 0; d < 3 && !wanted; d++)
            expect_eq(wasmpool_memory_init(placed.instance, 0, d, 0, 0, 1), WASMPOOL_E_TRAP);
        if (wanted) {
            expect_says(fixture.error.message, PLACES[i].segment);
            expect_eq(fixture.error.use, PLACES[i].offset);
            expect_eq(fixture.error.ask, PLACES[i].size);
            expect_eq(fixture.error.bound, PLACES[i].bound);
        }
        placed_free(&placed);
    }
    fixture_close(&fixture);
}

BothTest(initialize, with_bounds_first_nothing_is_written_when_anything_is_out_of_bounds) {
    expect_places(implementation, WASMPOOL_BOUNDS_FIRST);
}

BothTest(initialize, in_order_what_was_written_before_stays) {
    expect_places(implementation, WASMPOOL_IN_ORDER);
}

BothTest(initialize, a_trap_is_reported_with_place_size_and_bound) {
    struct Fixture fixture;
    struct Placed placed;

    fixture_open(&fixture, implementation, ROOM);
    placed_allocate(&placed, &fixture, 8, 0);
    expect_result(&fixture, wasmpool_initialize(placed.instance, WASMPOOL_IN_ORDER, &fixture.error), WASMPOOL_E_TRAP);
    expect_str(fixture.error.message, "element segment 1 is out of bounds: 3 at 8, where there are 10");
    placed_free(&placed);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ once, and not run */

BothTest(initialize, is_done_once) {
    struct Fixture fixture;
    struct Placed placed;

    fixture_open(&fixture, implementation, ROOM);
    for (int trap = 0; trap < 2; trap++) {
        placed_allocate(&placed, &fixture, trap ? 8 : 4, 200);
        expect_result(&fixture, wasmpool_initialize(placed.instance, WASMPOOL_BOUNDS_FIRST, &fixture.error),
                      trap ? WASMPOOL_E_TRAP : 0);
        expect_result(&fixture, wasmpool_initialize(placed.instance, WASMPOOL_BOUNDS_FIRST, &fixture.error),
                      WASMPOOL_E_INVALID);
        expect_says(fixture.error.message, "initialised before");
        placed_free(&placed);
    }
    fixture_close(&fixture);
}

/* What stands for its code is none: calling it would show. */
BothTest(initialize, the_start_function_is_reported_and_not_run) {
    static const int nothing[2];
    const struct wasmpool_code code[3] = {[2] = {&nothing[0], &nothing[1]}};
    struct wasmpool_module *module = modules_load("injected");
    struct wasmpool_request request = {.module = module, .code = code};
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    for (int order = 0; order < 2; order++) {
        expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &instance, &fixture.error), 0);
        expect_result(&fixture, wasmpool_initialize(instance, (enum wasmpool_order)order, &fixture.error), 0);
        cr_assert_eq(wasmpool_instance_start(instance)->array_call, (const void *)&nothing[0]);
        cr_assert_eq(wasmpool_instance_start(instance)->wasm_call, (const void *)&nothing[1]);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* wasm2c's elements are structs: nobody here knows how to write one. */
BothTest(initialize, elements_that_are_no_pointers_are_refused_before_anything_is_written) {
    struct wasmpool_options options = {.funcref_size = 24};
    struct wasmpool_instance *instance;
    struct wasmpool_module *elements = modules_load("bulk"), *data = modules_load("offers");
    struct Fixture fixture;

    fixture_open_with(&fixture, implementation, options,
                      (const char *const[]){"max_memories_per_module=8", "max_tables_per_module=8", NULL});
    expect_result(&fixture, fixture_allocate(&fixture, elements, &instance), 0);
    expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &fixture.error), WASMPOOL_E_INVALID);
    expect_says(fixture.error.message, "table elements of this allocator have 24 bytes");
    expect_zero(wasmpool_instance_table(instance, 0)->base, 10 * 24);
    wasmpool_deallocate_module(&instance);
    /* Without element segments there is nothing to write. */
    instance = modules_instantiate(&fixture, data, NULL, 0);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(elements);
    wasmpool_module_free(data);
    fixture_close(&fixture);
}

BothTest(initialize, of_a_described_module_does_nothing) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 10);
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &fixture.error), 0);
    expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
    expect_zero(wasmpool_instance_table(instance, 0)->base, 80);
    expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &fixture.error), WASMPOOL_E_INVALID);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
