/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/demand.h"
#include "tests/client/fixture.h"
#include "tests/client/waiter.h"
#include "tests/support/fake.h"

#include <inttypes.h>

#define TIMEOUT_MS 200 /* of the daemon's answers */
#define HELD_MAX 40

/* A client of a fake daemon, and the memories that it holds. */
struct Rig {
    struct FakeDaemon fake;
    struct wasmpool *pool;
    struct Shelf *shelf;
    struct wasmpool_error error;
    struct Taken held[HELD_MAX];
    int n_held;
};

static void rig_hold(struct Rig *rig, int n) {
    for (int i = 0; i < n; i++)
        expect_result(rig, shelf_take(rig->shelf, &(struct Wish){0}, &rig->held[rig->n_held++], &rig->error), 0);
}

/* With that many memories in all, and that many of them held. */
static void rig_open(struct Rig *rig, uint64_t total_memories, int n) {
    struct wasmpool_options options = {.timeout_ms = TIMEOUT_MS};

    *rig = (struct Rig){0};
    limits_init(&rig->fake.limits);
    rig->fake.limits.total_memories = total_memories;
    fake_daemon_open(&rig->fake);
    options.address = rig->fake.address;
    expect_result(rig, wasmpool_open(&rig->pool, &options, &rig->error), 0);
    rig->shelf = &rig->pool->memories;
    rig_hold(rig, n);
}

static void rig_close(struct Rig *rig) {
    expect_no_trace(rig->shelf);
    rig->pool = wasmpool_close(rig->pool);
    fake_daemon_close(&rig->fake);
}

static int rig_wait(struct Rig *rig, uint64_t ms, struct Taken *taken) {
    return shelf_take(rig->shelf, &(struct Wish){.deadline_ns = waiter_deadline_ns(ms)}, taken, &rig->error);
}

/* What stands in the header for the slab of memories. */
static uint32_t rig_target(const struct Rig *rig) {
    return rig->pool->connection->table->header.targets[rig->shelf->slabs->target];
}

static void expect_told(struct Rig *rig, uint32_t target) {
    cr_assert(host_await(fake_daemon_see(&rig->fake).last_target == target, WAITER_AWAIT_MS),
              "the daemon was told of %#x, not %#x", fake_daemon_see(&rig->fake).last_target, target);
    expect_eq(rig_target(rig), target);
}

static uint64_t rig_connections(struct Rig *rig) {
    struct wasmpool_metrics metrics;

    wasmpool_metrics(rig->pool, &metrics);
    return metrics.connections;
}

/* A request for something else, which the daemon has to be asked for. */
static int rig_ask_otherwise(struct Rig *rig) {
    struct wasmpool_table_type type = {.minimum = 1};
    struct wasmpool_table table;
    int r = wasmpool_allocate_table(rig->pool, &type, NULL, &table, &rig->error);

    if (!r)
        wasmpool_deallocate_table(rig->pool, &table);
    return r;
}

/* ------------------------------------------------------------------------------------------------ the target */

Test(demand, of_those_who_wait_is_what_is_granted_and_their_number) {
    struct Waiter waiters[3];
    struct Rig rig;

    rig_open(&rig, 2, 2);
    expect_eq(rig_target(&rig), 2);
    for (uint32_t i = 0; i < 3; i++) {
        waiter_start(&waiters[i], rig.shelf, WAITER_LONG_MS);
        expect_told(&rig, (3 + i) | LEASE_TARGET_WAIT);
    }
    /* Served by grants, in order: what is granted grows as those who wait become fewer. */
    for (uint32_t i = 0; i < 3; i++) {
        expect_eq(rig_target(&rig), 5 | LEASE_TARGET_WAIT);
        fake_daemon_yield(&rig.fake, 1);
        waiter_join(&waiters[i], 0);
        cr_assert(host_await(wait_count(rig.shelf) == 2 - i, WAITER_AWAIT_MS));
    }
    expect_eq(rig_target(&rig), 5);
    expect_eq(fake_daemon_see(&rig.fake).wants, 2); /* the second memory's, and the one that was refused */
    rig_close(&rig);
}

Test(demand, falls_when_somebody_gives_up) {
    struct Waiter waiters[2];
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 2, 2);
    waiter_start(&waiters[0], rig.shelf, WAITER_SHORT_MS);
    waiter_start(&waiters[1], rig.shelf, WAITER_SHORT_MS);
    waiter_join(&waiters[1], WASMPOOL_E_LIMIT);
    expect_waited(&waiters[1].error, "total_memories", 2, 2);
    waiter_join(&waiters[0], WASMPOOL_E_LIMIT);
    expect_waited(&waiters[0].error, "total_memories", 2, 2);
    expect_eq(rig_target(&rig), 2);
    /* Who waits next says so again. */
    expect_result(&rig, rig_wait(&rig, 5, &taken), WASMPOOL_E_LIMIT);
    cr_assert(FAKE_WAIT(&rig.fake, waits, 2));
    expect_eq(rig_target(&rig), 2);
    fake_daemon_yield(&rig.fake, 1); /* nobody is there for it */
    expect_eq(slab_use(rig.shelf->slabs).idle, 0);
    rig_close(&rig);
}

Test(demand, falls_when_one_of_two_gives_up) {
    struct Waiter stays, goes;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_start(&stays, rig.shelf, WAITER_LONG_MS);
    waiter_start(&goes, rig.shelf, WAITER_SHORT_MS);
    waiter_join(&goes, WASMPOOL_E_LIMIT);
    expect_eq(rig_target(&rig), 2 | LEASE_TARGET_WAIT);
    shelf_release(&rig.held[0]);
    waiter_join(&stays, 0);
    expect_eq(rig_target(&rig), 1);
    rig_close(&rig);
}

Test(demand, falls_when_a_release_serves_who_waits) {
    struct Waiter waiter;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    expect_told(&rig, 2 | LEASE_TARGET_WAIT);
    shelf_release(&rig.held[0]);
    waiter_join(&waiter, 0);
    expect_eq(waiter.taken.index, rig.held[0].index);
    expect_eq(waiter.word, lease_word(0, LEASE_BUSY));
    expect_eq(rig_target(&rig), 1);
    rig_close(&rig);
}

/* The daemon answered before; to who waits it need not. */
Test(demand, of_those_who_wait_needs_no_answer) {
    struct Waiter first;
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_start(&first, rig.shelf, WAITER_LONG_MS);
    expect_told(&rig, 2 | LEASE_TARGET_WAIT);
    rig.fake.at_want = FAKE_SILENT;
    expect_result(&rig, rig_wait(&rig, 20, &taken), WASMPOOL_E_LIMIT);
    expect_waited(&rig.error, "total_memories", 1, 1);
    expect_result(&rig, shelf_take(rig.shelf, &(struct Wish){0}, &taken, &rig.error), WASMPOOL_E_LIMIT);
    expect_eq(fake_daemon_see(&rig.fake).wants, 1);
    shelf_release(&rig.held[0]);
    waiter_join(&first, 0);
    rig_close(&rig);
}

static void yield_one(void *argument) {
    struct Rig *rig = argument;

    cr_assert(FAKE_WAIT(&rig->fake, waits, 1));
    fake_daemon_yield(&rig->fake, 1);
}

Test(demand, is_met_by_a_grant_just_before_somebody_sleeps) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){yield_one, &rig, false};
    expect_result(&rig, rig_wait(&rig, WAITER_LONG_MS, &taken), 0);
    expect_eq(waiter_sleeps, 1);
    expect_eq(fake_daemon_see(&rig.fake).waits, 1);
    rig_close(&rig);
}

static void wake_for_nothing(void *argument) {
    struct Rig *rig = argument;

    cr_assert(FAKE_WAIT(&rig->fake, waits, 1));
    lease_wake(rig->pool->connection->table);
}

static uint64_t rig_quiet_wants(struct Rig *rig) {
    struct FakeSeen seen = fake_daemon_see(&rig->fake);

    return seen.waits + seen.hints;
}

/* What was granted may have been revoked before it was seen, and the daemon then takes the demand for met. */
Test(demand, is_said_again_when_news_bring_nothing) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){wake_for_nothing, &rig, false};
    expect_result(&rig, rig_wait(&rig, WAITER_SHORT_MS, &taken), WASMPOOL_E_LIMIT);
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(rig_quiet_wants(&rig), 2);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ collecting */

/* Nobody looks into a slab of which all is granted, until something has left it. */
Test(demand, is_met_from_a_slab_that_was_full) {
    struct wasmpool *pool;
    struct wasmpool_error error;
    struct Taken held[66], again;

    cr_assert_eq(wasmpool_open(&pool,
                               &(struct wasmpool_options){.address = "embedded:",
                                                          .settings = (const char *const[]){"total_memories=66", NULL}},
                               &error),
                 0);
    for (int i = 0; i < 66; i++)
        cr_assert_eq(shelf_take(&pool->memories, &(struct Wish){0}, &held[i], &error), 0, "%s", error.message);
    cr_assert_neq(held[0].slab, held[65].slab);
    expect_eq(shelf_take(&pool->memories, &(struct Wish){0}, &again, &error), WASMPOOL_E_LIMIT);
    expect_eq(held[0].slab->roomy, false);
    expect_eq(lease_recall(held[0].entry, 0), 0);
    shelf_release(&held[0]);
    expect_eq(shelf_take(&pool->memories, &(struct Wish){0}, &again, &error), WASMPOOL_E_LIMIT);
    expect_eq(lease_grant(held[0].entry, 1), 0);
    lease_wake(pool->connection->table);
    cr_assert_eq(shelf_take(&pool->memories, &(struct Wish){0}, &again, &error), 0, "%s", error.message);
    cr_assert(again.slot == held[0].slot);
    wasmpool_close(pool);
}

/* ------------------------------------------------------------------------------------------------ hints */

/* 1, 1, 2, 4 and 8 come at a time. Of the 8 the sixth leaves a quarter. */
Test(demand, that_grows_is_hinted_at_before_it_is_there) {
    struct Rig rig;

    rig_open(&rig, 1000, 13);
    expect_result(&rig, rig_ask_otherwise(&rig), 0); /* what was told before has been heard */
    expect_eq(fake_daemon_see(&rig.fake).hints, 0);
    rig.fake.at_want = FAKE_SILENT; /* no answer is waited for */
    rig_hold(&rig, 1);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 1));
    expect_told(&rig, 32);
    rig_hold(&rig, 2);
    rig.fake.at_want = FAKE_HONEST;
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(fake_daemon_see(&rig.fake).hints, 1);
    expect_eq(fake_daemon_see(&rig.fake).wants, 4);
    rig_close(&rig);
}

Test(demand, that_was_hinted_at_needs_no_asking) {
    struct Rig rig;

    rig_open(&rig, 1000, 14);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 1));
    expect_eq(slab_use(rig.shelf->slabs).idle, 2 + 16);
    rig_hold(&rig, 2 + 11);
    expect_eq(fake_daemon_see(&rig.fake).hints, 1);
    rig_hold(&rig, 1);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 2)); /* these are 16: the twelfth leaves a quarter */
    expect_eq(fake_daemon_see(&rig.fake).wants, 4);
    rig_close(&rig);
}

/* It did its duty. */
Test(demand, is_not_hinted_at_by_the_same_slot_again) {
    struct Rig rig;

    rig_open(&rig, 1000, 14);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 1));
    rig_hold(&rig, 3); /* with the last of them the next batch has come */
    expect_eq(rig.shelf->hinted, false);
    for (int i = 0; i < 3; i++) {
        struct Taken marked = rig.held[13];

        shelf_release(&marked);
        expect_eq(shelf_take(rig.shelf, &(struct Wish){0}, &rig.held[13], &rig.error), 0);
        expect_eq(rig.held[13].index, marked.index);
    }
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(fake_daemon_see(&rig.fake).hints, 1);
    rig_close(&rig);
}

Test(demand, is_hinted_at_once_until_something_comes) {
    struct Rig rig;

    rig_open(&rig, 16, 16);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 1));
    shelf_release(&rig.held[--rig.n_held]);
    rig.held[rig.n_held].slot->marked = true; /* of another batch */
    rig_hold(&rig, 1);
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(fake_daemon_see(&rig.fake).hints, 1);
    rig_close(&rig);
}

Test(demand, that_is_met_from_the_lanes_is_not_hinted_at_again) {
    struct Rig rig;

    rig_open(&rig, 16, 16);
    cr_assert(FAKE_WAIT(&rig.fake, hints, 1)); /* and nothing came */
    for (int round = 0; round < 3; round++) {
        while (rig.n_held)
            shelf_release(&rig.held[--rig.n_held]);
        rig_hold(&rig, 16);
    }
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(fake_daemon_see(&rig.fake).hints, 1);
    expect_eq(fake_daemon_see(&rig.fake).wants, 4);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ recall */

Test(demand, of_others_goes_before_that_of_this_process) {
    struct Waiter waiter;
    struct Rig rig;

    rig_open(&rig, 2, 2);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    expect_told(&rig, 3 | LEASE_TARGET_WAIT);
    expect_eq(lease_recall(rig.held[0].entry, 0), 0);
    shelf_release(&rig.held[0]);
    expect_str(lease_word_name(lease_load(rig.held[0].entry)), "vacant");
    cr_assert(FAKE_WAIT(&rig.fake, kicks, 1));
    expect_eq(wait_count(rig.shelf), 1);
    fake_daemon_yield(&rig.fake, 1);
    waiter_join(&waiter, 0);
    expect_eq(rig_target(&rig), 2);
    expect_result(&rig, rig_ask_otherwise(&rig), 0);
    expect_eq(fake_daemon_see(&rig.fake).kicks, 1);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ death */

Test(demand, of_nobody_but_those_who_hold_is_left_when_the_daemon_dies) {
    struct Waiter waiters[2];
    struct Rig rig;

    rig_open(&rig, 1, 1);
    for (int i = 0; i < 2; i++)
        waiter_start(&waiters[i], rig.shelf, WAITER_LONG_MS);
    expect_told(&rig, 3 | LEASE_TARGET_WAIT);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    fake_daemon_die(&rig.fake);
    for (int i = 0; i < 2; i++)
        waiter_join(&waiters[i], WASMPOOL_E_UNAVAILABLE);
    expect_no_trace(rig.shelf);
    shelf_release(&rig.held[0]);
    expect_eq(shelf_has_idle(rig.shelf), true);
    rig.n_held = 0;
    rig_hold(&rig, 1); /* needs no daemon */
    rig_close(&rig);
}

static void die_and_be_noticed(void *argument) {
    struct Rig *rig = argument;

    fake_daemon_die(&rig->fake);
    expect_result(rig, rig_ask_otherwise(rig), WASMPOOL_E_UNAVAILABLE);
}

/* Whoever finds out wakes those who wait. */
Test(demand, does_not_sleep_through_a_death_that_another_thread_has_noticed) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){die_and_be_noticed, &rig, false};
    expect_result(&rig, rig_wait(&rig, WAITER_LONG_MS, &taken), WASMPOOL_E_UNAVAILABLE);
    expect_eq(waiter_sleeps, 1);
    rig_close(&rig);
}

/* Another daemon with that many memories, which knows nothing of the one before. */
static void rig_return(struct Rig *rig, uint64_t total_memories) {
    fake_daemon_die(&rig->fake);
    rig->fake.limits.total_memories = total_memories;
    fake_daemon_return(&rig->fake);
}

static void return_with_one(void *argument) {
    rig_return(argument, 1);
}

static void return_with_one_and_be_noticed(void *argument) {
    return_with_one(argument);
    expect_result((struct Rig *)argument, rig_ask_otherwise(argument), 0);
}

static void expect_served_afresh(struct Rig *rig) {
    struct Taken taken;

    expect_result(rig, rig_wait(rig, WAITER_LONG_MS, &taken), 0);
    expect_eq(rig_connections(rig), 2);
    cr_assert(taken.slab->connection == rig->pool->connection, "the slot is the old daemon's");
    cr_assert(rig->held[0].slab->connection != rig->pool->connection);
    expect_eq(rig_target(rig) & LEASE_TARGET_WAIT, 0);
    expect_eq(fake_daemon_see(&rig->fake).waits, 0);
    shelf_release(&rig->held[0]); /* and its slab goes */
    shelf_release(&taken);
    expect_eq(slab_use(rig->shelf->slabs).idle, 1);
}

Test(demand, is_met_by_the_daemon_that_comes_after) {
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){return_with_one, &rig, true};
    expect_served_afresh(&rig);
    rig_close(&rig);
}

Test(demand, is_met_by_a_daemon_that_another_thread_has_found) {
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){return_with_one_and_be_noticed, &rig, false};
    expect_served_afresh(&rig);
    expect_eq(waiter_sleeps, 1);
    rig_close(&rig);
}

static void return_with_none(void *argument) {
    rig_return(argument, 0);
}

static void *yield_when_waited_for(void *argument) {
    yield_one(argument);
    return NULL;
}

Test(demand, is_said_to_the_daemon_that_comes_after) {
    struct Taken taken;
    pthread_t thread;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    waiter_at_sleep = (struct Moment){return_with_none, &rig, true};
    expect_result(&rig, rig_wait(&rig, 20, &taken), WASMPOOL_E_LIMIT);
    expect_eq(rig_connections(&rig), 1); /* there was no time to find out */
    pthread_create(&thread, NULL, yield_when_waited_for, &rig);
    expect_result(&rig, rig_wait(&rig, WAITER_LONG_MS, &taken), 0);
    pthread_join(thread, NULL);
    expect_eq(rig_connections(&rig), 2);
    expect_eq(fake_daemon_see(&rig.fake).last_target, 1 | LEASE_TARGET_WAIT);
    expect_eq(rig_target(&rig), 1);
    rig_close(&rig);
}

/* Between a look at the socket and saying that somebody waits. */
static struct {
    const struct Source *real;
    struct Source source;
    struct Rig *rig;
    bool returns;
} meddler;

static int die_at_wait_for(struct wasmpool *pool, struct Slab *slab, uint32_t n, struct wasmpool_error *error) {
    pool->source = meddler.real;
    fake_daemon_die(&meddler.rig->fake);
    if (meddler.returns)
        fake_daemon_return(&meddler.rig->fake);
    return meddler.real->wait_for(pool, slab, n, error);
}

static void nothing(void *argument) {
    (void)argument;
}

static void meddle(struct Rig *rig, bool returns) {
    meddler.real = rig->pool->source;
    meddler.source = *meddler.real;
    meddler.source.wait_for = die_at_wait_for;
    meddler.rig = rig;
    meddler.returns = returns;
    rig->pool->source = &meddler.source;
}

Test(demand, that_cannot_be_said_any_more_fails_at_once) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    meddle(&rig, false);
    waiter_at_sleep = (struct Moment){nothing, NULL, false};
    expect_result(&rig, rig_wait(&rig, WAITER_LONG_MS, &taken), WASMPOOL_E_UNAVAILABLE);
    rig_close(&rig);
}

Test(demand, that_cannot_be_said_any_more_is_said_to_the_next_daemon) {
    struct Rig rig;

    rig_open(&rig, 1, 1);
    meddle(&rig, true);
    waiter_at_sleep = (struct Moment){nothing, NULL, false};
    expect_served_afresh(&rig);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ the pool's lock */

static struct {
    const struct Source *real;
    struct Source source;
    struct Waiter *waiter;
    _Atomic bool is_asking;
    bool ended_meanwhile;
} slow;

/* A daemon that takes its time: until who waits for something else has come to an end, if he can. */
static int open_slowly(struct wasmpool *pool, struct Shelf *shelf, uint32_t count, uint32_t ask,
                       struct wasmpool_error *error) {
    slow.is_asking = true;
    slow.ended_meanwhile = host_await(*(volatile uint64_t *)&slow.waiter->ended_ns, 3000);
    return slow.real->open_slab(pool, shelf, count, ask, error);
}

static void *ask_otherwise(void *argument) {
    rig_ask_otherwise(argument);
    return NULL;
}

/* Nothing is asked of the real one before `waiter` has come to an end. */
static void rig_slow_down(struct Rig *rig, struct Waiter *waiter) {
    slow.real = rig->pool->source;
    slow.source = *slow.real;
    slow.source.open_slab = open_slowly;
    slow.waiter = waiter;
    rig->pool->source = &slow.source;
}

static pthread_t rig_ask_slowly(struct Rig *rig) {
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, ask_otherwise, rig), 0);
    cr_assert(host_await(slow.is_asking, WAITER_AWAIT_MS));
    return thread;
}

static void expect_not_held_up(bool is_released) {
    struct Waiter waiter;
    pthread_t thread;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    rig_slow_down(&rig, &waiter);
    waiter_start(&waiter, rig.shelf, is_released ? WAITER_LONG_MS : WAITER_SHORT_MS);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    thread = rig_ask_slowly(&rig);
    if (is_released)
        shelf_release(&rig.held[0]);
    pthread_join(thread, NULL);
    waiter_join(&waiter, is_released ? 0 : WASMPOOL_E_LIMIT);
    cr_assert(slow.ended_meanwhile, "who waits is held up by another's exchange with the daemon");
    rig_close(&rig);
}

Test(demand, of_another_does_not_hold_up_who_was_served) {
    expect_not_held_up(true);
}

Test(demand, of_another_does_not_hold_up_who_is_late) {
    expect_not_held_up(false);
}

/* ------------------------------------------------------------------------------------------------ robbed */

/* What is granted is revoked again before it can be collected: the owner's part is played here. */
static int want_and_lose(struct wasmpool *pool, struct Slab *slab, uint32_t ask, struct wasmpool_error *error) {
    struct LeaseEntry *entry = slab_entry(slab, slab->shape.count - 1);
    uint64_t generation = lease_generation(lease_load(entry));
    int r = slow.real->want(pool, slab, ask, error);

    expect_eq(lease_grant(entry, generation), 0);
    expect_eq(lease_revoke(entry, generation), 0);
    return r;
}

Test(demand, that_is_met_and_robbed_each_time_is_refused_by_the_total) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 10, 1);
    slow.real = rig.pool->source;
    slow.source = *slow.real;
    slow.source.want = want_and_lose;
    rig.pool->source = &slow.source;
    rig.fake.at_want = FAKE_GRANTS_NOTHING;
    expect_result(&rig, shelf_take(rig.shelf, &(struct Wish){0}, &taken, &rig.error), WASMPOOL_E_LIMIT);
    expect_str(rig.error.limit, "total_memories");
    expect_says(rig.error.message, "goes to others");
    rig.pool->source = slow.real;
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ the deadline */

Test(demand, of_another_does_not_hold_up_who_has_a_deadline) {
    struct Waiter waiter;
    pthread_t thread;
    struct Rig rig;

    rig_open(&rig, 1, 1);
    rig_slow_down(&rig, &waiter);
    waiter = (struct Waiter){0};
    thread = rig_ask_slowly(&rig);
    waiter_launch(&waiter, rig.shelf, 20);
    waiter_join(&waiter, WASMPOOL_E_UNAVAILABLE);
    expect_says(waiter.error.message, "other threads");
    pthread_join(thread, NULL);
    cr_assert(slow.ended_meanwhile, "the deadline does not bound how long another's exchange is waited for");
    rig_close(&rig);
}

Test(demand, is_made_no_longer_than_the_deadline) {
    uint64_t start_ns, took_ns;
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig, 2, 1);
    rig.pool->patience.timeout_ms = WAITER_LONG_MS;
    rig.fake.at_want = FAKE_SILENT;
    start_ns = clock_now_ns();
    expect_result(&rig, rig_wait(&rig, 50, &taken), WASMPOOL_E_UNAVAILABLE);
    took_ns = clock_now_ns() - start_ns;
    expect_says(rig.error.message, "does not answer in time");
    cr_assert(took_ns >= 50 * NS_PER_MS && took_ns < WAITER_LONG_MS / 2 * NS_PER_MS, "it took %" PRIu64 " ms",
              took_ns / NS_PER_MS);
    /* The next ones are not bound by it. */
    expect_eq(rig.pool->patience.deadline_ns, 0);
    rig.fake.at_want = FAKE_HONEST;
    cr_assert(fake_daemon_send_late(&rig.fake));
    rig_hold(&rig, 1);
    rig_close(&rig);
}

Test(demand, is_made_even_if_the_deadline_has_passed) {
    struct Rig rig;

    rig_open(&rig, 1, 0);
    expect_result(&rig, shelf_take(rig.shelf, &(struct Wish){.deadline_ns = 1}, &rig.held[rig.n_held++], &rig.error), 0);
    expect_result(&rig, shelf_take(rig.shelf, &(struct Wish){.deadline_ns = 1}, &rig.held[1], &rig.error),
                  WASMPOOL_E_LIMIT);
    rig_close(&rig);
}
