/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

/* A limiter that remembers what it was asked, and refuses when it is told to. */
struct Recorder {
    struct wasmpool_limiter limiter;
    int refuse; /* the number of the question to refuse, from 0; -1: none */
    int n;
    struct Question {
        char what;
        uint64_t current, desired, maximum;
    } questions[16];
};

static bool recorder_ask(struct Recorder *recorder, char what, uint64_t current, uint64_t desired, uint64_t maximum) {
    cr_assert_lt(recorder->n, 16);
    recorder->questions[recorder->n] = (struct Question){what, current, desired, maximum};
    return recorder->n++ != recorder->refuse;
}

static bool recorder_memory(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    return recorder_ask(data, 'm', current, desired, maximum);
}

static bool recorder_table(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    return recorder_ask(data, 't', current, desired, maximum);
}

static void recorder_init(struct Recorder *recorder, int refuse) {
    *recorder = (struct Recorder){.limiter = {recorder_memory, recorder_table, recorder}, .refuse = refuse};
}

static void expect_asked(const struct Recorder *recorder, const struct Question *expected, int n) {
    expect_eq(recorder->n, n);
    for (int i = 0; i < n; i++) {
        expect_eq(recorder->questions[i].what, expected[i].what);
        expect_eq(recorder->questions[i].current, expected[i].current);
        expect_eq(recorder->questions[i].desired, expected[i].desired);
        expect_eq(recorder->questions[i].maximum, expected[i].maximum);
    }
}

static int allocate(struct Fixture *fixture, const struct wasmpool_module *module, const struct Recorder *recorder,
                    struct wasmpool_instance **instancep) {
    struct wasmpool_request request = {.module = module, .limiter = &recorder->limiter};

    return wasmpool_allocate_module(fixture->pool, &request, instancep, &fixture->error);
}

/* Two memories and two tables, with and without a maximum. */
static struct wasmpool_module *describe(void) {
    static const struct wasmpool_memory_type memories[] = {{.minimum = 1, .maximum = 4, .has_maximum = true},
                                                           {.minimum = 0}};
    static const struct wasmpool_table_type tables[] = {{.minimum = 10, .maximum = 30, .has_maximum = true},
                                                        {.minimum = 7}};

    return fixture_describe(
        &(struct wasmpool_module_description){.memories = memories, .n_memories = 2, .tables = tables, .n_tables = 2});
}

#define ROOM "max_memories_per_module=2", "max_tables_per_module=2"

static const struct Question CREATION[] = {
    {'m', 0, WASM_PAGE, 4 * WASM_PAGE}, {'m', 0, 0, UINT64_MAX}, {'t', 0, 10, 30}, {'t', 0, 7, UINT64_MAX}};

BothTest(limiter, is_asked_at_creation_in_order_and_when_something_grows) {
    static const struct Question growth[] = {{'m', WASM_PAGE, 3 * WASM_PAGE, 4 * WASM_PAGE},
                                             {'m', 0, WASM_PAGE, UINT64_MAX},
                                             {'t', 10, 15, 30},
                                             {'t', 7, 8, UINT64_MAX}};
    struct wasmpool_module *module = describe();
    struct wasmpool_instance *instance;
    struct Recorder recorder;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    recorder_init(&recorder, -1);
    expect_result(&fixture, allocate(&fixture, module, &recorder, &instance), 0);
    expect_asked(&recorder, CREATION, 4);
    recorder.n = 0;
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 0), 2), 1);
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 1), 1), 0);
    expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 5, NULL), 10);
    expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 1), 1, NULL), 7);
    expect_asked(&recorder, growth, 4);
    wasmpool_deallocate_module(&instance);
    expect_eq(recorder.n, 4); /* nobody asks when it is given back */
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(limiter, a_refusal_at_creation_is_a_limit_and_is_rolled_back) {
    static const char *const messages[] = {
        "the limiter refuses a memory its minimum size", "the limiter refuses a memory its minimum size",
        "the limiter refuses a table its minimum size", "the limiter refuses a table its minimum size"};
    struct wasmpool_module *module = describe();
    struct wasmpool_instance *instance = NULL;
    struct Recorder recorder;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM, "total_memories=2", "total_tables=2", "total_core_instances=1");
    for (int i = 0; i < 4; i++) {
        recorder_init(&recorder, i);
        expect_result(&fixture, allocate(&fixture, module, &recorder, &instance), WASMPOOL_E_LIMIT);
        expect_limit(&fixture, "limiter", 0, 0);
        expect_eq(fixture.error.ask, CREATION[i].desired);
        expect_says(fixture.error.message, messages[i]);
        expect_asked(&recorder, CREATION, i + 1);
        cr_assert_null(instance);
        fixture_expect_use(&fixture, 0, 0, 0);
        recorder_init(&recorder, -1);
        expect_result(&fixture, allocate(&fixture, module, &recorder, &instance), 0);
        expect_bounds(wasmpool_instance_memory(instance, 0), 1);
        expect_zero(wasmpool_instance_memory(instance, 0)->base, WASM_PAGE);
        expect_zero(wasmpool_instance_table(instance, 0)->base, 80);
        memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
        memset(wasmpool_instance_table(instance, 0)->base, 0xfe, 80);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(limiter, a_refusal_to_grow_is_an_outcome_and_changes_nothing) {
    struct wasmpool_module *module = describe();
    struct wasmpool_instance *instance;
    struct wasmpool_memory *memory;
    struct wasmpool_table *table;
    struct Recorder recorder;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    recorder_init(&recorder, -1);
    expect_result(&fixture, allocate(&fixture, module, &recorder, &instance), 0);
    memory = wasmpool_instance_memory(instance, 0);
    table = wasmpool_instance_table(instance, 0);
    recorder.refuse = recorder.n;
    expect_eq(wasmpool_grow_memory(fixture.pool, memory, 1), -1);
    expect_bounds(memory, 1);
    expect_eq(memory->definition->current_length, WASM_PAGE);
    recorder.refuse = recorder.n;
    expect_eq(wasmpool_grow_table(fixture.pool, table, 1, &(uint64_t){1}), -1);
    expect_eq(table->current_elements, 10);
    expect_eq(table->definition->current_elements, 10);
    expect_zero(table->base, 11 * 8);
    /* It is asked again each time. */
    expect_eq(wasmpool_grow_memory(fixture.pool, memory, 1), 1);
    expect_eq(wasmpool_grow_table(fixture.pool, table, 1, &(uint64_t){1}), 10);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

BothTest(limiter, members_that_are_null_allow_everything) {
    struct wasmpool_module *module = describe();
    struct wasmpool_instance *instance;
    struct Recorder recorder;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    for (int memory_only = 0; memory_only < 2; memory_only++) {
        recorder_init(&recorder, -1);
        if (memory_only)
            recorder.limiter.table_growing = NULL;
        else
            recorder.limiter.memory_growing = NULL;
        expect_result(&fixture, allocate(&fixture, module, &recorder, &instance), 0);
        expect_asked(&recorder, memory_only ? CREATION : CREATION + 2, 2);
        expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 0), 1), 1);
        expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 1, NULL), 10);
        expect_eq(recorder.n, 3);
        wasmpool_deallocate_module(&instance);
    }
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Whoever imports a memory grows it under the limiter of the instance that it belongs to. */
BothTest(limiter, is_that_of_the_instance_that_owns_what_grows) {
    struct wasmpool_module *exporter_module = modules_load("exporter"), *module = modules_load("shared");
    struct wasmpool_instance *exporter, *importer;
    struct wasmpool_request request = {.module = exporter_module};
    struct wasmpool_extern imports[8];
    struct Recorder owner, other;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM);
    recorder_init(&owner, -1);
    recorder_init(&other, -1);
    request.limiter = &owner.limiter;
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &exporter, &fixture.error), 0);
    request = (struct wasmpool_request){.module = module, .imports = imports, .limiter = &other.limiter};
    request.n_imports = modules_bind(module, (struct ModulesNamed[]){{"exporter", exporter}, {NULL, NULL}}, imports, 8);
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &importer, &fixture.error), 0);
    expect_eq(other.n, 1); /* its own memory alone */
    owner.n = 0;
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory_at(importer, 0), 1), 1);
    expect_asked(&owner, &(struct Question){'m', WASM_PAGE, 2 * WASM_PAGE, 4 * WASM_PAGE}, 1);
    expect_eq(other.n, 1);
    wasmpool_deallocate_module(&importer);
    wasmpool_deallocate_module(&exporter);
    wasmpool_module_free(module);
    wasmpool_module_free(exporter_module);
    fixture_close(&fixture);
}

/* One that grows what it is asked about. */
struct Meddler {
    struct wasmpool_limiter limiter;
    struct wasmpool *pool;
    struct wasmpool_memory *memory;
    struct wasmpool_table *table;
    bool is_inside;
};

static bool meddler_memory(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    struct Meddler *meddler = data;

    (void)current, (void)desired, (void)maximum;
    if (meddler->memory && !meddler->is_inside) {
        meddler->is_inside = true;
        expect_eq(wasmpool_grow_memory(meddler->pool, meddler->memory, 2), 1);
    }
    return true;
}

static bool meddler_table(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    struct Meddler *meddler = data;

    (void)current, (void)desired, (void)maximum;
    if (meddler->table && !meddler->is_inside) {
        meddler->is_inside = true;
        expect_eq(wasmpool_grow_table(meddler->pool, meddler->table, 20, NULL), 10);
    }
    return true;
}

/* The growth that was asked about would shrink it, and what lies beyond would not be reset. */
BothTest(limiter, that_grows_the_same_memory_or_table_has_its_way) {
    struct Meddler meddler = {.limiter = {meddler_memory, meddler_table, &meddler}};
    struct wasmpool_module *module = describe();
    struct wasmpool_request request = {.module = module, .limiter = &meddler.limiter};
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ROOM, "total_memories=2", "total_tables=2");
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &instance, &fixture.error), 0);
    meddler.pool = fixture.pool;
    meddler.memory = wasmpool_instance_memory(instance, 0);
    meddler.table = wasmpool_instance_table(instance, 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, meddler.memory, 1), -1);
    expect_bounds(meddler.memory, 3);
    meddler.is_inside = false;
    expect_eq(wasmpool_grow_table(fixture.pool, meddler.table, 1, NULL), -1);
    expect_eq(meddler.table->current_elements, 30);
    memset(meddler.memory->base, 0x5a, meddler.memory->current_length);
    memset(meddler.table->base, 0x5a, 30 * 8);
    wasmpool_deallocate_module(&instance);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, wasmpool_instance_memory(instance, 0), 2), 1);
    expect_zero(wasmpool_instance_memory(instance, 0)->base, 3 * WASM_PAGE);
    expect_eq(wasmpool_grow_table(fixture.pool, wasmpool_instance_table(instance, 0), 20, NULL), 10);
    expect_zero(wasmpool_instance_table(instance, 0)->base, 30 * 8);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

static bool maximum_is_endless(void *data, uint64_t current, uint64_t desired, uint64_t maximum) {
    (void)current, (void)desired;
    *(uint64_t *)data = maximum;
    return true;
}

Test(limiter, a_maximum_beyond_64_bits_of_bytes_is_endless) {
    struct wasmpool_memory_type type = {.minimum = 1, .maximum = UINT64_C(1) << 48, .has_maximum = true};
    uint64_t maximum = 0;
    struct wasmpool_limiter limiter = {.memory_growing = maximum_is_endless, .data = &maximum};
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.memories = &type, .n_memories = 1});
    struct wasmpool_request request = {.module = module, .limiter = &limiter};
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED);
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &instance, &fixture.error), 0);
    expect_eq(maximum, UINT64_MAX);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
