/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Images of a daemon, and of one that misbehaves: whatever it does, memories contain what they must. */

#include "client/pool.h"
#include "client/template.h"
#include "shared/clock.h"
#include "tests/client/modules.h"
#include "tests/support/fake.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TIMEOUT_MS 200
#define HOST_PAGE 4096
#define N_OF(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

/* With zeros that are written, before and behind all else, and more than a page in one piece. */
static uint8_t bulk[3 * HOST_PAGE];
static const struct ModulesSegment SEGMENTS[] = {{5 * HOST_PAGE + 100, 5, "first"},
                                                 {30 * HOST_PAGE, 6, "second"},
                                                 {10 * HOST_PAGE, sizeof(bulk), bulk},
                                                 {HOST_PAGE, 2 * HOST_PAGE, NULL},
                                                 {31 * HOST_PAGE, 3 * HOST_PAGE, NULL}};
#define PAGES 4
#define IMAGE_PAGES 5 /* that are not zero */
#define IMAGE_BYTES (31 * HOST_PAGE)

struct Rig {
    struct FakeDaemon fake;
    struct wasmpool *pool;
    struct wasmpool_error error;
};

static void rig_open_pool(struct Rig *rig) {
    struct wasmpool_options options = {.address = rig->fake.address, .name = "rig", .timeout_ms = TIMEOUT_MS};

    expect_result(rig, wasmpool_open(&rig->pool, &options, &rig->error), 0);
}

static void rig_open(struct Rig *rig) {
    *rig = (struct Rig){0};
    fake_daemon_open(&rig->fake);
    rig_open_pool(rig);
}

static void rig_close(struct Rig *rig) {
    rig->pool = wasmpool_close(rig->pool);
    fake_daemon_close(&rig->fake);
}

static struct wasmpool_module *module_new_like_the_others(void) {
    for (size_t i = 0; i < sizeof(bulk); i++)
        bulk[i] = (uint8_t)(1 + i % 251);
    return modules_make(PAGES, SEGMENTS, N_OF(SEGMENTS));
}

static void expect_contents(const uint8_t *base) {
    uint8_t *expected = calloc(PAGES, WASM_PAGE);

    for (size_t i = 0; i < N_OF(SEGMENTS); i++)
        if (SEGMENTS[i].bytes)
            memcpy(expected + SEGMENTS[i].offset, SEGMENTS[i].bytes, SEGMENTS[i].n);
    cr_assert(!memcmp(base, expected, PAGES * WASM_PAGE), "a memory is not what its segments say");
    free(expected);
}

/* An instance of the module has what its segments say, twice over in one slot. */
static void expect_instances(struct wasmpool *pool, const struct wasmpool_module *module) {
    for (int i = 0; i < 2; i++) {
        struct wasmpool_request request = {.module = module};
        struct wasmpool_instance *instance = NULL;
        struct wasmpool_error error = {0};
        uint8_t *base;

        cr_assert_eq(wasmpool_allocate_module(pool, &request, &instance, &error), 0, "%s", error.message);
        base = wasmpool_instance_memory(instance, 0)->base;
        expect_contents(base);
        memset(base, 0xfe, PAGES * WASM_PAGE);
        wasmpool_deallocate_module(&instance);
    }
}

static void expect_images(struct wasmpool *pool, uint64_t shared, uint64_t private) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(pool, &metrics);
    expect_eq(metrics.shared_images, shared);
    expect_eq(metrics.private_images, private);
}

/* One that the daemon has from now on; its module stays. */
static struct wasmpool_module *rig_make_one(struct Rig *rig) {
    struct wasmpool_module *module = module_new_like_the_others();

    expect_instances(rig->pool, module);
    expect_images(rig->pool, 1, 0);
    return module;
}

/* ------------------------------------------------------------------------------------------------ shared */

Test(sharing, of_like_contents_makes_one_image) {
    struct wasmpool_module *first, *second = module_new_like_the_others();
    struct wasmpool *other;
    struct FakeSeen seen;
    struct Rig rig;

    rig_open(&rig);
    first = rig_make_one(&rig);
    other = rig.pool;
    rig_open_pool(&rig);
    expect_instances(rig.pool, second);
    expect_images(rig.pool, 1, 0);
    seen = fake_daemon_see(&rig.fake);
    expect_eq(seen.finds, 2);
    expect_eq(seen.creates, 1);
    expect_eq(seen.seals, 1);
    expect_eq(leak_count_maps("wasmpool-image"), 2);
    wasmpool_module_free(first);
    wasmpool_module_free(second);
    expect_eq(leak_count_maps("wasmpool-image"), 0);
    wasmpool_close(other);
    rig_close(&rig);
}

/* What takes long is done when a module is loaded; nothing is asked of the daemon before there is an instance. */
Test(sharing, is_prepared_by_validation) {
    struct wasmpool_module *module = module_new_like_the_others();
    struct Images *prepared;
    struct Rig rig;

    rig_open(&rig);
    for (int i = 0; i < 2; i++)
        expect_result(&rig, wasmpool_validate_module(rig.pool, module, &rig.error), 0);
    prepared = module->template->prepared;
    cr_assert_not_null(prepared);
    cr_expect(prepared->at[0]->is_named);
    expect_eq(fake_daemon_see(&rig.fake).finds, 0);
    expect_instances(rig.pool, module);
    cr_expect_eq(atomic_load(&module->template->images), prepared);
    cr_expect_null(module->template->prepared);
    expect_images(rig.pool, 1, 0);
    wasmpool_validate_module(rig.pool, module, &rig.error);
    cr_expect_null(module->template->prepared);
    wasmpool_module_free(module);
    /* And goes with a module that has no instance. */
    module = module_new_like_the_others();
    expect_result(&rig, wasmpool_validate_module(rig.pool, module, &rig.error), 0);
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* The file is the memory from its first byte on; what is zero is a hole; nobody can write to it any more. */
Test(sharing, fills_what_is_not_zero_and_leaves_holes) {
    struct wasmpool_module *module;
    struct stat st;
    char text[5];
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    expect_eq(fstat(rig.fake.images[0].fd, &st), 0);
    expect_eq(st.st_size, IMAGE_BYTES);
    expect_eq(st.st_blocks * 512, IMAGE_PAGES * HOST_PAGE);
    expect_eq(pread(rig.fake.images[0].fd, text, 5, SEGMENTS[0].offset), 5);
    cr_assert(!memcmp(text, "first", 5));
    wasmpool_module_free(module);
    rig_close(&rig);
}

Test(sharing, names_an_image_by_the_hash_of_that_file) {
    struct wasmpool_module *module;
    uint8_t hash[HASH_BYTES];
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    expect_eq(hash_file(rig.fake.images[0].fd, IMAGE_BYTES, hash), 0);
    cr_assert(!memcmp(hash, rig.fake.images[0].hash, HASH_BYTES));
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* The mapping is the process', not the pool's. */
Test(sharing, serves_all_pools_of_the_process_whatever_becomes_of_the_first) {
    struct wasmpool_options options = {.address = "embedded:"};
    struct wasmpool_module *module;
    struct wasmpool *embedded;
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    expect_result(&rig, wasmpool_open(&embedded, &options, &rig.error), 0);
    expect_instances(embedded, module);
    rig_close(&rig);
    expect_instances(embedded, module);
    wasmpool_purge_module(embedded, module);
    expect_instances(embedded, module);
    expect_eq(leak_count_maps("wasmpool-image"), 1);
    wasmpool_module_free(module);
    wasmpool_close(embedded);
}

Test(sharing, is_not_tried_by_an_embedded_pool) {
    struct wasmpool_module *module = module_new_like_the_others();
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED);
    expect_instances(fixture.pool, module);
    expect_images(fixture.pool, 0, 1);
    expect_eq(leak_count_maps("wasmpool-image"), 0);
    wasmpool_module_free(module);
    fixture_close(&fixture);
}

Test(sharing, of_a_module_without_contents_is_not_tried) {
    const struct ModulesSegment zeros = {100, 5000, NULL};
    struct wasmpool_module *modules[] = {modules_make(1, NULL, 0), modules_make(1, &zeros, 1)};
    struct Rig rig;

    rig_open(&rig);
    for (size_t i = 0; i < N_OF(modules); i++) {
        struct wasmpool_request request = {.module = modules[i]};
        struct wasmpool_instance *instance = NULL;

        expect_result(&rig, wasmpool_allocate_module(rig.pool, &request, &instance, &rig.error), 0);
        wasmpool_deallocate_module(&instance);
        wasmpool_module_free(modules[i]);
    }
    expect_images(rig.pool, 0, 0);
    expect_eq(fake_daemon_see(&rig.fake).finds, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ not shared */

/* What one mischief leads to, beside a private image: does the connection end with it? */
struct Mischief {
    int mischief;
    bool ends;
};

#define WRONG_FDS                                                                                                      \
    {FAKE_WITHOUT_SEALS, true}, {FAKE_WITHOUT_SHRINK, true}, {FAKE_NOT_A_MEMFD, true}, {FAKE_TOO_SMALL, true},         \
        {FAKE_TOO_LARGE, true}, {FAKE_WITHOUT_FD, true}, {FAKE_TWO_FDS, true}, {FAKE_MANY_FDS, true}
#define WRONG_ANSWERS                                                                                                  \
    {FAKE_OTHER_BODY, true}, {FAKE_GARBAGE, true}, {FAKE_OVERSIZED, true}, {FAKE_HANG_UP, true},                       \
        {FAKE_UNKNOWN_ERROR, false}, {FAKE_REFUSE, false}, {FAKE_OLDER, false}

/* With a new daemon each time; `found`: with an image that is there already. */
static void expect_private(size_t where, const struct Mischief *cases, size_t n, bool found) {
    for (size_t i = 0; i < n; i++) {
        struct wasmpool_module *first = NULL, *module = module_new_like_the_others();
        struct Rig rig;

        rig_open(&rig);
        if (found)
            first = rig_make_one(&rig);
        error_limit(&rig.fake.error, ERROR_LIMIT, "image_bytes_max", 1, 1, 1, "no room for another image");
        atomic_store((_Atomic int *)((char *)&rig.fake + where), cases[i].mischief);
        expect_instances(rig.pool, module);
        expect_images(rig.pool, found, 1);
        cr_assert_eq(rig.pool->connection->ended || rig.pool->n_connections == 2, cases[i].ends,
                     "mischief %d: the connection %s", cases[i].mischief, cases[i].ends ? "goes on" : "has ended");
        expect_eq(leak_count_maps("wasmpool-image"), found);
        wasmpool_module_free(first);
        wasmpool_module_free(module);
        rig_close(&rig);
    }
}

Test(sharing, of_an_image_that_is_wrong_is_given_up) {
    static const struct Mischief cases[] = {WRONG_FDS, {FAKE_WITHOUT_WRITE, true}, {FAKE_WITHOUT_SEAL, true},
                                            WRONG_ANSWERS};

    expect_private(offsetof(struct FakeDaemon, at_find), cases, N_OF(cases), true);
}

Test(sharing, of_no_image_that_has_an_fd_is_given_up) {
    static const struct Mischief cases[] = {{FAKE_NONE_WITH_FD, true}, {FAKE_OLDER, false}, {FAKE_REFUSE, false}};

    expect_private(offsetof(struct FakeDaemon, at_find), cases, N_OF(cases), false);
}

Test(sharing, is_given_up_where_no_image_can_be_made) {
    static const struct Mischief cases[] = {WRONG_FDS, WRONG_ANSWERS};

    expect_private(offsetof(struct FakeDaemon, at_create), cases, N_OF(cases), false);
}

Test(sharing, is_given_up_where_an_image_is_not_sealed) {
    static const struct Mischief cases[] = {WRONG_FDS, {FAKE_WITHOUT_WRITE, true}, {FAKE_WITHOUT_SEAL, true},
                                            WRONG_ANSWERS};

    expect_private(offsetof(struct FakeDaemon, at_seal), cases, N_OF(cases), false);
}

/* The daemon is told that nothing comes of it. */
Test(sharing, is_given_up_where_an_image_cannot_be_filled) {
    struct wasmpool_module *module = module_new_like_the_others();
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_create = FAKE_UNWRITABLE;
    expect_instances(rig.pool, module);
    expect_images(rig.pool, 0, 1);
    cr_assert(FAKE_WAIT(&rig.fake, releases, 1));
    expect_eq(fake_daemon_see(&rig.fake).seals, 0);
    expect_eq(rig.pool->n_connections, 1);
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* Nothing is created that cannot be filled: SIGXFSZ would end the process. */
Test(sharing, is_not_tried_beyond_the_size_that_files_may_have) {
    struct wasmpool_module *module = module_new_like_the_others();
    const struct Images *images = NULL;
    struct rlimit limit, low;
    struct Rig rig;

    rig_open(&rig);
    expect_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = IMAGE_BYTES - 1;
    expect_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    expect_eq(template_images(rig.pool, module, 0, &images, NULL), 0);
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_images(rig.pool, 0, 1);
    expect_eq(fake_daemon_see(&rig.fake).finds, 1);
    expect_eq(fake_daemon_see(&rig.fake).creates, 0);
    expect_instances(rig.pool, module);
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* What was granted is used, image or no image. */
Test(sharing, with_a_daemon_that_has_gone_is_given_up) {
    struct wasmpool_module *first, *module = module_new_like_the_others();
    struct Rig rig;

    rig_open(&rig);
    first = rig_make_one(&rig);
    fake_daemon_die(&rig.fake);
    expect_instances(rig.pool, module);
    expect_instances(rig.pool, first);
    expect_images(rig.pool, 1, 1);
    wasmpool_module_free(first);
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ in time */

static uint64_t time_instances_ms(struct Rig *rig, const struct wasmpool_module *module) {
    uint64_t before_ns = clock_now_ns();

    expect_instances(rig->pool, module);
    return (clock_now_ns() - before_ns) / NS_PER_MS;
}

/* Something that is granted before the daemon falls silent: an instance of a module without an image. */
static struct wasmpool_module *rig_warm_up(struct Rig *rig) {
    struct wasmpool_module *module = fixture_module(1, 1, 0, 0);
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instance = NULL;

    expect_result(rig, wasmpool_allocate_module(rig->pool, &request, &instance, &rig->error), 0);
    wasmpool_deallocate_module(&instance);
    return module;
}

/* The daemon is talked with. */
static void rig_talk(struct Rig *rig) {
    struct wasmpool_table_type type = {.minimum = 10};
    struct wasmpool_table table;

    expect_result(rig, wasmpool_allocate_table(rig->pool, &type, NULL, &table, &rig->error), 0);
    wasmpool_deallocate_table(rig->pool, &table);
}

/* A daemon that owes an answer is not asked for another image; and what comes late is given back. */
static void expect_silence_is_survived(size_t where, bool found) {
    struct wasmpool_module *first, *modules[3];
    _Atomic int *mischief;
    struct FakeSeen before, seen;
    uint64_t took_ms;
    struct Rig rig;

    rig_open(&rig);
    first = found ? rig_make_one(&rig) : rig_warm_up(&rig);
    mischief = (_Atomic int *)((char *)&rig.fake + where);
    for (int i = 0; i < 3; i++)
        modules[i] = module_new_like_the_others();
    before = fake_daemon_see(&rig.fake);
    *mischief = FAKE_SILENT;
    took_ms = time_instances_ms(&rig, modules[0]);
    cr_assert(took_ms >= TIMEOUT_MS - 1 && took_ms < 5 * TIMEOUT_MS, "%lu ms", took_ms);
    seen = fake_daemon_see(&rig.fake);
    expect_eq(seen.finds, before.finds + 1);
    took_ms = time_instances_ms(&rig, modules[1]);
    cr_assert(took_ms < TIMEOUT_MS / 2, "%lu ms", took_ms);
    expect_eq(fake_daemon_see(&rig.fake).finds, before.finds + 1);
    expect_images(rig.pool, found, 2);
    *mischief = FAKE_HONEST;
    cr_assert(fake_daemon_send_late(&rig.fake));
    rig_talk(&rig);
    cr_assert(FAKE_WAIT(&rig.fake, releases, 1));
    expect_eq(rig.pool->n_connections, 1);
    expect_instances(rig.pool, modules[2]);
    expect_images(rig.pool, found + 1u, 2);
    wasmpool_module_free(first);
    for (int i = 0; i < 3; i++)
        wasmpool_module_free(modules[i]);
    rig_close(&rig);
}

Test(sharing, with_a_daemon_that_does_not_answer_find_is_given_up) {
    expect_silence_is_survived(offsetof(struct FakeDaemon, at_find), true);
}

Test(sharing, with_a_daemon_that_does_not_answer_create_is_given_up) {
    expect_silence_is_survived(offsetof(struct FakeDaemon, at_create), false);
}

Test(sharing, with_a_daemon_that_does_not_answer_seal_is_given_up) {
    expect_silence_is_survived(offsetof(struct FakeDaemon, at_seal), false);
}

/* Whoever has a deadline does not wait longer for what he can do without. */
Test(sharing, keeps_to_the_deadline_of_the_request) {
    struct wasmpool_module *first, *module = module_new_like_the_others();
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_request request = {.module = module};
    uint64_t before_ns = clock_now_ns();
    struct Rig rig;

    rig_open(&rig);
    first = rig_make_one(&rig);
    rig.fake.at_find = FAKE_SILENT;
    before_ns = clock_now_ns();
    request.deadline_ns = before_ns + 20 * NS_PER_MS;
    expect_result(&rig, wasmpool_allocate_module(rig.pool, &request, &instance, &rig.error), 0);
    cr_assert((clock_now_ns() - before_ns) / NS_PER_MS < TIMEOUT_MS / 2);
    wasmpool_deallocate_module(&instance);
    expect_images(rig.pool, 1, 1);
    wasmpool_module_free(first);
    wasmpool_module_free(module);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ let go */

Test(sharing, ends_for_the_daemon_with_a_purge_and_goes_on_here) {
    struct wasmpool_module *module;
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    for (int i = 0; i < 3; i++) {
        wasmpool_purge_module(rig.pool, module);
        expect_instances(rig.pool, module);
    }
    wasmpool_module_free(module);
    rig.pool = wasmpool_close(rig.pool);
    cr_assert(FAKE_WAIT(&rig.fake, goodbyes, 1));
    expect_eq(fake_daemon_see(&rig.fake).releases, 1);
    rig_close(&rig);
}

/* A module is freed without any pool at hand: the daemon is told when it is next talked with. */
Test(sharing, ends_with_the_module) {
    struct wasmpool_module *module;
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    wasmpool_module_free(module);
    expect_eq(fake_daemon_see(&rig.fake).releases, 0);
    rig_talk(&rig);
    cr_assert(FAKE_WAIT(&rig.fake, releases, 1));
    cr_assert_null(rig.pool->connection->image_uses);
    rig_close(&rig);
}

/* The pool finds out that its daemon has gone, and turns to the one that is there. */
static void rig_reconnect(struct Rig *rig) {
    fake_daemon_return(&rig->fake);
    cr_assert(pool_lock_until(rig->pool, 0));
    expect_eq(rig->pool->source->reach(rig->pool, NULL), 0);
    pool_unlock(rig->pool);
}

/* Another daemon knows nothing of it: it is told nothing, and what is mapped stays. */
Test(sharing, outlives_the_daemon) {
    struct wasmpool_module *module;
    struct Rig rig;

    rig_open(&rig);
    module = rig_make_one(&rig);
    cr_assert_not_null(rig.pool->connection->image_uses);
    for (int round = 0; round < 2; round++) {
        fake_daemon_die(&rig.fake);
        expect_instances(rig.pool, module);
        rig_reconnect(&rig);
        expect_eq(rig.pool->n_connections, round + 2);
        cr_assert_null(rig.pool->connection->next->image_uses);
        expect_instances(rig.pool, module);
    }
    wasmpool_purge_module(rig.pool, module);
    rig_talk(&rig);
    expect_eq(fake_daemon_see(&rig.fake).releases, 0);
    expect_eq(fake_daemon_see(&rig.fake).finds, 0);
    expect_eq(leak_count_maps("wasmpool-image"), 1);
    wasmpool_module_free(module);
    rig_close(&rig);
}
