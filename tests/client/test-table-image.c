/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/instance.h"
#include "tests/client/modules.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM "max_memories_per_module=4", "max_tables_per_module=4"
#define NULL_ITEM UINT32_MAX

/* An allocator, and table-image.wat with its import. */
struct Stage {
    struct Fixture fixture;
    struct wasmpool_module *module;
    struct wasmpool_func_ref host;
    struct wasmpool_extern import;
};

static void stage_load(struct Stage *stage) {
    static const struct wasmpool_function_type type;

    stage->module = modules_load("table-image");
    cr_assert_eq(wasmpool_function_type_ref(&type, &stage->host.type_index, NULL), 0);
    stage->import = (struct wasmpool_extern){.kind = WASMPOOL_EXTERNAL_FUNCTION, .function = &stage->host};
}

#define stage_open(STAGE, IMPLEMENTATION, ...)                                                                         \
    do {                                                                                                               \
        *(STAGE) = (struct Stage){0};                                                                                  \
        fixture_open(&(STAGE)->fixture, IMPLEMENTATION, ROOM __VA_OPT__(, ) __VA_ARGS__);                              \
        stage_load(STAGE);                                                                                             \
    } while (0)

static void stage_close(struct Stage *stage) {
    wasmpool_function_type_unref(stage->host.type_index);
    wasmpool_module_free(stage->module);
    fixture_close(&stage->fixture);
}

static struct wasmpool_instance *stage_allocate(struct Stage *stage) {
    struct wasmpool_instance *instance = NULL;

    expect_result(&stage->fixture, modules_allocate(&stage->fixture, stage->module, &stage->import, 1, &instance), 0);
    return instance;
}

static void stage_initialize(struct Stage *stage, struct wasmpool_instance *instance) {
    expect_result(&stage->fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &stage->fixture.error), 0);
}

static struct wasmpool_instance *stage_instantiate(struct Stage *stage) {
    return modules_instantiate(&stage->fixture, stage->module, &stage->import, 1);
}

/* ------------------------------------------------------------------------------------------------ what is there */

/* Where a table is, without asking for it: that would be noticed. */
static uint8_t *peek(struct wasmpool_instance *instance, uint32_t table) {
    return instance->tables.at[table].base;
}

static uint32_t expected_function(uint32_t table, uint32_t i) {
    static const uint32_t one[] = {NULL_ITEM, 0, 1, NULL_ITEM, 3};

    if (table == 1)
        return i == 4 ? 3 : NULL_ITEM;
    return i < 5 ? one[i] : i == 39 ? 1 : NULL_ITEM;
}

static void expect_elements(struct wasmpool_instance *instance) {
    static const uint32_t sizes[] = {40, 5, 3};

    for (uint32_t t = 0; t < 3; t++) {
        void *const *elements = (void *)peek(instance, t);

        expect_eq(wasmpool_instance_table(instance, t)->current_elements, sizes[t]);
        for (uint32_t i = 0; i < sizes[t]; i++) {
            uint32_t function = t == 2 ? NULL_ITEM : expected_function(t, i);
            void *wanted = function == NULL_ITEM ? NULL : wasmpool_instance_function_at(instance, function);

            cr_assert_eq(elements[i], wanted, "element %u of table %u is %p, not %p", i, t, elements[i], wanted);
        }
        /* And what it may grow to is null. */
        expect_zero(elements + sizes[t], t ? 0 : (100 - 40) * sizeof(void *));
    }
}

static void scribble(struct Fixture *fixture, struct wasmpool_instance *instance) {
    struct wasmpool_table *table = wasmpool_instance_table(instance, 0);

    expect_eq(wasmpool_grow_table(fixture->pool, table, 60, &(void *){table}), 40);
    for (uint32_t t = 0; t < 3; t++)
        memset(peek(instance, t), 0xfe, wasmpool_instance_table(instance, t)->current_elements * sizeof(void *));
}

static bool slot_holds(struct Stage *stage, uint32_t allocation, const struct wasmpool_vmcontext *vmctx) {
    const struct TableImages *images = stage->module->template->table_images;
    struct Taken taken;

    cr_assert(shelf_find(stage->fixture.pool, allocation, &taken));
    return taken.slot->image_id == images->first_id && taken.slot->vmctx == vmctx;
}

BothTest(table_image, elements_are_what_the_segments_say_each_time) {
    struct Stage stage;

    stage_open(&stage, implementation);
    for (int round = 0; round < 10; round++) {
        struct wasmpool_instance *instance = stage_allocate(&stage);

        if (round % 3 == 1)
            wasmpool_instance_vmctx(instance);
        expect_result(&stage.fixture,
                      wasmpool_initialize(instance, round % 2 ? WASMPOOL_IN_ORDER : WASMPOOL_BOUNDS_FIRST,
                                          &stage.fixture.error),
                      0);
        expect_elements(instance);
        if (round > 2)
            scribble(&stage.fixture, instance);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* The page of the table that an instance leaves is made read-only: the next one finds its elements in it. */
BothTest(table_image, the_next_instance_has_nothing_to_write) {
    struct Stage stage;
    struct wasmpool_instance *instance;
    uint8_t *base;

    stage_open(&stage, implementation);
    instance = stage_instantiate(&stage);
    base = peek(instance, 0);
    scribble(&stage.fixture, instance);
    wasmpool_deallocate_module(&instance);
    for (int round = 0; round < 5; round++) {
        cr_assert_eq(mprotect(base, host_page(), PROT_READ), 0);
        instance = stage_allocate(&stage);
        stage_initialize(&stage, instance);
        cr_assert_eq(peek(instance, 0), base);
        expect_elements(instance);
        cr_assert_eq(mprotect(base, host_page(), PROT_READ | PROT_WRITE), 0);
        scribble(&stage.fixture, instance);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* A module without tables whose instances need blocks of the same size. */
static struct wasmpool_module *describe_as_large(const struct wasmpool_module *module) {
    for (uint32_t globals = 0;; globals++) {
        struct wasmpool_module *plain =
            fixture_describe(&(struct wasmpool_module_description){.defined_globals = globals});

        if (plain->template->block.reserved == module->template->block.reserved)
            return plain;
        wasmpool_module_free(plain);
        cr_assert_lt(globals, 10000);
    }
}

/* One slot for each table, and blocks in turn: what points into the other one is not what is wanted. */
BothTest(table_image, elements_point_into_their_own_instance) {
    struct wasmpool_instance *instance, *other = NULL;
    struct wasmpool_vmcontext *vmctx, *before = NULL;
    struct wasmpool_module *plain;
    struct Stage stage;

    stage_open(&stage, implementation, "total_tables=3", "total_core_instances=2");
    plain = describe_as_large(stage.module);
    for (int round = 0; round < 6; round++) {
        wasmpool_deallocate_module(&other);
        if (round % 3)
            expect_result(&stage.fixture, fixture_allocate(&stage.fixture, plain, &other), 0);
        instance = stage_allocate(&stage);
        stage_initialize(&stage, instance);
        vmctx = wasmpool_instance_vmctx(instance);
        cr_assert(round % 3 != 1 || vmctx != before, "it has the same block");
        before = vmctx;
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_deallocate_module(&other);
    wasmpool_module_free(plain);
    stage_close(&stage);
}

/* ------------------------------------------------------------------------------------------------ before its time */

static void see_vmctx(struct wasmpool_instance *instance) {
    cr_assert_not_null(wasmpool_instance_vmctx(instance));
}

static void see_table(struct wasmpool_instance *instance) {
    cr_assert_not_null(wasmpool_instance_table(instance, 0));
}

static void see_table_at(struct wasmpool_instance *instance) {
    cr_assert_not_null(wasmpool_instance_table_at(instance, 0));
}

static void see_function(struct wasmpool_instance *instance) {
    cr_assert_not_null(wasmpool_instance_function_at(instance, 1));
}

static void see_start(struct wasmpool_instance *instance) {
    cr_assert_not_null(wasmpool_instance_start(instance));
}

static void see_copy(struct wasmpool_instance *instance) {
    cr_assert_eq(wasmpool_table_copy(instance, 0, 0, 0, 39, 1), 0);
}

/* One that imports the function, and nothing else. */
static void see_import(struct wasmpool_instance *instance) {
    struct wasmpool_extern import = {.kind = WASMPOOL_EXTERNAL_FUNCTION, .instance = instance, .index = 2};
    struct wasmpool_instance *importer = NULL;
    struct wasmpool_error error = {0};

    cr_assert_eq(wasmpool_allocate_module(instance->pool,
                                          &(struct wasmpool_request){
                                              .module = instance->module, .imports = &import, .n_imports = 1},
                                          &importer, &error),
                 0, "%s", error.message);
    wasmpool_deallocate_module(&importer);
}

static void (*const WAYS[])(struct wasmpool_instance *) = {see_vmctx, see_table, see_table_at, see_function,
                                                           see_start, see_copy,  see_import};

BothTest(table_image, tables_are_null_for_who_looks_before_it_is_initialised) {
    struct Stage stage;

    stage_open(&stage, implementation);
    for (size_t way = 0; way < sizeof(WAYS) / sizeof(WAYS[0]); way++) {
        struct wasmpool_instance *instance = stage_instantiate(&stage);

        wasmpool_deallocate_module(&instance);
        instance = stage_allocate(&stage);
        cr_assert(slot_holds(&stage, instance->tables.at[0].allocation, instance_vmctx(instance)));
        WAYS[way](instance);
        expect_zero(peek(instance, 0), 100 * sizeof(void *));
        expect_zero(peek(instance, 1), 5 * sizeof(void *));
        stage_initialize(&stage, instance);
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* What was written before it is initialised stays, where no segment writes. */
BothTest(table_image, what_is_written_before_it_is_initialised_stays) {
    struct wasmpool_instance *instance;
    struct Stage stage;
    void **elements;

    stage_open(&stage, implementation);
    for (int round = 0; round < 3; round++) {
        instance = stage_allocate(&stage);
        elements = wasmpool_instance_table(instance, 0)->base;
        elements[0] = elements[1] = elements[3] = elements[20] = &stage;
        /* Segments are there until then. */
        expect_eq(wasmpool_table_init(instance, 0, 2, 10, 0, 1), 0);
        stage_initialize(&stage, instance);
        cr_assert_eq(elements[0], &stage);
        cr_assert_eq(elements[20], &stage);
        cr_assert_eq(elements[1], wasmpool_instance_function_at(instance, 0));
        cr_assert_eq(elements[10], wasmpool_instance_function_at(instance, 3));
        cr_assert_null(elements[3]);
        wasmpool_deallocate_module(&instance);
        instance = stage_instantiate(&stage);
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* Allocated and given back, seen or not, in between: then the next one is what it would have been. */
BothTest(table_image, an_instance_that_is_never_initialised_leaves_nothing) {
    struct wasmpool_instance *instance;
    struct wasmpool_table table;
    struct Stage stage;

    stage_open(&stage, implementation, "total_tables=3");
    for (int round = 0; round < 6; round++) {
        instance = stage_instantiate(&stage);
        wasmpool_deallocate_module(&instance);
        instance = stage_allocate(&stage);
        if (round % 2)
            scribble(&stage.fixture, instance);
        wasmpool_deallocate_module(&instance);
        if (round % 3) {
            expect_result(&stage.fixture, fixture_allocate_table(&stage.fixture, 100, &table), 0);
            expect_zero(table.base, 100 * sizeof(void *));
            wasmpool_deallocate_table(stage.fixture.pool, &table);
        }
    }
    instance = stage_instantiate(&stage);
    expect_elements(instance);
    wasmpool_deallocate_module(&instance);
    stage_close(&stage);
}

BothTest(table_image, a_forked_child_can_still_ask) {
    struct wasmpool_instance *instance;
    struct Stage stage;
    int status;
    pid_t child;

    stage_open(&stage, implementation);
    instance = stage_instantiate(&stage);
    wasmpool_deallocate_module(&instance);
    instance = stage_allocate(&stage);
    child = fork();
    cr_assert_geq(child, 0);
    if (!child)
        _exit(wasmpool_instance_vmctx(instance) ? 0 : 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    expect_eq(status, 0);
    stage_initialize(&stage, instance);
    expect_elements(instance);
    wasmpool_deallocate_module(&instance);
    stage_close(&stage);
}

/* ------------------------------------------------------------------------------------------------ segments */

BothTest(table_image, traps_leave_what_they_always_left) {
    struct wasmpool_module *exporter_module = modules_load("exporter"), *module = modules_load("table-image-trap");
    struct wasmpool_instance *exporter, *instance = NULL;
    struct wasmpool_extern import;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    cr_assert_not_null(module->template->table_images);
    exporter = modules_instantiate(&fixture, exporter_module, NULL, 0);
    import = modules_export(exporter, "offset");
    for (int round = 0; round < 9; round++) {
        bool in_order = round % 3, traps = round % 3 < 2;
        void **elements;

        wasmpool_instance_global_at(exporter, import.index)->i32 = traps ? WASM_PAGE : 0;
        expect_result(&fixture, modules_allocate(&fixture, module, &import, 1, &instance), 0);
        expect_result(&fixture,
                      wasmpool_initialize(instance, in_order ? WASMPOOL_IN_ORDER : WASMPOOL_BOUNDS_FIRST,
                                          &fixture.error),
                      traps ? WASMPOOL_E_TRAP : 0);
        elements = wasmpool_instance_table(instance, 0)->base;
        for (int i = 0; i < 10; i++)
            cr_assert_eq(elements[i],
                         in_order && (i == 2 || i == 3) ? wasmpool_instance_function_at(instance, 0) : NULL,
                         "round %d, element %d is %p", round, i, elements[i]);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_deallocate_module(&exporter);
    wasmpool_module_free(exporter_module);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(table_image, active_segments_are_dropped_and_passive_ones_are_not) {
    static const bool passive[] = {false, false, false, false, true, false, false};
    struct wasmpool_instance *instance;
    struct Stage stage;

    stage_open(&stage, implementation);
    for (int round = 0; round < 3; round++) {
        instance = stage_instantiate(&stage);
        for (uint32_t i = 0; i < 7; i++)
            expect_eq(wasmpool_table_init(instance, 0, i, 0, 0, 1), passive[i] ? 0 : WASMPOOL_E_TRAP);
        wasmpool_elem_drop(instance, 4);
        expect_eq(wasmpool_table_init(instance, 0, 4, 0, 0, 1), WASMPOOL_E_TRAP);
        wasmpool_deallocate_module(&instance);
    }
    stage_close(&stage);
}

/* The offset of its segment, as it stands in the binary: fe ff 01, and ff ff 01 is one more. */
static struct wasmpool_module *load_large(bool larger) {
    static const uint8_t offset[] = {0x41, 0xfe, 0xff, 0x01, 0x0b};
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    size_t n;
    uint8_t *bytes = modules_bytes("table-large", &n), *at = memmem(bytes, n, offset, sizeof(offset));

    cr_assert_not_null(at);
    at[1] += larger;
    cr_assert_eq(wasmpool_module_read(&module, bytes, n, &error), 0, "%s", error.message);
    free(bytes);
    return module;
}

BothTest(table_image, is_bounded_and_larger_tables_do_without) {
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "table_elements=40000", "total_tables=1");
    for (uint32_t larger = 0; larger < 2; larger++) {
        struct wasmpool_module *module = load_large(larger);

        cr_assert_eq(!module->template->table_images, larger);
        for (int round = 0; round < 3; round++) {
            void **elements;

            instance = modules_instantiate(&fixture, module, NULL, 0);
            elements = wasmpool_instance_table(instance, 0)->base;
            for (uint32_t i = 0; i < 40000; i++)
                cr_assert_eq(elements[i],
                             i - 32766 - larger < 2 ? wasmpool_instance_function_at(instance, 0) : NULL,
                             "element %u is %p", i, elements[i]);
            memset(elements, 0xfe, 40000 * sizeof(void *));
            wasmpool_deallocate_module(&instance);
        }
        wasmpool_module_free(module);
    }
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ slots */

BothTest(table_image, whoever_has_no_image_gets_null_tables) {
    struct wasmpool_table room[3], table;
    struct wasmpool_tables tables = {.at = room, .capacity = 3};
    struct wasmpool_instance *instance;
    struct wasmpool_request request;
    struct Stage stage;

    stage_open(&stage, implementation, "total_tables=3");
    request = (struct wasmpool_request){.module = stage.module, .imports = &stage.import, .n_imports = 1};
    for (int round = 0; round < 3; round++) {
        instance = stage_instantiate(&stage);
        wasmpool_deallocate_module(&instance);
        for (int i = 0; i < 3; i++) {
            expect_result(&stage.fixture, fixture_allocate_table(&stage.fixture, 100, &room[i]), 0);
            expect_zero(room[i].base, 100 * sizeof(void *));
        }
        for (int i = 0; i < 3; i++)
            wasmpool_deallocate_table(stage.fixture.pool, &room[i]);
        instance = stage_instantiate(&stage);
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
        /* The module's own tables too, where there is no instance to be initialised. */
        expect_result(&stage.fixture,
                      wasmpool_allocate_tables(stage.fixture.pool, &request, &tables, &stage.fixture.error), 0);
        for (int i = 0; i < 3; i++)
            expect_zero(room[i].base, 100 * sizeof(void *));
        table = room[0];
        memset(table.base, 0xfe, 40 * sizeof(void *));
        wasmpool_deallocate_tables(stage.fixture.pool, &tables);
    }
    stage_close(&stage);
}

BothTest(table_image, modules_with_different_ones_share_a_slot) {
    struct wasmpool_module *others[] = {modules_load("image"), modules_load("table-image-trap"), load_large(false)};
    struct wasmpool_instance *instance, *small;
    struct Stage stage;

    stage_open(&stage, implementation, "total_tables=3", "table_elements=40000");
    for (int round = 0; round < 4; round++) {
        instance = stage_instantiate(&stage);
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
        for (int i = 0; i < 3; i += 2) {
            uint32_t n;
            void **elements;

            small = modules_instantiate(&stage.fixture, others[i], NULL, 0);
            n = wasmpool_instance_table(small, 0)->current_elements;
            elements = wasmpool_instance_table(small, 0)->base;
            for (uint32_t at = 0; at < n; at++)
                cr_assert_eq(!elements[at], i ? at - 32766 >= 2 : at != 1, "element %u is %p", at, elements[at]);
            expect_zero(elements + n, (40000 - n) * sizeof(void *));
            wasmpool_deallocate_module(&small);
        }
    }
    for (int i = 0; i < 3; i++)
        wasmpool_module_free(others[i]);
    stage_close(&stage);
}

/* Three tables that are warm and null, and a fourth that has no pages. Returns where one of the three is. */
static void *warm_three(struct Fixture *fixture) {
    struct wasmpool_table tables[3];
    struct wasmpool_metrics metrics;
    void *last;

    for (int i = 0; i < 3; i++)
        expect_result(fixture, fixture_allocate_table(fixture, 10, &tables[i]), 0);
    last = tables[2].base;
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_table(fixture->pool, &tables[i]);
    wasmpool_metrics(fixture->pool, &metrics);
    expect_eq(metrics.unused_warm_tables, 3);
    cr_assert_gt(metrics.idle_tables, 3);
    return last;
}

/* A null one that is warm is better than one without pages, and one's own elements better than that. */
BothTest(table_image, slots_are_chosen_by_what_they_hold) {
    struct wasmpool_module *module = modules_load("image");
    struct wasmpool_instance *instance;
    struct wasmpool_table table;
    struct Fixture fixture;
    void *own, *null;

    fixture_open(&fixture, implementation, "total_tables=4");
    own = warm_three(&fixture);
    instance = modules_instantiate(&fixture, module, NULL, 0);
    cr_assert_eq(wasmpool_instance_table(instance, 0)->base, own);
    expect_result(&fixture, fixture_allocate_table(&fixture, 10, &table), 0);
    null = table.base;
    for (int round = 0; round < 3; round++) {
        wasmpool_deallocate_module(&instance);
        wasmpool_deallocate_table(fixture.pool, &table);
        instance = modules_instantiate(&fixture, module, NULL, 0);
        cr_assert_eq(wasmpool_instance_table(instance, 0)->base, own);
        expect_result(&fixture, fixture_allocate_table(&fixture, 10, &table), 0);
        cr_assert_eq(table.base, null);
    }
    wasmpool_deallocate_module(&instance);
    wasmpool_deallocate_table(fixture.pool, &table);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

static void expect_held_with(enum Implementation implementation, const char *setting, bool held) {
    struct wasmpool_instance *instance;
    const struct wasmpool_vmcontext *vmctx;
    struct Stage stage;
    uint32_t allocation;

    stage_open(&stage, implementation, setting);
    for (int round = 0; round < 3; round++) {
        instance = stage_instantiate(&stage);
        expect_elements(instance);
        vmctx = wasmpool_instance_vmctx(instance);
        allocation = instance->tables.at[0].allocation;
        scribble(&stage.fixture, instance);
        wasmpool_deallocate_module(&instance);
        expect_eq(slot_holds(&stage, allocation, vmctx), held);
    }
    stage_close(&stage);
}

BothTest(table_image, is_held_within_table_keep_resident_only) {
    expect_held_with(implementation, "table_keep_resident=64G", true);
    expect_held_with(implementation, "table_keep_resident=4096", true);
    expect_held_with(implementation, "table_keep_resident=4095", false);
    expect_held_with(implementation, "table_keep_resident=0", false);
}

BothTest(table_image, purge_gives_its_pages_back) {
    struct wasmpool_instance *instance;
    struct wasmpool_metrics metrics;
    struct Stage stage;

    stage_open(&stage, implementation);
    for (int round = 0; round < 3; round++) {
        instance = stage_instantiate(&stage);
        expect_elements(instance);
        wasmpool_deallocate_module(&instance);
        wasmpool_metrics(stage.fixture.pool, &metrics);
        expect_eq(metrics.unused_warm_tables, 3);
        wasmpool_purge_module(stage.fixture.pool, stage.module);
        wasmpool_metrics(stage.fixture.pool, &metrics);
        /* The third has no image: it is null, and anybody's. */
        expect_eq(metrics.unused_warm_tables, 1);
    }
    stage_close(&stage);
}
