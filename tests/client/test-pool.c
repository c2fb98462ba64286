/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "tests/client/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_pool(const char *address, const char *const *settings, struct wasmpool_error *error) {
    struct wasmpool_options options = {.address = address, .settings = settings, .timeout_ms = 1000};
    struct wasmpool *pool = NULL;
    int r = wasmpool_open(&pool, &options, error);

    cr_assert(!r == !!pool, "%d, and the allocator is %p", r, (void *)pool);
    wasmpool_close(pool);
    return r;
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ------------------------------------------------------------------------------------------------ open and close */

Test(pool, opens_embedded_by_default) {
    struct wasmpool *pool;
    uint64_t value;

    unsetenv("WASMPOOL_ADDRESS");
    expect_eq(wasmpool_open(&pool, NULL, NULL), 0);
    expect_eq(wasmpool_limit(pool, "total_memories", &value), 0);
    expect_eq(value, 1000);
    cr_expect_null(wasmpool_close(pool));
    cr_expect_null(wasmpool_close(NULL));
}

Test(pool, address_is_the_environments_if_none_is_given) {
    struct wasmpool_error error;

    setenv("WASMPOOL_ADDRESS", "unix:/nonexistent/wasmpool.sock", 1);
    expect_eq(open_pool(NULL, NULL, &error), WASMPOOL_E_UNAVAILABLE); /* and never a silent fall back */
    expect_eq(error.code, WASMPOOL_E_UNAVAILABLE);
    expect_says(error.message, "/nonexistent/wasmpool.sock");
    expect_eq(open_pool("embedded:", NULL, &error), 0);
    setenv("WASMPOOL_ADDRESS", "", 1); /* set, and to nothing that could be meant */
    expect_eq(open_pool(NULL, NULL, &error), WASMPOOL_E_INVALID);
    unsetenv("WASMPOOL_ADDRESS");
    expect_eq(open_pool(NULL, NULL, &error), 0);
}

Test(pool, addresses_are_embedded_or_unix) {
    static const char *const wrong[] = {"embedded", "embedded:x", "tcp:host", "/run/wasmpool.sock", "unix", "UNIX:/x"};
    struct wasmpool_error error;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_eq(open_pool(wrong[i], NULL, &error), WASMPOOL_E_INVALID);
        expect_says(error.message, wrong[i]);
        expect_says(error.message, "neither embedded: nor unix:PATH");
    }
}

Test(pool, paths_that_do_not_fit_an_address_are_refused) {
    char address[300] = "unix:/";
    struct wasmpool_error error;

    memset(address + 6, 'x', sizeof(address) - 7);
    expect_eq(open_pool(address, NULL, &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "no path for the daemon's socket");
    address[5 + 108] = 0; /* one byte too long with its NUL */
    expect_eq(open_pool(address, NULL, &error), WASMPOOL_E_INVALID);
    address[5 + 107] = 0;
    expect_eq(open_pool(address, NULL, &error), WASMPOOL_E_UNAVAILABLE);
}

Test(pool, an_absent_daemon_is_unavailable) {
    char address[128], directory[] = "/tmp/wasmpool-pool-XXXXXX";
    struct wasmpool_error error;
    struct PrivateDaemon daemon;

    cr_assert_not_null(mkdtemp(directory));
    snprintf(address, sizeof(address), "unix:%s/wasmpool.sock", directory);
    expect_eq(open_pool(address, NULL, &error), WASMPOOL_E_UNAVAILABLE);
    expect_says(error.message, "no daemon listens at");
    expect_says(error.message, directory);
    rmdir(directory);
    private_daemon_start(&daemon, NULL);
    expect_eq(open_pool(daemon.address, NULL, &error), 0);
    private_daemon_kill(&daemon); /* its socket stays */
    expect_eq(open_pool(daemon.address, NULL, &error), WASMPOOL_E_UNAVAILABLE);
    private_daemon_stop(&daemon);
}

Test(pool, settings_are_checked_by_name_and_value) {
    struct wasmpool_error error;

    expect_eq(open_pool("embedded:", SETTINGS("total_memories=7", "total_tables=0"), &error), 0);
    expect_eq(open_pool("embedded:", SETTINGS("total_memories"), &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "'total_memories' is not NAME=VALUE");
    expect_eq(open_pool("embedded:", SETTINGS("=7"), &error), WASMPOOL_E_INVALID);
    expect_eq(open_pool("embedded:", SETTINGS("totalmemories=7"), &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "there is no limit called 'totalmemories'");
    expect_eq(open_pool("embedded:", SETTINGS("total_memories=x"), &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "total_memories: 'x' is not a number");
    expect_eq(open_pool("embedded:", SETTINGS("max_memory_size=2G", "memory_reservation=1G"), &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "exceeds the memory_reservation");
    expect_eq(open_pool("embedded:", SETTINGS("memory_guard_size=100"), &error), WASMPOOL_E_INVALID);
    expect_eq(open_pool("embedded:",
                        SETTINGS("a_name_that_is_so_long_that_no_limit_could_ever_have_it_and_that_fits_no_buffer=1"),
                        &error),
              WASMPOOL_E_INVALID);
}

Test(pool, element_sizes_are_checked) {
    static const uint32_t wrong[] = {1, 7, 12, 72, UINT32_MAX};
    struct wasmpool_error error;
    struct wasmpool *pool = NULL;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_eq(
            wasmpool_open(&pool, &(struct wasmpool_options){.address = "embedded:", .funcref_size = wrong[i]}, &error),
            WASMPOOL_E_INVALID);
        expect_says(error.message, "element size");
        expect_eq(
            wasmpool_open(&pool, &(struct wasmpool_options){.address = "embedded:", .externref_size = wrong[i]}, NULL),
            WASMPOOL_E_INVALID);
    }
    cr_expect_null(pool);
}

Test(pool, clients_set_the_shape_of_their_slabs_and_nothing_else) {
    struct PrivateDaemon daemon;
    struct wasmpool_error error;
    struct wasmpool *pool;
    uint64_t value;

    private_daemon_start(&daemon, SETTINGS("total_memories=7", "max_memory_size=1M"));
    for (size_t i = 0; i < LIMIT_INFOS_N; i++) {
        char setting[64];
        bool ours = fixture_is_for_clients(LIMIT_INFOS[i].name);

        snprintf(setting, sizeof(setting), "%s=%" PRIu64, LIMIT_INFOS[i].name,
                 LIMIT_INFOS[i].unit == LIMIT_BYTES ? LIMIT_INFOS[i].standard : 1);
        if (LIMIT_INFOS[i].unit == LIMIT_AUTO)
            continue;
        expect_eq(open_pool(daemon.address, SETTINGS(setting), &error), ours ? 0 : WASMPOOL_E_INVALID);
        if (!ours)
            expect_says(error.message, "is for the daemon to set, not for its clients");
    }
    cr_assert_eq(wasmpool_open(&pool,
                               &(struct wasmpool_options){.address = daemon.address,
                                                          .settings = SETTINGS("memory_reservation=2M",
                                                                               "memory_guard_size=64K",
                                                                               "guard_before_linear_memory=no")},
                               &error),
                 0, "%s", error.message);
    expect_eq(wasmpool_limit(pool, "total_memories", &value), 0);
    expect_eq(value, 7);
    expect_eq(wasmpool_limit(pool, "max_memory_size", &value), 0);
    expect_eq(value, 1 << 20);
    expect_eq(wasmpool_limit(pool, "memory_reservation", &value), 0);
    expect_eq(value, 2 << 20);
    expect_eq(wasmpool_limit(pool, "memory_guard_size", &value), 0);
    expect_eq(value, 64 << 10);
    expect_eq(wasmpool_limit(pool, "guard_before_linear_memory", &value), 0);
    expect_eq(value, 0);
    value = 77;
    expect_eq(wasmpool_limit(pool, "total", &value), -ENOENT);
    expect_eq(value, 77);
    wasmpool_close(pool);
    private_daemon_stop(&daemon);
}

BothTest(pool, small_slots_trap_at_their_ends_too) {
    struct wasmpool_memory memories[3];
    struct Fixture fixture;

    fixture_open(&fixture, implementation, "max_memory_size=128K", "memory_reservation=128K", "memory_guard_size=64K");
    for (int i = 0; i < 3; i++)
        expect_result(&fixture, fixture_allocate_memory(&fixture, 2, &memories[i]), 0);
    for (int i = 0; i < 3; i++) {
        expect_bounds(&memories[i], 2);
        expect_trap(memories[i].base - 1);
        expect_trap(memories[i].base + 2 * WASM_PAGE + (64 << 10) - 1);
        wasmpool_deallocate_memory(fixture.pool, &memories[i]);
    }
    fixture_close(&fixture);
}

BothTest(pool, several_may_be_open_at_once) {
    struct Fixture a, b;
    struct wasmpool_memory of_a, of_b;

    fixture_open(&a, implementation, "total_memories=1");
    fixture_open(&b, EMBEDDED, "total_memories=1");
    expect_result(&a, fixture_allocate_memory(&a, 1, &of_a), 0);
    expect_result(&b, fixture_allocate_memory(&b, 1, &of_b), 0);
    memset(of_a.base, 1, WASM_PAGE);
    expect_zero(of_b.base, WASM_PAGE);
    wasmpool_deallocate_memory(a.pool, &of_a);
    fixture_close(&a);
    memset(of_b.base, 1, WASM_PAGE);
    wasmpool_deallocate_memory(b.pool, &of_b);
    fixture_close(&b);
}

/* Address space that does not suffice for slabs of the usual size suffices for smaller ones. */
Test(pool, makes_smaller_slabs_where_address_space_is_short) {
    struct rlimit limit, low;
    struct wasmpool_memory memories[8];
    struct Fixture fixture;

#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("AddressSanitizer needs all the address space there is");
#endif
    expect_eq(getrlimit(RLIMIT_AS, &limit), 0);
    fixture_open(&fixture, EMBEDDED);
    low = (struct rlimit){UINT64_C(40) << 30, limit.rlim_max};
    expect_eq(setrlimit(RLIMIT_AS, &low), 0);
    for (int i = 0; i < 8; i++)
        expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memories[i]), 0);
    for (int i = 0; i < 8; i++)
        expect_bounds(&memories[i], 1);
    for (int i = 0; i < 8; i++)
        wasmpool_deallocate_memory(fixture.pool, &memories[i]);
    expect_eq(setrlimit(RLIMIT_AS, &limit), 0);
    fixture_close(&fixture);
}

BothTest(pool, names_the_ceiling_of_the_host_when_not_even_one_slot_fits) {
    struct rlimit limit, low;
    struct wasmpool_memory memory;
    struct Fixture fixture;

#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("AddressSanitizer needs all the address space there is");
#endif
    expect_eq(getrlimit(RLIMIT_AS, &limit), 0);
    fixture_open(&fixture, implementation);
    low = (struct rlimit){UINT64_C(2) << 30, limit.rlim_max};
    expect_eq(setrlimit(RLIMIT_AS, &low), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), WASMPOOL_E_HOST);
    expect_str(fixture.error.limit, "RLIMIT_AS");
    expect_eq(fixture.error.bound, UINT64_C(2) << 30);
    expect_eq(setrlimit(RLIMIT_AS, &limit), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    expect_bounds(&memory, 1);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

Test(pool, names_rlimit_fsize) {
    struct rlimit limit, low;
    struct wasmpool_memory memory;
    struct Fixture fixture;

    expect_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    fixture_open(&fixture, EMBEDDED);
    low = (struct rlimit){1 << 20, limit.rlim_max};
    expect_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), WASMPOOL_E_HOST);
    expect_str(fixture.error.limit, "RLIMIT_FSIZE");
    expect_eq(fixture.error.bound, 1 << 20);
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* No room for the fd that the daemon sends: not the daemon's fault, and over when there is room again. */
Test(pool, names_rlimit_nofile) {
    struct rlimit limit, low;
    struct wasmpool_memory memory;
    struct Fixture fixture;
    int next;

    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    fixture_open(&fixture, REMOTE);
    next = dup(STDERR_FILENO);
    close(next);
    low = (struct rlimit){(rlim_t)next, limit.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), WASMPOOL_E_HOST);
    expect_str(fixture.error.limit, "RLIMIT_NOFILE");
    expect_eq(fixture.error.bound, next);
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

static unsigned long map_count_max(void) {
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned long max = 0;

    if (file) {
        if (fscanf(file, "%lu", &max) != 1)
            max = 0;
        fclose(file);
    }
    return max;
}

/* Use up the mappings that a process may have: every other page of a region is made inaccessible, until that fails. */
static uint8_t *exhaust_maps(uint64_t bytes) {
    uint8_t *region = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert_neq(region, MAP_FAILED);
    for (uint64_t at = 4096; at + 4096 < bytes; at += 8192)
        if (mprotect(region + at, 4096, PROT_NONE))
            return region;
    cr_assert_fail("there is no end to the mappings");
    return NULL;
}

BothTest(pool, names_vm_max_map_count) {
    uint64_t max = map_count_max(), bytes = (max + 16) * 4096;
    struct wasmpool_memory small, large;
    struct Fixture fixture;
    uint8_t *region;

#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("AddressSanitizer needs mappings of its own");
#endif
    if (!max || max > 1 << 20)
        cr_skip_test("vm.max_map_count is unknown or too large to be used up");
    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 0, &small), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 0, &large), 0);
    wasmpool_deallocate_memory(fixture.pool, &large);
    region = exhaust_maps(bytes);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &large), WASMPOOL_E_HOST);
    expect_str(fixture.error.limit, "vm.max_map_count");
    expect_eq(fixture.error.bound, max);
    expect_eq(wasmpool_grow_memory(fixture.pool, &small, 1), -1);
    expect_eq(small.current_length, 0);
    munmap(region, bytes);
    fixture_expect_use(&fixture, 0, 1, 0);
    expect_eq(wasmpool_grow_memory(fixture.pool, &small, 1), 0);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &large), 0);
    expect_bounds(&small, 1);
    expect_bounds(&large, 1);
    wasmpool_deallocate_memory(fixture.pool, &small);
    wasmpool_deallocate_memory(fixture.pool, &large);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------------------ inspection */

BothTest(pool, metrics_count_what_is_allocated_idle_and_mapped) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_instance *instances[3];
    struct wasmpool_metrics metrics;
    struct Fixture fixture;

    fixture_open(&fixture, implementation);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.slabs, 0);
    expect_eq(metrics.connections, 1);
    for (int i = 0; i < 3; i++)
        expect_result(&fixture, fixture_allocate(&fixture, module, &instances[i]), 0);
    fixture_expect_use(&fixture, 3, 3, 3);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.slabs, 3);
    cr_expect_leq(metrics.idle_memories, 3, "%" PRIu64 " idle: demand is doubled and not more", metrics.idle_memories);
    wasmpool_deallocate_module(&instances[0]);
    fixture_expect_use(&fixture, 2, 2, 2);
    wasmpool_deallocate_module(&instances[1]);
    wasmpool_deallocate_module(&instances[2]);
    wasmpool_metrics(fixture.pool, &metrics);
    cr_expect_geq(metrics.idle_instances, 3);
    cr_expect_geq(metrics.idle_memories, 3);
    cr_expect_geq(metrics.idle_tables, 3);
    expect_eq(metrics.connections, 1);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* One fd and one mapping serve 64 memories; and the daemon's client maps the lease table besides. */
BothTest(pool, a_slab_is_one_fd_and_one_mapping) {
    struct wasmpool_memory memories[65];
    struct LeakMark before;
    struct Fixture fixture;
    char report[4096];

    fixture_open(&fixture, implementation);
    pool_tracker(fixture.pool); /* two descriptors, once for all */
    leak_mark_init(&before);
    for (int i = 0; i < 64; i++) /* of no bytes: mprotect would split the mapping */
        expect_result(&fixture, fixture_allocate_memory(&fixture, 0, &memories[i]), 0);
    cr_assert_eq(leak_compare(&before, report, sizeof(report)), 2, "%s", report);
    expect_eq(leak_count_maps("wasmpool-memory"), 1);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 0, &memories[64]), 0);
    expect_eq(leak_count_maps("wasmpool-memory"), 2);
    for (int i = 0; i < 65; i++)
        wasmpool_deallocate_memory(fixture.pool, &memories[i]);
    leak_mark_deinit(&before);
    fixture_close(&fixture);
}

Test(pool, results_have_words) {
    static const char *const words[] = {"success",     "limit",   "invalid",  "malformed", "unsupported", "unavailable",
                                        "refused",     "protocol", "version", "forked",    "host"};

    for (int code = 0; code <= WASMPOOL_E_HOST; code++)
        expect_str(wasmpool_strerror(code), words[code]);
    expect_str(wasmpool_strerror(-ENOMEM), strerror(ENOMEM));
}

/* ------------------------------------------------------------------------------------------------ fork */

/* What a child finds: everything is refused, nothing crashes, and it may close its copy. Its exit status says what was
 * wrong. */
static int try_everything(struct Fixture *fixture, const struct wasmpool_module *module,
                          struct wasmpool_instance *instance) {
    struct wasmpool_request request = {.module = module};
    struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0), room[1];
    struct wasmpool_table *table = wasmpool_instance_table(instance, 0), table_room[1];
    struct wasmpool_memories memories = {.at = room, .capacity = 1};
    struct wasmpool_tables tables = {.at = table_room, .capacity = 1};
    struct wasmpool_instance *another = NULL;

    if (fixture_allocate(fixture, module, &another) != WASMPOOL_E_FORKED || fixture->error.code != WASMPOOL_E_FORKED)
        return 1;
    if (fixture_allocate_memory(fixture, 1, room) != WASMPOOL_E_FORKED)
        return 2;
    if (fixture_allocate_table(fixture, 1, table_room) != WASMPOOL_E_FORKED)
        return 3;
    if (wasmpool_allocate_memories(fixture->pool, &request, &memories, NULL) != WASMPOOL_E_FORKED)
        return 4;
    if (wasmpool_allocate_tables(fixture->pool, &request, &tables, NULL) != WASMPOOL_E_FORKED)
        return 5;
    if (wasmpool_grow_memory(fixture->pool, memory, 1) != -1 ||
        wasmpool_grow_table(fixture->pool, table, 1, NULL) != -1)
        return 6;
    wasmpool_deallocate_memory(fixture->pool, memory);
    wasmpool_deallocate_table(fixture->pool, table);
    wasmpool_deallocate_module(&instance);
    if (instance)
        return 7;
    return wasmpool_close(fixture->pool) ? 8 : 0;
}

BothTest(pool, a_forked_child_is_refused_and_its_parent_is_not_disturbed) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_instance *instance, *others[20];
    struct wasmpool_metrics metrics;
    struct Fixture fixture;
    int status = -1;
    pid_t child;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate(&fixture, module, &instance), 0);
    memset(wasmpool_instance_memory(instance, 0)->base, 0xfe, WASM_PAGE);
    child = fork();
    if (!child)
        _exit(try_everything(&fixture, module, instance));
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "the child's status is %#x", status);
    for (int i = 0; i < WASM_PAGE; i++)
        cr_assert_eq(wasmpool_instance_memory(instance, 0)->base[i], 0xfe);
    fixture_expect_use(&fixture, 1, 1, 1);
    for (int i = 0; i < 20; i++) /* more than is granted by now: the connection must work */
        expect_result(&fixture, fixture_allocate(&fixture, module, &others[i]), 0);
    for (int i = 0; i < 20; i++)
        wasmpool_deallocate_module(&others[i]);
    wasmpool_deallocate_module(&instance);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.connections, 1);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

/* Its copy of the lease table is not mapped in a child. */
BothTest(pool, a_forked_child_counts_nothing) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    int status = -1;
    pid_t child;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    child = fork();
    if (!child) {
        struct wasmpool_metrics metrics;

        memset(&metrics, 0xa5, sizeof(metrics));
        wasmpool_metrics(fixture.pool, &metrics);
        _exit(metrics.memories || metrics.idle_memories || metrics.slabs);
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "the child's status is %#x", status);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

/* The child has no mapping of the parent's memories, so that it cannot read or write them. */
BothTest(pool, a_forked_child_does_not_inherit_the_memories) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    int status = -1;
    pid_t child;

    fixture_open(&fixture, implementation);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    expect_eq(leak_count_maps("wasmpool-memory") > 0, true);
    child = fork();
    if (!child)
        _exit(leak_count_maps("wasmpool") ? 1 : trap_touch(memory.base, TRAP_READ).signal != SIGSEGV ? 2 : 0);
    expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "the child's status is %#x", status);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}

BothTest(pool, a_forked_child_may_open_its_own) {
    struct wasmpool_memory memory;
    struct Fixture fixture;
    int status = -1;
    pid_t child;

    fixture_open(&fixture, implementation, "total_memories=2");
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &memory), 0);
    child = fork();
    if (!child) {
        struct wasmpool_options options = {.address = implementation == REMOTE ? fixture.daemon.address : "embedded:"};
        struct Fixture own = {0};
        struct wasmpool_memory childs;

        wasmpool_close(fixture.pool);
        if (wasmpool_open(&own.pool, &options, &own.error) || fixture_allocate_memory(&own, 1, &childs))
            _exit(1);
        memset(childs.base, 1, WASM_PAGE);
        wasmpool_deallocate_memory(own.pool, &childs);
        _exit(wasmpool_close(own.pool) ? 2 : 0);
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "the child's status is %#x", status);
    expect_zero(memory.base, WASM_PAGE);
    wasmpool_deallocate_memory(fixture.pool, &memory);
    fixture_close(&fixture);
}
