/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

/* What if this call fails, and this one, and this one: this program is linked with --wrap for everything that the
 * library asks the C library and the kernel for. In pools of one slot of each kind whatever is not given back shows. */

/* ------------------------------------------------------------------------------------------------ injection */

#define INJECTED(X)                                                                                                    \
    X(malloc)                                                                                                          \
    X(calloc)                                                                                                          \
    X(realloc)                                                                                                         \
    X(aligned_alloc)                                                                                                   \
    X(mmap)                                                                                                            \
    X(mprotect)                                                                                                        \
    X(madvise)                                                                                                         \
    X(fallocate)                                                                                                       \
    X(lseek)                                                                                                           \
    X(memfd_create)                                                                                                    \
    X(ftruncate)                                                                                                       \
    X(fcntl)

#define INJECTED_ID(NAME) CALL_##NAME,
enum Call { INJECTED(INJECTED_ID) CALLS };
#define INJECTED_NAME(NAME) #NAME,
static const char *const CALL_NAMES[] = {INJECTED(INJECTED_NAME)};

static struct {
    bool armed, sticky;
    unsigned spared; /* calls that do not count, a bit each */
    unsigned pass;   /* so many calls succeed before one fails; sticky: and all behind it */
    unsigned fired;  /* calls that failed since it was armed */
    unsigned ever;   /* which calls have failed in this test, a bit each */
} injection;

static void injection_arm(unsigned pass, bool sticky) {
    injection.pass = pass;
    injection.fired = 0;
    injection.sticky = sticky;
    injection.armed = true;
}

/* Did anything fail? */
static bool injection_disarm(void) {
    injection.armed = false;
    return injection.fired > 0;
}

static bool injection_hits(enum Call call, int error) {
    if (!injection.armed || injection.spared & 1u << call || injection.pass-- > 0)
        return false;
    injection.pass = 0;
    injection.armed = injection.sticky;
    injection.fired++;
    injection.ever |= 1u << call;
    errno = error;
    return true;
}

/* A test that injects nothing proves nothing. */
static void expect_ever(const enum Call *calls, size_t n) {
    for (size_t i = 0; i < n; i++)
        cr_assert(injection.ever & 1u << calls[i], "%s never failed", CALL_NAMES[calls[i]]);
}

#define WRAP(TYPE, NAME, PARAMETERS, ARGUMENTS, FAILURE, ERROR)                                                        \
    TYPE __real_##NAME PARAMETERS;                                                                                     \
    TYPE __wrap_##NAME PARAMETERS;                                                                                     \
    TYPE __wrap_##NAME PARAMETERS {                                                                                    \
        return injection_hits(CALL_##NAME, ERROR) ? FAILURE : __real_##NAME ARGUMENTS;                                 \
    }

WRAP(void *, malloc, (size_t bytes), (bytes), NULL, ENOMEM)
WRAP(void *, calloc, (size_t n, size_t bytes), (n, bytes), NULL, ENOMEM)
WRAP(void *, realloc, (void *at, size_t bytes), (at, bytes), NULL, ENOMEM)
WRAP(void *, aligned_alloc, (size_t to, size_t bytes), (to, bytes), NULL, ENOMEM)
WRAP(void *, mmap, (void *at, size_t bytes, int protection, int flags, int fd, off_t offset),
     (at, bytes, protection, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(int, mprotect, (void *at, size_t bytes, int protection), (at, bytes, protection), -1, ENOMEM)
WRAP(int, madvise, (void *at, size_t bytes, int advice), (at, bytes, advice), -1, ENOMEM)
WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t bytes), (fd, mode, offset, bytes), -1, ENOMEM)
WRAP(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence), -1, EIO)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1, EMFILE)
WRAP(int, ftruncate, (int fd, off_t bytes), (fd, bytes), -1, ENOMEM)

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...) {
    va_list args;
    void *argument;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    return injection_hits(CALL_fcntl, EPERM) ? -1 : __real_fcntl(fd, command, argument);
}

/* ------------------------------------------------------------------------------------------------ what is fresh */

#define ONE_OF_EACH "total_core_instances=1", "total_memories=1", "total_tables=1"

#define MEMORY_BYTES (8 * WASM_PAGE)
#define ELEMENTS 10
#define GLOBALS 3

/* All of an initialised instance of injected.wat that is the same wherever it lies. */
struct Snapshot {
    uint8_t memory[MEMORY_BYTES];
    uint64_t elements[ELEMENTS]; /* VMFuncRefs by their place in the VMContext; 0: null */
    uint8_t globals[GLOBALS][16];
};

static void snapshot_take(struct Snapshot *snapshot, struct wasmpool_instance *instance) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    const struct wasmpool_table *table = wasmpool_instance_table(instance, 0);

    expect_eq(memory->current_length, MEMORY_BYTES);
    expect_trap(memory->base + MEMORY_BYTES);
    memcpy(snapshot->memory, memory->base, MEMORY_BYTES);
    expect_eq(table->current_elements, ELEMENTS);
    for (int i = 0; i < ELEMENTS; i++) {
        uintptr_t element = ((uintptr_t *)table->base)[i];

        snapshot->elements[i] = element ? element - (uintptr_t)wasmpool_instance_vmctx(instance) : 0;
    }
    /* Beyond its end is what grows next. */
    expect_zero((uint8_t *)table->base + ELEMENTS * 8, 90 * 8);
    for (uint32_t i = 0; i < GLOBALS; i++)
        memcpy(snapshot->globals[i], wasmpool_instance_global_at(instance, i), 16);
}

static const struct Snapshot *fresh(const struct wasmpool_module *module) {
    static struct Snapshot snapshot;
    struct wasmpool_instance *instance;
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, ONE_OF_EACH);
    instance = modules_instantiate(&fixture, module, NULL, 0);
    snapshot_take(&snapshot, instance);
    cr_assert(!memcmp(snapshot.memory + 500000, "high", 4));
    cr_assert_neq(snapshot.elements[3], 0);
    expect_eq(snapshot.globals[0][0], 11);
    wasmpool_deallocate_module(&instance);
    fixture_close(&fixture);
    return &snapshot;
}

static void expect_fresh(struct wasmpool_instance *instance, const struct Snapshot *expected) {
    static struct Snapshot is;

    snapshot_take(&is, instance);
    for (uint32_t i = 0; i < MEMORY_BYTES && memcmp(is.memory, expected->memory, MEMORY_BYTES); i++)
        cr_assert_eq(is.memory[i], expected->memory[i], "byte %u is %#x, not %#x", i, is.memory[i],
                     expected->memory[i]);
    for (int i = 0; i < ELEMENTS; i++)
        expect_eq(is.elements[i], expected->elements[i]);
    cr_assert(!memcmp(is.globals, expected->globals, sizeof(is.globals)), "a global is another");
}

/* Leave as much behind as an instance can, in what it grew by too, which it must find as if it were new. */
static void soil(struct Fixture *fixture, struct wasmpool_instance *instance, uint64_t pages) {
    struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    struct wasmpool_table *table = wasmpool_instance_table(instance, 0);
    uint64_t length = memory->current_length;

    expect_eq(wasmpool_grow_memory(fixture->pool, memory, pages), length / WASM_PAGE);
    expect_zero(memory->base + length, pages * WASM_PAGE);
    memset(memory->base, 0xfe, memory->current_length);
    if (!table)
        return;
    expect_eq(wasmpool_grow_table(fixture->pool, table, 90, NULL), ELEMENTS);
    expect_zero((uint8_t *)table->base + ELEMENTS * 8, 90 * 8);
    memset(table->base, 0xfe, (size_t)table->current_elements * 8);
}

/* A whole life in the slot, which must be as if nothing had ever been there. */
static void expect_next_is_fresh(struct Fixture *fixture, const struct wasmpool_module *module,
                                 const struct Snapshot *expected) {
    for (int i = 0; i < 2; i++) {
        struct wasmpool_instance *instance = modules_instantiate(fixture, module, NULL, 0);

        expect_fresh(instance, expected);
        soil(fixture, instance, 32);
        wasmpool_deallocate_module(&instance);
    }
}

static void expect_failed(struct Fixture *fixture, int r, const struct wasmpool_instance *instance) {
    cr_assert_neq(r, 0);
    expect_eq(fixture->error.code, r);
    cr_assert(r < 0 || r == WASMPOOL_E_HOST, "%d: %s", r, fixture->error.message);
    cr_assert_neq(fixture->error.message[0], 0);
    cr_assert_null(instance);
    fixture_expect_use(fixture, 0, 0, 0);
}

/* ------------------------------------------------------------------------------------------------ allocating */

/* The n-th call of the first allocation ever fails. Returns whether there was one. */
static bool fail_first_allocation(enum Implementation implementation, unsigned n, const struct Snapshot *expected) {
    struct wasmpool_module *module = modules_load("injected");
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;
    bool fired;
    int r;

    fixture_open(&fixture, implementation, ONE_OF_EACH);
    injection_arm(n, false);
    r = fixture_allocate(&fixture, module, &instance);
    fired = injection_disarm();
    if (r) {
        cr_assert(fired, "%d: %s", r, fixture.error.message);
        expect_failed(&fixture, r, instance);
    } else {
        expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &fixture.error), 0);
        expect_fresh(instance, expected);
        wasmpool_deallocate_module(&instance);
    }
    expect_next_is_fresh(&fixture, module, expected);
    wasmpool_module_free(module);
    fixture_close(&fixture);
    return fired;
}

BothTest(injection, any_call_of_the_first_allocation_may_fail) {
    static const enum Call embedded[] = {CALL_malloc,  CALL_calloc,   CALL_aligned_alloc, CALL_mmap, CALL_madvise,
                                         CALL_mprotect, CALL_memfd_create, CALL_ftruncate, CALL_fcntl},
                           remote[] = {CALL_malloc, CALL_calloc,  CALL_aligned_alloc,
                                       CALL_mmap,   CALL_madvise, CALL_mprotect};
    struct wasmpool_module *module = modules_load("injected");
    const struct Snapshot *expected = fresh(module);
    unsigned n = 0;

    /* A daemon's memfd whose seals cannot be read ends the connection. */
    injection.spared = implementation == REMOTE ? 1u << CALL_fcntl : 0;
    while (fail_first_allocation(implementation, n, expected))
        n++;
    if (implementation == EMBEDDED)
        expect_ever(embedded, sizeof(embedded) / sizeof(embedded[0]));
    else
        expect_ever(remote, sizeof(remote) / sizeof(remote[0]));
    wasmpool_module_free(module);
}

/* A slot that has been used by a larger module with another image: it is switched, cleared and made smaller. */
static void expect_used_slot_survives(enum Implementation implementation, const char *keep, bool sticky,
                                      const enum Call *calls, size_t n_calls) {
    const struct ModulesSegment segments[] = {{5, 3, "abc"}, {600000, 3, "def"}, {90000, 1, "g"}};
    struct wasmpool_module *module = modules_load("injected"), *large = modules_make(12, segments, 3);
    const struct Snapshot *expected = fresh(module);
    bool fired = true;

    for (unsigned n = 0; fired; n++) {
        struct wasmpool_instance *instance = NULL;
        struct LeakMark before, after;
        struct Fixture fixture;
        int r;

        /* More than one slot if a failure may cost one. */
        if (sticky)
            fixture_open(&fixture, implementation, keep, "total_memories=2");
        else
            fixture_open(&fixture, implementation, keep, ONE_OF_EACH);
        expect_next_is_fresh(&fixture, module, expected);
        instance = modules_instantiate(&fixture, large, NULL, 0);
        soil(&fixture, instance, 5);
        wasmpool_deallocate_module(&instance);
        leak_mark_init(&before);
        injection_arm(n, sticky);
        r = fixture_allocate(&fixture, module, &instance);
        fired = injection_disarm();
        if (r) {
            cr_assert(fired && !instance, "%d: %s", r, fixture.error.message);
            if (!sticky)
                expect_failed(&fixture, r, instance);
            leak_mark_init(&after);
            expect_str(after.fds, before.fds);
            leak_mark_deinit(&after);
        } else {
            expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &fixture.error), 0);
            expect_fresh(instance, expected);
            wasmpool_deallocate_module(&instance);
        }
        expect_next_is_fresh(&fixture, module, expected);
        leak_mark_deinit(&before);
        fixture_close(&fixture);
    }
    expect_ever(calls, n_calls);
    wasmpool_module_free(large);
    wasmpool_module_free(module);
}

BothTest(injection, any_call_of_an_allocation_in_a_used_slot_may_fail) {
    static const enum Call calls[] = {CALL_lseek, CALL_mprotect};

    expect_used_slot_survives(implementation, "linear_memory_keep_resident=64G", false, calls, 2);
}

BothTest(injection, all_calls_of_an_allocation_from_some_on_may_fail) {
    static const enum Call calls[] = {CALL_lseek, CALL_fallocate, CALL_mprotect};

    expect_used_slot_survives(implementation, "linear_memory_keep_resident=64G", true, calls, 3);
}

/* ------------------------------------------------------------------------------------------------ initialising */

BothTest(injection, initialising_needs_nothing_that_could_fail) {
    struct wasmpool_module *module = modules_load("injected");
    const struct Snapshot *expected = fresh(module);
    struct wasmpool_instance *instance = NULL;
    struct Fixture fixture;

    fixture_open(&fixture, implementation, ONE_OF_EACH);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    injection_arm(0, true);
    expect_result(&fixture, wasmpool_initialize(instance, WASMPOOL_BOUNDS_FIRST, &fixture.error), 0);
    cr_assert(!injection_disarm(), "it made a call");
    expect_fresh(instance, expected);
    wasmpool_deallocate_module(&instance);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ giving back */

/* Nobody hears of what fails when an instance is given back: its slot is clean for the next one, or lost. */
static void expect_giving_back_is_clean(enum Implementation implementation, const char *keep, bool sticky,
                                        const enum Call *calls, size_t n_calls) {
    struct wasmpool_module *module = modules_load("injected");
    const struct Snapshot *expected = fresh(module);
    bool fired = true;

    for (unsigned n = 0; fired; n++) {
        struct wasmpool_instance *instance;
        struct Fixture fixture;

        fixture_open(&fixture, implementation, keep, "table_keep_resident=0", "total_memories=2", "total_tables=2",
                     "total_core_instances=1");
        instance = modules_instantiate(&fixture, module, NULL, 0);
        soil(&fixture, instance, 20);
        injection_arm(n, sticky);
        wasmpool_deallocate_module(&instance);
        fired = injection_disarm();
        cr_assert_null(instance);
        for (int i = 0; i < 2; i++)
            expect_next_is_fresh(&fixture, module, expected);
        fixture_close(&fixture);
    }
    expect_ever(calls, n_calls);
    wasmpool_module_free(module);
}

BothTest(injection, any_call_of_giving_back_may_fail) {
    static const enum Call calls[] = {CALL_fallocate, CALL_lseek};

    for (int sticky = 0; sticky < 2; sticky++) {
        injection.ever = 0;
        expect_giving_back_is_clean(implementation, "linear_memory_keep_resident=64G", sticky, calls, 2);
        injection.ever = 0;
        expect_giving_back_is_clean(implementation, "linear_memory_keep_resident=1M", sticky, calls, 2);
        injection.ever = 0;
        expect_giving_back_is_clean(implementation, "linear_memory_keep_resident=0", sticky, calls, 1);
    }
}

/* ------------------------------------------------------------------------------------------------ large images */

#define LARGE (66 * WASM_PAGE)

/* A whole life of an instance whose image lies over its slot, behind and before others. Refused, or right. */
static bool live_large(struct Fixture *fixture, const struct wasmpool_module *module, const uint8_t *expected) {
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_memory *memory;
    int r = fixture_allocate(fixture, module, &instance);

    if (r)
        return false;
    memory = wasmpool_instance_memory(instance, 0);
    cr_assert(!memcmp(memory->base, expected, LARGE), "the image is another");
    expect_zero(memory->base + LARGE, memory->current_length - LARGE);
    if (wasmpool_grow_memory(fixture->pool, memory, 3) >= 0)
        expect_zero(memory->base + memory->current_length - 3 * WASM_PAGE, 3 * WASM_PAGE);
    for (uint64_t at = 0; at < memory->current_length; at += 50001)
        memory->base[at] ^= 0x55;
    wasmpool_deallocate_module(&instance);
    return true;
}

/* From the n-th call on, or that one alone, calls fail while a large image comes to a slot that another module has
 * used, is reset there, and leaves it. */
static bool fail_large(enum Implementation implementation, const char *keep, unsigned n, bool sticky,
                       const uint8_t *bytes) {
    static const uint8_t zeroes[LARGE];
    const struct ModulesSegment segments[] = {{0, LARGE, bytes}};
    struct wasmpool_module *large = modules_make(70, segments, 1), *none = modules_make(70, NULL, 0);
    struct Fixture fixture;
    bool fired;

    fixture_open(&fixture, implementation, keep, "total_memories=2");
    cr_assert(live_large(&fixture, none, zeroes));
    injection_arm(n, sticky);
    live_large(&fixture, large, bytes);
    live_large(&fixture, large, bytes);
    live_large(&fixture, none, zeroes);
    fired = injection_disarm();
    for (int i = 0; i < 2; i++) {
        cr_assert(live_large(&fixture, large, bytes), "%s", fixture.error.message);
        cr_assert(live_large(&fixture, none, zeroes), "%s", fixture.error.message);
    }
    wasmpool_module_free(large);
    wasmpool_module_free(none);
    fixture_close(&fixture);
    return fired;
}

BothTest(injection, any_call_for_a_large_image_may_fail) {
    static const enum Call calls[] = {CALL_malloc, CALL_calloc, CALL_mmap, CALL_madvise, CALL_fallocate};
    static const char *const keeps[] = {"linear_memory_keep_resident=64G", "linear_memory_keep_resident=0"};
    static uint8_t bytes[LARGE];

    for (uint32_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251 + 1);
    /* A daemon's memfd whose seals cannot be read ends the connection. */
    injection.spared = implementation == REMOTE ? 1u << CALL_fcntl : 0;
    for (int i = 0; i < 4; i++)
        for (unsigned n = 0; fail_large(implementation, keeps[i % 2], n, i / 2, bytes);)
            n++;
    expect_ever(calls, sizeof(calls) / sizeof(calls[0]));
}
