/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"
#include "tests/support/host.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>

TestSuite(want, .timeout = 30);

static struct Pool pool;

/* In a pool that is empty before and after. */
#define WantTest(SENTENCE)                                                                                             \
    static void SENTENCE(void);                                                                                        \
    Test(want, SENTENCE) {                                                                                             \
        core_pool_init(&pool);                                                                                         \
        SENTENCE();                                                                                                    \
        core_pool_deinit(&pool);                                                                                       \
    }                                                                                                                  \
    static void SENTENCE(void)

static uint32_t count_state(const struct Slab *slab, enum LeaseState state) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < slab->shape.count; i++)
        n += lease_state(lease_load(slab_entry(slab, i))) == state;
    return n;
}

static void take_all(struct Slab *slab) {
    uint64_t generation;

    for (uint32_t i = 0; i < slab->shape.count; i++)
        lease_take(slab_entry(slab, i), &generation);
}

/* One release, of whatever is busy; a recalled one comes back. */
static bool release_one(struct Slab *slab) {
    for (uint32_t i = 0; i < slab->shape.count; i++) {
        uint64_t word = lease_load(slab_entry(slab, i));

        if (lease_state(word) != LEASE_BUSY)
            continue;
        if (lease_release(slab_entry(slab, i), lease_generation(word)) == LEASE_E_RECALLED)
            client_kick(slab->client);
        return true;
    }
    return false;
}

static void wait_for(struct Slab *slab, uint32_t target) {
    struct Error error = {0};

    core_set_target(slab, target | LEASE_TARGET_WAIT);
    cr_assert_eq(client_want_quietly(slab->client, slab->id, &error), 0, "%s", error.message);
}

static void serve(void) {
    while (pool.wants && !pool.served)
        want_serve(&pool, false);
}

static uint32_t meet(struct Slab *slab, uint32_t target, struct Error *error) {
    uint32_t granted = 0;

    core_set_target(slab, target);
    return client_want(slab->client, slab->id, &granted, error) ? 0 : granted;
}

/* ------------------------------------------------------------------------------------------------ at once */

WantTest(takes_idle_slots_of_others_when_there_is_no_room) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);
    struct Error error = {0};

    cr_assert_eq(a->n_granted, CORE_TOTAL);
    for (uint32_t n = 0; n < CORE_TOTAL;) {
        uint32_t got = meet(b, CORE_TOTAL, &error);

        cr_assert(got, "with %u of %d: %s", n, CORE_TOTAL, error.message);
        n += got;
    }
    expect_eq(a->n_granted, 0);
    expect_eq(count_state(a, LEASE_VACANT), 8);
    expect_eq(b->n_granted, CORE_TOTAL);
}

WantTest(leaves_busy_slots_alone_when_nobody_waits) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);
    struct Error error = {0};

    take_all(a);
    expect_eq(meet(b, 1, &error), 0);
    expect_eq(error.code, ERROR_LIMIT);
    cr_expect_str_eq(error.limit, "total_memories");
    expect_eq(error.bound, CORE_TOTAL);
    expect_eq(error.use, CORE_TOTAL);
    expect_eq(error.ask, 1);
    cr_expect(strstr(error.message, "connection 2 (pid 1, test)"), "%s", error.message);
    expect_eq(a->n_granted, CORE_TOTAL);
    expect_eq(a->n_recalled, 0);
}

WantTest(takes_the_coldest_idle_slot) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);
    struct Error error = {0};

    for (uint32_t i = 0; i < CORE_TOTAL; i++)
        atomic_store(&slab_entry(a, i)->taken_ns, i == 3 ? 10 : 100 + i);
    expect_eq(meet(b, 1, &error), 1);
    expect_eq(lease_state(lease_load(slab_entry(a, 3))), LEASE_VACANT);
    expect_eq(a->n_granted, CORE_TOTAL - 1);
}

WantTest(takes_what_is_beyond_a_share_before_what_is_within) {
    struct Slab *poor = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, 1);
    struct Slab *rich = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, CORE_TOTAL - 1);
    struct Slab *b = core_slab(core_client(&pool, 3), KIND_MEMORY, 8, 0);
    struct Error error = {0};

    expect_eq(meet(b, 2, &error), 2);
    expect_eq(poor->n_granted, 1);
    expect_eq(rich->n_granted, CORE_TOTAL - 3);
}

WantTest(leaves_half_of_a_reserve_that_is_within_a_share) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, 3);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 3);
    struct Error error = {0};

    take_all(b);
    expect_eq(meet(b, 6, &error), 2);
    expect_eq(a->n_granted, 1);
}

WantTest(finds_idle_slots_of_another_shape_of_its_own) {
    struct Client *client = core_client(&pool, 1);
    struct Slab *small = core_slab(client, KIND_TABLE, 8, CORE_TOTAL);
    struct Shape shape = core_shape(KIND_TABLE, 4);
    struct Error error = {0};
    struct Slab *large;
    uint32_t granted;

    shape.element_size = 24;
    expect_eq(client_open_slab(client, &shape, 1, &large, &granted, &error), 0);
    expect_eq(granted, 1);
    expect_eq(small->n_granted, CORE_TOTAL - 1);
}

WantTest(of_a_quota_takes_from_those_whose_quota_it_is) {
    struct Slab *other, *a, *b;
    struct Error error = {0};

    pool.quotas.user.slots_max[KIND_MEMORY] = 2;
    other = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 2);
    a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, 2);
    b = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, 0);
    expect_eq(meet(b, 1, &error), 1);
    expect_eq(a->n_granted, 1);
    expect_eq(other->n_granted, 2);
    take_all(a);
    take_all(b);
    expect_eq(meet(b, 2, &error), 0);
    cr_expect_str_eq(error.limit, "memories_max of the user");
    expect_eq(error.bound, 2);
}

WantTest(is_refused_beyond_resident_bytes_of_its_user) {
    struct Client *client = core_client(&pool, 1);
    struct Slab *a = core_slab(client, KIND_MEMORY, 8, 1);
    struct Error error = {0};
    char byte = 1;

    cr_assert_eq(pwrite(a->fd, &byte, 1, (off_t)shape_slot_offset(&a->shape, 0)), 1);
    client->user->quota.resident_bytes_max = 4096;
    expect_eq(meet(a, 2, &error), 0);
    cr_expect_str_eq(error.limit, "resident_bytes_max of the user");
    expect_eq(error.use, 4096);
}

/* ------------------------------------------------------------------------------------------------ in turn */

WantTest(that_waits_gets_a_recalled_slot_when_it_is_released) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);

    take_all(a);
    wait_for(b, 1);
    serve();
    expect_eq(a->n_recalled, 1);
    expect_eq(b->n_granted, 0);
    while (a->n_recalled)
        release_one(a);
    serve();
    expect_eq(b->n_granted, 1);
    cr_expect(b->client->woken, "nobody wakes the one that waits");
    cr_expect_null(pool.wants);
}

WantTest(that_is_withdrawn_leaves_no_trace) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);

    take_all(a);
    wait_for(b, 1);
    core_set_target(b, 0);
    serve();
    cr_expect_null(pool.wants);
    expect_eq(a->n_recalled, 0);
    expect_eq(b->ticket, 0);
}

WantTest(recalls_more_when_what_was_recalled_does_not_come) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);

    take_all(a);
    wait_for(b, 1);
    serve();
    pool.served = false;
    serve();
    expect_eq(a->n_recalled, 1);
    want_serve(&pool, true);
    expect_eq(a->n_recalled, 2);
}

WantTest(of_the_same_slot_takes_turns) {
    struct Slab *a, *b;

    pool.limits.total_memories = 1;
    a = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 1);
    b = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 0);
    for (int turn = 0; turn < 6; turn++) {
        struct Slab *has = turn % 2 ? b : a, *wants = turn % 2 ? a : b;

        take_all(has);
        wait_for(wants, 1);
        serve();
        expect_eq(has->n_recalled, 1);
        cr_assert(release_one(has));
        serve();
        core_reclaim(&pool);
        serve();
        expect_eq(has->n_granted, 0);
        expect_eq(wants->n_granted, 1);
        core_set_target(has, 0);
    }
}

WantTest(of_a_saturated_client_is_met_though_it_never_rests) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);

    take_all(a);
    wait_for(b, 3);
    for (int i = 0; i < 4 * CORE_TOTAL && b->n_granted < 3; i++) {
        serve();
        release_one(a);
        take_all(a);
    }
    expect_eq(b->n_granted, 3);
    expect_eq(a->n_granted, CORE_TOTAL - 3);
}

/* All want everything, and release and take again all the time. */
static void compete(struct Slab *const *slabs, size_t n) {
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < n; i++) {
            take_all(slabs[i]);
            if (slabs[i]->n_granted < slabs[i]->shape.count)
                wait_for(slabs[i], slabs[i]->shape.count);
        }
        serve();
        for (size_t i = 0; i < n; i++)
            release_one(slabs[i]);
        want_serve(&pool, round % 8 == 0);
    }
}

WantTest(of_greedy_users_ends_within_one_slot_of_the_weighted_share) {
    static const uint64_t weights[] = {1, 2, 5};
    enum { TOTAL = 50, USERS = 3 };
    struct Slab *slabs[USERS];

    pool.limits.total_memories = TOTAL;
    for (int i = 0; i < USERS; i++) {
        struct Client *client = core_client(&pool, 10 + (uid_t)i);

        client->user->quota.weight = weights[i];
        slabs[i] = core_slab(client, KIND_MEMORY, TOTAL, 0);
    }
    compete(slabs, USERS);
    for (int i = 0; i < USERS; i++) {
        uint64_t eighths = TOTAL * weights[i]; /* of 1 + 2 + 5 */

        cr_expect(slabs[i]->n_granted * 8 + 8 >= eighths && slabs[i]->n_granted * 8 <= eighths + 8,
                  "user %d has %u of %d, its share is %lu/8", i, slabs[i]->n_granted, TOTAL, eighths);
    }
}

/* Whoever opens more connections gets no more by that, whichever user comes first. */
static void compete_by_connections(bool many_first) {
    enum { TOTAL = 20, MANY = 5 };
    struct Slab *slabs[MANY + 1];

    pool.limits.total_memories = TOTAL;
    pool.bounds.connections_max = MANY + 1;
    pool.bounds.connections_per_user_max = MANY;
    if (!many_first)
        slabs[MANY] = core_slab(core_client(&pool, 2), KIND_MEMORY, TOTAL, 0);
    for (int i = 0; i < MANY; i++)
        slabs[i] = core_slab(core_client(&pool, 1), KIND_MEMORY, TOTAL, 0);
    if (many_first)
        slabs[MANY] = core_slab(core_client(&pool, 2), KIND_MEMORY, TOTAL, 0);
    compete(slabs, MANY + 1);
    cr_expect_leq(llabs((long long)slabs[MANY]->n_granted - TOTAL / 2), 1, "with one connection a user has %u of %d",
                  slabs[MANY]->n_granted, TOTAL);
    for (int i = 0; i < MANY; i++)
        cr_expect_leq(llabs((long long)slabs[i]->n_granted - TOTAL / 2 / MANY), 1, "connection %d of %d has %u of %d",
                      i, MANY, slabs[i]->n_granted, TOTAL / 2);
}

WantTest(of_a_user_with_many_connections_ends_with_the_share_of_one_user) {
    compete_by_connections(true);
}

WantTest(of_a_user_with_one_connection_ends_with_the_share_of_one_user) {
    compete_by_connections(false);
}

WantTest(of_a_disconnected_client_is_forgotten) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);

    take_all(a);
    wait_for(b, 1);
    client_disconnect(b->client);
    cr_expect_null(pool.wants);
}

WantTest(waits_while_its_slots_are_being_emptied) {
    struct Client *client = core_client(&pool, 1);
    struct Slab *a = core_slab(client, KIND_MEMORY, 1, 1);
    struct Error error = {0};
    uint32_t granted = 0;
    char byte = 1;

    cr_assert_eq(pwrite(a->fd, &byte, 1, (off_t)shape_slot_offset(&a->shape, 0)), 1);
    expect_eq(grant_revoke(a, 0), 0);
    core_set_target(a, 1);
    expect_eq(client_want(client, a->id, &granted, &error), CLIENT_E_CLEANING);
    wait_for(a, 1);
    serve();
    expect_eq(a->n_granted, 0);
    core_reclaim(&pool);
    serve();
    expect_eq(a->n_granted, 1);
}

WantTest(beyond_its_slots_is_taken_for_all_of_them) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 0);

    wait_for(a, LEASE_TARGET_SLOTS);
    serve();
    expect_eq(a->n_granted, 4);
    cr_expect_null(pool.wants);
}

/* ------------------------------------------------------------------------------------------------ trim */

WantTest(trimmed_slot_is_granted_again_empty) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 1);
    uint32_t futex = atomic_load(&a->client->table->header.futex);
    char byte = 1;

    cr_assert_eq(pwrite(a->fd, &byte, 1, (off_t)shape_slot_offset(&a->shape, 0)), 1);
    expect_eq(grant_trim(a, 0), 0);
    expect_eq(lease_load(slab_entry(a, 0)), lease_word(1, LEASE_VACANT));
    core_reclaim(&pool);
    expect_eq(lease_load(slab_entry(a, 0)), lease_word(1, LEASE_IDLE));
    cr_assert_eq(pread(a->fd, &byte, 1, (off_t)shape_slot_offset(&a->shape, 0)), 1);
    expect_eq(byte, 0);
    cr_expect(atomic_load(&a->client->table->header.futex) != futex, "its client cannot tell that it is there again");
}

WantTest(trimmed_slot_goes_to_who_waits) {
    struct Slab *a = core_slab(core_client(&pool, 1), KIND_MEMORY, 8, CORE_TOTAL);
    struct Slab *b = core_slab(core_client(&pool, 2), KIND_MEMORY, 8, 0);
    char byte = 1;

    cr_assert_eq(pwrite(a->fd, &byte, 1, (off_t)shape_slot_offset(&a->shape, 0)), 1);
    expect_eq(grant_trim(a, 0), 0);
    wait_for(b, 1);
    core_reclaim(&pool);
    /* Not even for a moment to whose it was, who would take it at once. */
    expect_eq(lease_load(slab_entry(a, 0)), lease_word(1, LEASE_VACANT));
    expect_eq(a->n_granted, CORE_TOTAL - 1);
    serve();
    expect_eq(b->n_granted, 1);
    expect_eq(a->n_granted, CORE_TOTAL - 1);
}

struct Sleeper {
    struct LeaseTable *table;
    uint32_t seen;
    _Atomic pid_t tid;
};

static void *sleep_on_futex(void *argument) {
    struct Sleeper *sleeper = argument;

    sleeper->tid = gettid();
    lease_wait(sleeper->table, sleeper->seen, UINT64_MAX);
    return NULL;
}

static bool thread_sleeps(pid_t tid) {
    char path[64], state = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    if (file)
        fclose(file);
    return state == 'S';
}

static long wake_all(struct LeaseTable *table) {
    return syscall(SYS_futex, &table->header.futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* A client that sleeps on its futex waits for something else: nobody is woken because pages were given back. */
WantTest(trimmed_slot_wakes_nobody) {
    struct Slab *slab = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 2);
    struct Sleeper sleeper = {.table = slab->client->table, .seen = slab->client->table->header.futex};
    pthread_t thread;

    cr_assert_eq(pwrite(slab->fd, "x", 1, (off_t)shape_slot_offset(&slab->shape, 0)), 1);
    cr_assert_eq(pthread_create(&thread, NULL, sleep_on_futex, &sleeper), 0);
    cr_assert(host_await(sleeper.tid && thread_sleeps(sleeper.tid), 10000), "it does not fall asleep");
    expect_eq(grant_trim(slab, 0), 0);
    core_reclaim(&pool);
    expect_eq(lease_load(slab_entry(slab, 0)), lease_word(1, LEASE_IDLE));
    cr_expect_neq(sleeper.table->header.futex, sleeper.seen);
    /* Whom we wake now had not been woken yet. */
    expect_eq(wake_all(sleeper.table), 1);
    pthread_join(thread, NULL);
    cr_expect_not(slab->client->woken);
}

/* Of all clients that have more than their share, whoever comes first. */
WantTest(takes_the_coldest_of_all) {
    struct Slab *hot = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 3);
    struct Slab *cold = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 3);
    struct Slab *wanting = core_slab(core_client(&pool, 3), KIND_MEMORY, 4, 0);
    struct Slab *waiting = core_slab(core_client(&pool, 4), KIND_MEMORY, 4, 0);
    struct Error error = {0};

    wait_for(waiting, 1); /* so that both have one too many */
    cr_assert_eq(hot->n_granted + cold->n_granted, CORE_TOTAL);
    for (uint32_t i = 0; i < 3; i++) {
        slab_entry(hot, i)->taken_ns = 1000 + i;
        slab_entry(cold, i)->taken_ns = 10 + i;
    }
    expect_eq(meet(wanting, 1, &error), 1);
    expect_eq(hot->n_granted, 3);
    expect_eq(cold->n_granted, 2);
    expect_eq(lease_state(lease_load(slab_entry(cold, 0))), LEASE_VACANT);
}

/* ------------------------------------------------------------------------------------------------ among waiters */

/* Who waits has a slot that it has not woken up to yet. */
static void wait_again(struct Slab *const *slabs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!slabs[i]->n_granted)
            wait_for(slabs[i], 1);
}

WantTest(that_waits_is_not_robbed_of_what_it_was_granted) {
    struct Slab *slabs[4];

    pool.limits.total_memories = 2;
    for (uid_t i = 0; i < 4; i++)
        slabs[i] = core_slab(core_client(&pool, i), KIND_MEMORY, 4, 0);
    for (int i = 0; i < 20; i++) {
        wait_again(slabs, 4);
        want_serve(&pool, true);
        pool.now_ms++;
    }
    expect_eq(pool.counters.grants, 2);
    expect_eq(pool.counters.revokes, 0);
}

/* But not for ever, if it does not take it. */
WantTest(that_does_not_take_what_it_was_granted_loses_its_turn) {
    struct Slab *slabs[3];

    pool.limits.total_memories = 1;
    for (uid_t i = 0; i < 3; i++)
        slabs[i] = core_slab(core_client(&pool, i), KIND_MEMORY, 4, 0);
    for (int i = 0; i < 3; i++) {
        wait_again(slabs, 3);
        want_serve(&pool, true);
        expect_eq(slabs[i]->n_granted, 1);
        pool.now_ms += 1000;
    }
    expect_eq(pool.counters.revokes, 2);
}

/* Of two that have nothing, whoever began to wait first is first, wherever its client stands in a list. */
static void wait_in_turn(uid_t other_uid, bool reversed) {
    struct Slab *holder, *slabs[2], *first, *second;

    pool.limits.total_memories = 1;
    holder = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 1);
    slabs[0] = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 0);
    slabs[1] = core_slab(core_client(&pool, other_uid), KIND_MEMORY, 4, 0);
    first = slabs[reversed];
    second = slabs[!reversed];
    take_all(holder);
    wait_for(first, 1);
    wait_for(second, 1);
    serve();
    expect_eq(first->client->due[KIND_MEMORY], 1);
    expect_eq(second->client->due[KIND_MEMORY], 0);
    cr_assert(release_one(holder));
    serve();
    expect_eq(first->n_granted, 1);
    expect_eq(second->n_granted, 0);
    /* And when it has used it, it is the other's turn, though it wants another at once. */
    take_all(first);
    core_set_target(first, 0);
    pool.served = false;
    serve();
    cr_assert(release_one(first));
    wait_for(first, 1);
    serve();
    expect_eq(first->n_granted, 0);
    expect_eq(second->n_granted, 1);
}

WantTest(of_two_users_is_met_in_turn) {
    wait_in_turn(3, false);
}

WantTest(of_two_users_is_met_in_turn_in_whatever_order_they_came) {
    wait_in_turn(3, true);
}

WantTest(of_two_connections_of_a_user_is_met_in_turn) {
    wait_in_turn(2, false);
}

WantTest(of_two_connections_of_a_user_is_met_in_turn_in_whatever_order_they_came) {
    wait_in_turn(2, true);
}

/* Without waiting nobody gets in front of those that do. */
WantTest(that_does_not_wait_is_refused_what_others_wait_for) {
    struct Slab *holder, *waiting, *newcomer;
    struct Error error = {0};

    pool.limits.total_memories = 1;
    holder = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 1);
    waiting = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 0);
    newcomer = core_slab(core_client(&pool, 3), KIND_MEMORY, 4, 0);
    take_all(holder);
    wait_for(waiting, 1);
    serve();
    cr_assert(release_one(holder));
    expect_eq(meet(newcomer, 1, &error), 0);
    expect_eq(error.code, ERROR_LIMIT);
    expect_says(error.message, "connection 3 (pid 1, test) is refused");
    expect_says(error.message, "total_memories");
    pool.served = false;
    serve();
    expect_eq(waiting->n_granted, 1);
}

/* A hint, for who may want one soon, is no want. */
WantTest(that_is_a_hint_gets_nothing_that_others_wait_for) {
    struct Slab *holder, *waiting, *hinting;
    struct Error error = {0};

    pool.limits.total_memories = 1;
    holder = core_slab(core_client(&pool, 1), KIND_MEMORY, 4, 1);
    waiting = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 0);
    hinting = core_slab(core_client(&pool, 3), KIND_MEMORY, 4, 0);
    take_all(holder);
    wait_for(waiting, 1);
    serve();
    cr_assert(release_one(holder));
    expect_eq(holder->n_granted, 0);
    core_set_target(hinting, 1);
    expect_eq(client_want_quietly(hinting->client, hinting->id, &error), 0);
    expect_eq(hinting->n_granted, 0);
    serve();
    expect_eq(waiting->n_granted, 1);
    /* Nobody waits any more, and there is room: it is met. */
    pool.limits.total_memories = 2;
    expect_eq(client_want_quietly(hinting->client, hinting->id, &error), 0);
    expect_eq(hinting->n_granted, 1);
}

/* Who waits for more than its own quota, or for another kind, keeps nothing from others. */
WantTest(beyond_a_quota_of_ones_own_is_nobody_elses_concern) {
    struct Client *greedy = core_client(&pool, 1);
    struct Slab *table = core_slab(greedy, KIND_TABLE, 4, 1), *memory = core_slab(greedy, KIND_MEMORY, 4, 1);
    struct Slab *other = core_slab(core_client(&pool, 2), KIND_MEMORY, 4, 1);
    struct Error error = {0};

    greedy->quota.slots_max[KIND_TABLE] = greedy->quota.slots_max[KIND_MEMORY] = 1;
    take_all(table);
    take_all(memory);
    wait_for(table, 2);
    wait_for(memory, 2);
    serve();
    cr_assert_not_null(pool.wants);
    cr_assert_eq(pwrite(other->fd, "x", 1, (off_t)shape_slot_offset(&other->shape, 0)), 1);
    cr_assert_eq(grant_trim(other, 0), 0);
    core_reclaim(&pool);
    expect_eq(other->n_granted, 1);
    core_set_target(other, 3);
    expect_eq(client_want_quietly(other->client, other->id, &error), 0);
    expect_eq(other->n_granted, 3);
}

/* With however many slabs a client waits: others are looked at, and asked for slots, as if it were one. */
WantTest(of_many_slabs_of_one_client_costs_what_one_does) {
    struct Slab *holder = core_slab(core_client(&pool, 1), KIND_MEMORY, CORE_TOTAL, CORE_TOTAL);
    struct Client *client = core_client(&pool, 2);
    uint64_t before;

    take_all(holder);
    for (int i = 0; i < 6; i++)
        wait_for(core_slab(client, KIND_MEMORY, 1, 0), 1);
    serve();
    expect_eq(pool.futile.n, 1);
    expect_eq(client->due[KIND_MEMORY], CORE_TOTAL / 2);
    expect_eq(pool.counters.recalls, CORE_TOTAL / 2);
    before = pool.counters.recalls;
    want_serve(&pool, true);
    cr_expect_leq(pool.counters.recalls, before + CORE_TOTAL / 2);
}
