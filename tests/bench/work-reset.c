/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work-instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Making a memory what it was at first, after the same pages were written to as each time before: by the library, when
 * it takes the memory back; and what that costs who knows, in memory of this process. The part that is of interest is
 * what follows the writes. */

/* What a look at the clock adds to the time between two of them. */
static uint64_t reset_clock_ns(void) {
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t before = work_now_ns(), ns = work_now_ns() - before;

        least = ns < least ? ns : least;
    }
    return least;
}

static uint64_t reset_since(uint64_t before, uint64_t clock_ns) {
    uint64_t ns = work_now_ns() - before;

    return ns > clock_ns ? ns - clock_ns : 0;
}

/* ------------------------------------------------------------------------------------------------ by the library */

struct ResetState {
    struct wasmpool *pool;
    struct wasmpool_module *module;
    struct wasmpool_request request;
    struct WorkTouch touch;
    uint64_t clock_ns;
};

static void *reset_open(const struct WorkOptions *options) {
    struct ResetState *state = work_allocate(sizeof(*state));
    const struct wasmpool_memory_type *type;

    state->pool = work_library_open(options);
    state->module = work_library_read(options, state->pool);
    state->request.module = state->module;
    type = wasmpool_module_memory(state->module, 0);
    if (!type)
        work_fail("--file", "has no memory");
    state->touch = work_touch_of(options, type->minimum * 65536);
    state->clock_ns = reset_clock_ns();
    return state;
}

static void reset_take(const struct ResetState *state, struct wasmpool_memories *memories) {
    struct wasmpool_error error;

    if (wasmpool_allocate_memories(state->pool, &state->request, memories, &error))
        work_fail("wasmpool_allocate_memories", error.message);
    work_touch(memories->at[0].base, state->touch);
}

static void reset_run(void *opaque, uint64_t cycles) {
    const struct ResetState *state = opaque;
    struct wasmpool_memory memory;
    struct wasmpool_memories memories = {.at = &memory, .capacity = 1};

    for (uint64_t i = 0; i < cycles; i++) {
        reset_take(state, &memories);
        wasmpool_deallocate_memories(state->pool, &memories);
    }
}

static uint64_t reset_run_part(void *opaque, uint64_t cycles) {
    const struct ResetState *state = opaque;
    struct wasmpool_memory memory;
    struct wasmpool_memories memories = {.at = &memory, .capacity = 1};
    uint64_t ns = 0;

    for (uint64_t i = 0; i < cycles; i++) {
        uint64_t before;

        reset_take(state, &memories);
        before = work_now_ns();
        wasmpool_deallocate_memories(state->pool, &memories);
        ns += reset_since(before, state->clock_ns);
    }
    return ns;
}

static void reset_close(void *opaque) {
    struct ResetState *state = opaque;

    work_library_close(state->pool, state->module);
    free(state);
}

const struct Work WORK_RESET = {
    .name = "reset",
    .meaning = "wasmpool_allocate_memories and wasmpool_deallocate_memories of --file; with --part the latter",
    .open = reset_open,
    .run = reset_run,
    .run_part = reset_run_part,
    .close = reset_close,
};

/* ------------------------------------------------------------------------------------------------ by who knows */

struct KnowingState {
    void (*restore)(const struct KnowingState *state);
    uint8_t *base, *original; /* mappings */
    size_t bytes, page;
    size_t from, to; /* the part of the original that is not known to be zero */
    struct WorkTouch touch;
    uint64_t clock_ns;
};

static void restore_bytes(const struct KnowingState *state, size_t at, size_t bytes) {
    size_t end = at + bytes, from = state->from < at ? at : state->from < end ? state->from : end,
           to = state->to < from ? from : state->to < end ? state->to : end;

    memset(state->base + at, 0, from - at);
    memcpy(state->base + from, state->original + from, to - from);
    memset(state->base + to, 0, end - to);
}

static void restore_all(const struct KnowingState *state) {
    restore_bytes(state, 0, state->bytes);
}

static void restore_hot(const struct KnowingState *state) {
    for (uint32_t i = 0; i < state->touch.pages; i++)
        restore_bytes(state, i * state->touch.stride & ~(state->page - 1), state->page);
}

static void restore_after_asking(const struct KnowingState *state) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    restore_hot(state);
}

/* Small pages, as a slab's are. */
static uint8_t *knowing_map(size_t bytes) {
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        work_fail("mmap", strerror(errno));
    madvise(base, bytes, MADV_NOHUGEPAGE);
    return base;
}

static void knowing_learn(struct KnowingState *state, const struct WorkOptions *options) {
    struct WorkOptions untouched = *options;
    struct WorkInstance *of;
    struct wasmpool_instance *instance;
    struct wasmpool_module_counts counts;
    const struct wasmpool_memory *memory;

    untouched.touch = 0;
    untouched.shared = false;
    untouched.address = "embedded:";
    of = work_instance_open(&untouched);
    instance = work_instance_make(of);
    memory = wasmpool_instance_memory(instance, 0);
    if (!memory)
        work_fail("--file", "has no memory");
    state->bytes = state->to = memory->current_length;
    wasmpool_module_counts(of->module, &counts);
    if (!counts.data_segments)
        state->to = 0;
    while (state->to && !memory->base[state->to - 1])
        state->to--;
    while (state->from < state->to && !memory->base[state->from])
        state->from++;
    state->original = knowing_map(state->bytes);
    memcpy(state->original + state->from, memory->base + state->from, state->to - state->from);
    wasmpool_deallocate_module(&instance);
    work_instance_close(of);
}

static void *knowing_open(const struct WorkOptions *options, void (*restore)(const struct KnowingState *)) {
    struct KnowingState *state = work_allocate(sizeof(*state));

    knowing_learn(state, options);
    state->restore = restore;
    state->page = (size_t)sysconf(_SC_PAGESIZE);
    state->base = knowing_map(state->bytes);
    state->touch = work_touch_of(options, state->bytes);
    state->clock_ns = reset_clock_ns();
    return state;
}

static void *knowing_open_all(const struct WorkOptions *options) {
    return knowing_open(options, restore_all);
}

static void *knowing_open_hot(const struct WorkOptions *options) {
    return knowing_open(options, restore_hot);
}

static void *knowing_open_asking(const struct WorkOptions *options) {
    return knowing_open(options, restore_after_asking);
}

static void knowing_run(void *opaque, uint64_t cycles) {
    const struct KnowingState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        work_touch(state->base, state->touch);
        state->restore(state);
        /* Without it all but the last could be left out. */
        __asm__ volatile("" : : "r"(state->base) : "memory");
    }
}

static uint64_t knowing_run_part(void *opaque, uint64_t cycles) {
    const struct KnowingState *state = opaque;
    uint64_t ns = 0;

    for (uint64_t i = 0; i < cycles; i++) {
        uint64_t before;

        work_touch(state->base, state->touch);
        before = work_now_ns();
        state->restore(state);
        __asm__ volatile("" : : "r"(state->base) : "memory");
        ns += reset_since(before, state->clock_ns);
    }
    return ns;
}

static void knowing_close(void *opaque) {
    struct KnowingState *state = opaque;

    munmap(state->base, state->bytes);
    munmap(state->original, state->bytes);
    free(state);
}

#define KNOWING(suffix, said_name, said_meaning, opened)                                                               \
    const struct Work WORK_RESET_##suffix = {                                                                          \
        .name = said_name,                                                                                             \
        .meaning = said_meaning,                                                                                       \
        .open = opened,                                                                                                \
        .run = knowing_run,                                                                                            \
        .run_part = knowing_run_part,                                                                                  \
        .close = knowing_close,                                                                                        \
    }

KNOWING(ALL, "reset-all", "touch, and copy or zero the whole first memory of --file", knowing_open_all);
KNOWING(ORACLE, "reset-oracle", "touch, and copy or zero the pages that were touched", knowing_open_hot);
KNOWING(GATE, "reset-gate", "touch, and do that after one getrusage", knowing_open_asking);

/* ------------------------------------------------------------------------------------------------ dirty bytes */

static void *dirty_open(const struct WorkOptions *options) {
    struct KnowingState *state = work_allocate(sizeof(*state));

    state->bytes = state->to = (size_t)options->touch * (size_t)sysconf(_SC_PAGESIZE);
    if (!state->bytes)
        work_fail("--touch", "says how much to copy");
    state->restore = restore_all;
    state->base = knowing_map(state->bytes);
    state->original = knowing_map(state->bytes);
    memset(state->original, 1, state->bytes);
    state->clock_ns = reset_clock_ns();
    return state;
}

const struct Work WORK_COPY_DIRTY = {
    .name = "copy-dirty",
    .meaning = "one memcpy of as many bytes as the touched pages have",
    .open = dirty_open,
    .run = knowing_run,
    .run_part = knowing_run_part,
    .close = knowing_close,
};
