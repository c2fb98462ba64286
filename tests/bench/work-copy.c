/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What an instance of a binary cannot do without: the writes that make its VMContext, its table and its memory what
 * they are at first. Learnt from one initialised instance, then done in memory of this process. */

struct CopySpan {
    size_t at, bytes;
    const uint8_t *from; /* NULL: zero */
};

struct CopyState {
    uint8_t *to, *original; /* mappings */
    size_t bytes;
    struct WorkTouch touch;
    uint32_t n;
    struct CopySpan spans[];
};

/* ------------------------------------------------------------------------------------------------ learning */

/* Small pages, as a slab's are. */
static uint8_t *copy_map(size_t bytes) {
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        work_fail("mmap", strerror(errno));
    madvise(base, bytes, MADV_NOHUGEPAGE);
    return base;
}

static struct CopyState *copy_new(const void *original, size_t bytes, size_t spans_max) {
    struct CopyState *state = work_allocate(sizeof(*state) + spans_max * sizeof(struct CopySpan));

    if (!bytes)
        work_fail("--file", "this module has nothing to be copied");
    state->to = copy_map(bytes);
    state->original = copy_map(bytes);
    state->bytes = bytes;
    memcpy(state->original, original, bytes);
    return state;
}

static void copy_add(struct CopyState *state, size_t at, size_t bytes, bool zero) {
    state->spans[state->n++] = (struct CopySpan){at, bytes, zero ? NULL : state->original + at};
}

static bool is_zero(const uint8_t *at, size_t bytes) {
    return !bytes || (!*at && !memcmp(at, at + 1, bytes - 1));
}

static struct CopyState *copy_template(const struct WorkInstance *of, struct wasmpool_instance *instance) {
    uint32_t bytes = wasmpool_module_offsets(of->module)->size;
    struct CopyState *state = copy_new(wasmpool_instance_vmctx(instance), bytes, 1);

    copy_add(state, 0, bytes, false);
    return state;
}

/* Null everywhere, then from the first entry that is not null to the last. */
static struct CopyState *copy_table(const struct WorkInstance *of, struct wasmpool_instance *instance) {
    const struct wasmpool_table *table = wasmpool_instance_table(instance, 0);
    size_t bytes = table ? (size_t)table->current_elements * table->element_size : 0, from = 0, to = bytes;
    struct CopyState *state = copy_new(table ? table->base : NULL, bytes, 2);

    (void)of;
    while (to && is_zero(state->original + to - table->element_size, table->element_size))
        to -= table->element_size;
    while (from < to && is_zero(state->original + from, table->element_size))
        from += table->element_size;
    copy_add(state, 0, bytes, true);
    if (from < to)
        copy_add(state, from, to - from, false);
    return state;
}

/* Those of the pages that hold something after a cycle. */
static struct CopyState *copy_pages(const struct WorkInstance *of, struct wasmpool_instance *instance) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = memory ? memory->current_length : 0;
    struct CopyState *state = copy_new(memory ? memory->base : NULL, bytes, bytes / page);
    uint8_t *touched = copy_map(bytes);

    state->touch = of->touch;
    work_touch(touched, of->touch);
    for (size_t at = 0; at < bytes; at += page) {
        bool zero = is_zero(state->original + at, page);

        if (!zero || !is_zero(touched + at, page))
            copy_add(state, at, page, zero);
    }
    munmap(touched, bytes);
    return state;
}

static struct CopyState *copy_open(const struct WorkOptions *options,
                                   struct CopyState *(*learn)(const struct WorkInstance *,
                                                              struct wasmpool_instance *)) {
    struct WorkOptions embedded = *options;
    struct WorkTouch touch;
    struct WorkInstance *of;
    struct wasmpool_instance *instance;
    struct CopyState *state;

    embedded.address = "embedded:";
    of = work_instance_open(&embedded);
    touch = of->touch;
    of->touch.pages = 0;
    instance = work_instance_make(of);
    of->touch = touch;
    state = learn(of, instance);
    wasmpool_deallocate_module(&instance);
    work_instance_close(of);
    return state;
}

static void *copy_template_open(const struct WorkOptions *options) {
    return copy_open(options, copy_template);
}

static void *copy_table_open(const struct WorkOptions *options) {
    return copy_open(options, copy_table);
}

static void *copy_pages_open(const struct WorkOptions *options) {
    return copy_open(options, copy_pages);
}

/* ------------------------------------------------------------------------------------------------ copying */

static void copy_run(void *opaque, uint64_t cycles) {
    const struct CopyState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        work_touch(state->to, state->touch);
        for (uint32_t s = 0; s < state->n; s++) {
            const struct CopySpan *span = &state->spans[s];

            if (span->from)
                memcpy(state->to + span->at, span->from, span->bytes);
            else
                memset(state->to + span->at, 0, span->bytes);
        }
        /* Without it all but the last copy could be left out. */
        __asm__ volatile("" : : "r"(state->to) : "memory");
    }
}

static void copy_close(void *opaque) {
    struct CopyState *state = opaque;

    munmap(state->to, state->bytes);
    munmap(state->original, state->bytes);
    free(state);
}

const struct Work WORK_COPY_TEMPLATE = {
    .name = "copy-template",
    .meaning = "one memcpy of as many bytes as the VMContext of --file has",
    .open = copy_template_open,
    .run = copy_run,
    .close = copy_close,
};

const struct Work WORK_COPY_TABLE = {
    .name = "copy-table",
    .meaning = "zero as many bytes as the first table of --file has, and copy the elements that are not null",
    .open = copy_table_open,
    .run = copy_run,
    .close = copy_close,
};

const struct Work WORK_COPY_PAGES = {
    .name = "copy-pages",
    .meaning = "copy or zero the pages of the first memory of --file that hold data or are touched",
    .open = copy_pages_open,
    .run = copy_run,
    .close = copy_close,
};
