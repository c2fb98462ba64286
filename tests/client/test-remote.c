/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"
#include "tests/client/fixture.h"
#include "tests/support/fake.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 200

/* A client of a daemon that misbehaves. */
struct Rig {
    struct FakeDaemon fake;
    struct wasmpool *pool;
    struct wasmpool_error error;
};

static int rig_open_pool(struct Rig *rig) {
    struct wasmpool_options options = {.address = rig->fake.address, .name = "rig", .timeout_ms = TIMEOUT_MS};

    memset(&rig->error, 0, sizeof(rig->error));
    return wasmpool_open(&rig->pool, &options, &rig->error);
}

static void rig_open_limited(struct Rig *rig, uint64_t total_memories) {
    *rig = (struct Rig){0};
    limits_init(&rig->fake.limits);
    rig->fake.limits.total_memories = total_memories;
    rig->fake.limits.max_memories_per_module = 8;
    fake_daemon_open(&rig->fake);
    expect_result(rig, rig_open_pool(rig), 0);
}

static void rig_open(struct Rig *rig) {
    rig_open_limited(rig, 1000);
}

static void rig_close(struct Rig *rig) {
    rig->pool = wasmpool_close(rig->pool);
    fake_daemon_close(&rig->fake);
}

static int rig_allocate(struct Rig *rig, struct wasmpool_memory *memory) {
    struct wasmpool_memory_type type = {.minimum = 1};

    return wasmpool_allocate_memory(rig->pool, &type, "remote", memory, &rig->error);
}

static int rig_allocate_table(struct Rig *rig, struct wasmpool_table *table) {
    struct wasmpool_table_type type = {.minimum = 10};

    return wasmpool_allocate_table(rig->pool, &type, "remote", table, &rig->error);
}

static uint64_t rig_connections(struct Rig *rig) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(rig->pool, &metrics);
    return metrics.connections;
}

static uint64_t rig_slabs(struct Rig *rig) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(rig->pool, &metrics);
    return metrics.slabs;
}

/* What one mischief must lead to. */
struct Expectation {
    int mischief, code;
    const char *says;
};

#define EXPECT_FD_CHECKS                                                                                               \
    {FAKE_WITHOUT_SEALS, WASMPOOL_E_PROTOCOL, "seals"}, {FAKE_WITHOUT_SHRINK, WASMPOOL_E_PROTOCOL, "seals"},           \
        {FAKE_WITHOUT_SEAL, WASMPOOL_E_PROTOCOL, "seals"}, {FAKE_NOT_A_MEMFD, WASMPOOL_E_PROTOCOL, "seals"},           \
        {FAKE_TOO_SMALL, WASMPOOL_E_PROTOCOL, "whose size is not the agreed"},                                         \
        {FAKE_TOO_LARGE, WASMPOOL_E_PROTOCOL, "whose size is not the agreed"},                                         \
        {FAKE_WITHOUT_FD, WASMPOOL_E_PROTOCOL, "did not send the file descriptor"},                                    \
        {FAKE_TWO_FDS, WASMPOOL_E_PROTOCOL, "file descriptors that do not belong there"},                              \
        {FAKE_MANY_FDS, WASMPOOL_E_PROTOCOL, "file descriptors that do not belong there"}

#define N_OF(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

/* ------------------------------------------------------------------------------------------------ Hello */

Test(remote, a_welcome_that_is_wrong_opens_nothing) {
    static const struct Expectation cases[] = {
        EXPECT_FD_CHECKS,
        {FAKE_OTHER_MAJOR, WASMPOOL_E_VERSION, "speaks version 2 of the protocol, this client 1"},
        {FAKE_OTHER_MAGIC, WASMPOOL_E_PROTOCOL, "a lease table of another version"},
        {FAKE_OTHER_TABLE, WASMPOOL_E_PROTOCOL, "a lease table of another version"},
        {FAKE_NO_ENTRIES, WASMPOOL_E_PROTOCOL, "a lease table of no possible size"},
        {FAKE_TOO_MANY_ENTRIES, WASMPOOL_E_PROTOCOL, "a lease table of no possible size"},
        {FAKE_WITHOUT_LIMITS, WASMPOOL_E_PROTOCOL, "does not say welcome"},
        {FAKE_OTHER_BODY, WASMPOOL_E_PROTOCOL, "does not say welcome"},
        {FAKE_GARBAGE, WASMPOOL_E_PROTOCOL, "a packet that is no message"},
        {FAKE_OVERSIZED, WASMPOOL_E_PROTOCOL, "a packet larger than 32768 bytes"},
        {FAKE_UNKNOWN_ERROR, WASMPOOL_E_REFUSED, "from the future"},
        {FAKE_HANG_UP, WASMPOOL_E_UNAVAILABLE, "has gone"},
        {FAKE_SILENT, WASMPOOL_E_UNAVAILABLE, "does not answer in time"},
    };
    struct Rig rig;

    rig_open(&rig);
    wasmpool_close(rig.pool);
    rig.pool = NULL;
    for (size_t i = 0; i < N_OF(cases); i++) {
        rig.fake.at_hello = cases[i].mischief;
        expect_result(&rig, rig_open_pool(&rig), cases[i].code);
        expect_says(rig.error.message, cases[i].says);
        expect_says(rig.error.message, cases[i].mischief == FAKE_UNKNOWN_ERROR ? "" : rig.fake.directory);
        cr_assert_null(rig.pool);
        expect_eq(leak_count_maps("wasmpool"), 0);
    }
    rig.fake.at_hello = FAKE_HONEST;
    expect_result(&rig, rig_open_pool(&rig), 0);
    rig_close(&rig);
}

Test(remote, a_refusal_at_hello_comes_through_typed) {
    struct Rig rig;

    rig_open(&rig);
    wasmpool_close(rig.pool);
    rig.pool = NULL;
    error_limit(&rig.fake.error, ERROR_LIMIT, "connections_max", 3, 3, 1, "too many connections");
    rig.fake.at_hello = FAKE_REFUSE;
    expect_result(&rig, rig_open_pool(&rig), WASMPOOL_E_LIMIT);
    expect_limit(&rig, "connections_max", 3, 3);
    error_set(&rig.fake.error, ERROR_REFUSED, "go away");
    expect_result(&rig, rig_open_pool(&rig), WASMPOOL_E_REFUSED);
    expect_str(rig.error.message, "go away");
    error_set(&rig.fake.error, ERROR_VERSION, "version 1 is not mine");
    expect_result(&rig, rig_open_pool(&rig), WASMPOOL_E_VERSION);
    rig_close(&rig);
}

Test(remote, limits_are_those_of_the_welcome) {
    struct wasmpool *pool;
    struct FakeDaemon fake = {0};
    uint64_t value;

    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        *(uint64_t *)((char *)&fake.limits + LIMIT_INFOS[i].offset) = 100 + i;
    fake.limits.max_memory_size = 1 << 20;
    fake_daemon_open(&fake);
    cr_assert_eq(wasmpool_open(&pool, &(struct wasmpool_options){.address = fake.address}, NULL), 0);
    for (size_t i = 0; i < LIMIT_INFOS_N; i++) {
        const struct LimitInfo *info = &LIMIT_INFOS[i];
        uint64_t expected = fixture_is_for_clients(info->name) ? info->standard : limits_get(&fake.limits, info);

        expect_eq(wasmpool_limit(pool, info->name, &value), 0);
        cr_expect_eq(value, expected, "%s is %" PRIu64 ", not %" PRIu64, info->name, value, expected);
    }
    wasmpool_close(pool);
    fake_daemon_close(&fake);
}

/* ------------------------------------------------------------------------------------------------ OpenSlab */

/* The connection ends with it; the next demand makes a new one, which an honest daemon serves. */
Test(remote, a_slab_that_is_wrong_ends_the_connection) {
    static const struct Expectation cases[] = {
        EXPECT_FD_CHECKS,
        {FAKE_OTHER_BYTES, WASMPOOL_E_PROTOCOL, "opened a slab that was not asked for"},
        {FAKE_OTHER_TARGET, WASMPOOL_E_PROTOCOL, "opened a slab that was not asked for"},
        {FAKE_OTHER_ENTRY, WASMPOOL_E_PROTOCOL, "opened a slab that was not asked for"},
        {FAKE_OTHER_BODY, WASMPOOL_E_PROTOCOL, "answers OpenSlab with something else"},
        {FAKE_GARBAGE, WASMPOOL_E_PROTOCOL, "a packet that is no message"},
        {FAKE_OVERSIZED, WASMPOOL_E_PROTOCOL, "a packet larger than 32768 bytes"},
    };
    struct wasmpool_memory memory;
    struct Rig rig;

    for (size_t i = 0; i < N_OF(cases); i++) {
        rig_open(&rig);
        rig.fake.at_open_slab = cases[i].mischief;
        expect_result(&rig, rig_allocate(&rig, &memory), cases[i].code);
        expect_says(rig.error.message, cases[i].says);
        expect_eq(leak_count_maps("wasmpool-memory"), 0);
        expect_eq(rig_slabs(&rig), 0);
        rig.fake.at_open_slab = FAKE_HONEST;
        expect_result(&rig, rig_allocate(&rig, &memory), 0);
        expect_bounds(&memory, 1);
        expect_eq(rig_connections(&rig), 2);
        wasmpool_deallocate_memory(rig.pool, &memory);
        rig_close(&rig);
    }
}

/* Permits have no bytes: an fd with them belongs to nothing. */
Test(remote, an_fd_with_an_instance_slab_is_surplus) {
    struct wasmpool_module *module = fixture_module(0, 0, 0, 0);
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instance = NULL;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_FD_UNASKED;
    expect_result(&rig, wasmpool_allocate_module(rig.pool, &request, &instance, &rig.error), WASMPOOL_E_PROTOCOL);
    expect_says(rig.error.message, "file descriptors that do not belong there");
    wasmpool_module_free(module);
    rig_close(&rig);
}

Test(remote, a_refused_slab_comes_through_typed_and_ends_nothing) {
    struct wasmpool_memory memory;
    struct Rig rig;

    rig_open(&rig);
    error_limit(&rig.fake.error, ERROR_LIMIT, "slabs_per_client_max", 4, 4, 1, "too many slabs");
    rig.fake.at_open_slab = FAKE_REFUSE;
    expect_result(&rig, rig_allocate(&rig, &memory), WASMPOOL_E_LIMIT);
    expect_limit(&rig, "slabs_per_client_max", 4, 4);
    rig.fake.at_open_slab = FAKE_UNKNOWN_ERROR;
    expect_result(&rig, rig_allocate(&rig, &memory), WASMPOOL_E_REFUSED);
    rig.fake.at_open_slab = FAKE_HONEST;
    expect_result(&rig, rig_allocate(&rig, &memory), 0);
    expect_eq(rig_connections(&rig), 1);
    wasmpool_deallocate_memory(rig.pool, &memory);
    rig_close(&rig);
}

/* Each fd is acknowledged, and before more can be asked for. */
Test(remote, fds_are_acknowledged) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instance;
    struct Rig rig;

    rig_open(&rig);
    cr_assert(FAKE_WAIT(&rig.fake, acks, 1)); /* the lease table's */
    expect_result(&rig, wasmpool_allocate_module(rig.pool, &request, &instance, &rig.error), 0);
    cr_assert(FAKE_WAIT(&rig.fake, acks, 3)); /* memories, tables; permits bring none */
    wasmpool_deallocate_module(&instance);
    rig.pool = wasmpool_close(rig.pool);
    cr_assert(FAKE_WAIT(&rig.fake, goodbyes, 1));
    expect_eq(fake_daemon_see(&rig.fake).acks, 3);
    wasmpool_module_free(module);
    rig_close(&rig);
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

Test(remote, a_late_slab_is_acknowledged_closed_and_not_mapped) {
    struct wasmpool_memory memory;
    int64_t start_ms, took_ms;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_SILENT;
    start_ms = now_ms();
    expect_result(&rig, rig_allocate(&rig, &memory), WASMPOOL_E_UNAVAILABLE);
    took_ms = now_ms() - start_ms;
    expect_says(rig.error.message, "does not answer in time");
    cr_expect(took_ms >= TIMEOUT_MS && took_ms < 20 * TIMEOUT_MS, "it took %" PRId64 " ms, not %d", took_ms,
              TIMEOUT_MS);
    rig.fake.at_open_slab = FAKE_HONEST;
    cr_assert(fake_daemon_send_late(&rig.fake));
    expect_result(&rig, rig_allocate(&rig, &memory), 0);
    cr_assert(FAKE_WAIT(&rig.fake, close_slabs, 1));
    expect_eq(rig.fake.seen.last_closed, 1);
    cr_assert(FAKE_WAIT(&rig.fake, acks, 3));
    expect_eq(leak_count_maps("wasmpool-memory") > 0, true);
    expect_eq(rig_slabs(&rig), 1);
    expect_eq(rig_connections(&rig), 1);
    expect_bounds(&memory, 1);
    wasmpool_deallocate_memory(rig.pool, &memory);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ Want */

/* As many as one Want brings: the next demand is another one. */
static void rig_take_all(struct Rig *rig, struct wasmpool_memory *memories, int n) {
    for (int i = 0; i < n; i++)
        expect_result(rig, rig_allocate(rig, &memories[i]), 0);
}

Test(remote, a_want_that_is_answered_wrong_leaves_what_there_is) {
    static const struct Expectation cases[] = {
        {FAKE_OTHER_BODY, WASMPOOL_E_PROTOCOL, "answers Want with something else"},
        {FAKE_FD_UNASKED, WASMPOOL_E_PROTOCOL, "file descriptors that do not belong there"},
        {FAKE_GARBAGE, WASMPOOL_E_PROTOCOL, "a packet that is no message"},
        {FAKE_GRANTS_NOTHING, WASMPOOL_E_PROTOCOL, "promised and not granted"},
        {FAKE_UNKNOWN_ERROR, WASMPOOL_E_REFUSED, "from the future"},
    };
    struct wasmpool_memory memories[2], third;
    struct Rig rig;

    for (size_t i = 0; i < N_OF(cases); i++) {
        rig_open(&rig);
        rig_take_all(&rig, memories, 2); /* two are granted: OpenSlab's one, and a Want's one */
        rig.fake.at_want = cases[i].mischief;
        expect_result(&rig, rig_allocate(&rig, &third), cases[i].code);
        expect_says(rig.error.message, cases[i].says);
        expect_bounds(&memories[0], 1);
        wasmpool_deallocate_memory(rig.pool, &memories[0]);
        expect_result(&rig, rig_allocate(&rig, &memories[0]), 0); /* needs no daemon */
        rig.fake.at_want = FAKE_HONEST;
        expect_result(&rig, rig_allocate(&rig, &third), 0);
        wasmpool_deallocate_memory(rig.pool, &third);
        for (int m = 0; m < 2; m++)
            wasmpool_deallocate_memory(rig.pool, &memories[m]);
        rig_close(&rig);
    }
}

/* Demand is a level in the lease table: nobody waits any more, so it falls back; a grant that comes late is used. */
Test(remote, a_late_grant_is_used) {
    struct wasmpool_memory memories[2], third;
    struct LeaseTable *table;
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, memories, 2);
    table = rig.pool->connection->table;
    expect_eq(table->header.targets[0], 2);
    rig.fake.at_want = FAKE_SILENT;
    expect_result(&rig, rig_allocate(&rig, &third), WASMPOOL_E_UNAVAILABLE);
    expect_eq(fake_daemon_see(&rig.fake).wants, 2);
    cr_assert(fake_daemon_send_late(&rig.fake));
    expect_result(&rig, rig_allocate(&rig, &third), 0); /* granted in the table already: nothing is asked */
    expect_eq(fake_daemon_see(&rig.fake).wants, 2);
    expect_eq(rig_connections(&rig), 1);
    wasmpool_deallocate_memory(rig.pool, &third);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    rig_close(&rig);
}

Test(remote, demand_that_was_refused_is_taken_back) {
    struct wasmpool_memory memories[3], fourth;
    struct Rig rig;

    rig_open_limited(&rig, 3);
    rig_take_all(&rig, memories, 3);
    for (int i = 0; i < 3; i++) {
        expect_result(&rig, rig_allocate(&rig, &fourth), WASMPOOL_E_LIMIT);
        expect_limit(&rig, "total_memories", 3, 3);
        expect_eq(rig.pool->connection->table->header.targets[0], 3);
    }
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ recall */

Test(remote, a_recalled_slot_comes_back_with_one_kick) {
    struct wasmpool_memory memories[2];
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, memories, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct LeaseEntry *entry = &rig.pool->connection->table->entries[slot_index(memories[i].allocation)];

        if (i == 0)
            cr_assert_eq(lease_recall(entry, lease_generation(lease_load(entry))), 0);
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
        expect_str(lease_word_name(lease_load(entry)), i ? "idle" : "vacant");
    }
    cr_assert(FAKE_WAIT(&rig.fake, kicks, 1));
    rig.pool = wasmpool_close(rig.pool);
    cr_assert(FAKE_WAIT(&rig.fake, goodbyes, 1));
    expect_eq(fake_daemon_see(&rig.fake).kicks, 1);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ death */

Test(remote, what_is_granted_goes_on_without_the_daemon_and_new_demand_fails) {
    struct wasmpool_memory memories[2], third;
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, memories, 2);
    memset(memories[0].base, 0xfe, WASM_PAGE);
    fake_daemon_die(&rig.fake);
    for (int i = 0; i < 20; i++) {
        expect_result(&rig, rig_allocate(&rig, &third), WASMPOOL_E_UNAVAILABLE);
        cr_assert(strlen(rig.error.message));
        expect_eq(memories[0].base[WASM_PAGE - 1], 0xfe);
        wasmpool_deallocate_memory(rig.pool, &memories[1]);
        expect_result(&rig, rig_allocate(&rig, &memories[1]), 0);
        expect_zero(memories[1].base, WASM_PAGE);
        expect_eq(wasmpool_grow_memory(rig.pool, &memories[1], 3), 1);
        memset(memories[1].base, 0xfe, 4 * WASM_PAGE);
    }
    expect_eq(rig_connections(&rig), 1);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    rig_close(&rig);
}

Test(remote, death_at_any_request_is_unavailable_and_no_more) {
    struct wasmpool_memory memories[2], third;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_HANG_UP;
    expect_result(&rig, rig_allocate(&rig, &memories[0]), WASMPOOL_E_UNAVAILABLE);
    expect_says(rig.error.message, "has gone");
    rig.fake.at_open_slab = FAKE_HONEST;
    rig_take_all(&rig, memories, 2);
    rig.fake.at_want = rig.fake.at_open_slab = FAKE_HANG_UP;
    expect_result(&rig, rig_allocate(&rig, &third), WASMPOOL_E_UNAVAILABLE);
    expect_bounds(&memories[0], 1);
    rig.fake.at_hello = FAKE_HANG_UP;
    expect_result(&rig, rig_allocate(&rig, &third), WASMPOOL_E_UNAVAILABLE);
    expect_bounds(&memories[1], 1);
    rig.fake.at_hello = rig.fake.at_want = rig.fake.at_open_slab = FAKE_HONEST;
    expect_result(&rig, rig_allocate(&rig, &third), 0);
    wasmpool_deallocate_memory(rig.pool, &third);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    rig_close(&rig);
}

/* A daemon that was started anew shows only when it is asked; who asks does not notice. */
Test(remote, a_daemon_that_is_back_is_asked_at_once) {
    struct wasmpool_memory memory;
    struct Rig rig;

    rig_open(&rig);
    fake_daemon_die(&rig.fake);
    fake_daemon_return(&rig.fake);
    expect_result(&rig, rig_allocate(&rig, &memory), 0);
    expect_eq(rig_connections(&rig), 2);
    expect_eq(fake_daemon_see(&rig.fake).hellos, 1);
    wasmpool_deallocate_memory(rig.pool, &memory);
    rig_close(&rig);
}

static unsigned count_memory_slabs(void) {
    return leak_count_maps("wasmpool-memory");
}

static void rig_return(struct Rig *rig) {
    fake_daemon_die(&rig->fake);
    fake_daemon_return(&rig->fake);
}

Test(remote, old_slabs_drain) {
    struct wasmpool_memory old[2], new[3];
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, old, 2);
    memset(old[0].base, 0xfe, WASM_PAGE);
    rig_return(&rig);
    rig_take_all(&rig, new, 3);
    expect_eq(rig_connections(&rig), 2);
    expect_eq(rig_slabs(&rig), 2);
    for (int i = 0; i < WASM_PAGE; i++)
        cr_assert_eq(old[0].base[i], 0xfe);
    expect_bounds(&old[1], 1);
    expect_eq(wasmpool_grow_memory(rig.pool, &old[1], 1), 1);
    wasmpool_deallocate_memory(rig.pool, &old[1]);
    expect_eq(rig_slabs(&rig), 2);
    expect_eq(old[0].base[0], 0xfe); /* one is in use yet */
    wasmpool_deallocate_memory(rig.pool, &old[0]);
    expect_eq(rig_slabs(&rig), 1);
    for (int i = 0; i < 3; i++)
        expect_bounds(&new[i], 1);
    expect_eq(fake_daemon_see(&rig.fake).kicks, 0); /* the new daemon does not know them */
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_memory(rig.pool, &new[i]);
    rig_close(&rig);
}

Test(remote, old_slabs_without_busy_slots_are_unmapped_at_once) {
    struct wasmpool_memory memories[2];
    struct wasmpool_table table;
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, memories, 2);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    cr_assert_neq(count_memory_slabs(), 0);
    rig_return(&rig);
    expect_result(&rig, rig_allocate_table(&rig, &table), 0);
    expect_eq(count_memory_slabs(), 0);
    expect_eq(rig_slabs(&rig), 1);
    expect_eq(leak_count_maps("wasmpool-lease"), 1);
    wasmpool_deallocate_table(rig.pool, &table);
    rig_close(&rig);
}

/* Nothing was ever opened: the old lease table goes all the same. */
Test(remote, the_lease_table_of_a_connection_without_slabs_is_unmapped_too) {
    struct wasmpool_memory memory;
    struct Rig rig;

    rig_open(&rig);
    rig_return(&rig);
    expect_result(&rig, rig_allocate(&rig, &memory), 0);
    expect_eq(leak_count_maps("wasmpool-lease"), 1);
    wasmpool_deallocate_memory(rig.pool, &memory);
    rig_close(&rig);
}

/* The idle slots of the old slab lie on the stack still when its record is used for a slab of another kind. */
Test(remote, idle_slots_of_an_old_slab_are_not_mistaken_for_those_of_a_new_one) {
    struct wasmpool_memory memories[8];
    struct wasmpool_table tables[8];
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, memories, 8);
    for (int i = 0; i < 8; i++)
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    rig_return(&rig);
    for (int i = 0; i < 8; i++) {
        expect_result(&rig, rig_allocate_table(&rig, &tables[i]), 0);
        memset(tables[i].base, 0x55, 80);
    }
    for (int i = 0; i < 8; i++)
        wasmpool_deallocate_table(rig.pool, &tables[i]);
    rig_take_all(&rig, memories, 8);
    for (int i = 0; i < 8; i++) {
        expect_bounds(&memories[i], 1);
        memset(memories[i].base, 0xfe, WASM_PAGE);
    }
    for (int i = 0; i < 8; i++) {
        expect_result(&rig, rig_allocate_table(&rig, &tables[i]), 0);
        expect_zero(tables[i].base, 80);
        memset(tables[i].base, 0x55, 80);
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            cr_assert(tables[i].base != tables[j].base && memories[i].base != memories[j].base,
                      "%d and %d share their bytes", i, j);
    for (int i = 0; i < 8; i++) {
        expect_eq(((uint8_t *)tables[i].base)[79], 0x55);
        expect_eq(memories[i].base[WASM_PAGE - 1], 0xfe);
        wasmpool_deallocate_table(rig.pool, &tables[i]);
        wasmpool_deallocate_memory(rig.pool, &memories[i]);
    }
    rig_close(&rig);
}

/* Two threads give back the last two slots of an old slab: both words are vacant before either comes to look. */
Test(remote, an_old_slab_is_given_up_once) {
    struct wasmpool_memory old[2], new[2];
    struct Taken first;
    struct Rig rig;

    rig_open(&rig);
    rig_take_all(&rig, old, 2);
    rig_return(&rig);
    expect_result(&rig, rig_allocate(&rig, &new[0]), 0);
    cr_assert(shelf_find(rig.pool, old[0].allocation, &first));
    expect_eq(lease_release(first.entry, first.slot->generation), LEASE_E_RECALLED); /* the first thread, up to here */
    wasmpool_deallocate_memory(rig.pool, &old[1]);                                  /* the second one, whole */
    expect_eq(rig_slabs(&rig), 1);
    pool_slot_returned(rig.pool, first.slab); /* the rest of the first */
    expect_eq(rig_slabs(&rig), 1);
    for (struct Slab *slow = rig.pool->spares, *fast = slow; fast && fast->next;) {
        slow = slow->next;
        fast = fast->next->next;
        cr_assert(slow != fast, "the list of spare records has become a ring");
    }
    rig_return(&rig);
    expect_result(&rig, rig_allocate(&rig, &new[1]), 0);
    expect_bounds(&new[1], 1);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_memory(rig.pool, &new[i]);
    rig_close(&rig);
}

/* What was warm in an old slab does not count for ever. */
Test(remote, old_slabs_take_their_warm_slots_with_them) {
    struct wasmpool_memory memories[4];
    struct Rig rig = {0};

    limits_init(&rig.fake.limits);
    rig.fake.limits.max_unused_warm_slots = 4;
    fake_daemon_open(&rig.fake);
    expect_result(&rig, rig_open_pool(&rig), 0);
    for (int round = 0; round < 3; round++) {
        rig_take_all(&rig, memories, 4);
        for (int i = 0; i < 4; i++)
            wasmpool_deallocate_memory(rig.pool, &memories[i]);
        expect_eq(rig.pool->n_warm, 4);
        rig_return(&rig);
    }
    rig_close(&rig);
}

/* Again and again: nothing may grow but the count of connections. */
Test(remote, may_lose_its_daemon_many_times) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 1);
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instances[2] = {0};
    unsigned lines = 0;
    struct Rig rig;

    rig_open(&rig);
    for (int round = 0; round < 20; round++) {
        struct wasmpool_instance **instance = &instances[round % 2];

        wasmpool_deallocate_module(instance); /* of the connection before the last */
        rig_return(&rig);
        expect_result(&rig, wasmpool_allocate_module(rig.pool, &request, instance, &rig.error), 0);
        expect_zero(wasmpool_instance_memory(*instance, 0)->base, WASM_PAGE);
        memset(wasmpool_instance_memory(*instance, 0)->base, 0xfe, WASM_PAGE);
        expect_eq(rig_connections(&rig), round + 2);
        if (round == 2)
            lines = leak_count_maps("wasmpool");
        if (round > 2)
            cr_assert_leq(leak_count_maps("wasmpool"), lines, "%u mappings, not %u", leak_count_maps("wasmpool"),
                          lines);
    }
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_module(&instances[i]);
    wasmpool_module_free(module);
    rig_close(&rig);
}

Test(remote, goodbye_is_said_to_those_who_live) {
    struct Rig rig;

    rig_open(&rig);
    rig.pool = wasmpool_close(rig.pool);
    cr_assert(FAKE_WAIT(&rig.fake, goodbyes, 1));
    expect_result(&rig, rig_open_pool(&rig), 0);
    fake_daemon_die(&rig.fake);
    rig.pool = wasmpool_close(rig.pool); /* and nothing happens */
    rig_close(&rig);
}

/* The same with the daemon itself: killed, and started again at the same place. */
Test(remote, survives_a_daemon_that_is_killed_and_started_again) {
    struct wasmpool_memory old, other, new;
    struct wasmpool_metrics metrics;
    struct Fixture fixture;

    fixture_open(&fixture, REMOTE);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &old), 0);
    memset(old.base, 0xfe, WASM_PAGE);
    private_daemon_kill(&fixture.daemon);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &other), WASMPOOL_E_UNAVAILABLE);
    expect_eq(old.base[0], 0xfe);
    private_daemon_restart(&fixture.daemon, NULL);
    expect_result(&fixture, fixture_allocate_memory(&fixture, 1, &new), 0);
    expect_zero(new.base, WASM_PAGE);
    expect_eq(old.base[0], 0xfe);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.connections, 2);
    expect_eq(metrics.slabs, 2);
    wasmpool_deallocate_memory(fixture.pool, &old);
    wasmpool_metrics(fixture.pool, &metrics);
    expect_eq(metrics.slabs, 1);
    wasmpool_deallocate_memory(fixture.pool, &new);
    fixture_close(&fixture);
}

Test(remote, too_many_connections_are_refused_by_name) {
    struct Fixture fixture;
    struct wasmpool *second = NULL;
    struct wasmpool_error error;

    fixture_open(&fixture, REMOTE, "connections_max=1");
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(wasmpool_open(&second, &(struct wasmpool_options){.address = fixture.daemon.address}, &error),
                     WASMPOOL_E_LIMIT, "attempt %d: %s", i, error.message);
        expect_str(error.limit, "connections_max");
        expect_eq(error.bound, 1);
    }
    fixture_close(&fixture);
}
