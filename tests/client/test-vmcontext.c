/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

#define ROOM "max_memories_per_module=4", "max_tables_per_module=4"

/* exporter.wat, everything.wat, which imports from it, and importer.wat, which imports from that. */
struct Chain {
    struct Fixture fixture;
    struct wasmpool_module *exporter_module, *everything_module, *importer_module;
    struct wasmpool_instance *exporter, *everything, *importer;
    struct wasmpool_store store;
    struct wasmpool_code code[4]; /* of everything.wat's functions */
};

/* Indices in everything.wat. */
enum { FUNCTION_ADD, FUNCTION_UNESCAPED, FUNCTION_OWN, FUNCTION_HIDDEN, FUNCTION_BEGIN, FUNCTION_REFERRED };

static int places[16]; /* whose addresses stand for code and the like */

static void chain_open(struct Chain *chain, enum Implementation implementation) {
    struct wasmpool_extern imports[16];
    struct wasmpool_request request = {.imports = imports, .store = &chain->store, .code = chain->code};

    *chain = (struct Chain){.store = {&places[0], &places[1], &places[2], &places[3]}};
    for (int i = 0; i < 4; i++)
        chain->code[i] = (struct wasmpool_code){&places[4 + i], &places[8 + i]};
    fixture_open(&chain->fixture, implementation, ROOM);
    chain->exporter_module = modules_load("exporter");
    chain->everything_module = modules_load("everything");
    chain->importer_module = modules_load("importer");
    chain->exporter = modules_instantiate(&chain->fixture, chain->exporter_module, NULL, 0);
    request.module = chain->everything_module;
    request.n_imports = modules_bind(chain->everything_module,
                                     (struct ModulesNamed[]){{"exporter", chain->exporter}, {NULL, NULL}}, imports, 16);
    expect_result(&chain->fixture,
                  wasmpool_allocate_module(chain->fixture.pool, &request, &chain->everything, &chain->fixture.error),
                  0);
    expect_result(&chain->fixture, wasmpool_initialize(chain->everything, WASMPOOL_IN_ORDER, &chain->fixture.error), 0);
    request = (struct wasmpool_request){.module = chain->importer_module, .imports = imports};
    request.n_imports = modules_bind(
        chain->importer_module, (struct ModulesNamed[]){{"everything", chain->everything}, {NULL, NULL}}, imports, 16);
    expect_result(&chain->fixture,
                  wasmpool_allocate_module(chain->fixture.pool, &request, &chain->importer, &chain->fixture.error), 0);
}

static void chain_close(struct Chain *chain) {
    wasmpool_deallocate_module(&chain->importer);
    wasmpool_deallocate_module(&chain->everything);
    wasmpool_deallocate_module(&chain->exporter);
    wasmpool_module_free(chain->importer_module);
    wasmpool_module_free(chain->everything_module);
    wasmpool_module_free(chain->exporter_module);
    fixture_close(&chain->fixture);
}

/* Where an array of the instance's VMContext is. */
#define ARRAY(INSTANCE, NAME)                                                                                          \
    ((void *)((uint8_t *)wasmpool_instance_vmctx(INSTANCE) +                                                           \
              wasmpool_module_offsets(wasmpool_instance_module(INSTANCE))->NAME))

BothTest(vmcontext, begins_with_the_magic_and_what_the_store_is) {
    struct wasmpool_vmcontext *vmctx;
    struct Chain chain;

    chain_open(&chain, implementation);
    vmctx = wasmpool_instance_vmctx(chain.everything);
    expect_eq(vmctx->magic, 0x65726f63);
    cr_assert(!memcmp(vmctx, "core", 4));
    cr_assert_eq(vmctx->store_context, (void *)&places[0]);
    cr_assert_eq(vmctx->builtin_functions, (void *)&places[1]);
    cr_assert_eq(vmctx->epoch_pointer, (void *)&places[2]);
    cr_assert_eq(vmctx->gc_heap_data, (void *)&places[3]);
    expect_eq((uintptr_t)vmctx % 16, 0);
    cr_assert_eq(wasmpool_vmctx_instance(vmctx), chain.everything);
    cr_assert_eq(wasmpool_instance_pool(chain.everything), chain.fixture.pool);
    vmctx = wasmpool_instance_vmctx(chain.importer);
    cr_assert(!vmctx->store_context && !vmctx->builtin_functions && !vmctx->epoch_pointer && !vmctx->gc_heap_data);
    chain_close(&chain);
}

BothTest(vmcontext, type_ids_are_equal_where_types_are) {
    static const uint8_t integers[] = {WASMPOOL_TYPE_I32, WASMPOOL_TYPE_I32};
    struct wasmpool_function_type type = {
        .parameters = integers, .n_parameters = 2, .results = integers, .n_results = 1};
    struct wasmpool_vmcontext *everything, *exporter;
    struct wasmpool_module_counts counts;
    struct Chain chain;
    uint32_t id;

    chain_open(&chain, implementation);
    everything = wasmpool_instance_vmctx(chain.everything);
    exporter = wasmpool_instance_vmctx(chain.exporter);
    wasmpool_module_counts(chain.everything_module, &counts);
    for (uint32_t i = 0; i < counts.types; i++) {
        struct wasmpool_function_type of_module;

        expect_eq(wasmpool_module_function_type(chain.everything_module, i, &of_module), 0);
        expect_eq(everything->type_ids[i], of_module.id);
    }
    /* $binary and $none have other indices there. */
    expect_eq(everything->type_ids[1], exporter->type_ids[1]);
    expect_eq(everything->type_ids[2], exporter->type_ids[0]);
    cr_assert_neq(everything->type_ids[0], everything->type_ids[1]);
    expect_eq(wasmpool_function_type_ref(&type, &id, &chain.fixture.error), 0);
    expect_eq(id, everything->type_ids[1]);
    wasmpool_function_type_unref(id);
    chain_close(&chain);
}

BothTest(vmcontext, memories_point_to_what_they_own) {
    struct wasmpool_memory_definition **memories, *owned;
    struct Chain chain;

    chain_open(&chain, implementation);
    memories = ARRAY(chain.everything, memories);
    owned = ARRAY(chain.everything, owned_memories);
    for (uint32_t i = 0; i < 2; i++) {
        const struct wasmpool_memory *memory = wasmpool_instance_memory(chain.everything, i);

        cr_assert_eq(memories[i], &owned[i]);
        cr_assert_eq(owned[i].base, memory->base);
        expect_eq(owned[i].current_length, (i ? 1 : 2) * WASM_PAGE);
        cr_assert_eq(wasmpool_instance_memory_at(chain.everything, 1 + i), memory);
    }
    cr_assert_neq(owned[0].base, owned[1].base);
    cr_assert_eq(wasmpool_instance_memory_at(chain.everything, 0), wasmpool_instance_memory(chain.exporter, 1));
    cr_assert_null(wasmpool_instance_memory_at(chain.everything, 3));
    cr_assert_null(wasmpool_instance_memory_at(chain.everything, UINT32_MAX));
    chain_close(&chain);
}

BothTest(vmcontext, tables_are_where_they_say) {
    static const uint32_t elements[] = {6, 3};
    struct wasmpool_table_definition *tables;
    struct Chain chain;

    chain_open(&chain, implementation);
    tables = ARRAY(chain.everything, tables);
    for (uint32_t i = 0; i < 2; i++) {
        const struct wasmpool_table *table = wasmpool_instance_table(chain.everything, i);

        cr_assert_eq(tables[i].base, table->base);
        expect_eq(tables[i].current_elements, elements[i]);
        cr_assert_eq(wasmpool_instance_table_at(chain.everything, 1 + i), table);
    }
    cr_assert_eq(wasmpool_instance_table_at(chain.everything, 0), wasmpool_instance_table(chain.exporter, 1));
    cr_assert_null(wasmpool_instance_table_at(chain.everything, 3));
    chain_close(&chain);
}

BothTest(vmcontext, globals_lie_16_bytes_apart) {
    union wasmpool_global_definition *globals;
    struct Chain chain;

    chain_open(&chain, implementation);
    globals = ARRAY(chain.everything, globals);
    expect_eq((uintptr_t)globals % 16, 0);
    expect_eq((int32_t)globals[0].i32, -2);
    expect_zero(globals[0].bytes + 4, 12);
    expect_eq(globals[1].i64, 0x1122334455667788);
    expect_zero(globals[1].bytes + 8, 8);
    cr_assert_eq(wasmpool_instance_global_at(chain.everything, 2), &globals[0]);
    cr_assert_eq(wasmpool_instance_global_at(chain.everything, 3), &globals[1]);
    expect_eq(wasmpool_instance_global_at(chain.everything, 0)->i64, 0x1122334455667788);
    cr_assert_null(wasmpool_instance_global_at(chain.everything, 4));
    chain_close(&chain);
}

BothTest(vmcontext, tags_have_the_ids_of_their_types) {
    static const uint8_t wide[] = {WASMPOOL_TYPE_I64};
    struct wasmpool_function_type type = {.parameters = wide, .n_parameters = 1};
    struct wasmpool_tag_definition *tags;
    struct Chain chain;
    uint32_t id;

    chain_open(&chain, implementation);
    tags = ARRAY(chain.everything, tags);
    expect_eq(tags[0].type_index, wasmpool_instance_vmctx(chain.everything)->type_ids[2]);
    expect_eq(wasmpool_function_type_ref(&type, &id, NULL), 0);
    expect_eq(tags[1].type_index, id);
    wasmpool_function_type_unref(id);
    chain_close(&chain);
}

static void expect_func_ref(const struct wasmpool_func_ref *reference, const struct wasmpool_code *code,
                            uint32_t type_id, struct wasmpool_instance *instance) {
    cr_assert_not_null(reference);
    cr_assert_eq(reference->array_call, code ? code->array_call : NULL);
    cr_assert_eq(reference->wasm_call, code ? code->wasm_call : NULL);
    expect_eq(reference->type_index, type_id);
    cr_assert_eq(reference->vmctx, wasmpool_instance_vmctx(instance));
}

BothTest(vmcontext, func_refs_are_those_of_functions_that_escape) {
    struct wasmpool_module_counts counts;
    struct wasmpool_func_ref *refs;
    const uint32_t *types;
    struct Chain chain;

    chain_open(&chain, implementation);
    refs = ARRAY(chain.everything, func_refs);
    types = wasmpool_instance_vmctx(chain.everything)->type_ids;
    wasmpool_module_counts(chain.everything_module, &counts);
    expect_eq(counts.escaped_functions, 3);
    expect_func_ref(&refs[0], NULL, types[1], chain.exporter); /* imported: the defining instance's */
    expect_func_ref(&refs[1], &chain.code[FUNCTION_OWN - 2], types[2], chain.everything);
    expect_func_ref(&refs[2], &chain.code[FUNCTION_REFERRED - 2], types[1], chain.everything);
    cr_assert_eq(wasmpool_instance_function_at(chain.everything, FUNCTION_ADD), &refs[0]);
    cr_assert_eq(wasmpool_instance_function_at(chain.everything, FUNCTION_OWN), &refs[1]);
    cr_assert_eq(wasmpool_instance_function_at(chain.everything, FUNCTION_REFERRED), &refs[2]);
    cr_assert_null(wasmpool_instance_function_at(chain.everything, FUNCTION_UNESCAPED));
    cr_assert_null(wasmpool_instance_function_at(chain.everything, FUNCTION_HIDDEN));
    cr_assert_null(wasmpool_instance_function_at(chain.everything, FUNCTION_BEGIN));
    cr_assert_null(wasmpool_instance_function_at(chain.everything, FUNCTION_REFERRED + 1));
    chain_close(&chain);
}

BothTest(vmcontext, the_start_function_has_a_reference_even_if_it_does_not_escape) {
    const struct wasmpool_func_ref *start;
    struct Chain chain;
    uint32_t index;

    chain_open(&chain, implementation);
    start = wasmpool_instance_start(chain.everything);
    cr_assert_eq(start, ARRAY(chain.everything, startup_func_ref));
    expect_func_ref(start, &chain.code[FUNCTION_BEGIN - 2], wasmpool_instance_vmctx(chain.everything)->type_ids[2],
                    chain.everything);
    expect_eq(wasmpool_module_start(chain.everything_module, &index), 0);
    expect_eq(index, FUNCTION_BEGIN);
    cr_assert_null(wasmpool_instance_start(chain.exporter));
    chain_close(&chain);
}

/* What is in an image has none: its segment is as good as dropped. */
BothTest(vmcontext, runtime_data_is_what_no_image_holds) {
    struct wasmpool_module_counts counts;
    uint8_t *const *bases;
    const uint32_t *lengths;
    struct Chain chain;

    chain_open(&chain, implementation);
    wasmpool_module_counts(chain.everything_module, &counts);
    expect_eq(counts.data_segments, 3);
    expect_eq(counts.runtime_data, 2);
    bases = ARRAY(chain.everything, runtime_data_bases);
    lengths = ARRAY(chain.everything, runtime_data_lengths);
    expect_eq(lengths[0], 7);
    cr_assert(!memcmp(bases[0], "passive", 7));
    expect_eq(lengths[1], 0);
    chain_close(&chain);
}

/* ------------------------------------------------------------------------------------------------ imports */

BothTest(vmcontext, imports_name_the_item_and_its_instance) {
    struct wasmpool_memory_import *memory;
    struct wasmpool_table_import *table;
    struct wasmpool_global_import *global;
    struct wasmpool_tag_import *tag;
    struct wasmpool_vmcontext *exporter;
    struct Chain chain;

    chain_open(&chain, implementation);
    exporter = wasmpool_instance_vmctx(chain.exporter);
    memory = ARRAY(chain.everything, imported_memories);
    cr_assert_eq(memory->from, (struct wasmpool_memory_definition *)ARRAY(chain.exporter, owned_memories) + 1);
    cr_assert_eq(memory->vmctx, exporter);
    expect_eq(memory->index, 1);
    table = ARRAY(chain.everything, imported_tables);
    cr_assert_eq(table->from, (struct wasmpool_table_definition *)ARRAY(chain.exporter, tables) + 1);
    cr_assert_eq(table->vmctx, exporter);
    expect_eq(table->index, 1);
    global = ARRAY(chain.everything, imported_globals);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(global[i].from, (union wasmpool_global_definition *)ARRAY(chain.exporter, globals) + 2 + i);
        cr_assert_eq(global[i].vmctx, exporter);
        expect_eq(global[i].kind, 1);
        expect_eq(global[i].index, 2 + i);
    }
    tag = ARRAY(chain.everything, imported_tags);
    cr_assert_eq(tag->from, (struct wasmpool_tag_definition *)ARRAY(chain.exporter, tags) + 1);
    cr_assert_eq(tag->vmctx, exporter);
    expect_eq(tag->index, 1);
    for (uint32_t i = 0; i < 2; i++)
        expect_func_ref((struct wasmpool_func_ref *)ARRAY(chain.everything, imported_functions) + i, NULL,
                        exporter->type_ids[1], chain.exporter);
    chain_close(&chain);
}

/* What everything.wat only passes on is exporter.wat's in every respect. */
BothTest(vmcontext, imports_that_are_passed_on_name_the_instance_that_defines_them) {
    const struct wasmpool_memory_import *memories, *passed_memory;
    const struct wasmpool_table_import *tables, *passed_table;
    const struct wasmpool_global_import *globals, *passed_globals;
    const struct wasmpool_tag_import *tags, *passed_tag;
    const struct wasmpool_func_ref *functions;
    struct wasmpool_vmcontext *everything;
    struct Chain chain;

    chain_open(&chain, implementation);
    everything = wasmpool_instance_vmctx(chain.everything);
    memories = ARRAY(chain.importer, imported_memories);
    passed_memory = ARRAY(chain.everything, imported_memories);
    cr_assert(memories[0].vmctx == everything && memories[0].index == 1);
    cr_assert(!memcmp(&memories[1], passed_memory, sizeof(*memories)));
    tables = ARRAY(chain.importer, imported_tables);
    passed_table = ARRAY(chain.everything, imported_tables);
    cr_assert(tables[0].vmctx == everything && tables[0].index == 0);
    cr_assert(!memcmp(&tables[1], passed_table, sizeof(*tables)));
    globals = ARRAY(chain.importer, imported_globals);
    passed_globals = ARRAY(chain.everything, imported_globals);
    cr_assert(globals[0].vmctx == everything && globals[0].index == 1);
    cr_assert(!memcmp(&globals[1], passed_globals, 2 * sizeof(*globals)));
    tags = ARRAY(chain.importer, imported_tags);
    passed_tag = ARRAY(chain.everything, imported_tags);
    cr_assert(tags[0].vmctx == everything && tags[0].index == 0);
    cr_assert(!memcmp(&tags[1], passed_tag, sizeof(*tags)));
    functions = ARRAY(chain.importer, imported_functions);
    expect_func_ref(&functions[0], &chain.code[0], everything->type_ids[2], chain.everything);
    expect_func_ref(&functions[1], NULL, everything->type_ids[1], chain.exporter);
    expect_func_ref(wasmpool_instance_function_at(chain.importer, 1), NULL, everything->type_ids[1], chain.exporter);
    cr_assert_eq(wasmpool_instance_memory_at(chain.importer, 1), wasmpool_instance_memory(chain.exporter, 1));
    cr_assert_eq(wasmpool_instance_table_at(chain.importer, 1), wasmpool_instance_table(chain.exporter, 1));
    chain_close(&chain);
}

BothTest(vmcontext, definitions_follow_when_items_grow) {
    const struct wasmpool_memory_import *memories;
    const struct wasmpool_table_import *tables;
    struct wasmpool_memory *memory;
    struct wasmpool_table *table;
    struct Chain chain;

    chain_open(&chain, implementation);
    memory = wasmpool_instance_memory_at(chain.importer, 1);
    memories = ARRAY(chain.importer, imported_memories);
    expect_eq(wasmpool_grow_memory(chain.fixture.pool, memory, 2), 1);
    expect_eq(memories[1].from->current_length, 3 * WASM_PAGE);
    expect_eq(wasmpool_grow_memory(chain.fixture.pool, memory, 2), -1);
    expect_eq(memories[1].from->current_length, 3 * WASM_PAGE);
    cr_assert_eq(memories[1].from->base, memory->base);
    table = wasmpool_instance_table_at(chain.importer, 1);
    tables = ARRAY(chain.importer, imported_tables);
    expect_eq(wasmpool_grow_table(chain.fixture.pool, table, 15, NULL), 5);
    expect_eq(tables[1].from->current_elements, 20);
    expect_eq(wasmpool_grow_table(chain.fixture.pool, table, 1, NULL), -1);
    expect_eq(tables[1].from->current_elements, 20);
    chain_close(&chain);
}

/* ------------------------------------------------------------------------------------------------ and without */

/* The block of the last instance is used again: nothing of that one must show. */
BothTest(vmcontext, without_imports_store_and_code_they_are_null) {
    struct wasmpool_vmcontext *vmctx;
    struct wasmpool_func_ref *refs;
    struct wasmpool_instance *instance;
    const struct wasmpool_vmoffsets *offsets;
    struct Chain chain;

    chain_open(&chain, implementation);
    wasmpool_deallocate_module(&chain.importer);
    wasmpool_deallocate_module(&chain.everything);
    expect_result(&chain.fixture, modules_allocate(&chain.fixture, chain.everything_module, NULL, 0, &instance), 0);
    vmctx = wasmpool_instance_vmctx(instance);
    offsets = wasmpool_module_offsets(chain.everything_module);
    cr_assert(!vmctx->store_context && !vmctx->builtin_functions && !vmctx->epoch_pointer && !vmctx->gc_heap_data);
    expect_zero(ARRAY(instance, imported_memories), offsets->memories - offsets->imported_memories);
    expect_zero(ARRAY(instance, imported_functions), offsets->tables - offsets->imported_functions);
    refs = ARRAY(instance, func_refs);
    expect_zero(&refs[0], sizeof(refs[0]));
    expect_func_ref(&refs[1], NULL, vmctx->type_ids[2], instance);
    expect_func_ref(wasmpool_instance_start(instance), NULL, vmctx->type_ids[2], instance);
    cr_assert_null(wasmpool_instance_memory_at(instance, 0));
    cr_assert_null(wasmpool_instance_table_at(instance, 0));
    cr_assert_null(wasmpool_instance_global_at(instance, 0));
    wasmpool_deallocate_module(&instance);
    chain_close(&chain);
}

BothTest(vmcontext, of_a_described_module_has_its_arrays_too) {
    struct wasmpool_memory_type memory = {.minimum = 1};
    struct wasmpool_table_type table = {.minimum = 3};
    struct wasmpool_module *module = fixture_describe(&(struct wasmpool_module_description){.imported_functions = 3,
                                                                                            .imported_memories = 1,
                                                                                            .defined_globals = 2,
                                                                                            .memories = &memory,
                                                                                            .n_memories = 1,
                                                                                            .tables = &table,
                                                                                            .n_tables = 1});
    struct wasmpool_memory_definition **memories;
    struct wasmpool_table_definition *tables;
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    expect_eq(wasmpool_instance_vmctx(instance)->magic, WASMPOOL_VMCONTEXT_MAGIC);
    memories = ARRAY(instance, memories);
    cr_assert_eq(memories[0]->base, wasmpool_instance_memory(instance, 0)->base);
    expect_eq(memories[0]->current_length, WASM_PAGE);
    tables = ARRAY(instance, tables);
    cr_assert_eq(tables[0].base, wasmpool_instance_table(instance, 0)->base);
    expect_eq(tables[0].current_elements, 3);
    expect_zero(ARRAY(instance, imported_functions), 3 * sizeof(struct wasmpool_func_ref));
    expect_zero(ARRAY(instance, globals), 32);
    cr_assert_null(wasmpool_instance_function_at(instance, 0));
    cr_assert_null(wasmpool_instance_start(instance));
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}
