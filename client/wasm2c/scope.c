/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Scopes: all slots of an instance taken at once, and handed out as its instantiation asks for them. Part of
 * wasm-rt-impl.c and wrap.c.
 *
 * A scope has two references: its owner's, which wasmpool_wasm2c_release drops, and that of the thread whose
 * instantiation it serves, which is dropped when everything is handed out, at the thread's next prefetch, or when
 * that thread finds it released. So a scope may be released on another thread without leaving this one a dangling
 * pointer. */

#include <stdarg.h>

struct wasmpool_wasm2c_scope {
    atomic_uint references;
    atomic_bool released;
    struct wasmpool_instance *instance;
    const struct wasmpool_module *module;
    uint32_t n_memories, n_tables;
    uint32_t next_memory, next_table;
    atomic_bool has_strays; /* the default pool served calls that did not match */
    struct Holding holdings[];  /* memories, then tables, by defined index */
};

static _Thread_local struct wasmpool_wasm2c_scope *scope_of_thread;

static void scope_unref(struct wasmpool_wasm2c_scope *scope) {
    if (atomic_fetch_sub(&scope->references, 1) == 1)
        free(scope);
}

/* The thread's allocations are no longer served from a scope. */
static void scope_leave(void) {
    if (scope_of_thread)
        scope_unref(scope_of_thread);
    scope_of_thread = NULL;
}

static struct wasmpool_wasm2c_scope *scope_current(void) {
    if (scope_of_thread && atomic_load(&scope_of_thread->released))
        scope_leave();
    return scope_of_thread;
}

static uint32_t memory_pages_max(const struct wasmpool_memory_type *type) {
    return type->has_maximum && type->maximum < MEMORY_PAGES_MAX ? (uint32_t)type->maximum : MEMORY_PAGES_MAX;
}

static uint32_t table_elements_max(const struct wasmpool_table_type *type) {
    return type->has_maximum ? type->maximum : UINT32_MAX;
}

static struct Holding *scope_hand_out(struct wasmpool_wasm2c_scope *scope, struct Holding *holding) {
    if (!holding_hand_out(holding))
        return NULL;
    /* What is allocated after the last one is another instance's, and must not go back with this one. */
    if (scope->next_memory == scope->n_memories && scope->next_table == scope->n_tables)
        scope_leave();
    return holding;
}

/* The next prefetched memory, if it is the one that is asked for. */
static struct Holding *scope_next_memory(uint32_t pages, uint32_t pages_max) {
    struct wasmpool_wasm2c_scope *scope = scope_current();
    const struct wasmpool_memory_type *type;

    if (!scope || scope->next_memory == scope->n_memories)
        return NULL;
    type = wasmpool_module_memory(scope->module, scope->next_memory);
    if (type->minimum != pages || memory_pages_max(type) != pages_max)
        return NULL;
    return scope_hand_out(scope, &scope->holdings[scope->next_memory++]);
}

static struct Holding *scope_next_table(const struct wasmpool_table_type *wanted) {
    struct wasmpool_wasm2c_scope *scope = scope_current();
    const struct wasmpool_table_type *type;

    if (!scope || scope->next_table == scope->n_tables)
        return NULL;
    type = wasmpool_module_table(scope->module, scope->next_table);
    if (type->minimum != wanted->minimum || type->element != wanted->element ||
        table_elements_max(type) != table_elements_max(wanted))
        return NULL;
    return scope_hand_out(scope, &scope->holdings[scope->n_memories + scope->next_table++]);
}

/* The scope that is answerable for what the default pool serves to this thread now, or NULL. */
static const struct wasmpool_wasm2c_scope *scope_stray(void) {
    struct wasmpool_wasm2c_scope *scope = scope_current();

    if (scope)
        atomic_store(&scope->has_strays, true);
    return scope;
}

/* ------------------------------------------------------------------------------------------------ prefetching */

__attribute__((format(printf, 5, 6))) static int refuse(struct wasmpool_error *error, const char *limit, uint64_t bound,
                                                        uint64_t ask, const char *format, ...) {
    va_list arguments;

    if (!error)
        return WASMPOOL_E_INVALID;
    *error = (struct wasmpool_error){.code = WASMPOOL_E_INVALID, .bound = bound, .ask = ask};
    snprintf(error->limit, sizeof(error->limit), "%s", limit);
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return WASMPOOL_E_INVALID;
}

/* Generated code trusts these without looking: refuse a pool that was not opened by wasmpool_wasm2c_open. */
static int pool_is_suitable(const struct wasmpool *pool, struct wasmpool_error *error) {
    static const struct {
        const char *name;
        uint64_t least;
    } needs[] = {
        {"memory_reservation", MEMORY_RESERVATION_BYTES},
        {"memory_guard_size", MEMORY_GUARD_BYTES},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        uint64_t value = 0;

        if (wasmpool_limit(pool, needs[i].name, &value) || value < needs[i].least)
            return refuse(error, needs[i].name, needs[i].least, value,
                          "wasm2c needs a %s of %llu bytes, the pool has %llu: open it with wasmpool_wasm2c_open",
                          needs[i].name, (unsigned long long)needs[i].least, (unsigned long long)value);
    }
    return 0;
}

static int module_is_suitable(const struct wasmpool_module *module, const struct wasmpool_module_counts *counts,
                              struct wasmpool_error *error) {
    for (uint32_t i = 0; i < counts->defined_memories; i++) {
        uint64_t minimum = wasmpool_module_memory(module, i)->minimum;

        if (minimum > MEMORY_PAGES_MAX)
            return refuse(error, "wasm2c_memory_pages", MEMORY_PAGES_MAX, minimum,
                          "memory %u starts with %llu wasm pages, wasm2c's runtime can have %u", i,
                          (unsigned long long)minimum, MEMORY_PAGES_MAX);
    }
    return 0;
}

static int scope_fill(struct wasmpool_wasm2c_scope *scope, struct wasmpool *pool, struct wasmpool_error *error) {
    for (uint32_t i = 0; i < scope->n_memories; i++) {
        scope->holdings[i].pool = pool;
        scope->holdings[i].memory = wasmpool_instance_memory(scope->instance, i);
    }
    for (uint32_t i = 0; i < scope->n_tables; i++) {
        const struct wasmpool_table_type *type = wasmpool_module_table(scope->module, i);
        struct wasmpool_table *table = wasmpool_instance_table(scope->instance, i);
        uint32_t bytes = type->element == WASMPOOL_FUNCREF ? sizeof(wasm_rt_funcref_t) : sizeof(wasm_rt_externref_t);

        if (table->element_size != bytes)
            return refuse(error, "element_size", bytes, table->element_size,
                          "wasm2c needs elements of %u bytes in table %u, the pool has %u: open it with "
                          "wasmpool_wasm2c_open", bytes, i, table->element_size);
        scope->holdings[scope->n_memories + i].pool = pool;
        scope->holdings[scope->n_memories + i].table = table;
    }
    return 0;
}

int wasmpool_wasm2c_prefetch(struct wasmpool_wasm2c_scope **scopep, struct wasmpool *pool,
                             const struct wasmpool_request *request, struct wasmpool_error *error) {
    struct wasmpool_wasm2c_scope *scope;
    struct wasmpool_module_counts counts;
    size_t n_leases;
    int result;

    wasmpool_module_counts(request->module, &counts);
    result = pool_is_suitable(pool, error);
    if (!result)
        result = module_is_suitable(request->module, &counts, error);
    if (result)
        return result;
    n_leases = (size_t)counts.defined_memories + counts.defined_tables;
    scope = calloc(1, sizeof(*scope) + n_leases * sizeof(scope->holdings[0]));
    if (!scope) {
        if (error)
            *error = (struct wasmpool_error){.code = -ENOMEM, .message = "out of memory"};
        return -ENOMEM;
    }
    scope->module = request->module;
    scope->n_memories = counts.defined_memories;
    scope->n_tables = counts.defined_tables;
    result = wasmpool_allocate_module(pool, request, &scope->instance, error);
    if (!result)
        result = scope_fill(scope, pool, error);
    if (result) {
        wasmpool_deallocate_module(&scope->instance);
        free(scope);
        return result;
    }
    scope_leave();
    atomic_init(&scope->references, 1);
    if (scope->n_memories + scope->n_tables) {
        atomic_init(&scope->references, 2);
        scope_of_thread = scope;
    }
    *scopep = scope;
    return 0;
}

struct wasmpool_wasm2c_scope *wasmpool_wasm2c_release(struct wasmpool_wasm2c_scope *scope) {
    if (!scope)
        return NULL;
    atomic_store(&scope->released, true);
    if (scope == scope_of_thread)
        scope_leave();
    if (atomic_load(&scope->has_strays))
        holdings_free(scope);
    for (uint32_t i = 0; i < scope->n_memories + scope->n_tables; i++)
        holding_forget(&scope->holdings[i]);
    wasmpool_deallocate_module(&scope->instance);
    scope_unref(scope);
    return NULL;
}

const struct wasmpool_memory *wasmpool_wasm2c_memory(const struct wasmpool_wasm2c_scope *scope, uint32_t index) {
    return wasmpool_instance_memory(scope->instance, index);
}

const struct wasmpool_table *wasmpool_wasm2c_table(const struct wasmpool_wasm2c_scope *scope, uint32_t index) {
    return wasmpool_instance_table(scope->instance, index);
}
