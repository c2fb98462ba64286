/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/image-room.h"
#include "tests/daemon/core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define PAGE HASH_PAGE_BYTES
#define BYTES (16 * PAGE)
#define UID 1000
#define OTHER 2000

/* ------------------------------------------------------------------------------------------------ words */

/* What a client fills an image with: its first page says `text`. */
static void name_of(const char *text, uint64_t bytes, uint8_t hash[static HASH_BYTES]) {
    uint8_t page[PAGE] = {0};
    struct Hash state;

    strcpy((char *)page, text);
    hash_begin(&state, bytes);
    hash_add(&state, 0, page, PAGE);
    hash_end(&state, hash);
}

static struct Image *create(struct Client *client, uint64_t bytes) {
    struct Image *image = NULL;
    struct Error error = {0};

    cr_assert_eq(image_create(client, bytes, &image, &error), 0, "%s", error.message);
    cr_assert(pool_is_valid(client->pool));
    return image;
}

static struct Image *fill(struct Client *client, uint64_t bytes, const char *text) {
    struct Image *image = create(client, bytes);

    expect_eq(pwrite(image->backing->fd, text, strlen(text), 0), strlen(text));
    return image;
}

static void refuses(struct Client *client, uint64_t bytes, int code, const char *limit) {
    struct Image *image;
    struct Error error = {0};

    expect_eq(image_create(client, bytes, &image, &error), code);
    expect_str(error.limit, limit);
    cr_assert(pool_is_valid(client->pool));
}

static void queue(struct Image *image, const char *text) {
    uint8_t hash[HASH_BYTES];
    struct Error error;

    name_of(text, image->bytes, hash);
    expect_eq(image_seal(image->client, image->id, hash, &error), 0);
}

/* All of sealing. */
static const struct ImageUse *make_of(struct Client *client, uint64_t bytes, const char *text, uint64_t now_ms) {
    struct Image *image = fill(client, bytes, text);
    const struct ImageUse *use = NULL;
    struct Error error = {0};

    queue(image, text);
    cr_assert_eq(images_next(client->pool), image);
    image_run(image);
    cr_assert_eq(image_finish(image, now_ms, &use, &error), 0, "%s", error.message);
    cr_assert(pool_is_valid(client->pool));
    return use;
}

static const struct ImageUse *make(struct Client *client, const char *text) {
    return make_of(client, BYTES, text, 0);
}

static const struct ImageUse *find_of(struct Client *client, uint64_t bytes, const char *text, uint64_t now_ms) {
    const struct ImageUse *use = NULL;
    uint8_t hash[HASH_BYTES];
    struct Error error = {0};

    name_of(text, bytes, hash);
    cr_assert_eq(image_find(client, hash, bytes, now_ms, &use, &error), 0, "%s", error.message);
    cr_assert(pool_is_valid(client->pool));
    return use;
}

static const struct ImageUse *find(struct Client *client, const char *text) {
    return find_of(client, BYTES, text, 0);
}

static void release(struct Client *client, uint32_t id) {
    struct Error error = {0};

    cr_assert_eq(image_release(client, id, &error), 0, "%s", error.message);
    cr_assert(pool_is_valid(client->pool));
}

/* One that is sealed and that nobody uses. */
static void leave(struct Client *client, const char *text) {
    release(client, make(client, text)->id);
}

/* ------------------------------------------------------------------------------------------------ shared */

Test(image, of_one_client_is_found_by_another_of_its_uid_alone) {
    struct Pool pool;
    struct Client *first, *second, *stranger;
    const struct ImageUse *made, *found, *none;
    struct Error error;

    core_pool_init(&pool);
    first = core_client(&pool, UID);
    second = core_client(&pool, UID);
    stranger = core_client(&pool, OTHER);
    cr_assert_null(find(second, "a"));
    made = make_of(first, BYTES, "a", 10);
    found = find_of(second, BYTES, "a", 20);
    cr_assert_not_null(found);
    cr_assert_eq(found->image, made->image);
    expect_eq(made->image->n_users, 2);
    expect_eq(made->image->n_hits, 1);
    expect_eq(made->image->used_ms, 20);
    cr_assert_null(find(stranger, "a"));
    cr_assert_null(find(second, "b"));
    cr_assert_null(find_of(second, BYTES + PAGE, "a", 0));
    expect_eq(image_find(second, made->image->hash, BYTES + PAGE, 0, &none, &error), 0);
    cr_assert_null(none, "of another length than it says");
    cr_assert_eq(find(second, "a"), found, "a client has two uses of one image");
    expect_eq(found->n, 2);
    expect_eq(made->image->n_users, 2);
    core_pool_deinit(&pool);
}

Test(image, that_is_found_is_frozen_and_what_it_was_filled_with) {
    struct Pool pool;
    struct Client *client;
    const struct ImageUse *use;
    char text[4];
    int fd;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    use = make(client, "abc");
    fd = use->image->backing->fd;
    expect_eq(fcntl(fd, F_GET_SEALS) & 15, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    expect_eq(pread(fd, text, 4, 0), 4);
    expect_str(text, "abc");
    cr_assert(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
    expect_eq(image_resident_bytes(use->image), PAGE);
    core_pool_deinit(&pool);
}

Test(image, that_two_clients_make_at_once_is_one) {
    struct Pool pool;
    struct Client *first, *second;
    struct Image *a, *b;
    const struct ImageUse *of_first, *of_second;
    struct Error error;
    uint32_t id;

    core_pool_init(&pool);
    first = core_client(&pool, UID);
    second = core_client(&pool, UID);
    a = fill(first, BYTES, "same");
    b = fill(second, BYTES, "same");
    id = b->id;
    queue(a, "same");
    queue(b, "same");
    cr_assert_eq(images_next(&pool), a);
    cr_assert_null(images_next(&pool), "two of one user at a time");
    image_run(a);
    expect_eq(image_finish(a, 0, &of_first, &error), 0);
    cr_assert_eq(images_next(&pool), b);
    image_run(b);
    expect_eq(image_finish(b, 0, &of_second, &error), 0);
    cr_assert_eq(of_second->image, a);
    expect_eq(of_second->id, id);
    expect_eq(a->n_users, 2);
    expect_eq(pool.images.n, 1);
    expect_eq(pool.images.bytes, BYTES);
    expect_eq(first->user->n_fds, 2 * CLIENT_FDS + 1);
    expect_eq(second->n_fds, CLIENT_FDS);
    core_pool_deinit(&pool);
}

/* One that its client uses already: it is given no second use. */
Test(image, that_its_client_makes_again_is_the_one_it_uses) {
    struct Pool pool;
    struct Client *client;
    const struct ImageUse *use;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    use = make(client, "a");
    cr_assert_eq(make(client, "a"), use);
    expect_eq(client->n_images, 1);
    expect_eq(use->image->n_users, 1);
    core_pool_deinit(&pool);
}

/* ------------------------------------------------------------------------------------------------ charges */

Test(image, is_charged_and_refunded) {
    struct Pool pool;
    struct Client *client, *other;
    struct Image *image;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, UID);
    image = create(client, BYTES);
    expect_eq(pool.images.n, 1);
    expect_eq(pool.images.bytes, BYTES);
    expect_eq(client->n_images, 1);
    expect_eq(client->n_fds, CLIENT_FDS + 1);
    expect_eq(client->user->n_images, 1);
    expect_eq(client->user->n_fds, 2 * CLIENT_FDS + 1);
    release(client, image->id);
    expect_eq(pool.images.n, 0);
    expect_eq(client->n_images, 0);
    expect_eq(client->n_fds, CLIENT_FDS);
    release(client, make(client, "a")->id);
    expect_eq(client->n_images, 0);
    expect_eq(client->n_fds, CLIENT_FDS);
    expect_eq(client->user->n_images, 1);
    expect_eq(client->user->n_fds, 2 * CLIENT_FDS + 1);
    find(other, "a");
    expect_eq(other->n_images, 1);
    expect_eq(other->n_fds, CLIENT_FDS);
    expect_eq(client->user->n_images, 1);
    core_pool_deinit(&pool);
}

/* The user stays with its images, and goes with the last of them. */
Test(image, outlives_its_clients) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    make(client, "a");
    client_free(client);
    expect_eq(pool.n_users, 1);
    expect_eq(pool.images.oldest->n_users, 0);
    client = core_client(&pool, UID);
    expect_eq(pool.n_users, 1);
    cr_assert_not_null(find(client, "a"));
    client_free(client);
    expect_eq(images_evict(&pool, NULL), true);
    expect_eq(pool.n_users, 0);
    expect_eq(pool.images.n_open, 1); /* until it is closed, off the loop */
    core_reclaim(&pool);
    expect_eq(pool.images.n_open, 0);
    core_pool_deinit(&pool);
}

/* Its pages go when it is closed, which takes time: not on the loop. */
Test(image, that_is_dropped_is_closed_by_whoever_runs_the_reclaims) {
    struct Pool pool;
    struct Client *client;
    struct Reclaim *reclaims;
    int fd;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    fd = make(client, "a")->image->backing->fd;
    images_leave(client);
    expect_eq(images_evict(&pool, NULL), true);
    reclaims = reclaim_steal(&pool);
    cr_assert(fcntl(fd, F_GETFD) >= 0);
    reclaim_run(reclaims);
    cr_assert(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    expect_eq(pool.images.n_open, 1);
    reclaim_finish(reclaims);
    expect_eq(pool.images.n_open, 0);
    core_pool_deinit(&pool);
}

/* There is room for a share of each user, though some have no client. */
Test(image, of_users_without_clients_leaves_room_for_shares) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;

    core_pool_init(&pool);
    pool.bounds.images_max = 100;
    pool.bounds.image_bytes_max = 100 * BYTES;
    for (uid_t uid = 1; uid <= 40; uid++) {
        client = core_client(&pool, uid);
        make(client, "a");
        client_free(client);
    }
    client = core_client(&pool, 50);
    slab = core_slab(client, KIND_MEMORY, 8, 1);
    core_set_target(slab, 8 | LEASE_TARGET_WAIT);
    want_wait(slab);
    want_serve(&pool, true);
    expect_eq(slab->n_granted, CORE_TOTAL);
    cr_assert(pool_is_valid(&pool));
    core_pool_deinit(&pool);
}

/* ------------------------------------------------------------------------------------------------ refused */

Test(image, of_no_possible_size_is_refused) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    refuses(client, 0, ERROR_INVALID, "");
    refuses(client, 1, ERROR_INVALID, "");
    refuses(client, PAGE + 1, ERROR_INVALID, "");
    refuses(client, UINT64_MAX, ERROR_INVALID, "");
    refuses(client, pool.limits.max_memory_size + PAGE, ERROR_INVALID, "max_memory_size");
    refuses(client, UINT64_MAX - PAGE + 1, ERROR_INVALID, "max_memory_size");
    refuses(client, (1 << 20) + PAGE, ERROR_LIMIT, "image_bytes_max");
    create(client, 1 << 20);
    refuses(client, PAGE, ERROR_LIMIT, "images_filling");
    core_pool_deinit(&pool);
}

Test(image, where_there_are_to_be_none_is_refused) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    pool.bounds.image_bytes_max = 0;
    refuses(client, PAGE, ERROR_LIMIT, "image_bytes_max");
    pool.bounds.image_bytes_max = BYTES;
    pool.bounds.images_max = 0;
    refuses(client, PAGE, ERROR_LIMIT, "images_max");
    core_pool_deinit(&pool);
}

Test(image, beyond_a_quota_is_refused) {
    struct Pool pool;
    struct Client *client, *other;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, UID);
    make(client, "a");
    client->quota.images_max = 1;
    refuses(client, PAGE, ERROR_LIMIT, "images_max of the connection");
    client->quota.images_max = 0;
    client->user->quota.images_max = 1;
    refuses(other, PAGE, ERROR_LIMIT, "images_max of the user");
    client->user->quota.images_max = 0;
    client->user->quota.fds_max = client->user->n_fds;
    refuses(other, PAGE, ERROR_LIMIT, "fds_max of the user");
    other->quota.fds_max = CLIENT_FDS;
    refuses(other, PAGE, ERROR_LIMIT, "fds_max of the connection");
    core_pool_deinit(&pool);
}

Test(image, that_a_connection_may_not_use_is_refused) {
    struct Pool pool;
    struct Client *client, *other;
    const struct ImageUse *use = NULL;
    uint8_t hash[HASH_BYTES];
    struct Error error;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, UID);
    make(client, "a");
    make(client, "b");
    other->quota.images_max = 1;
    cr_assert_not_null(find(other, "a"));
    name_of("b", BYTES, hash);
    expect_eq(image_find(other, hash, BYTES, 0, &use, &error), ERROR_LIMIT);
    expect_str(error.limit, "images_max of the connection");
    cr_assert_null(use);
    cr_assert_not_null(find(other, "a"), "the one that it uses");
    other->quota.images_max = 0;
    other->n_image_ids = UINT32_MAX;
    expect_eq(image_find(other, hash, BYTES, 0, &use, &error), ERROR_LIMIT);
    expect_str(error.limit, "image_ids");
    core_pool_deinit(&pool);
}

/* ------------------------------------------------------------------------------------------------ sealed */

/* It is gone, and so are its charges. */
static void seal_fails(struct Pool *pool, struct Image *image, const char *text, int code, const char *part) {
    struct Client *client = image->client;
    const struct ImageUse *use = NULL;
    struct Error error = {0};

    queue(image, text);
    cr_assert_eq(images_next(pool), image);
    image_run(image);
    expect_eq(image_finish(image, 0, &use, &error), code);
    expect_says(error.message, part);
    cr_assert_null(use);
    expect_eq(pool->images.n, 0);
    expect_eq(client->n_images, 0);
    expect_eq(client->n_fds, CLIENT_FDS);
    cr_assert_null(client->filling);
    cr_assert_null(find(client, text));
}

Test(image, with_another_hash_is_refused) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    seal_fails(&pool, fill(client, BYTES, "this"), "that", ERROR_INVALID, "hash is");
    seal_fails(&pool, create(client, BYTES), "nothing was written", ERROR_INVALID, "hash is");
    make(client, "that");
    core_pool_deinit(&pool);
}

Test(image, that_is_still_mapped_is_busy) {
    struct Pool pool;
    struct Client *client;
    struct Image *image;
    void *bytes;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    image = fill(client, BYTES, "mapped");
    bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, image->backing->fd, 0);
    cr_assert_neq(bytes, MAP_FAILED);
    seal_fails(&pool, image, "mapped", ERROR_BUSY, "mapped writable");
    munmap(bytes, BYTES);
    make(client, "mapped");
    core_pool_deinit(&pool);
}

Test(image, that_its_client_sealed_against_us_is_refused) {
    struct Pool pool;
    struct Client *client;
    struct Image *image;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    image = fill(client, BYTES, "sealed");
    expect_eq(fcntl(image->backing->fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    seal_fails(&pool, image, "sealed", ERROR_INVALID, "sealed by its client");
    core_pool_deinit(&pool);
}

Test(image, is_sealed_once_and_by_who_fills_it) {
    struct Pool pool;
    struct Client *client, *other;
    struct Image *image;
    uint8_t hash[HASH_BYTES] = {0};
    struct Error error;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, UID);
    expect_eq(image_seal(client, 1, hash, &error), ERROR_PROTOCOL);
    image = fill(client, BYTES, "a");
    expect_eq(image_seal(client, image->id + 1, hash, &error), ERROR_PROTOCOL);
    expect_eq(image_seal(other, image->id, hash, &error), ERROR_PROTOCOL);
    queue(image, "a");
    expect_eq(image_seal(client, image->id, hash, &error), ERROR_PROTOCOL);
    expect_eq(image_release(client, image->id, &error), ERROR_PROTOCOL);
    refuses(client, PAGE, ERROR_LIMIT, "images_filling");
    cr_assert_eq(images_next(&pool), image);
    expect_eq(image_seal(client, image->id, hash, &error), ERROR_PROTOCOL);
    images_leave(client);
    image_run(image);
    image_finish(image, 0, &(const struct ImageUse *){NULL}, &error);
    core_pool_deinit(&pool);
}

Test(image, is_sealed_for_few_at_a_time_and_for_one_of_each_user) {
    struct Pool pool;
    struct Client *clients[4];
    struct Image *images[4];
    const struct ImageUse *use;
    struct Error error;

    core_pool_init(&pool);
    for (int i = 0; i < 4; i++) {
        clients[i] = core_client(&pool, i < 2 ? UID : OTHER + (uid_t)i);
        images[i] = fill(clients[i], BYTES, "x");
        queue(images[i], "x");
    }
    cr_assert_eq(images_next(&pool), images[0]);
    cr_assert_eq(images_next(&pool), images[2]);
    cr_assert_null(images_next(&pool));
    image_run(images[2]);
    expect_eq(image_finish(images[2], 0, &use, &error), 0);
    cr_assert_eq(images_next(&pool), images[3]);
    cr_assert_null(images_next(&pool));
    image_run(images[0]);
    expect_eq(image_finish(images[0], 0, &use, &error), 0);
    cr_assert_eq(images_next(&pool), images[1]);
    image_run(images[3]);
    image_run(images[1]);
    expect_eq(image_finish(images[3], 0, &use, &error), 0);
    expect_eq(image_finish(images[1], 0, &use, &error), 0);
    core_pool_deinit(&pool);
}

/* ------------------------------------------------------------------------------------------------ the client dies */

Test(image, goes_with_the_client_that_fills_it_at_each_step) {
    for (int step = 0; step < 4; step++) {
        struct Pool pool;
        struct Client *client;
        struct Image *image;
        const struct ImageUse *use = NULL;
        struct Error error;

        core_pool_init(&pool);
        client = core_client(&pool, UID);
        image = fill(client, BYTES, "x");
        if (step > 0)
            queue(image, "x");
        if (step > 1)
            cr_assert_eq(images_next(&pool), image);
        if (step > 2)
            image_run(image);
        client_free(client);
        expect_eq(pool.images.n, step > 1);
        expect_eq(pool.n_users, step > 1);
        if (step == 2)
            image_run(image);
        if (step > 1)
            expect_eq(image_finish(image, 0, &use, &error), ERROR_UNAVAILABLE);
        cr_assert_null(use);
        expect_eq(pool.images.n, 0);
        expect_eq(pool.n_users, 0);
        core_pool_deinit(&pool);
    }
}

Test(image, is_let_go_by_a_client_that_disconnects) {
    struct Pool pool;
    struct Client *client;
    const struct ImageUse *use;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    use = make(client, "a");
    create(client, BYTES);
    expect_eq(use->image->n_users, 1);
    client_disconnect(client);
    expect_eq(pool.images.n, 1);
    expect_eq(pool.images.oldest->n_users, 0);
    expect_eq(client->n_images, 0);
    expect_eq(client->n_fds, CLIENT_FDS);
    cr_assert(pool_is_valid(&pool));
    core_pool_deinit(&pool);
}

Test(image, is_released_by_who_uses_it_and_once) {
    struct Pool pool;
    struct Client *client, *other;
    struct Error error;
    uint32_t id;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, UID);
    expect_eq(image_release(client, 0, &error), ERROR_PROTOCOL);
    id = make(client, "a")->id;
    expect_eq(image_release(other, id, &error), ERROR_PROTOCOL);
    release(client, id);
    expect_eq(image_release(client, id, &error), ERROR_PROTOCOL);
    cr_assert_neq(find(client, "a")->id, id, "an id was used twice");
    core_pool_deinit(&pool);
}

/* What it is given several times it releases as often; what is made again is one of these times. */
Test(image, is_used_until_it_was_released_as_often_as_it_was_given) {
    struct Pool pool;
    struct Client *client;
    struct Error error;
    uint32_t id;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    id = make(client, "a")->id;
    expect_eq(find(client, "a")->id, id);
    expect_eq(make(client, "a")->id, id);
    for (int i = 0; i < 3; i++) {
        expect_eq(client->n_images, 1);
        expect_eq(pool.images.oldest->n_users, 1);
        release(client, id);
    }
    expect_eq(client->n_images, 0);
    expect_eq(pool.images.oldest->n_users, 0);
    expect_eq(image_release(client, id, &error), ERROR_PROTOCOL);
    core_pool_deinit(&pool);
}

/* ------------------------------------------------------------------------------------------------ room */

/* However much one user asks for, and whether it fills it: there is room for the next. */
Test(image, of_one_user_leaves_room_for_another) {
    struct Client *greedy, *other;
    struct Pool pool;

    core_pool_init(&pool);
    pool.quotas.user.image_bytes_max = 0;
    greedy = core_client(&pool, UID);
    other = core_client(&pool, UID + 1);
    refuses(greedy, pool.bounds.image_bytes_max, ERROR_LIMIT, "image_bytes_max of the user");
    create(greedy, pool.bounds.image_bytes_max / IMAGE_USER_PART);
    expect_eq(greedy->user->image_bytes, pool.bounds.image_bytes_max / IMAGE_USER_PART);
    create(other, pool.bounds.image_bytes_max / IMAGE_USER_PART);
    core_pool_deinit(&pool);
}

/* Nor by their number. */
Test(image, of_one_user_are_some_by_default_and_of_one_alone_one) {
    static const char *const texts[] = {"a", "b", "c", "d"};
    struct Client *greedy, *other;
    struct Pool pool;

    core_pool_init(&pool);
    pool.quotas.user.images_max = 0;
    pool.bounds.images_max = 2 * IMAGE_USER_PART;
    greedy = core_client(&pool, UID);
    other = core_client(&pool, UID + 1);
    make(greedy, texts[0]);
    make(greedy, texts[1]);
    refuses(greedy, PAGE, ERROR_LIMIT, "images_max of the user");
    make(other, texts[2]);
    make(other, texts[3]);
    images_leave(greedy);
    images_leave(other);
    pool.bounds.images_max = 1;
    images_fit(&pool);
    create(greedy, PAGE);
    core_pool_deinit(&pool);
}

/* Who takes for ever to fill one loses it when somebody needs the room, whatever is short, and is not blamed for giving
 * it up or sealing it then. */
static void expect_room_in_time(uid_t uid, void (*shorten)(struct Pool *pool, struct User *user)) {
    uint8_t hash[HASH_BYTES] = {0};
    struct Client *slow, *other;
    struct Error error = {0};
    struct Pool pool;
    uint32_t id;

    core_pool_init(&pool);
    slow = core_client(&pool, UID);
    other = core_client(&pool, uid);
    shorten(&pool, slow->user);
    for (int i = 0; i < 2; i++) {
        id = create(slow, BYTES)->id;
        pool.now_ms += IMAGE_FILL_MS + BYTES / IMAGE_FILL_BYTES_PER_MS - 1;
        expect_eq(image_create(other, BYTES, &(struct Image *){NULL}, &error), ERROR_LIMIT);
        pool.now_ms++;
        release(other, create(other, BYTES)->id);
        cr_expect_null(slow->filling);
        refuses(slow, PAGE, ERROR_LIMIT, "images_filling");
        expect_eq(i ? image_seal(slow, id, hash, &error) : image_release(slow, id, &error), i ? ERROR_LIMIT : 0);
        expect_eq(image_seal(slow, id, hash, &error), ERROR_PROTOCOL);
        expect_eq(image_release(slow, id, &error), ERROR_PROTOCOL);
    }
    core_pool_deinit(&pool);
}

static void shorten_bytes(struct Pool *pool, struct User *user) {
    (void)user;
    pool->bounds.image_bytes_max = BYTES;
}

static void shorten_number(struct Pool *pool, struct User *user) {
    (void)user;
    pool->bounds.images_max = 1;
}

static void shorten_bytes_of_user(struct Pool *pool, struct User *user) {
    (void)pool;
    user->quota.image_bytes_max = BYTES;
}

static void shorten_number_of_user(struct Pool *pool, struct User *user) {
    (void)pool;
    user->quota.images_max = 1;
}

static void shorten_fds_of_user(struct Pool *pool, struct User *user) {
    (void)pool;
    user->quota.fds_max = user->n_fds + 1;
}

Test(image, that_is_not_filled_in_time_makes_room) {
    expect_room_in_time(OTHER, shorten_bytes);
    expect_room_in_time(OTHER, shorten_number);
    expect_room_in_time(UID, shorten_bytes_of_user);
    expect_room_in_time(UID, shorten_number_of_user);
    expect_room_in_time(UID, shorten_fds_of_user);
}

/* For its own user if that is what is short; and not for what has no room anyway. */
Test(image, that_is_not_filled_in_time_stays_where_that_makes_no_room) {
    struct Client *slow, *other, *third;
    struct Pool pool;

    core_pool_init(&pool);
    slow = core_client(&pool, UID);
    other = core_client(&pool, OTHER);
    third = core_client(&pool, OTHER);
    create(slow, BYTES);
    pool.now_ms = 100 * IMAGE_FILL_MS;
    other->user->quota.images_max = 1;
    make(other, "a");
    refuses(third, BYTES, ERROR_LIMIT, "images_max of the user");
    other->user->quota.images_max = 0;
    refuses(third, pool.bounds.image_bytes_max + PAGE, ERROR_LIMIT, "image_bytes_max");
    cr_expect_not_null(slow->filling);
    core_pool_deinit(&pool);
}

/* Its client has done its part: the daemon is late. */
Test(image, that_is_about_to_be_sealed_is_never_overdue) {
    struct Client *client, *other;
    const struct ImageUse *use;
    struct Error error = {0};
    struct Image *image;
    struct Pool pool;

    core_pool_init(&pool);
    pool.bounds.images_max = 1;
    client = core_client(&pool, UID);
    other = core_client(&pool, OTHER);
    image = fill(client, BYTES, "a");
    queue(image, "a");
    pool.now_ms = 100 * IMAGE_FILL_MS;
    refuses(other, BYTES, ERROR_LIMIT, "images_max");
    cr_assert_eq(images_next(&pool), image);
    refuses(other, BYTES, ERROR_LIMIT, "images_max");
    image_run(image);
    expect_eq(image_finish(image, pool.now_ms, &use, &error), 0);
    core_pool_deinit(&pool);
}

Test(image, without_users_goes_when_there_is_no_room_the_least_recently_used_first) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    pool.bounds.image_bytes_max = 3 * BYTES;
    leave(client, "a");
    leave(client, "b");
    leave(client, "c");
    release(client, find(client, "a")->id); /* the last one now */
    make(client, "d");
    cr_assert_null(find(client, "b"));
    release(client, find(client, "c")->id);
    expect_eq(pool.images.n, 3);
    release(client, make_of(client, 2 * BYTES, "e", 0)->id); /* a and c, but not d, which is in use */
    cr_assert_null(find(client, "a"));
    cr_assert_null(find(client, "c"));
    cr_assert_not_null(find(client, "d"));
    expect_eq(pool.images.bytes, 3 * BYTES);
    core_pool_deinit(&pool);
}

/* One that was in use until now was used later than one that was found before. */
Test(image, counts_as_used_until_it_is_released) {
    struct Pool pool;
    struct Client *client;
    uint32_t id;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    id = make(client, "long")->id;
    leave(client, "short");
    release(client, id);
    expect_eq(images_evict(&pool, NULL), true);
    cr_assert_null(find(client, "short"));
    cr_assert_not_null(find(client, "long"));
    core_pool_deinit(&pool);
}

Test(image, that_would_not_fit_anyway_drives_nobody_out) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    pool.bounds.image_bytes_max = 3 * BYTES;
    leave(client, "a");
    make(client, "used");
    refuses(client, 3 * BYTES, ERROR_LIMIT, "image_bytes_max");
    cr_assert_not_null(find(client, "a"));
    core_pool_deinit(&pool);
}

/* A quota has room, if "a" goes, and the pool has none. */
Test(image, that_fits_its_users_quota_alone_drives_nobody_out) {
    struct Client *client, *other;
    struct Pool pool;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    other = core_client(&pool, OTHER);
    pool.bounds.image_bytes_max = 3 * BYTES;
    client->user->quota.image_bytes_max = 2 * BYTES;
    make_of(other, 2 * BYTES, "used", 0);
    leave(client, "a");
    refuses(client, 2 * BYTES, ERROR_LIMIT, "image_bytes_max");
    cr_assert_not_null(find(client, "a"));
    core_pool_deinit(&pool);
}

Test(image, makes_room_within_quotas_and_for_other_descriptors) {
    struct Pool pool;
    struct Client *client, *stranger;
    struct User *user;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    stranger = core_client(&pool, OTHER);
    user = client->user;
    leave(stranger, "not yours");
    leave(client, "a");
    user->quota.images_max = 1;
    leave(client, "b");
    expect_eq(user->n_images, 1);
    expect_eq(stranger->user->n_images, 1);
    user->quota.images_max = 0;
    user->quota.fds_max = CLIENT_FDS + 1;
    leave(client, "c");
    expect_eq(user->n_images, 1);
    core_slab(client, KIND_MEMORY, 1, 0); /* a slab wants the descriptor */
    expect_eq(user->n_images, 0);
    user->quota.fds_max = CLIENT_FDS + 2;
    leave(client, "d");
    user->quota.fds_max = 2 * CLIENT_FDS + 1;
    core_client(&pool, UID); /* and so does a connection */
    expect_eq(user->n_images, 0);
    expect_eq(stranger->user->n_images, 1);
    core_pool_deinit(&pool);
}

Test(image, number_is_bounded) {
    struct Pool pool;
    struct Client *clients[3];
    static const char *const texts[] = {"a", "b", "c"};

    core_pool_init(&pool);
    pool.bounds.images_max = 2;
    for (int i = 0; i < 3; i++)
        clients[i] = core_client(&pool, UID);
    make(clients[0], texts[0]);
    make(clients[1], texts[1]);
    refuses(clients[2], PAGE, ERROR_LIMIT, "images_max");
    images_leave(clients[0]);
    make(clients[2], texts[2]);
    cr_assert_null(find(clients[0], texts[0]));
    core_pool_deinit(&pool);
}

/* Whoever makes and drops them quicker than they are closed has to wait. */
Test(image, that_is_dropped_counts_until_it_is_closed) {
    struct Pool pool;
    struct Client *client;
    uint64_t n = 0;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    for (struct Image *image; !image_create(client, PAGE, &image, NULL); n++)
        release(client, image->id);
    expect_eq(n, pool.bounds.images_max + IMAGES_CLOSING_MAX);
    expect_eq(pool.images.n, 0);
    core_reclaim(&pool);
    create(client, PAGE);
    core_pool_deinit(&pool);
}

Test(image, beyond_a_bound_that_is_lowered_goes) {
    struct Pool pool;
    struct Client *client;

    core_pool_init(&pool);
    client = core_client(&pool, UID);
    leave(client, "a");
    make(client, "used");
    leave(client, "b");
    leave(client, "c");
    pool.bounds.image_bytes_max = 3 * BYTES;
    images_fit(&pool);
    expect_eq(pool.images.n, 3);
    cr_assert_null(find(client, "a"));
    pool.bounds.images_max = 2;
    images_fit(&pool);
    expect_eq(pool.images.n, 2);
    pool.bounds.images_max = pool.bounds.image_bytes_max = 0;
    images_fit(&pool);
    expect_eq(pool.images.n, 1);
    cr_assert_not_null(find(client, "used"));
    core_pool_deinit(&pool);
}
