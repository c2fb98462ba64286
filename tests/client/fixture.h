/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_CLIENT_FIXTURE_H
#define TESTS_CLIENT_FIXTURE_H

/* An allocator of either implementation, with few words: the same tests run on both. */

#include "client/wasmpool.h"
#include "tests/support/daemon.h"
#include "tests/support/test.h"
#include "tests/support/trap.h"

#include <signal.h>
#include <string.h>

enum Implementation { EMBEDDED, REMOTE };

/* Two tests, SENTENCE_embedded and SENTENCE_remote, of one body that is told which one it is by `implementation`. */
#define BothTest(NOUN, SENTENCE)                                                                                       \
    static void NOUN##_##SENTENCE##_on(enum Implementation implementation);                                            \
    Test(NOUN, SENTENCE##_embedded) {                                                                                  \
        NOUN##_##SENTENCE##_on(EMBEDDED);                                                                              \
    }                                                                                                                  \
    Test(NOUN, SENTENCE##_remote) {                                                                                    \
        NOUN##_##SENTENCE##_on(REMOTE);                                                                                \
    }                                                                                                                  \
    static void NOUN##_##SENTENCE##_on(enum Implementation implementation)

#define FIXTURE_SETTINGS_MAX 16
#define WASM_PAGE 65536

struct Fixture {
    struct wasmpool *pool;
    struct wasmpool_error error; /* of the latest call that had one */
    struct PrivateDaemon daemon; /* REMOTE */
};

static inline bool fixture_is_for_clients(const char *setting) {
    return !strncmp(setting, "memory_", 7) || !strncmp(setting, "guard_", 6);
}

/* Open an allocator with these settings, or a daemon with them and its client. `options` may carry more than settings.
 */
static inline void fixture_open_with(struct Fixture *fixture, enum Implementation implementation,
                                     struct wasmpool_options options, const char *const *settings) {
    const char *ours[FIXTURE_SETTINGS_MAX + 1] = {0}, *daemons[FIXTURE_SETTINGS_MAX + 2] = {"--config=/dev/null"};
    size_t n = 0;

    for (size_t i = 0; settings[i]; i++) {
        cr_assert_lt(i, FIXTURE_SETTINGS_MAX);
        daemons[i + 1] = settings[i];
        if (implementation == EMBEDDED || fixture_is_for_clients(settings[i]))
            ours[n++] = settings[i];
    }
    *fixture = (struct Fixture){0};
    options.settings = ours;
    options.address = "embedded:";
    if (implementation == REMOTE) {
        private_daemon_start(&fixture->daemon, daemons);
        options.address = fixture->daemon.address;
    }
    cr_assert_eq(wasmpool_open(&fixture->pool, &options, &fixture->error), 0, "open: %s", fixture->error.message);
}

/* fixture_open(&fixture, implementation, "total_memories=3", ...) */
#define fixture_open(FIXTURE, IMPLEMENTATION, ...)                                                                     \
    fixture_open_with(FIXTURE, IMPLEMENTATION, (struct wasmpool_options){0},                                           \
                      (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static inline void fixture_close(struct Fixture *fixture) {
    fixture->pool = wasmpool_close(fixture->pool);
    private_daemon_stop(&fixture->daemon);
}

/* A result that must be 0, or must not: the message tells. */
#define expect_result(FIXTURE, CALL, EXPECTED)                                                                         \
    do {                                                                                                               \
        int result_ = (CALL), wanted_ = (EXPECTED);                                                                    \
        cr_assert(result_ == wanted_, "%s is %d (%s: %s), not %d", #CALL, result_, wasmpool_strerror(result_),         \
                  result_ ? (FIXTURE)->error.message : "-", wanted_);                                                  \
        cr_assert(!result_ || (FIXTURE)->error.code == result_, "%s is %d and error.code %d", #CALL, result_,          \
                  (FIXTURE)->error.code);                                                                              \
    } while (0)

/* After a refusal for want of something: which, and how much of it there is and is used. */
#define expect_limit(FIXTURE, NAME, BOUND, USE)                                                                        \
    do {                                                                                                               \
        expect_str((FIXTURE)->error.limit, NAME);                                                                      \
        expect_eq((FIXTURE)->error.bound, BOUND);                                                                      \
        expect_eq((FIXTURE)->error.use, USE);                                                                          \
        expect_says((FIXTURE)->error.message, NAME);                                                                   \
    } while (0)

static inline struct wasmpool_module *fixture_describe(const struct wasmpool_module_description *description) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;

    cr_assert_eq(wasmpool_module_describe(&module, description, &error), 0, "%s", error.message);
    return module;
}

/* A module of so many memories of `pages` and tables of `elements`, without maxima. */
static inline struct wasmpool_module *fixture_module(uint32_t n_memories, uint64_t pages, uint32_t n_tables,
                                                     uint32_t elements) {
    struct wasmpool_memory_type memories[8];
    struct wasmpool_table_type tables[8];

    cr_assert(n_memories <= 8 && n_tables <= 8);
    for (uint32_t i = 0; i < 8; i++) {
        memories[i] = (struct wasmpool_memory_type){.minimum = pages};
        tables[i] = (struct wasmpool_table_type){.minimum = elements};
    }
    return fixture_describe(&(struct wasmpool_module_description){.name = "module",
                                                                  .memories = memories,
                                                                  .n_memories = n_memories,
                                                                  .tables = tables,
                                                                  .n_tables = n_tables});
}

static inline int fixture_allocate(struct Fixture *fixture, const struct wasmpool_module *module,
                                   struct wasmpool_instance **instancep) {
    struct wasmpool_request request = {.module = module};

    return wasmpool_allocate_module(fixture->pool, &request, instancep, &fixture->error);
}

static inline int fixture_allocate_memory(struct Fixture *fixture, uint64_t pages, struct wasmpool_memory *memory) {
    struct wasmpool_memory_type type = {.minimum = pages};

    return wasmpool_allocate_memory(fixture->pool, &type, NULL, memory, &fixture->error);
}

static inline int fixture_allocate_table(struct Fixture *fixture, uint32_t elements, struct wasmpool_table *table) {
    struct wasmpool_table_type type = {.minimum = elements};

    return wasmpool_allocate_table(fixture->pool, &type, NULL, table, &fixture->error);
}

/* What this process has allocated. */
static inline void fixture_expect_use(struct Fixture *fixture, uint64_t instances, uint64_t memories, uint64_t tables) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(fixture->pool, &metrics);
    expect_eq(metrics.core_instances, instances);
    expect_eq(metrics.memories, memories);
    expect_eq(metrics.tables, tables);
}

static inline void expect_zero(const void *bytes, uint64_t n) {
    const uint8_t *at = bytes;

    if (n && (at[0] || memcmp(at, at + 1, n - 1)))
        for (uint64_t i = 0; i < n; i++)
            cr_assert(!at[i], "byte %" PRIu64 " of %" PRIu64 " is %#x, not 0", i, n, at[i]);
}

/* An access must trap as an engine expects it: SIGSEGV at that address, where something is mapped but inaccessible. */
static inline void expect_trap(const uint8_t *at) {
    for (int access = TRAP_READ; access <= TRAP_WRITE; access++) {
        struct Trap trap = trap_touch(at, (enum TrapAccess)access);

        cr_assert(trap.signal == SIGSEGV && trap.code == SEGV_ACCERR && trap.address == (uintptr_t)at,
                  "%s at %p: signal %d, code %d, address %#" PRIxPTR ", not %d, %d",
                  access == TRAP_READ ? "reading" : "writing", (const void *)at, trap.signal, trap.code, trap.address,
                  SIGSEGV, SEGV_ACCERR);
    }
}

static inline void expect_no_trap(const uint8_t *at) {
    for (int access = TRAP_READ; access <= TRAP_WRITE; access++) {
        struct Trap trap = trap_touch(at, (enum TrapAccess)access);

        cr_assert(!trap.signal, "%s at %p: signal %d, code %d, not none", access == TRAP_READ ? "reading" : "writing",
                  (const void *)at, trap.signal, trap.code);
    }
}

/* A memory is what its fields say: its bytes can be used, and nothing behind them. */
static inline void expect_bounds(const struct wasmpool_memory *memory, uint64_t pages) {
    expect_eq(memory->current_length, pages * WASM_PAGE);
    if (pages) {
        expect_no_trap(memory->base);
        expect_no_trap(memory->base + memory->current_length - 1);
    }
    expect_trap(memory->base + memory->current_length);
}

#endif
