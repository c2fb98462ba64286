/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The nine functions through which generated code gets, grows and frees memories and tables. Part of wasm-rt-impl.c,
 * under wabt's names, and of wrap.c, under the linker's. Freed structs are cleared, and unknown or cleared ones
 * ignored: a host may free an instance whose instantiation trapped half-way. */

void RUNTIME(wasm_rt_allocate_memory)(wasm_rt_memory_t *memory, uint32_t initial_pages, uint32_t max_pages);
uint32_t RUNTIME(wasm_rt_grow_memory)(wasm_rt_memory_t *memory, uint32_t delta);
void RUNTIME(wasm_rt_free_memory)(wasm_rt_memory_t *memory);
void RUNTIME(wasm_rt_allocate_funcref_table)(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max_elements);
uint32_t RUNTIME(wasm_rt_grow_funcref_table)(wasm_rt_funcref_table_t *table, uint32_t delta, wasm_rt_funcref_t init);
void RUNTIME(wasm_rt_free_funcref_table)(wasm_rt_funcref_table_t *table);
void RUNTIME(wasm_rt_allocate_externref_table)(wasm_rt_externref_table_t *table, uint32_t elements,
                                               uint32_t max_elements);
uint32_t RUNTIME(wasm_rt_grow_externref_table)(wasm_rt_externref_table_t *table, uint32_t delta,
                                               wasm_rt_externref_t init);
void RUNTIME(wasm_rt_free_externref_table)(wasm_rt_externref_table_t *table);

/* ------------------------------------------------------------------------------------------------ memories */

void RUNTIME(wasm_rt_allocate_memory)(wasm_rt_memory_t *memory, uint32_t initial_pages, uint32_t max_pages) {
    uint32_t pages_max = max_pages < MEMORY_PAGES_MAX ? max_pages : MEMORY_PAGES_MAX;
    const struct wasmpool_memory_type type = {.minimum = initial_pages, .maximum = pages_max, .has_maximum = true};
    struct Holding *holding = NULL;

    *memory = (wasm_rt_memory_t){0};
    if (initial_pages <= MEMORY_PAGES_MAX)
        holding = scope_next_memory(initial_pages, pages_max);
    if (!holding && initial_pages <= MEMORY_PAGES_MAX)
        holding = holding_new(&type, NULL, scope_stray());
    if (!holding)
        wasm_rt_trap(WASM_RT_TRAP_EXHAUSTION);
    *memory = (wasm_rt_memory_t){
        .data = holding->memory->base,
        .pages = initial_pages,
        .max_pages = pages_max,
        .size = initial_pages * MEMORY_PAGE_BYTES,
    };
}

/* The type's maximum is the allocator's to enforce; only the cap is ours. */
uint32_t RUNTIME(wasm_rt_grow_memory)(wasm_rt_memory_t *memory, uint32_t delta) {
    struct Holding *holding = granule_find(memory->data);
    int64_t old_pages;

    if (!holding || delta > MEMORY_PAGES_MAX - memory->pages)
        return UINT32_MAX;
    old_pages = wasmpool_grow_memory(holding->pool, holding->memory, delta);
    if (old_pages < 0)
        return UINT32_MAX;
    memory->pages = (uint32_t)old_pages + delta;
    memory->size = memory->pages * MEMORY_PAGE_BYTES;
    return (uint32_t)old_pages;
}

void RUNTIME(wasm_rt_free_memory)(wasm_rt_memory_t *memory) {
    struct Holding *holding = granule_find(memory->data);

    *memory = (wasm_rt_memory_t){0};
    if (holding && holding->memory == &holding->own.memory)
        holding_free(holding);
}

/* ------------------------------------------------------------------------------------------------ tables */

static struct Holding *table_allocate(enum wasmpool_reference element, uint32_t elements, uint32_t max_elements) {
    const struct wasmpool_table_type type = {
        .minimum = elements,
        .maximum = max_elements,
        .has_maximum = max_elements != UINT32_MAX,
        .element = element,
    };
    struct Holding *holding = scope_next_table(&type);

    if (!holding)
        holding = holding_new(NULL, &type, scope_stray());
    if (!holding)
        wasm_rt_trap(WASM_RT_TRAP_EXHAUSTION);
    return holding;
}

/* `init` NULL: null. The old number of elements or UINT32_MAX. */
static uint32_t table_grow(void *data, uint32_t delta, const void *init) {
    struct Holding *holding = table_find(data);
    int64_t old_elements = holding ? wasmpool_grow_table(holding->pool, holding->table, delta, init) : -1;

    return old_elements < 0 ? UINT32_MAX : (uint32_t)old_elements;
}

static void table_free(void *data) {
    struct Holding *holding = table_find(data);

    if (holding && holding->table == &holding->own.table)
        holding_free(holding);
}

void RUNTIME(wasm_rt_allocate_funcref_table)(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max_elements) {
    *table = (wasm_rt_funcref_table_t){0};
    table->data = table_allocate(WASMPOOL_FUNCREF, elements, max_elements)->table->base;
    table->size = elements;
    table->max_size = max_elements;
}

/* A null funcref is handed on as such: the padding inside the struct that comes by value may hold anything. */
uint32_t RUNTIME(wasm_rt_grow_funcref_table)(wasm_rt_funcref_table_t *table, uint32_t delta, wasm_rt_funcref_t init) {
    uint32_t old_elements = table_grow(table->data, delta, init.func ? &init : NULL);

    if (old_elements != UINT32_MAX)
        table->size = old_elements + delta;
    return old_elements;
}

void RUNTIME(wasm_rt_free_funcref_table)(wasm_rt_funcref_table_t *table) {
    table_free(table->data);
    *table = (wasm_rt_funcref_table_t){0};
}

void RUNTIME(wasm_rt_allocate_externref_table)(wasm_rt_externref_table_t *table, uint32_t elements,
                                               uint32_t max_elements) {
    *table = (wasm_rt_externref_table_t){0};
    table->data = table_allocate(WASMPOOL_EXTERNREF, elements, max_elements)->table->base;
    table->size = elements;
    table->max_size = max_elements;
}

uint32_t RUNTIME(wasm_rt_grow_externref_table)(wasm_rt_externref_table_t *table, uint32_t delta,
                                               wasm_rt_externref_t init) {
    uint32_t old_elements = table_grow(table->data, delta, init ? &init : NULL);

    if (old_elements != UINT32_MAX)
        table->size = old_elements + delta;
    return old_elements;
}

void RUNTIME(wasm_rt_free_externref_table)(wasm_rt_externref_table_t *table) {
    table_free(table->data);
    *table = (wasm_rt_externref_table_t){0};
}
