/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const LINK_KINDS[] = {"function", "table", "memory", "global", "tag"};

/* What is being linked: the import that a message names. */
struct Link {
    const struct wasmpool *pool;
    const struct wasmpool_module *module;
    const struct wasmpool_import *import;
    uint32_t number;
    struct wasmpool_error *error;
};

static int link_refuse(const struct Link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int link_refuse(const struct Link *link, const char *format, ...) {
    char reason[128], module[40], name[40];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    module_print_name(&link->import->module, module, sizeof(module));
    module_print_name(&link->import->name, name, sizeof(name));
    return error_set(failure(link->error), ERROR_LINK, "import %u, %s %s.%s: %s", link->number,
                     LINK_KINDS[link->import->kind], module, name, reason);
}

/* Sizes, of memories in wasm pages and of tables in elements: what there is, against what is demanded. */
struct LinkSize {
    uint64_t now, maximum;
    bool has_maximum;
};

static int link_check_size(const struct Link *link, struct LinkSize is, struct LinkSize wanted) {
    if (is.now < wanted.now)
        return link_refuse(link, "incompatible import type: a size of %" PRIu64 " is demanded, it is %" PRIu64,
                           wanted.now, is.now);
    if (wanted.has_maximum && !is.has_maximum)
        return link_refuse(link, "incompatible import type: a maximum of %" PRIu64 " is demanded, it has none",
                           wanted.maximum);
    if (wanted.has_maximum && is.maximum > wanted.maximum)
        return link_refuse(link, "incompatible import type: a maximum of %" PRIu64 " is demanded, it is %" PRIu64,
                           wanted.maximum, is.maximum);
    return 0;
}

static int link_check_memory(const struct Link *link, const struct wasmpool_extern *from) {
    const struct wasmpool_memory_type *wanted = &link->module->memory_types[link->import->index];
    struct wasmpool_memory *memory = wasmpool_instance_memory_at(from->instance, from->index);

    if (!memory)
        return link_refuse(link, "the exporting instance has no such memory");
    if (wanted->shared)
        return link_refuse(link, "incompatible import type: a shared memory is demanded");
    return link_check_size(
        link, (struct LinkSize){memory->current_length / WASM_PAGE_BYTES, memory->maximum, memory->has_maximum},
        (struct LinkSize){wanted->minimum, wanted->maximum, wanted->has_maximum});
}

static int link_check_table(const struct Link *link, const struct wasmpool_extern *from) {
    const struct wasmpool_table_type *wanted = &link->module->table_types[link->import->index];
    struct wasmpool_table *table = wasmpool_instance_table_at(from->instance, from->index);

    if (!table)
        return link_refuse(link, "the exporting instance has no such table");
    if (table->type.element != wanted->element)
        return link_refuse(link, "incompatible import type: the table has other elements");
    if (table->element_size != link->pool->element_sizes[wanted->element])
        return link_refuse(link, "the table's elements have %u bytes, this allocator's %u", table->element_size,
                           link->pool->element_sizes[wanted->element]);
    return link_check_size(link,
                           (struct LinkSize){table->current_elements, table->type.maximum, table->type.has_maximum},
                           (struct LinkSize){wanted->minimum, wanted->maximum, wanted->has_maximum});
}

static int link_check_global(const struct Link *link, const struct wasmpool_extern *from) {
    const struct wasmpool_global_type *wanted = &link->module->globals[link->import->index].type;
    struct wasmpool_external_type type;

    if (wasmpool_module_type(from->instance->module, WASMPOOL_EXTERNAL_GLOBAL, from->index, &type) ||
        !wasmpool_instance_global_at(from->instance, from->index))
        return link_refuse(link, "the exporting instance has no such global");
    if (type.of.global.content != wanted->content)
        return link_refuse(link, "incompatible import type: the global has another value type");
    if (type.of.global.is_mutable != wanted->is_mutable)
        return link_refuse(link, "incompatible import type: a %s global is demanded",
                           wanted->is_mutable ? "mutable" : "constant");
    return 0;
}

static int link_check_function(const struct Link *link, const struct wasmpool_extern *from) {
    uint32_t wanted = link->module->type_ids[link->module->functions[link->import->index]];
    struct wasmpool_func_ref reference;

    if (!from->instance && !from->function)
        return link_refuse(link, "it is bound to nothing");
    if (!from->instance)
        reference = *from->function;
    else if (from->instance->module->is_described ||
             from->index >=
                 from->instance->module->counts.imported_functions + from->instance->module->counts.defined_functions)
        return link_refuse(link, "the exporting instance has no such function");
    else
        instance_reference(from->instance, from->index, &reference);
    if (reference.type_index != wanted)
        return link_refuse(link, "incompatible import type: the function has another type");
    return 0;
}

static int link_check_tag(const struct Link *link, const struct wasmpool_extern *from) {
    const struct wasmpool_module *exporter = from->instance->module;

    if (exporter->is_described || from->index >= exporter->counts.imported_tags + exporter->counts.defined_tags)
        return link_refuse(link, "the exporting instance has no such tag");
    if (exporter->type_ids[exporter->tags[from->index]] !=
        link->module->type_ids[link->module->tags[link->import->index]])
        return link_refuse(link, "incompatible import type: the tag has another type");
    return 0;
}

static int link_check_import(const struct Link *link, const struct wasmpool_extern *from) {
    static int (*const checks[])(const struct Link *, const struct wasmpool_extern *) = {
        [WASMPOOL_EXTERNAL_FUNCTION] = link_check_function, [WASMPOOL_EXTERNAL_TABLE] = link_check_table,
        [WASMPOOL_EXTERNAL_MEMORY] = link_check_memory,     [WASMPOOL_EXTERNAL_GLOBAL] = link_check_global,
        [WASMPOOL_EXTERNAL_TAG] = link_check_tag,
    };

    if (from->kind != link->import->kind)
        return link_refuse(link, "incompatible import type: it is bound to something of another kind");
    if (!from->instance && from->kind != WASMPOOL_EXTERNAL_FUNCTION)
        return link_refuse(link, "it is bound to nothing");
    if (from->instance && !from->instance->is_linked)
        return link_refuse(link, "the exporting instance was not linked itself");
    /* Whatever is imported from it leads to its VMContext; what it has imported itself was seen then. */
    if (from->instance)
        instance_see(from->instance);
    return checks[from->kind](link, from);
}

int link_check(const struct wasmpool *pool, const struct wasmpool_request *request, struct wasmpool_error *error) {
    const struct wasmpool_module *module = request->module;

    if (!request->imports)
        return 0;
    if (module->is_described)
        return error_set(failure(error), ERROR_LINK, "nothing is known of a described module's imports");
    if (request->n_imports != module->counts.imports)
        return error_set(failure(error), ERROR_LINK, "the module has %u imports, the request %u",
                         module->counts.imports, request->n_imports);
    for (uint32_t i = 0; i < request->n_imports; i++) {
        const struct Link link = {pool, module, &module->imports[i], i, error};
        int r = link_check_import(&link, &request->imports[i]);

        if (r)
            return r;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ */

/* An item that the exporter has imported itself is passed on as it stands in its own import array, so that entries
 * always name the instance that defines it. */

static void link_memory(struct wasmpool_instance *to, uint32_t i, const struct wasmpool_extern *from) {
    struct wasmpool_memory_import *imports = instance_at(to, instance_offsets(to)->imported_memories);
    uint32_t index = from->index;
    struct wasmpool_instance *owner = instance_memory_owner(from->instance, &index);

    imports[i] = (struct wasmpool_memory_import){owner->memories.at[index].definition, instance_vmctx(owner), index};
}

static void link_table(struct wasmpool_instance *to, uint32_t i, const struct wasmpool_extern *from) {
    struct wasmpool_table_import *imports = instance_at(to, instance_offsets(to)->imported_tables);
    uint32_t index = from->index;
    struct wasmpool_instance *owner = instance_table_owner(from->instance, &index);

    imports[i] = (struct wasmpool_table_import){owner->tables.at[index].definition, instance_vmctx(owner), index};
}

static void link_global(struct wasmpool_instance *to, uint32_t i, const struct wasmpool_extern *from) {
    struct wasmpool_global_import *imports = instance_at(to, instance_offsets(to)->imported_globals);
    const struct wasmpool_global_import *passed =
        instance_at(from->instance, instance_offsets(from->instance)->imported_globals);
    uint32_t imported = from->instance->module->counts.imported_globals;

    if (from->index < imported)
        imports[i] = passed[from->index];
    else
        imports[i] = (struct wasmpool_global_import){
            .from = wasmpool_instance_global_at(from->instance, from->index),
            .vmctx = instance_vmctx(from->instance),
            .kind = 1,
            .index = from->index - imported,
        };
}

static void link_tag(struct wasmpool_instance *to, uint32_t i, const struct wasmpool_extern *from) {
    struct wasmpool_tag_import *imports = instance_at(to, instance_offsets(to)->imported_tags);
    const struct wasmpool_vmoffsets *offsets = instance_offsets(from->instance);
    const struct wasmpool_tag_import *passed = instance_at(from->instance, offsets->imported_tags);
    struct wasmpool_tag_definition *tags = instance_at(from->instance, offsets->tags);
    uint32_t imported = from->instance->module->counts.imported_tags;

    if (from->index < imported)
        imports[i] = passed[from->index];
    else
        imports[i] = (struct wasmpool_tag_import){&tags[from->index - imported], instance_vmctx(from->instance),
                                                  from->index - imported};
}

static void link_function(struct wasmpool_instance *to, uint32_t i, const struct wasmpool_extern *from) {
    struct wasmpool_func_ref *imports = instance_at(to, instance_offsets(to)->imported_functions);

    if (from->instance)
        instance_reference(from->instance, from->index, &imports[i]);
    else
        imports[i] = *from->function;
}

void link_imports(struct wasmpool_instance *instance, const struct wasmpool_request *request) {
    static void (*const links[])(struct wasmpool_instance *, uint32_t, const struct wasmpool_extern *) = {
        [WASMPOOL_EXTERNAL_FUNCTION] = link_function, [WASMPOOL_EXTERNAL_TABLE] = link_table,
        [WASMPOOL_EXTERNAL_MEMORY] = link_memory,     [WASMPOOL_EXTERNAL_GLOBAL] = link_global,
        [WASMPOOL_EXTERNAL_TAG] = link_tag,
    };

    for (uint32_t i = 0; request->imports && i < request->n_imports; i++)
        links[request->imports[i].kind](instance, instance->module->imports[i].index, &request->imports[i]);
}
