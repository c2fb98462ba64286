/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/template.h"

#include "client/instance.h"
#include "client/sharing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t round_up(uint64_t bytes, uint64_t to) {
    return (bytes + to - 1) / to * to;
}

static int template_number_escaped(struct wasmpool_module *module, struct Template *template) {
    uint32_t n = 0, functions = module->counts.imported_functions + module->counts.defined_functions;

    module->counts.escaped_functions = 0;
    if (module->is_described)
        return 0;
    for (uint32_t i = 0; i < functions; i++)
        if (module->escaped[i] != MODULE_NONE)
            module->escaped[i] = n++;
    template->escaped = malloc((n ? n : 1) * sizeof(uint32_t));
    if (!template->escaped)
        return -ENOMEM;
    for (uint32_t i = 0; i < functions; i++)
        if (module->escaped[i] != MODULE_NONE)
            template->escaped[module->escaped[i]] = i;
    module->counts.escaped_functions = n;
    return 0;
}

static bool global_is_constant(const struct ModuleGlobal *global) {
    return global->init.kind == CONSTANT_VALUE || global->init.kind == CONSTANT_V128 ||
           global->init.kind == CONSTANT_NULL;
}

static int template_list_computed(const struct wasmpool_module *module, struct Template *template) {
    uint32_t n = module->is_described ? 0 : module->counts.defined_globals;

    template->computed = malloc((n ? n : 1) * sizeof(uint32_t));
    if (!template->computed)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        if (!global_is_constant(&module->globals[module->counts.imported_globals + i]))
            template->computed[template->n_computed++] = i;
    return 0;
}

static void template_number_data(struct wasmpool_module *module, struct Template *template) {
    uint32_t n = 0;

    template->has_images = images_are_possible(module);
    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        struct ModuleData *data = &module->data[i];

        data->runtime = data->mode == SEGMENT_ACTIVE && template->has_images ? MODULE_NONE : n++;
    }
    module->counts.runtime_data = n;
}

/* Is there a start function, or anything to initialise that is not constant? (Wasmtime: has_startup_func) */
static bool template_has_startup(const struct wasmpool_module *module, const struct Template *template) {
    const struct wasmpool_module_counts *counts = &module->counts;

    if (module->is_described)
        return false;
    if (module->start != MODULE_NONE || !template->has_images)
        return true;
    for (uint32_t i = 0; i < counts->element_segments; i++)
        if (module->elements[i].mode == SEGMENT_ACTIVE && !table_image_is_constant(module, &module->elements[i]))
            return true;
    return template->n_computed > 0;
}

static int template_lay_out(const struct wasmpool_module *module, struct Template *template,
                            struct wasmpool_error *error) {
    const struct wasmpool_module_counts *counts = &module->counts;
    uint32_t owned = 0;
    int r;

    for (uint32_t i = 0; i < counts->defined_memories; i++)
        owned += !module->memories[i].shared;
    r = wasmpool_vmoffsets_init(&template->offsets,
                                &(struct wasmpool_vmoffsets_fields){
                                    .pointer_size = sizeof(void *),
                                    .imported_functions = counts->imported_functions,
                                    .imported_tables = counts->imported_tables,
                                    .imported_memories = counts->imported_memories,
                                    .imported_globals = counts->imported_globals,
                                    .imported_tags = counts->imported_tags,
                                    .defined_tables = counts->defined_tables,
                                    .defined_memories = counts->defined_memories,
                                    .owned_memories = owned,
                                    .defined_globals = counts->defined_globals,
                                    .defined_tags = counts->defined_tags,
                                    .escaped_functions = counts->escaped_functions,
                                    .runtime_data = counts->runtime_data,
                                    .has_startup = template_has_startup(module, template),
                                },
                                error);
    if (r)
        return r;
    template->block.memories = round_up(sizeof(struct wasmpool_instance) + template->offsets.size, 8);
    template->block.tables = template->block.memories + counts->defined_memories * sizeof(struct wasmpool_memory);
    template->block.dropped = template->block.tables + counts->defined_tables * sizeof(struct wasmpool_table);
    template->block.bytes = template->block.dropped + (counts->element_segments + 7) / 8;
    template->block.reserved = handle_round(template->block.bytes);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the VMContext */

static void template_fill_globals(const struct wasmpool_module *module, const struct Template *template) {
    const struct ConstantScope nothing = {.expressions = module->expressions};
    union wasmpool_global_definition *globals = (void *)(template->vmcontext + template->offsets.globals);

    for (uint32_t i = 0; i < module->counts.defined_globals; i++) {
        const struct ModuleGlobal *global = &module->globals[module->counts.imported_globals + i];

        if (global_is_constant(global))
            constant_evaluate(&global->init, &nothing, &globals[i]);
    }
}

/* Functions of the module itself; imported ones that escape are copied from where they are linked. */
static void template_fill_func_refs(const struct wasmpool_module *module, const struct Template *template) {
    struct wasmpool_func_ref *refs = (void *)(template->vmcontext + template->offsets.func_refs);

    for (uint32_t i = 0; i < module->counts.escaped_functions; i++)
        refs[i].type_index = module->type_ids[module->functions[template->escaped[i]]];
    if (module->start != MODULE_NONE)
        refs[module->counts.escaped_functions].type_index = module->type_ids[module->functions[module->start]];
}

static void template_fill_data(const struct wasmpool_module *module, const struct Template *template) {
    const uint8_t **bases = (void *)(template->vmcontext + template->offsets.runtime_data_bases);
    uint32_t *lengths = (void *)(template->vmcontext + template->offsets.runtime_data_lengths);

    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        const struct ModuleData *data = &module->data[i];

        if (data->runtime == MODULE_NONE)
            continue;
        bases[data->runtime] = module_data(module, data);
        lengths[data->runtime] = data->bytes;
    }
}

static int template_plan(const struct wasmpool_module *module, struct Template *template) {
    uint32_t count = module->counts.defined_memories;

    if (!count)
        return 0;
    template->planners = aligned_alloc(_Alignof(struct Planner), count * sizeof(struct Planner));
    if (!template->planners)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        planner_init(&template->planners[i]);
    return 0;
}

static int template_fill(const struct wasmpool_module *module, struct Template *template) {
    struct wasmpool_vmcontext *vmctx;
    struct wasmpool_tag_definition *tags;

    /* Aligned for anything by the C library, and not touched yet if it is large. */
    template->vmcontext = calloc(1, template->offsets.size);
    if (!template->vmcontext)
        return -ENOMEM;
    vmctx = (void *)template->vmcontext;
    vmctx->magic = WASMPOOL_VMCONTEXT_MAGIC;
    vmctx->type_ids = module->type_ids;
    if (module->is_described)
        return 0;
    tags = (void *)(template->vmcontext + template->offsets.tags);
    for (uint32_t i = 0; i < module->counts.defined_tags; i++)
        tags[i].type_index = module->type_ids[module->tags[module->counts.imported_tags + i]];
    template_fill_globals(module, template);
    template_fill_func_refs(module, template);
    template_fill_data(module, template);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ */

int template_new(struct wasmpool_module *module, struct wasmpool_error *error) {
    struct Template *template = aligned_alloc(64, sizeof(*template));
    int r;

    if (!template)
        return failure_errno(error, -ENOMEM, "a module");
    memset(template, 0, sizeof(*template));
    pthread_mutex_init(&template->lock, NULL);
    r = template_number_escaped(module, template);
    if (!r)
        r = template_list_computed(module, template);
    if (!r) {
        template_number_data(module, template);
        r = template_lay_out(module, template, error);
    }
    if (!r && !module->is_described)
        r = table_images_new(module, template->offsets.func_refs, &template->table_images);
    if (!r)
        r = template_plan(module, template);
    if (!r)
        r = template_fill(module, template);
    if (r) {
        template_free(template);
        return r < 0 ? failure_errno(error, r, "a module") : r;
    }
    module->template = template;
    return 0;
}

struct Template *template_free(struct Template *template) {
    if (!template)
        return NULL;
    images_free(atomic_load(&template->images));
    images_free(template->prepared);
    table_images_free(template->table_images);
    pthread_mutex_destroy(&template->lock);
    free(template->planners);
    free(template->vmcontext);
    free(template->escaped);
    free(template->computed);
    free(template);
    return NULL;
}

static int template_make_images(struct wasmpool *pool, const struct wasmpool_module *module, uint64_t deadline_ns,
                                struct Images **imagesp, struct wasmpool_error *error) {
    struct Template *template = module->template;
    int r = template->prepared ? 0 : images_new(module, &template->prepared, error);

    if (r)
        return r;
    *imagesp = template->prepared;
    template->prepared = NULL;
    if (pool)
        images_share(pool, *imagesp, deadline_ns);
    return 0;
}

void template_prepare(const struct wasmpool_module *module, bool names) {
    struct Template *template = module->template;
    struct Images *images;

    if (!template->has_images || !module->counts.data_segments)
        return;
    pthread_mutex_lock(&template->lock);
    if (!atomic_load(&template->images) && !template->prepared)
        images_new(module, &template->prepared, NULL);
    images = template->prepared;
    for (uint32_t i = 0; images && names && i < images->count; i++)
        if (images->at[i])
            image_name(images->at[i]);
    pthread_mutex_unlock(&template->lock);
}

int template_images(struct wasmpool *pool, const struct wasmpool_module *module, uint64_t deadline_ns,
                    const struct Images **imagesp, struct wasmpool_error *error) {
    struct Template *template = module->template;
    struct Images *images = atomic_load_explicit(&template->images, memory_order_acquire);
    int r = 0;

    if (!images && template->has_images && module->counts.data_segments) {
        pthread_mutex_lock(&template->lock);
        images = atomic_load(&template->images);
        if (!images)
            r = template_make_images(pool, module, deadline_ns, &images, error);
        if (!r)
            atomic_store_explicit(&template->images, images, memory_order_release);
        pthread_mutex_unlock(&template->lock);
    }
    if (!r)
        *imagesp = images;
    return r;
}

PUBLIC const struct wasmpool_vmoffsets *wasmpool_module_offsets(const struct wasmpool_module *module) {
    return &module->template->offsets;
}
