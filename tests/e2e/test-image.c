/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Images that workers share. The modules are made before the workers are forked: each has its own. */

#include "client/pool.h"
#include "tests/client/modules.h"
#include "tests/e2e/fleet.h"
#include "tests/support/peer-image.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <sys/stat.h>

RIG_SUITE(image);

#define STRANGER 12345
#define HOST_PAGE 4096
#define WORKERS 4

static const struct ModulesSegment SEGMENTS[] = {{3 * HOST_PAGE + 7, 5, "first"}, {90 * HOST_PAGE, 6, "second"}};

/* ------------------------------------------------------------------------------------------------ workers */

struct Job {
    struct wasmpool_module *modules[8];
    uint8_t contents[8]; /* of each: those of one number have like contents */
    unsigned n;
    uid_t uid;               /* 0: as we are */
    uint64_t shared;         /* how many of the images must be */
    bool purges, waits, frees;
    _Atomic unsigned ready, go, ends, n_ready;
};

/* Of contents `first` and on, `step` apart. Every second module has its segments in another order. */
static struct Job *job_new_of(unsigned n, uint8_t first, uint8_t step) {
    struct Job *job = host_share(sizeof(*job));

    job->n = n;
    for (unsigned i = 0; i < n; i++) {
        uint8_t text[] = {'a', job->contents[i] = (uint8_t)(first + i * step)};
        struct ModulesSegment segments[] = {SEGMENTS[i % 2], SEGMENTS[!(i % 2)], {50 * HOST_PAGE, 2, text}};

        job->modules[i] = modules_make(6, segments, 3);
    }
    job->shared = n;
    return job;
}

static struct Job *job_new(unsigned n) {
    return job_new_of(n, 1, 1);
}

static void job_free(struct Job *job) {
    for (unsigned i = 0; i < job->n; i++)
        wasmpool_module_free(job->modules[i]);
    host_unshare(job, sizeof(*job));
}

static void check_instance(struct wasmpool *pool, const struct wasmpool_module *module, uint8_t contents) {
    struct wasmpool_request request = {.module = module};
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_error error;
    uint8_t *base;

    host_demand(!wasmpool_allocate_module(pool, &request, &instance, &error), "no instance: %s", error.message);
    base = wasmpool_instance_memory(instance, 0)->base;
    host_demand(!memcmp(base + SEGMENTS[0].offset, "first", 5) && !memcmp(base + SEGMENTS[1].offset, "second", 6) &&
                    base[50 * HOST_PAGE] == 'a' && base[50 * HOST_PAGE + 1] == contents && !base[0],
                "the contents are others");
    memset(base, 0xfe, 6 * WASM_PAGE);
    wasmpool_deallocate_module(&instance);
}

static void work(void *argument) {
    struct wasmpool_options options = {.address = rig.daemon.address, .name = "worker"};
    struct Job *job = argument;
    struct wasmpool_metrics metrics;
    struct wasmpool_error error;
    struct wasmpool *pool;

    if (job->uid)
        host_demand(!setgroups(0, NULL) && !setgid(job->uid) && !setuid(job->uid), "setuid: %s", strerror(errno));
    host_demand(!wasmpool_open(&pool, &options, &error), "%s", error.message);
    ++job->n_ready;
    host_demand(!job->go || host_await(job->n_ready >= job->go, 20000), "nobody said to begin");
    for (unsigned i = 0; i < job->n; i++) {
        check_instance(pool, job->modules[i], job->contents[i]);
        check_instance(pool, job->modules[i], job->contents[i]);
        if (job->purges)
            wasmpool_purge_module(pool, job->modules[i]);
        if (job->frees)
            wasmpool_module_free(job->modules[i]); /* the parent has its own */
    }
    wasmpool_metrics(pool, &metrics);
    host_demand(metrics.shared_images == job->shared && metrics.private_images == job->n - job->shared,
                "%lu images are shared, and %lu are not", metrics.shared_images, metrics.private_images);
    ++job->ready;
    host_demand(!job->waits || host_await(job->ends, 20000), "nobody said to end");
    for (unsigned i = 0; i < job->n && !job->frees; i++)
        check_instance(pool, job->modules[i], job->contents[i]);
    wasmpool_close(pool);
}

static void job_run(struct Job *job) {
    job->ready = job->n_ready = 0;
    expect_eq(host_join(host_fork(work, job)), 0);
}

static pid_t job_begin(struct Job *job) {
    pid_t pid;

    job->ready = job->ends = 0;
    job->waits = true;
    pid = host_fork(work, job);
    expect_eq(host_await(job->ready == 1, RIG_AWAIT_MS), true);
    return pid;
}

static void job_end(struct Job *job, pid_t pid) {
    job->ends = 1;
    expect_eq(host_join(pid), 0);
    job->waits = false;
}

/* ------------------------------------------------------------------------------------------------ what is there */

/* wasmpoolctl COMMAND --json: its rows. The caller decrefs the root. */
static json_t *rows_of(const char *command, json_t **rootp) {
    char *output;

    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, command, "--json", NULL}, 0,
                       &output, NULL),
              0);
    *rootp = json_loads(output, 0, NULL);
    free(output);
    cr_assert_not_null(*rootp);
    return json_object_get(*rootp, "rows");
}

static json_t *images_list(json_t **rootp) {
    return rows_of("images", rootp);
}

static json_int_t row_number(const json_t *rows, size_t i, const char *name) {
    const json_t *value = json_object_get(json_array_get(rows, i), name);

    cr_assert(json_is_integer(value), "row %zu has no number '%s'", i, name);
    return json_integer_value(value);
}

static void expect_rows(size_t n, json_int_t users, json_int_t hits) {
    json_t *root, *rows = images_list(&root);

    expect_eq(json_array_size(rows), n);
    for (size_t i = 0; i < n; i++) {
        expect_eq(row_number(rows, i, "users"), users);
        expect_eq(row_number(rows, i, "hits"), hits);
    }
    json_decref(root);
}

static void set_limit(const char *setting) {
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "limit", setting, NULL}, 0, NULL,
                       NULL),
              0);
}

/* With what the daemon has open for them. */
static void rig_close_with_images(void) {
    expect_eq(rig_status().cut_off, 0);
    set_limit("image_bytes_max=0");
    expect_eq(rig_status().images, 0);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ shared */

Test(image, of_the_first_worker_is_found_by_the_second_one) {
    struct Job *first = job_new(2), *second = job_new(2);
    pid_t pid;

    rig_open(NULL);
    pid = job_begin(first);
    expect_rows(2, 1, 0);
    job_run(second);
    expect_rows(2, 1, 1);
    job_end(first, pid);
    expect_eq(host_await(rig_status().connections == 1, RIG_AWAIT_MS), true);
    expect_rows(2, 0, 1);
    job_run(second); /* and by one that comes when the first is gone */
    expect_rows(2, 0, 2);
    job_free(first);
    job_free(second);
    rig_close_with_images();
}

/* Modules of like contents within one process, too. */
Test(image, of_one_module_is_found_for_another_one) {
    struct Job *job = job_new_of(4, 1, 0);
    pid_t pid;

    rig_open(NULL);
    pid = job_begin(job);
    expect_rows(1, 1, 3);
    job_end(job, pid);
    job->purges = true;
    pid = job_begin(job);
    expect_rows(1, 0, 7);
    job_end(job, pid);
    job->frees = true;
    job_run(job);
    expect_rows(1, 0, 11);
    job_free(job);
    rig_close_with_images();
}

Test(image, that_workers_make_at_once_is_one) {
    struct Job *job = job_new(8);
    pid_t pids[WORKERS];

    rig_open(NULL);
    job->go = WORKERS;
    for (int i = 0; i < WORKERS; i++)
        pids[i] = host_fork(work, job);
    for (int i = 0; i < WORKERS; i++)
        expect_eq(host_join(pids[i]), 0);
    expect_rows(8, 0, WORKERS - 1);
    job_free(job);
    rig_close_with_images();
}

/* How the slots that have it are reset, and what that finds: its instances write every page. */
Test(image, tells_how_its_slots_are_reset) {
    struct Job *job = job_new(1);
    json_t *root, *resets;
    pid_t pid;

    rig_open(NULL);
    pid = job_begin(job);
    resets = json_object_get(json_array_get(images_list(&root), 0), "resets");
    expect_eq(json_array_size(resets), 1);
    expect_eq(row_number(resets, 0, "slots"), 1);
    if (strcmp(json_string_value(json_object_get(json_array_get(resets, 0), "way")), "count"))
        expect_str(json_string_value(json_object_get(json_array_get(resets, 0), "way")), "extents");
    expect_eq(row_number(resets, 0, "pages"), 6 * WASM_PAGE / HOST_PAGE);
    cr_expect(row_number(resets, 0, "ns") > 0, "no time");
    json_decref(root);
    job_end(job, pid);
    job_free(job);
    rig_close_with_images();
}

/* One instance of a module, which writes five pages. */
static void use_once(struct wasmpool *pool, const struct wasmpool_module *module,
                     struct wasmpool_instance **instancep) {
    struct wasmpool_request request = {.module = module};
    struct wasmpool_error error;
    uint8_t *base;

    cr_assert_eq(wasmpool_allocate_module(pool, &request, instancep, &error), 0, "%s", error.message);
    base = wasmpool_instance_memory(*instancep, 0)->base;
    for (int page = 0; page < 5; page++) {
        expect_eq(base[2 * page * HOST_PAGE + 1], 'x');
        base[2 * page * HOST_PAGE + 1] = 'y';
    }
}

/* A slot whose memory is its process' own is not said to be empty. */
Test(image, that_is_large_is_said_to_be_copy_on_write) {
    static uint8_t bytes[MIB];
    const struct ModulesSegment segments[] = {{0, sizeof(bytes), bytes}};
    struct wasmpool_instance *instance = NULL;
    struct wasmpool_module *module;
    struct wasmpool *pool;
    json_t *root, *rows, *resets;
    bool tracks;

    memset(bytes, 'x', sizeof(bytes));
    module = modules_make(20, segments, 1);
    rig_open((const char *[]){"total_memories=1", NULL});
    cr_assert_eq(wasmpool_open(&pool, &(struct wasmpool_options){.address = rig.daemon.address}, NULL), 0);
    for (int i = 0; i < 4; i++) {
        wasmpool_deallocate_module(&instance);
        use_once(pool, module, &instance);
    }
    rows = rows_of("list", &root);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        bool is_memory = !strcmp(json_string_value(json_object_get(json_array_get(rows, i), "kind")), "memory");

        expect_eq(json_is_true(json_object_get(json_array_get(rows, i), "private")), is_memory);
        expect_eq(row_number(rows, i, "resident_bytes"), 0);
    }
    json_decref(root);
    resets = json_object_get(json_array_get(images_list(&root), 0), "resets");
    expect_eq(json_array_size(resets), 1);
    expect_str(json_string_value(json_object_get(json_array_get(resets, 0), "way")), "copy-on-write");
    tracks = pool_tracker(pool);
    expect_eq(row_number(resets, 0, "pages"), tracks ? 5 : 0);
    json_decref(root);
    wasmpool_deallocate_module(&instance);
    wasmpool_close(pool);
    wasmpool_module_free(module);
    rig_close_with_images();
}

Test(image, of_one_user_is_not_another_users) {
    struct Job *ours = job_new(1), *theirs = job_new(1);
    json_t *root, *rows;

    if (getuid()) {
        job_free(ours);
        job_free(theirs);
        cr_skip_test("only root can play several users");
        return;
    }
    rig_open(NULL);
    chmod(rig.daemon.directory, 0755);
    chmod(rig.daemon.socket, 0666);
    theirs->uid = STRANGER;
    job_run(ours);
    job_run(theirs);
    rows = images_list(&root);
    expect_eq(json_array_size(rows), 2);
    expect_eq(row_number(rows, 0, "uid"), 0);
    expect_eq(row_number(rows, 1, "uid"), STRANGER);
    expect_eq(row_number(rows, 0, "hits"), 0);
    expect_eq(row_number(rows, 1, "hits"), 0);
    expect_str(json_string_value(json_object_get(json_array_get(rows, 0), "hash")),
               json_string_value(json_object_get(json_array_get(rows, 1), "hash")));
    json_decref(root);
    job_free(ours);
    job_free(theirs);
    rig_close_with_images();
}

Test(image, has_holes_where_its_memory_is_zero) {
    struct Job *job = job_new(1);
    json_t *root, *rows;

    rig_open(NULL);
    for (int i = 0; i < 3; i++)
        job_run(job);
    rows = images_list(&root);
    expect_eq(json_array_size(rows), 1);
    expect_eq(row_number(rows, 0, "bytes"), 91 * HOST_PAGE);
    expect_eq(row_number(rows, 0, "resident_bytes"), 3 * HOST_PAGE);
    expect_eq(row_number(rows, 0, "hits"), 2);
    expect_eq(strlen(json_string_value(json_object_get(json_array_get(rows, 0), "hash"))), 64);
    json_decref(root);
    job_free(job);
    rig_close_with_images();
}

/* ------------------------------------------------------------------------------------------------ let go */

Test(image, that_is_purged_has_one_user_less_and_makes_room) {
    struct Job *job = job_new(1), *other = job_new_of(1, 7, 1);
    pid_t pid;

    rig_open((const char *[]){"images_max=1", NULL});
    pid = job_begin(job);
    expect_rows(1, 1, 0);
    other->shared = 0;
    job_run(other); /* no room */
    job_end(job, pid);
    job->purges = true;
    pid = job_begin(job);
    expect_rows(1, 0, 1);
    other->shared = 1;
    job_run(other);
    expect_rows(1, 0, 0);
    job_end(job, pid);
    job_free(job);
    job_free(other);
    rig_close_with_images();
}

/* A worker that reads modules and frees them again takes no more room than for those that it has. */
Test(image, of_a_module_that_was_freed_makes_room) {
    struct Job *job = job_new(8);

    rig_open((const char *[]){"images_max=2", "user.images_max=2", NULL});
    job->frees = true;
    job_run(job);
    expect_eq(rig_status().images, 2);
    job_free(job);
    rig_close_with_images();
}

Test(image, for_which_there_is_no_room_is_the_workers_own) {
    struct Job *job = job_new(8);

    rig_open((const char *[]){"images_max=3", "user.images_max=3", NULL});
    job->shared = 3;
    job_run(job);
    expect_eq(rig_status().images, 3);
    cr_assert(rig_status().refused >= 5);
    job_free(job);
    rig_close_with_images();
}

Test(image, is_shared_by_nobody_where_that_is_switched_off) {
    struct Job *job = job_new(2);

    rig_open((const char *[]){"image_bytes_max=0", NULL});
    job->shared = 0;
    job_run(job);
    expect_rows(0, 0, 0);
    job_free(job);
    rig_close_with_images();
}

/* ------------------------------------------------------------------------------------------------ the daemon ends */

Test(image, outlives_the_daemon_in_its_worker_and_is_made_anew_for_others) {
    struct Job *job = job_new(2), *other = job_new(2);
    pid_t pid;

    rig_open(NULL);
    pid = job_begin(job);
    private_daemon_kill(&rig.daemon);
    peer_close(&rig.witness);
    private_daemon_restart(&rig.daemon, (const char *[]){"--config=/dev/null", "log_level=notice", NULL});
    rig_settle();
    expect_rows(0, 0, 0);
    job_run(other);
    expect_rows(2, 0, 0);
    job_end(job, pid);
    job_free(job);
    job_free(other);
    rig_close_with_images();
}

/* ------------------------------------------------------------------------------------------------ shown */

/* More than a page has rows: all of them, once each, in the order of their hashes. */
Test(image, list_goes_over_many_pages) {
    const char *hash, *last = "";
    struct PeerImage image;
    struct Peer peer;
    json_t *root, *rows;
    char text[16];

    rig_open(NULL);
    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 450; i++) {
        snprintf(text, sizeof(text), "image %d", i);
        peer_make_image(&peer, text, HOST_PAGE, &image);
        peer_close_image(&image);
    }
    rows = images_list(&root);
    expect_eq(json_array_size(rows), 450);
    for (size_t i = 0; i < 450; i++, last = hash) {
        hash = json_string_value(json_object_get(json_array_get(rows, i), "hash"));
        cr_assert(strcmp(last, hash) < 0, "%s comes before %s", last, hash);
    }
    json_decref(root);
    peer_goodbye(&peer);
    rig_close_with_images();
}

Test(image, is_shown_to_people) {
    struct Job *job = job_new(1);
    char *output;

    rig_open(NULL);
    job_run(job);
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "images", NULL}, 0, &output, NULL),
              0);
    expect_says(output, "HASH");
    expect_says(output, "364 KiB");
    expect_says(output, "12 KiB");
    free(output);
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "status", NULL}, 0, &output, NULL),
              0);
    expect_says(output, "images       1, 364 KiB of 1 GiB");
    free(output);
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "users", NULL}, 0, &output, NULL),
              0);
    expect_says(output, "IMAGES");
    free(output);
    job_free(job);
    rig_close_with_images();
}
