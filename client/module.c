/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"

#include "client/template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void module_label(char label[static LEASE_LABEL_BYTES], const char *text) {
    size_t bytes = text ? strnlen(text, LEASE_LABEL_BYTES - 1) : 0;

    memset(label, 0, LEASE_LABEL_BYTES);
    memcpy(label, text ? text : "", bytes);
}

int module_new(struct wasmpool_module **modulep, const char *name, struct wasmpool_error *error) {
    struct wasmpool_module *module = calloc(1, sizeof(*module));

    if (!module)
        return failure_errno(error, -ENOMEM, "a module");
    module->start = MODULE_NONE;
    module_label(module->label, name);
    *modulep = module;
    return 0;
}

void module_destroy(struct wasmpool_module *module) {
    if (!module)
        return;
    template_free(module->template);
    for (uint32_t i = 0; module->type_ids && i < module->counts.types; i++)
        wasmpool_function_type_unref(module->type_ids[i]);
    free(module->types);
    free(module->type_bytes);
    free(module->type_ids);
    free(module->functions);
    free(module->escaped);
    free(module->table_types);
    free(module->memory_types);
    free(module->globals);
    free(module->tags);
    free(module->imports);
    free(module->exports);
    free(module->exports_by_name);
    free(module->names);
    free(module->elements);
    free(module->items);
    free(module->data);
    free(module->data_bytes);
    free(module->expressions);
    free(module->name);
    free(module);
}

void module_print_name(const struct wasmpool_name *name, char *text, size_t bytes) {
    size_t n = name->bytes < bytes - 1 ? name->bytes : bytes - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = name->text[i] >= ' ' && name->text[i] <= '~' ? name->text[i] : '?';
    text[n] = 0;
}

/* ------------------------------------------------------------------------------------------------ finishing */

int module_compare_names(const struct wasmpool_name *a, const struct wasmpool_name *b) {
    int order = memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes);

    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Those of equal names in their own order. */
static int module_compare_exports(const void *a, const void *b, void *exports) {
    const struct wasmpool_export *at = exports;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int order = module_compare_names(&at[i].name, &at[j].name);

    return order ? order : (i > j) - (i < j);
}

int module_sort_exports(struct wasmpool_module *module, struct wasmpool_error *error) {
    uint32_t n = module->counts.exports;

    if (!n)
        return 0;
    module->exports_by_name = malloc(n * sizeof(uint32_t));
    if (!module->exports_by_name)
        return failure_errno(error, -ENOMEM, "a module");
    for (uint32_t i = 0; i < n; i++)
        module->exports_by_name[i] = i;
    qsort_r(module->exports_by_name, n, sizeof(uint32_t), module_compare_exports, module->exports);
    return 0;
}

/* All ids or none. */
static int module_take_ids(struct wasmpool_module *module, struct wasmpool_error *error) {
    uint32_t n = module->counts.types;
    uint32_t *ids = malloc((n ? n : 1) * sizeof(uint32_t));
    int r = 0;

    if (!ids)
        return failure_errno(error, -ENOMEM, "a module");
    for (uint32_t i = 0; i < n && !r; i++) {
        r = wasmpool_function_type_ref(&module->types[i], &ids[i], error);
        if (!r) {
            module->types[i].id = ids[i];
            continue;
        }
        while (i)
            wasmpool_function_type_unref(ids[--i]);
    }
    if (r)
        free(ids);
    else
        module->type_ids = ids;
    return r;
}

int module_finish(struct wasmpool_module *module, struct wasmpool_error *error) {
    int r = module_take_ids(module, error);

    module->tables = module->table_types + (module->is_described ? 0 : module->counts.imported_tables);
    module->memories = module->memory_types + (module->is_described ? 0 : module->counts.imported_memories);
    return r ? r : template_new(module, error);
}

/* ------------------------------------------------------------------------------------------------ by hand */

static int module_describe_memories(struct wasmpool_module *module,
                                    const struct wasmpool_module_description *description,
                                    struct wasmpool_error *error) {
    uint32_t n = description->n_memories;

    module->memory_types = malloc((n ? n : 1) * sizeof(*module->memory_types));
    if (!module->memory_types)
        return failure_errno(error, -ENOMEM, "a module");
    for (uint32_t i = 0; i < n; i++) {
        const struct wasmpool_memory_type *type = &description->memories[i];

        if (type->has_maximum && type->maximum < type->minimum)
            return error_set(failure(error), ERROR_INVALID,
                             "memory %u has a minimum of %" PRIu64 " pages and a maximum of %" PRIu64, i, type->minimum,
                             type->maximum);
        module->memory_types[i] = *type;
    }
    module->counts.defined_memories = n;
    return 0;
}

static int module_describe_tables(struct wasmpool_module *module, const struct wasmpool_module_description *description,
                                  struct wasmpool_error *error) {
    uint32_t n = description->n_tables;

    module->table_types = malloc((n ? n : 1) * sizeof(*module->table_types));
    if (!module->table_types)
        return failure_errno(error, -ENOMEM, "a module");
    for (uint32_t i = 0; i < n; i++) {
        const struct wasmpool_table_type *type = &description->tables[i];

        if (type->has_maximum && type->maximum < type->minimum)
            return error_set(failure(error), ERROR_INVALID, "table %u has a minimum of %u elements and a maximum of %u",
                             i, type->minimum, type->maximum);
        if (type->element != WASMPOOL_FUNCREF && type->element != WASMPOOL_EXTERNREF)
            return error_set(failure(error), ERROR_INVALID, "table %u has elements of an unknown type, %d", i,
                             (int)type->element);
        module->table_types[i] = *type;
    }
    module->counts.defined_tables = n;
    return 0;
}

/* The counts are the caller's word, and their sums are used everywhere. */
static int module_describe_counts(struct wasmpool_module *module, const struct wasmpool_module_description *description,
                                  struct wasmpool_error *error) {
    const uint64_t functions = (uint64_t)description->imported_functions + description->defined_functions,
                   globals = (uint64_t)description->imported_globals + description->defined_globals,
                   tables = (uint64_t)description->imported_tables + description->n_tables,
                   memories = (uint64_t)description->imported_memories + description->n_memories,
                   imports = (uint64_t)description->imported_functions + description->imported_globals +
                             description->imported_tables + description->imported_memories;

    if (functions > UINT32_MAX || globals > UINT32_MAX || tables > UINT32_MAX || memories > UINT32_MAX ||
        imports > UINT32_MAX)
        return error_set(failure(error), ERROR_INVALID, "a module has at most 4294967295 items of a kind, and imports");
    module->counts.imports = (uint32_t)imports;
    module->counts.imported_functions = description->imported_functions;
    module->counts.imported_tables = description->imported_tables;
    module->counts.imported_memories = description->imported_memories;
    module->counts.imported_globals = description->imported_globals;
    module->counts.defined_functions = description->defined_functions;
    module->counts.defined_globals = description->defined_globals;
    return 0;
}

PUBLIC int wasmpool_module_describe(struct wasmpool_module **modulep,
                                    const struct wasmpool_module_description *description,
                                    struct wasmpool_error *error) {
    struct wasmpool_module *module;
    int r = module_new(&module, description->name, error);

    if (r)
        return r;
    module->is_described = true;
    r = module_describe_counts(module, description, error);
    if (!r)
        r = module_describe_memories(module, description, error);
    if (!r)
        r = module_describe_tables(module, description, error);
    if (!r)
        r = module_finish(module, error);
    if (r) {
        module_destroy(module);
        return r;
    }
    *modulep = module;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the end */

/* Modules that were freed while they had instances: the last of these takes its module along. A thread that gives up
 * the last reference and one that frees the module must not both believe that it is the other's turn. Who frees marks
 * the module and counts, and only then looks for references; who gives one up reads count and mark before it does, and
 * looks at the list if it saw the mark or the count has changed since. */
static pthread_mutex_t freed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wasmpool_module *freed; /* under the lock */
static _Atomic uint64_t n_frees;

static void freed_add(struct wasmpool_module *module) {
    module->next_freed = freed;
    module->freed_link = &freed;
    if (freed)
        freed->freed_link = &module->next_freed;
    freed = module;
}

/* Off the list, if it has no references. With the lock held. Returns it then, else NULL. */
static struct wasmpool_module *freed_steal(struct wasmpool_module *module) {
    if (!refs_none(&module->template->refs))
        return NULL;
    *module->freed_link = module->next_freed;
    if (module->next_freed)
        module->next_freed->freed_link = module->freed_link;
    return module;
}

/* A freed module's reference is given up under the lock, so that it is there to be looked at. */
static void module_unref_freed(struct wasmpool_module *module, wasmpool_allocation_index which) {
    pthread_mutex_lock(&freed_lock);
    refs_put(&module->template->refs, which);
    module = freed_steal(module);
    pthread_mutex_unlock(&freed_lock);
    module_destroy(module);
}

/* It may have been freed, even destroyed, meanwhile: its address is looked up, not followed. */
static void module_look_up(const struct wasmpool_module *module) {
    struct wasmpool_module *found;

    pthread_mutex_lock(&freed_lock);
    for (found = freed; found && found != module;)
        found = found->next_freed;
    if (found)
        found = freed_steal(found);
    pthread_mutex_unlock(&freed_lock);
    module_destroy(found);
}

void module_ref(const struct wasmpool_module *module, wasmpool_allocation_index which) {
    refs_get(&module->template->refs, which);
}

void module_unref(const struct wasmpool_module *module, wasmpool_allocation_index which) {
    uint64_t before = atomic_load(&n_frees);

    if (atomic_load(&module->template->is_freed)) {
        module_unref_freed((struct wasmpool_module *)(uintptr_t)module, which);
        return;
    }
    refs_put(&module->template->refs, which);
    if (__builtin_expect(atomic_load(&n_frees) != before, 0))
        module_look_up(module);
}

PUBLIC struct wasmpool_module *wasmpool_module_free(struct wasmpool_module *module) {
    if (!module)
        return NULL;
    pthread_mutex_lock(&freed_lock);
    atomic_store(&module->template->is_freed, true);
    atomic_fetch_add(&n_frees, 1);
    freed_add(module);
    module = freed_steal(module);
    pthread_mutex_unlock(&freed_lock);
    module_destroy(module);
    return NULL;
}

/* A child that is forked while another thread holds the lock would wait for ever. */
static void freed_before_fork(void) {
    pthread_mutex_lock(&freed_lock);
}

static void freed_after_fork(void) {
    pthread_mutex_unlock(&freed_lock);
}

__attribute__((constructor)) static void freed_init(void) {
    pthread_atfork(freed_before_fork, freed_after_fork, freed_after_fork);
}
