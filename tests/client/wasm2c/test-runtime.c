/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The wasm2c runtime by itself: the calls that generated code makes are made by hand, and its faults are reads of our
 * own. What generated code does with it, tests/wasm shows; threads, tests/stress/wasm2c-threads.c. */

#include "tests/support/test.h"
#include "wasm-rt-impl.h"
#include "wasmpool-wasm2c.h"

#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 65536
#define MEMORIES_STANDARD 1000 /* total_memories, when nobody says otherwise */

/* ------------------------------------------------------------------------------------------------ fixture */

/* Each test ends with wasm_rt_free itself, so that what the default pool held is back when fds are counted. */
static void set_up(void) {
    unsetenv("WASMPOOL_ADDRESS");
    wasm_rt_init();
}

TestSuite(runtime, .init = set_up);

static struct wasmpool *open_pool(const char *setting) {
    const char *settings[] = {"max_memories_per_module=4", "max_tables_per_module=4", setting, NULL};
    const struct wasmpool_options options = {.address = "embedded:", .settings = settings};
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    cr_assert(zero(int, wasmpool_wasm2c_open(&pool, &options, &error)), "%s", error.message);
    return pool;
}

static const struct wasmpool_memory_type memory_types[] = {
    {.minimum = 1, .maximum = 3, .has_maximum = true},
    {.minimum = 2},
};
static const struct wasmpool_table_type table_types[] = {
    {.minimum = 4, .maximum = 8, .has_maximum = true, .element = WASMPOOL_FUNCREF},
    {.minimum = 2, .element = WASMPOOL_EXTERNREF},
};

static struct wasmpool_module *describe(void) {
    const struct wasmpool_module_description description = {
        .memories = memory_types,
        .n_memories = 2,
        .tables = table_types,
        .n_tables = 2,
    };
    struct wasmpool_module *module;

    cr_assert(zero(int, wasmpool_module_describe(&module, &description, NULL)));
    return module;
}

/* What the generated instantiate function of a module of `describe` would do. */
struct Guest {
    wasm_rt_memory_t memories[2];
    wasm_rt_funcref_table_t funcrefs;
    wasm_rt_externref_table_t externrefs;
};

static void guest_instantiate(struct Guest *guest) {
    wasm_rt_allocate_memory(&guest->memories[0], 1, 3);
    wasm_rt_allocate_memory(&guest->memories[1], 2, 65536);
    wasm_rt_allocate_funcref_table(&guest->funcrefs, 4, 8);
    wasm_rt_allocate_externref_table(&guest->externrefs, 2, UINT32_MAX);
}

static void guest_free(struct Guest *guest) {
    wasm_rt_free_externref_table(&guest->externrefs);
    wasm_rt_free_funcref_table(&guest->funcrefs);
    wasm_rt_free_memory(&guest->memories[1]);
    wasm_rt_free_memory(&guest->memories[0]);
}

static struct wasmpool_wasm2c_scope *prefetch(struct wasmpool *pool, const struct wasmpool_module *module) {
    const struct wasmpool_request request = {.module = module, .label = "test"};
    struct wasmpool_wasm2c_scope *scope;
    struct wasmpool_error error = {0};

    cr_assert(zero(int, wasmpool_wasm2c_prefetch(&scope, pool, &request, &error)), "%s", error.message);
    return scope;
}

static uint64_t memories_in_use(struct wasmpool *pool) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(pool, &metrics);
    return metrics.memories;
}

static bool in_use(struct wasmpool *pool) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(pool, &metrics);
    return metrics.core_instances || metrics.memories || metrics.tables;
}

static struct wasmpool *default_pool(void) {
    struct wasmpool *pool;

    cr_assert(zero(int, wasmpool_wasm2c_default_pool(&pool, NULL)));
    return pool;
}

/* The trap of a function, or none. */
static wasm_rt_trap_t trap_of(void (*function)(void *), void *argument) {
    wasm_rt_trap_t trap = wasm_rt_impl_try();

    if (!trap)
        function(argument);
    return trap;
}

__attribute__((no_sanitize("undefined"))) static void read_byte(void *at) {
    (void)*(volatile uint8_t *)at;
}

/* ------------------------------------------------------------------------------------------------ prefetch */

Test(runtime, prefetched_slots_are_handed_out_in_call_order) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool(NULL);
    struct wasmpool_wasm2c_scope *scope = prefetch(pool, module);
    struct Guest guest;

    guest_instantiate(&guest);
    for (uint32_t i = 0; i < 2; i++)
        cr_expect(eq(ptr, guest.memories[i].data, wasmpool_wasm2c_memory(scope, i)->base));
    cr_expect(eq(ptr, guest.funcrefs.data, wasmpool_wasm2c_table(scope, 0)->base));
    cr_expect(eq(ptr, guest.externrefs.data, wasmpool_wasm2c_table(scope, 1)->base));
    cr_expect(eq(u32, guest.memories[1].size, 2 * PAGE));
    cr_expect(eq(u32, guest.memories[1].max_pages, 65535));
    cr_expect(zero(ptr, (void *)wasmpool_wasm2c_memory(scope, 2)));

    cr_expect(eq(u32, wasm_rt_grow_memory(&guest.memories[0], 2), 1));
    cr_expect(eq(u64, wasmpool_wasm2c_memory(scope, 0)->current_length, 3 * PAGE), "the scope sees the guest's size");
    /* The pool would give the second one 65536 pages. */
    cr_expect(eq(u32, wasm_rt_grow_memory(&guest.memories[1], 65534), UINT32_MAX));
    cr_expect(eq(u32, wasm_rt_grow_memory(&guest.memories[1], 65533), 2));
    cr_expect(eq(u32, guest.memories[1].size, 65535 * (uint32_t)PAGE));
    guest_free(&guest);
    cr_expect(eq(u64, memories_in_use(pool), 2), "what was prefetched is the scope's until it is released");
    scope = wasmpool_wasm2c_release(scope);
    cr_expect(not(in_use(pool)));
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

Test(runtime, a_call_that_does_not_match_is_served_by_the_default_pool) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool(NULL);
    struct wasmpool_wasm2c_scope *scope = prefetch(pool, module);
    struct Guest guest;
    wasm_rt_memory_t stray, after;

    wasm_rt_allocate_memory(&stray, 1, 2);
    cr_expect(ne(ptr, stray.data, wasmpool_wasm2c_memory(scope, 0)->base));
    cr_expect(eq(u64, memories_in_use(default_pool()), 1));
    guest_instantiate(&guest);
    cr_expect(eq(ptr, guest.memories[0].data, wasmpool_wasm2c_memory(scope, 0)->base));
    wasm_rt_allocate_memory(&after, 1, 3);
    cr_expect(eq(u64, memories_in_use(default_pool()), 2));

    wasmpool_wasm2c_release(scope);
    cr_expect(eq(u64, memories_in_use(default_pool()), 1), "the stray one goes, what came after the last one stays");
    cr_expect(eq(u32, wasm_rt_grow_memory(&after, 1), 1));
    wasm_rt_free_memory(&after);
    cr_expect(not(in_use(default_pool())));
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

static void instantiate_and_trap(void *guest) {
    wasm_rt_memory_t stray;

    wasm_rt_allocate_memory(&((struct Guest *)guest)->memories[0], 1, 3);
    wasm_rt_allocate_memory(&stray, 7, 9);
    read_byte(((struct Guest *)guest)->memories[0].data + PAGE);
}

Test(runtime, release_after_a_trapped_instantiation_returns_everything) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool(NULL);

    for (int i = 0; i < 100; i++) {
        struct wasmpool_wasm2c_scope *scope = prefetch(pool, module);
        struct Guest guest = {0};

        cr_assert(eq(int, trap_of(instantiate_and_trap, &guest), WASM_RT_TRAP_OOB));
        cr_assert(in_use(pool));
        wasmpool_wasm2c_release(scope);
        cr_assert(not(in_use(pool)));
        cr_assert(not(in_use(default_pool())));
    }
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

Test(runtime, a_new_prefetch_ends_the_last_one) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool(NULL);
    struct wasmpool_wasm2c_scope *first = prefetch(pool, module), *second = prefetch(pool, module);
    wasm_rt_memory_t memory;

    wasm_rt_allocate_memory(&memory, 1, 3);
    cr_expect(eq(ptr, memory.data, wasmpool_wasm2c_memory(second, 0)->base));
    wasmpool_wasm2c_release(first);
    cr_expect(eq(u32, wasm_rt_grow_memory(&memory, 1), 1));
    wasmpool_wasm2c_release(second);
    cr_expect(eq(u32, wasm_rt_grow_memory(&memory, 1), UINT32_MAX), "it is nobody's any more");
    cr_expect(zero(ptr, wasmpool_wasm2c_release(NULL)));
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

static void *release_elsewhere(void *scope) {
    return wasmpool_wasm2c_release(scope);
}

Test(runtime, a_scope_may_be_released_by_another_thread) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool(NULL);
    struct wasmpool_wasm2c_scope *scope = prefetch(pool, module);
    wasm_rt_memory_t memory;
    pthread_t thread;

    cr_assert(zero(int, pthread_create(&thread, NULL, release_elsewhere, scope)));
    pthread_join(thread, NULL);
    cr_expect(not(in_use(pool)));
    wasm_rt_allocate_memory(&memory, 1, 3);
    cr_expect(eq(u64, memories_in_use(default_pool()), 1));
    wasm_rt_free_memory(&memory);
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

/* ------------------------------------------------------------------------------------------------ refusals */

Test(runtime, exhaustion_is_typed_at_prefetch_and_ends_with_a_release) {
    struct wasmpool_module *module = describe();
    struct wasmpool *pool = open_pool("total_memories=3");
    const struct wasmpool_request request = {.module = module};
    struct wasmpool_wasm2c_scope *scope = prefetch(pool, module), *other = NULL;
    struct wasmpool_error error;

    cr_expect(eq(int, wasmpool_wasm2c_prefetch(&other, pool, &request, &error), WASMPOOL_E_LIMIT));
    cr_expect(eq(str, error.limit, "total_memories"));
    cr_expect(eq(u64, error.bound, 3));
    cr_expect(zero(ptr, other));
    wasmpool_wasm2c_release(scope);
    scope = prefetch(pool, module);
    wasmpool_wasm2c_release(scope);
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

static void allocate_small(void *memory) {
    wasm_rt_allocate_memory(memory, 0, 1);
}

Test(runtime, exhaustion_without_a_prefetch_is_a_trap) {
    static wasm_rt_memory_t memories[MEMORIES_STANDARD + 1];
    wasm_rt_trap_t trap = WASM_RT_TRAP_NONE;
    int n = 0;

    while (n <= MEMORIES_STANDARD && !(trap = trap_of(allocate_small, &memories[n])))
        n++;
    cr_expect(eq(int, n, MEMORIES_STANDARD));
    cr_expect(eq(int, trap, WASM_RT_TRAP_EXHAUSTION));
    wasm_rt_free_memory(&memories[n]);
    wasm_rt_free_memory(&memories[500]);
    cr_expect(zero(int, trap_of(allocate_small, &memories[n])), "works again after one release");
    for (int i = 0; i <= n; i++)
        wasm_rt_free_memory(&memories[i]);
    cr_expect(not(in_use(default_pool())));
    wasm_rt_free();
}

Test(runtime, the_default_pool_says_why_it_cannot_be_opened) {
    wasm_rt_memory_t memory;
    struct wasmpool_error error = {0};
    struct wasmpool *pool;

    setenv("WASMPOOL_ADDRESS", "unix:/nowhere/at/all", 1);
    cr_expect(eq(int, trap_of(allocate_small, &memory), WASM_RT_TRAP_EXHAUSTION));
    cr_expect(eq(int, wasmpool_wasm2c_default_pool(&pool, &error), WASMPOOL_E_UNAVAILABLE));
    cr_expect(ne(str, error.message, ""));
    wasm_rt_free();
}

Test(runtime, a_pool_with_smaller_guards_is_refused) {
    const struct wasmpool_options options = {.address = "embedded:"};
    struct wasmpool_module *module = describe();
    const struct wasmpool_request request = {.module = module};
    struct wasmpool_wasm2c_scope *scope;
    struct wasmpool_error error;
    struct wasmpool *pool;

    cr_assert(zero(int, wasmpool_open(&pool, &options, NULL)));
    cr_expect(eq(int, wasmpool_wasm2c_prefetch(&scope, pool, &request, &error), WASMPOOL_E_INVALID));
    cr_expect(eq(str, error.limit, "memory_guard_size"));
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

Test(runtime, a_memory_of_65536_pages_is_refused) {
    static const struct wasmpool_memory_type whole = {.minimum = 65536};
    const struct wasmpool_module_description description = {.memories = &whole, .n_memories = 1};
    struct wasmpool *pool = open_pool(NULL);
    struct wasmpool_request request = {0};
    struct wasmpool_wasm2c_scope *scope;
    struct wasmpool_module *module;
    struct wasmpool_error error;

    cr_assert(zero(int, wasmpool_module_describe(&module, &description, NULL)));
    request.module = module;
    cr_expect(eq(int, wasmpool_wasm2c_prefetch(&scope, pool, &request, &error), WASMPOOL_E_INVALID));
    cr_expect(eq(u64, error.bound, 65535));
    cr_expect(eq(u64, error.ask, 65536));
    wasmpool_module_free(module);
    wasmpool_close(pool);
    wasm_rt_free();
}

Test(runtime, open_keeps_the_callers_settings_save_reservation_and_guard) {
    const char *settings[] = {"total_memories=5", "memory_reservation=65536", "memory_guard_size=0",
                              "max_memory_size=65536", NULL};
    const struct wasmpool_options options = {.address = "embedded:", .settings = settings};
    struct wasmpool *pool;
    uint64_t value;

    cr_assert(zero(int, wasmpool_wasm2c_open(&pool, &options, NULL)));
    cr_expect(zero(int, wasmpool_limit(pool, "total_memories", &value)));
    cr_expect(eq(u64, value, 5));
    cr_expect(zero(int, wasmpool_limit(pool, "memory_reservation", &value)));
    cr_expect(eq(u64, value, UINT64_C(1) << 32));
    cr_expect(zero(int, wasmpool_limit(pool, "memory_guard_size", &value)));
    cr_expect(eq(u64, value, (UINT64_C(1) << 32) + PAGE));
    wasmpool_close(pool);
    wasm_rt_free();
}

/* ------------------------------------------------------------------------------------------------ traps */

Test(runtime, an_access_anywhere_in_reach_of_a_memory_traps) {
    static const uint64_t offsets[] = {PAGE, PAGE + 4096, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(0x1ffffffff)};
    wasm_rt_memory_t memory;

    wasm_rt_allocate_memory(&memory, 1, 65536);
    cr_expect(zero(int, trap_of(read_byte, memory.data + PAGE - 1)));
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        cr_expect(eq(int, trap_of(read_byte, memory.data + offsets[i]), WASM_RT_TRAP_OOB));
    wasm_rt_free_memory(&memory);
    cr_expect(zero(ptr, memory.data));
    wasm_rt_free_memory(&memory);
    wasm_rt_free();
}

Test(runtime, a_trap_leaves_the_signal_mask_as_it_was) {
    wasm_rt_memory_t memory;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    wasm_rt_allocate_memory(&memory, 1, 1);
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, trap_of(read_byte, memory.data + PAGE), WASM_RT_TRAP_OOB));
    sigprocmask(SIG_BLOCK, NULL, &set);
    cr_expect(eq(int, sigismember(&set, SIGUSR1), 1));
    cr_expect(zero(int, sigismember(&set, SIGSEGV)));
    wasm_rt_free_memory(&memory);
    wasm_rt_free();
}

/* Not a tail call, and not to be seen through. */
__attribute__((noinline)) static int recurse(volatile int *depth) {
    volatile char frame[256];

    frame[0] = (char)++*depth;
    if (!*depth)
        return 0;
    return recurse(depth) + frame[0];
}

static void recurse_forever(void *depth) {
    recurse(depth);
}

Test(runtime, recursion_without_end_traps_again_and_again) {
    volatile int depth;

    for (int i = 0; i < 10; i++) {
        depth = 0;
        cr_expect(eq(int, trap_of(recurse_forever, (void *)&depth), WASM_RT_TRAP_EXHAUSTION));
        cr_expect(gt(int, depth, 1000));
    }
    wasm_rt_free();
}

Test(runtime, function_types_are_numbered_by_structure) {
    uint32_t first = wasm_rt_register_func_type(2, 1, WASM_RT_I32, WASM_RT_F32, WASM_RT_I64);
    uint32_t split = wasm_rt_register_func_type(1, 2, WASM_RT_I32, WASM_RT_F32, WASM_RT_I64);
    uint32_t empty = wasm_rt_register_func_type(0, 0);

    cr_expect(ne(u32, first, 0));
    cr_expect(ne(u32, first, split));
    cr_expect(ne(u32, first, empty));
    cr_expect(eq(u32, wasm_rt_register_func_type(2, 1, WASM_RT_I32, WASM_RT_F32, WASM_RT_I64), first));
    cr_expect(eq(u32, wasm_rt_register_func_type(0, 0), empty));
    wasm_rt_free();
}

Test(runtime, an_exception_keeps_its_values_when_it_is_thrown_again) {
    const uint64_t values[2] = {11, 22};
    uint32_t tag = wasm_rt_register_tag(16);
    wasm_rt_trap_t trap = wasm_rt_impl_try();

    if (!trap) {
        wasm_rt_load_exception(tag, sizeof(values), values);
        wasm_rt_load_exception(wasm_rt_exception_tag(), wasm_rt_exception_size(), wasm_rt_exception());
        wasm_rt_throw();
    }
    cr_expect(eq(int, trap, WASM_RT_TRAP_UNCAUGHT_EXCEPTION));
    cr_expect(eq(u32, wasm_rt_exception_tag(), tag));
    cr_expect(zero(int, memcmp(wasm_rt_exception(), values, sizeof(values))));
    wasm_rt_free();
}

/* ------------------------------------------------------------------------------------------------ faults of the
 * host */

/* What becomes of a process that runs `function` under wasm_rt_impl_try with the default action in place before. */
static int fate_of(void (*function)(void *), void *argument) {
    pid_t child = fork();
    int status;

    cr_assert(ge(int, child, 0));
    if (!child) {
        wasm_rt_free();
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        wasm_rt_init();
        _exit(trap_of(function, argument) ? 100 : 0);
    }
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    return status;
}

static bool died_of(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static void send_segv(void *nothing) {
    (void)nothing;
    kill(getpid(), SIGSEGV);
}

Test(runtime, a_fault_of_the_host_is_not_swallowed) {
    static const char constant = 1;
    int status = fate_of(read_byte, NULL);

    cr_expect(died_of(status, SIGSEGV), "null pointer: status %x", status);
    status = fate_of(read_byte, (void *)0x10000);
    cr_expect(died_of(status, SIGSEGV), "wild pointer: status %x", status);
    status = fate_of(send_segv, NULL);
    cr_expect(died_of(status, SIGSEGV), "a signal that was sent: status %x", status);
    status = fate_of(read_byte, (void *)&constant);
    cr_expect(status == 0, "no fault at all: status %x", status);
    wasm_rt_free();
}

static void read_after_free(void *nothing) {
    wasm_rt_memory_t memory;
    uint8_t *data;

    (void)nothing;
    wasm_rt_allocate_memory(&memory, 1, 1);
    data = memory.data;
    wasm_rt_free_memory(&memory);
    read_byte(data + PAGE);
}

Test(runtime, the_guard_of_a_freed_memory_is_not_the_guests) {
    int status = fate_of(read_after_free, NULL);

    cr_expect(died_of(status, SIGSEGV), "status %x", status);
    wasm_rt_free();
}

static volatile sig_atomic_t seen_address, seen_sent;
static sigjmp_buf way_out;

static void note(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    seen_address = (sig_atomic_t)(uintptr_t)info->si_addr;
    seen_sent = info->si_code <= 0;
    siglongjmp(way_out, 1);
}

Test(runtime, the_handler_that_was_there_before_gets_what_is_not_the_guests) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO}, present;
    wasm_rt_memory_t memory;

    wasm_rt_free();
    sigaction(SIGSEGV, &action, NULL);
    wasm_rt_init();
    wasm_rt_allocate_memory(&memory, 1, 1);
    if (!sigsetjmp(way_out, 1))
        trap_of(read_byte, (void *)0x1230);
    cr_expect(eq(int, seen_address, 0x1230));
    if (!sigsetjmp(way_out, 1))
        trap_of(send_segv, NULL);
    cr_expect(eq(int, seen_sent, 1));
    seen_address = 0;
    cr_expect(eq(int, trap_of(read_byte, memory.data + PAGE), WASM_RT_TRAP_OOB));
    cr_expect(zero(int, seen_address));
    wasm_rt_free();
    sigaction(SIGSEGV, NULL, &present);
    cr_expect(present.sa_sigaction == note, "wasm_rt_free puts back what was there");
}

Test(runtime, a_forked_child_gets_a_default_pool_of_its_own) {
    wasm_rt_memory_t parents, childs;
    pid_t child;
    int status;

    wasm_rt_allocate_memory(&parents, 1, 2);
    parents.data[0] = 1;
    child = fork();
    if (!child) {
        if (trap_of(allocate_small, &childs) || wasm_rt_grow_memory(&childs, 1) != 0)
            _exit(1);
        childs.data[0] = 2;
        if (memories_in_use(default_pool()) != 1)
            _exit(2);
        _exit(trap_of(read_byte, childs.data + PAGE) == WASM_RT_TRAP_OOB ? 0 : 3);
    }
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    cr_expect(zero(int, status));
    cr_expect(eq(int, parents.data[0], 1));
    wasm_rt_free_memory(&parents);
    cr_expect(not(in_use(default_pool())));
    wasm_rt_free();
}
