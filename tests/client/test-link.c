/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/binary.h"
#include "tests/client/modules.h"

#define ROOM "max_memories_per_module=8", "max_tables_per_module=8"

/* Imports of wants.wat. */
enum { FUNCTION, TABLE, MEMORY, CONSTANT, MUTABLE, TAG, IMPORTS };

struct Market {
    struct Fixture fixture;
    struct wasmpool_module *wants, *offers;
    struct wasmpool_instance *seller;
    struct wasmpool_extern imports[IMPORTS]; /* all as wanted */
};

static void market_open(struct Market *market, enum Implementation implementation) {
    *market = (struct Market){0};
    fixture_open(&market->fixture, implementation, ROOM);
    market->wants = modules_load("wants");
    market->offers = modules_load("offers");
    market->seller = modules_instantiate(&market->fixture, market->offers, NULL, 0);
    expect_eq(modules_bind(market->wants, (struct ModulesNamed[]){{"offers", market->seller}, {NULL, NULL}},
                           market->imports, IMPORTS),
              IMPORTS);
}

static void market_close(struct Market *market) {
    fixture_expect_use(&market->fixture, 1, 5, 6); /* refusals hold nothing */
    wasmpool_deallocate_module(&market->seller);
    wasmpool_module_free(market->wants);
    wasmpool_module_free(market->offers);
    fixture_close(&market->fixture);
}

/* Allocate with these imports; nothing is left of it but the message. */
static int market_try(struct Market *market, const struct wasmpool_extern *imports, uint32_t n) {
    struct wasmpool_instance *instance = NULL;
    int r = modules_allocate(&market->fixture, market->wants, imports, n, &instance);

    cr_assert_eq(!instance, r != 0);
    wasmpool_deallocate_module(&instance);
    return r;
}

/* The same with another item for one import. */
static int market_try_other(struct Market *market, uint32_t number, struct wasmpool_extern other) {
    struct wasmpool_extern imports[IMPORTS];

    memcpy(imports, market->imports, sizeof(imports));
    imports[number] = other;
    return market_try(market, imports, IMPORTS);
}

BothTest(link, imports_of_the_types_that_are_demanded_are_linked) {
    static const struct {
        uint32_t import;
        const char *export;
    } matches[] = {{TABLE, "table_small_maximum"}, {MEMORY, "memory_small_maximum"}};
    struct Market market;

    market_open(&market, implementation);
    expect_result(&market.fixture, market_try(&market, market.imports, IMPORTS), 0);
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
        expect_result(&market.fixture,
                      market_try_other(&market, matches[i].import, modules_export(market.seller, matches[i].export)),
                      0);
    market_close(&market);
}

#define IS "incompatible import type: "

BothTest(link, each_mismatch_is_refused_by_number_kind_and_names) {
    static const struct {
        uint32_t import;
        const char *export, *message;
    } cases[] = {
        {FUNCTION, "function_none", "import 0, function offers.function: " IS "the function has another type"},
        {FUNCTION, "function_parameter", "import 0, function offers.function: " IS "the function has another type"},
        {FUNCTION, "function_parameters", "import 0, function offers.function: " IS "the function has another type"},
        {FUNCTION, "function_result", "import 0, function offers.function: " IS "the function has another type"},
        {FUNCTION, "function_results", "import 0, function offers.function: " IS "the function has another type"},
        {TABLE, "table_small", "import 1, table offers.table: " IS "a size of 2 is demanded, it is 1"},
        {TABLE, "table_large_maximum", "import 1, table offers.table: " IS "a maximum of 5 is demanded, it is 6"},
        {TABLE, "table_no_maximum", "import 1, table offers.table: " IS "a maximum of 5 is demanded, it has none"},
        {TABLE, "table_extern", "import 1, table offers.table: " IS "the table has other elements"},
        {MEMORY, "memory_small", "import 2, memory offers.memory: " IS "a size of 2 is demanded, it is 1"},
        {MEMORY, "memory_large_maximum", "import 2, memory offers.memory: " IS "a maximum of 5 is demanded, it is 6"},
        {MEMORY, "memory_no_maximum", "import 2, memory offers.memory: " IS "a maximum of 5 is demanded, it has none"},
        {CONSTANT, "constant_wide", "import 3, global offers.constant: " IS "the global has another value type"},
        {CONSTANT, "constant_double", "import 3, global offers.constant: " IS "the global has another value type"},
        {CONSTANT, "mutable_integer", "import 3, global offers.constant: " IS "a constant global is demanded"},
        {MUTABLE, "mutable_narrow", "import 4, global offers.mutable: " IS "the global has another value type"},
        {MUTABLE, "constant_double", "import 4, global offers.mutable: " IS "a mutable global is demanded"},
        {TAG, "tag_none", "import 5, tag offers.tag: " IS "the tag has another type"},
        {TAG, "tag_wide", "import 5, tag offers.tag: " IS "the tag has another type"},
    };
    struct Market market;

    market_open(&market, implementation);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_result(&market.fixture,
                      market_try_other(&market, cases[i].import, modules_export(market.seller, cases[i].export)),
                      WASMPOOL_E_LINK);
        expect_str(market.fixture.error.message, cases[i].message);
    }
    market_close(&market);
}

/* Every import with every item of another kind. */
BothTest(link, items_of_another_kind_are_refused) {
    struct Market market;
    char says[64];

    market_open(&market, implementation);
    for (uint32_t i = 0; i < IMPORTS; i++)
        for (uint32_t other = 0; other < IMPORTS; other++) {
            if (market.imports[i].kind == market.imports[other].kind)
                continue;
            expect_result(&market.fixture, market_try_other(&market, i, market.imports[other]), WASMPOOL_E_LINK);
            snprintf(says, sizeof(says), "import %u, ", i);
            expect_says(market.fixture.error.message, says);
            expect_says(market.fixture.error.message, "of another kind");
        }
    market_close(&market);
}

BothTest(link, indices_that_do_not_exist_are_refused) {
    static const char *const kinds[] = {"function", "table", "memory", "global", "global", "tag"};
    static const uint32_t indices[] = {40, 1000000, UINT32_MAX};
    struct Market market;

    market_open(&market, implementation);
    for (uint32_t i = 0; i < IMPORTS; i++)
        for (int k = 0; k < 3; k++) {
            struct wasmpool_extern other = market.imports[i];

            other.index = indices[k];
            expect_result(&market.fixture, market_try_other(&market, i, other), WASMPOOL_E_LINK);
            expect_says(market.fixture.error.message, "the exporting instance has no such ");
            expect_says(market.fixture.error.message, kinds[i]);
        }
    market_close(&market);
}

BothTest(link, imports_bound_to_nothing_are_refused) {
    struct Market market;

    market_open(&market, implementation);
    for (uint32_t i = 0; i < IMPORTS; i++) {
        struct wasmpool_extern nothing = {.kind = market.imports[i].kind};

        expect_result(&market.fixture, market_try_other(&market, i, nothing), WASMPOOL_E_LINK);
        expect_says(market.fixture.error.message, "it is bound to nothing");
    }
    market_close(&market);
}

BothTest(link, as_many_imports_are_needed_as_the_module_has) {
    struct wasmpool_extern more[IMPORTS + 1];
    struct Market market;

    market_open(&market, implementation);
    for (uint32_t n = 0; n < IMPORTS; n++) {
        char says[64];

        expect_result(&market.fixture, market_try(&market, market.imports, n), WASMPOOL_E_LINK);
        snprintf(says, sizeof(says), "the module has 6 imports, the request %u", n);
        expect_str(market.fixture.error.message, says);
    }
    memcpy(more, market.imports, sizeof(market.imports));
    more[IMPORTS] = more[0];
    expect_result(&market.fixture, market_try(&market, more, IMPORTS + 1), WASMPOOL_E_LINK);
    market_close(&market);
}

/* What counts is how large it is now, not how large it was made. */
BothTest(link, current_sizes_count) {
    struct wasmpool_extern memory, table;
    struct Market market;

    market_open(&market, implementation);
    memory = modules_export(market.seller, "memory_small");
    table = modules_export(market.seller, "table_small");
    expect_result(&market.fixture, market_try_other(&market, MEMORY, memory), WASMPOOL_E_LINK);
    expect_eq(wasmpool_grow_memory(market.fixture.pool, wasmpool_instance_memory_at(market.seller, memory.index), 1),
              1);
    expect_result(&market.fixture, market_try_other(&market, MEMORY, memory), 0);
    expect_result(&market.fixture, market_try_other(&market, TABLE, table), WASMPOOL_E_LINK);
    expect_eq(wasmpool_grow_table(market.fixture.pool, wasmpool_instance_table_at(market.seller, table.index), 1, NULL),
              1);
    expect_result(&market.fixture, market_try_other(&market, TABLE, table), 0);
    market_close(&market);
}

/* ------------------------------------------------------------------------------------------------ host functions */

BothTest(link, functions_of_the_host_are_linked_by_the_id_of_their_type) {
    static const uint8_t integer[] = {WASMPOOL_TYPE_I32}, wide[] = {WASMPOOL_TYPE_I64};
    struct wasmpool_function_type type = {.parameters = integer, .n_parameters = 1, .results = wide, .n_results = 1};
    struct wasmpool_func_ref host = {.array_call = integer, .wasm_call = wide, .vmctx = (void *)&type};
    struct wasmpool_extern imports[IMPORTS];
    struct wasmpool_instance *instance;
    const struct wasmpool_func_ref *linked;
    struct Market market;
    uint32_t other;

    market_open(&market, implementation);
    memcpy(imports, market.imports, sizeof(imports));
    imports[FUNCTION] = (struct wasmpool_extern){.kind = WASMPOOL_EXTERNAL_FUNCTION, .function = &host};
    expect_eq(wasmpool_function_type_ref(&type, &host.type_index, NULL), 0);
    expect_result(&market.fixture, modules_allocate(&market.fixture, market.wants, imports, IMPORTS, &instance), 0);
    linked = (const void *)((const uint8_t *)wasmpool_instance_vmctx(instance) +
                            wasmpool_module_offsets(market.wants)->imported_functions);
    cr_assert(linked->array_call == integer && linked->wasm_call == wide && linked->vmctx == (void *)&type);
    expect_eq(linked->type_index, host.type_index);
    wasmpool_deallocate_module(&instance);
    wasmpool_function_type_unref(host.type_index);
    type.n_results = 0;
    expect_eq(wasmpool_function_type_ref(&type, &other, NULL), 0);
    host.type_index = other;
    expect_result(&market.fixture, market_try(&market, imports, IMPORTS), WASMPOOL_E_LINK);
    expect_says(market.fixture.error.message, "import 0, function offers.function: " IS "the function has another");
    wasmpool_function_type_unref(other);
    market_close(&market);
}

/* ------------------------------------------------------------------------------------------------ not linked */

BothTest(link, an_instance_that_is_not_linked_exports_nothing_and_is_not_initialised) {
    struct wasmpool_module *exporter_module = modules_load("exporter"), *everything_module = modules_load("everything"),
                           *importer_module = modules_load("importer");
    struct wasmpool_instance *everything, *importer = NULL;
    struct wasmpool_extern imports[16];
    struct Fixture fixture;
    uint32_t n;

    fixture_open(&fixture, implementation, ROOM);
    expect_result(&fixture, modules_allocate(&fixture, everything_module, NULL, 0, &everything), 0);
    expect_result(&fixture, wasmpool_initialize(everything, WASMPOOL_BOUNDS_FIRST, &fixture.error), WASMPOOL_E_LINK);
    expect_says(fixture.error.message, "the module has 7 imports, and the request had none");
    n = modules_bind(importer_module, (struct ModulesNamed[]){{"everything", everything}, {NULL, NULL}}, imports, 16);
    expect_result(&fixture, modules_allocate(&fixture, importer_module, imports, n, &importer), WASMPOOL_E_LINK);
    expect_says(fixture.error.message, "the exporting instance was not linked itself");
    fixture_expect_use(&fixture, 1, 2, 2);
    wasmpool_deallocate_module(&everything);
    wasmpool_module_free(exporter_module);
    wasmpool_module_free(everything_module);
    wasmpool_module_free(importer_module);
    fixture_close(&fixture);
}

BothTest(link, nothing_can_be_linked_to_a_described_modules_imports) {
    struct wasmpool_module *module =
        fixture_describe(&(struct wasmpool_module_description){.imported_functions = 1, .imported_memories = 1});
    struct wasmpool_instance *instance = NULL;
    struct Market market;

    market_open(&market, implementation);
    expect_result(&market.fixture, modules_allocate(&market.fixture, module, market.imports, 2, &instance),
                  WASMPOOL_E_LINK);
    expect_says(market.fixture.error.message, "described");
    expect_result(&market.fixture, modules_allocate(&market.fixture, module, NULL, 0, &instance), 0);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    market_close(&market);
}

/* But its memories and tables can be imported, and its functions and globals, of which nothing is known, cannot. */
BothTest(link, memories_and_tables_of_a_described_module_can_be_imported) {
    struct wasmpool_memory_type memory = {.minimum = 2, .maximum = 5, .has_maximum = true};
    struct wasmpool_table_type table = {.minimum = 2, .maximum = 5, .has_maximum = true};
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){.memories = &memory,
                                                                                            .n_memories = 1,
                                                                                            .tables = &table,
                                                                                            .n_tables = 1,
                                                                                            .defined_functions = 1,
                                                                                            .defined_globals = 1});
    struct wasmpool_instance *described;
    struct Market market;

    market_open(&market, implementation);
    expect_result(&market.fixture, fixture_allocate(&market.fixture, module, &described), 0);
    for (uint32_t i = 0; i < IMPORTS; i++) {
        bool can = i == MEMORY || i == TABLE;
        struct wasmpool_extern item = {.kind = market.imports[i].kind, .instance = described};

        expect_result(&market.fixture, market_try_other(&market, i, item), can ? 0 : WASMPOOL_E_LINK);
        if (!can)
            expect_says(market.fixture.error.message, "the exporting instance has no such");
    }
    wasmpool_deallocate_module(&described);
    wasmpool_module_free(module);
    market_close(&market);
}

/* Two allocators of one process; elements must be as large as the importer's code believes. */
Test(link, tables_of_another_allocator_must_have_elements_of_the_same_size) {
    struct wasmpool_options options = {.funcref_size = 24};
    struct wasmpool_extern imports[IMPORTS];
    struct wasmpool_instance *seller;
    struct Fixture wide;
    struct Market market;

    market_open(&market, EMBEDDED);
    fixture_open_with(&wide, EMBEDDED, options, (const char *const[]){ROOM, NULL});
    seller = modules_instantiate(&wide, market.offers, NULL, 0);
    memcpy(imports, market.imports, sizeof(imports));
    imports[TABLE] = modules_export(seller, "table");
    expect_result(&market.fixture, market_try(&market, imports, IMPORTS), WASMPOOL_E_LINK);
    expect_says(market.fixture.error.message, "the table's elements have 24 bytes, this allocator's 8");
    imports[TABLE] = market.imports[TABLE];
    imports[MEMORY] = modules_export(seller, "memory");
    expect_result(&market.fixture, market_try(&market, imports, IMPORTS), 0);
    wasmpool_deallocate_module(&seller);
    fixture_close(&wide);
    market_close(&market);
}

/* Names come from whoever made the binary, the message goes to a terminal. */
Test(link, names_in_messages_are_printable) {
    struct wasmpool_module *module;
    struct wasmpool_instance *instance;
    struct wasmpool_extern import = {.kind = WASMPOOL_EXTERNAL_MEMORY};
    struct Fixture fixture;
    struct Bytes bytes;

    begin(&bytes);
    SECTION(&bytes, 2, "\1\3a\nb\4\x1b[2J\2\0\1");
    module = read_well(&bytes);
    fixture_open(&fixture, EMBEDDED);
    expect_result(&fixture, modules_allocate(&fixture, module, &import, 1, &instance), WASMPOOL_E_LINK);
    expect_says(fixture.error.message, "import 0, memory a?b.?[2J: ");
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
