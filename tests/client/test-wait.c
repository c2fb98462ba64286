/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/fixture.h"
#include "tests/client/waiter.h"

/* Of an embedded pool that has one memory, which is taken, unless a test says otherwise. */
struct Rig {
    struct wasmpool *pool;
    struct Fixture fixture;
    struct Shelf *shelf;
    struct Taken held;
};

static struct Taken take(struct Rig *rig) {
    struct Taken taken;

    cr_assert_eq(shelf_take(rig->shelf, &(struct Wish){0}, &taken, &rig->fixture.error), 0, "%s",
                 rig->fixture.error.message);
    return taken;
}

static void rig_open_with(struct Rig *rig, const char *setting) {
    fixture_open(&rig->fixture, EMBEDDED, setting);
    rig->pool = rig->fixture.pool;
    rig->shelf = &rig->pool->memories;
    rig->held = take(rig);
}

static void rig_open(struct Rig *rig) {
    rig_open_with(rig, "total_memories=1");
}

static void rig_close(struct Rig *rig) {
    expect_no_trace(rig->shelf);
    fixture_close(&rig->fixture);
}

static int try(struct Rig *rig, uint64_t deadline_ns) {
    struct Taken taken;

    return shelf_take(rig->shelf, &(struct Wish){.deadline_ns = deadline_ns}, &taken, &rig->fixture.error);
}

/* Taken by who waited, as it was released: it never was idle. */
static void expect_served(struct Waiter *waiter, const struct Taken *slot, uint64_t word) {
    waiter_join(waiter, 0);
    expect_eq(waiter->taken.index, slot->index);
    expect_eq(waiter->word, word);
    expect_eq(slot->slot->where, SLOT_HELD);
}

/* ------------------------------------------------------------------------------------------------ in order */

Test(wait, ends_with_another_threads_release) {
    struct Waiter waiter;
    struct Rig rig;
    uint64_t word;

    rig_open(&rig);
    word = lease_load(rig.held.entry);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    shelf_release(&rig.held);
    /* At once, and not by way of a lane. */
    expect_eq(wait_count(rig.shelf), 0);
    cr_assert(!shelf_has_idle(rig.shelf), "the slot lies in a lane");
    expect_eq(lease_load(rig.held.entry), word);
    expect_served(&waiter, &rig.held, word);
    shelf_release(&waiter.taken);
    expect_str(lease_word_name(lease_load(rig.held.entry)), "idle");
    expect_eq(take(&rig).index, rig.held.index);
    rig_close(&rig);
}

Test(wait, serves_in_order) {
    struct Waiter waiters[4];
    struct Taken slots[4];
    struct Rig rig;

    rig_open_with(&rig, "total_memories=4");
    slots[0] = rig.held;
    for (int i = 1; i < 4; i++)
        slots[i] = take(&rig);
    for (int i = 0; i < 4; i++)
        waiter_start(&waiters[i], rig.shelf, WAITER_LONG_MS);
    for (int i = 3; i >= 0; i--)
        shelf_release(&slots[i]);
    for (int i = 0; i < 4; i++)
        expect_served(&waiters[i], &slots[3 - i], lease_word(0, LEASE_BUSY));
    rig_close(&rig);
}

/* What was granted without a wake-up is found by who comes next, and is the first one's. */
Test(wait, serves_in_order_whoever_finds_the_slot) {
    struct Waiter first, second;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&first, rig.shelf, WAITER_LONG_MS);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    rig.pool->limits.total_memories = 2;
    waiter_launch(&second, rig.shelf, WAITER_LONG_MS);
    waiter_join(&first, 0);
    cr_assert(host_await(wait_count(rig.shelf) == 1, WAITER_AWAIT_MS));
    cr_assert_neq(first.taken.index, rig.held.index);
    shelf_release(&rig.held);
    expect_served(&second, &rig.held, lease_word(0, LEASE_BUSY));
    rig_close(&rig);
}

/* Nobody who comes later overtakes, and who does not want to wait is told at once, as they were. */
Test(wait, is_not_overtaken) {
    struct Waiter waiter, late;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    expect_result(&rig.fixture, try(&rig, 0), WASMPOOL_E_LIMIT);
    expect_limit(&rig.fixture, "total_memories", 1, 1);
    cr_assert_null(strstr(rig.fixture.error.message, "waited"));
    waiter_start(&late, rig.shelf, WAITER_LONG_MS);
    /* Also when there is one to be had. */
    rig.pool->limits.total_memories = 2;
    expect_result(&rig.fixture, try(&rig, 0), WASMPOOL_E_LIMIT);
    expect_eq(rig.pool->granted[KIND_MEMORY], 1);
    rig.pool->limits.total_memories = 1;
    expect_result(&rig.fixture, try(&rig, waiter_deadline_ns(5)), WASMPOOL_E_LIMIT);
    expect_waited(&rig.fixture.error, "total_memories", 1, 1);
    expect_eq(wait_count(rig.shelf), 2);
    shelf_release(&rig.held);
    waiter_join(&waiter, 0);
    shelf_release(&waiter.taken);
    waiter_join(&late, 0);
    rig_close(&rig);
}

/* It came to lie in a lane when nobody waited yet. */
Test(wait, is_not_overtaken_to_what_lies_in_a_lane) {
    struct Waiter waiter;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    lane_lock(&rig.shelf->lanes[0]);
    expect_eq(lane_put(&rig.shelf->lanes[0], &rig.held), 0);
    lane_unlock(&rig.shelf->lanes[0]);
    expect_result(&rig.fixture, try(&rig, 0), WASMPOOL_E_LIMIT);
    lease_wake(rig.pool->connection->table);
    waiter_join(&waiter, 0);
    expect_eq(waiter.taken.index, rig.held.index);
    rig_close(&rig);
}

Test(wait, ends_with_a_grant) {
    struct Waiter waiter;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    rig.pool->limits.total_memories = 2;
    lease_wake(rig.pool->connection->table);
    waiter_join(&waiter, 0);
    cr_assert_neq(waiter.taken.index, rig.held.index);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ deadlines */

Test(wait, is_none_when_the_deadline_has_passed) {
    struct Rig rig;

    rig_open(&rig);
    expect_result(&rig.fixture, try(&rig, 1), WASMPOOL_E_LIMIT);
    expect_waited(&rig.fixture.error, "total_memories", 1, 1);
    expect_says(rig.fixture.error.message, "waited 0 ms: ");
    expect_result(&rig.fixture, try(&rig, clock_now_ns()), WASMPOOL_E_LIMIT);
    expect_eq(waiter_sleeps, 0);
    expect_no_trace(rig.shelf);
    shelf_release(&rig.held);
    expect_result(&rig.fixture, try(&rig, 1), 0); /* what is there needs no time */
    rig_close(&rig);
}

Test(wait, ends_when_the_deadline_passes) {
    uint64_t deadline_ns;
    struct Rig rig;

    rig_open(&rig);
    deadline_ns = waiter_deadline_ns(20);
    expect_result(&rig.fixture, try(&rig, deadline_ns), WASMPOOL_E_LIMIT);
    cr_assert(clock_now_ns() >= deadline_ns, "%" PRIu64 " ns too early", deadline_ns - clock_now_ns());
    cr_assert(waiter_sleeps > 0);
    expect_waited(&rig.fixture.error, "total_memories", 1, 1);
    expect_no_trace(rig.shelf);
    /* And without anyone who wants to know why. */
    expect_eq(shelf_take(rig.shelf, &(struct Wish){.deadline_ns = waiter_deadline_ns(1)}, &rig.held, NULL),
              WASMPOOL_E_LIMIT);
    rig_close(&rig);
}

Test(wait, may_be_for_ever) {
    struct Waiter waiter = {.wish.deadline_ns = UINT64_MAX};
    struct Rig rig;

    rig_open(&rig);
    waiter.shelf = rig.shelf;
    cr_assert_eq(pthread_create(&waiter.thread, NULL, waiter_run, &waiter), 0);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS));
    shelf_release(&rig.held);
    waiter_join(&waiter, 0);
    rig_close(&rig);
}

static void join_too_late(struct Waiter *waiter) {
    waiter_join(waiter, WASMPOOL_E_LIMIT);
    cr_assert(waiter->ended_ns >= waiter->wish.deadline_ns, "%" PRIu64 " ns too early",
              waiter->wish.deadline_ns - waiter->ended_ns);
    expect_waited(&waiter->error, "total_memories", 1, 1);
}

/* From the queue's middle, end and beginning. */
Test(wait, that_is_given_up_leaves_no_trace) {
    struct Waiter a, b, c, d;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&a, rig.shelf, WAITER_SHORT_MS);
    waiter_start(&b, rig.shelf, WAITER_LONG_MS);
    waiter_start(&c, rig.shelf, WAITER_SHORT_MS);
    waiter_start(&d, rig.shelf, WAITER_LONG_MS);
    join_too_late(&a);
    join_too_late(&c);
    waiter_launch(&a, rig.shelf, 1);
    join_too_late(&a);
    waiter_start(&c, rig.shelf, WAITER_LONG_MS);
    expect_eq(wait_count(rig.shelf), 3);
    shelf_release(&rig.held);
    waiter_join(&b, 0);
    shelf_release(&b.taken);
    waiter_join(&d, 0);
    shelf_release(&d.taken);
    waiter_join(&c, 0);
    expect_no_trace(rig.shelf);
    shelf_release(&c.taken); /* to a lane */
    expect_eq(shelf_has_idle(rig.shelf), true);
    rig_close(&rig);
}

/* Who is first now sees to it that grants are noticed. */
Test(wait, of_the_first_one_is_handed_on) {
    struct Waiter first, second;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&first, rig.shelf, WAITER_SHORT_MS);
    waiter_start(&second, rig.shelf, WAITER_LONG_MS);
    join_too_late(&first);
    cr_assert(host_await(wait_is_watched(rig.shelf), WAITER_AWAIT_MS), "nobody watches for grants");
    rig.pool->limits.total_memories = 2;
    lease_wake(rig.pool->connection->table);
    waiter_join(&second, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ moments */

static void release_held(void *argument) {
    struct Rig *rig = argument;

    shelf_release(&rig->held);
}

static void expect_taken_again(struct Rig *rig, unsigned sleeps) {
    struct Taken taken;

    cr_assert_eq(shelf_take(rig->shelf, &(struct Wish){.deadline_ns = waiter_deadline_ns(WAITER_LONG_MS)}, &taken,
                            &rig->fixture.error),
                 0, "%s", rig->fixture.error.message);
    expect_eq(taken.index, rig->held.index);
    expect_str(lease_word_name(lease_load(taken.entry)), "busy");
    expect_eq(taken.slot->where, SLOT_HELD);
    expect_eq(waiter_sleeps, sleeps);
}

/* It lies in a lane by the time somebody waits. */
Test(wait, finds_what_was_released_between_the_refusal_and_joining) {
    struct Rig rig;

    rig_open(&rig);
    waiter_at_queue = (struct Moment){release_held, &rig, false};
    expect_taken_again(&rig, 0);
    rig_close(&rig);
}

Test(wait, is_woken_by_a_release_just_before_it_sleeps) {
    struct Rig rig;

    rig_open(&rig);
    waiter_at_sleep = (struct Moment){release_held, &rig, false};
    expect_taken_again(&rig, 1);
    rig_close(&rig);
}

static void nap_and_release(void *argument) {
    struct Rig *rig = argument;

    host_await(false, 600);
    shelf_release(&rig->held);
}

/* What was handed over is not lost, however late it is. */
Test(wait, that_was_served_late_is_served) {
    struct Rig rig;

    rig_open(&rig);
    waiter_at_sleep = (struct Moment){nap_and_release, &rig, false};
    expect_result(&rig.fixture, try(&rig, waiter_deadline_ns(500)), 0);
    expect_eq(wait_count(rig.shelf), 0);
    rig_close(&rig);
}

/* A source that does something when it is called for the n-th time. */
static struct {
    const struct Source *real;
    struct Source source;
    struct Rig *rig;
    int n_reach, acts_at;
    int result; /* of that call */
} meddler;

static void meddle(struct Rig *rig, int acts_at, int result) {
    meddler.real = rig->pool->source;
    meddler.source = *meddler.real;
    meddler.rig = rig;
    meddler.n_reach = 0;
    meddler.acts_at = acts_at;
    meddler.result = result;
    rig->pool->source = &meddler.source;
}

static int release_at_reach(struct wasmpool *pool, struct wasmpool_error *error) {
    if (++meddler.n_reach != meddler.acts_at)
        return meddler.real->reach(pool, error);
    shelf_release(&meddler.rig->held);
    return meddler.result ? error_set(failure(error), meddler.result, "meddled with") : 0;
}

/* Once to ask, which is refused, and then by who has joined, before it looks. */
Test(wait, is_served_before_it_has_looked) {
    struct Rig rig;

    rig_open(&rig);
    meddle(&rig, 2, 0);
    meddler.source.reach = release_at_reach;
    expect_taken_again(&rig, 0);
    expect_eq(meddler.n_reach, 2);
    expect_eq(lease_generation(lease_load(rig.held.entry)), 0);
    rig_close(&rig);
}

Test(wait, that_was_served_does_not_fail_with_its_source) {
    struct Rig rig;

    rig_open(&rig);
    meddle(&rig, 2, WASMPOOL_E_UNAVAILABLE);
    meddler.source.reach = release_at_reach;
    expect_taken_again(&rig, 0);
    rig_close(&rig);
}

static int fail_at_reach(struct wasmpool *pool, struct wasmpool_error *error) {
    if (++meddler.n_reach != meddler.acts_at)
        return meddler.real->reach(pool, error);
    return error_set(failure(error), meddler.result, "meddled with");
}

Test(wait, fails_with_its_source) {
    struct Rig rig;

    rig_open(&rig);
    meddle(&rig, 2, WASMPOOL_E_UNAVAILABLE);
    meddler.source.reach = fail_at_reach;
    expect_result(&rig.fixture, try(&rig, waiter_deadline_ns(WAITER_LONG_MS)), WASMPOOL_E_UNAVAILABLE);
    expect_str(rig.fixture.error.message, "meddled with");
    expect_no_trace(rig.shelf);
    shelf_release(&rig.held);
    expect_eq(shelf_has_idle(rig.shelf), true);
    rig_close(&rig);
}

/* As the daemon would: behind the back of who has just looked. */
static int grant_unseen(struct wasmpool *pool, struct Slab *slab, uint32_t n, struct wasmpool_error *error) {
    struct LeaseEntry *entry = slab_entry(slab, 63);
    int r = meddler.real->wait_for(pool, slab, n, error);

    if (!lease_grant(entry, lease_generation(lease_load(entry))))
        lease_wake(pool->connection->table);
    return r;
}

static void nothing(void *argument) {
    (void)argument;
}

Test(wait, does_not_sleep_through_a_grant_that_came_after_its_look) {
    struct Taken taken;
    struct Rig rig;

    rig_open(&rig);
    meddle(&rig, 0, 0);
    meddler.source.wait_for = grant_unseen;
    waiter_at_sleep = (struct Moment){nothing, NULL, false};
    cr_assert_eq(
        shelf_take(rig.shelf, &(struct Wish){.deadline_ns = waiter_deadline_ns(WAITER_LONG_MS)}, &taken, NULL), 0);
    expect_eq(taken.index, 63);
    expect_eq(waiter_sleeps, 1);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ recall */

/* It is the owner's, whoever waits here. */
Test(wait, does_not_get_a_slot_that_was_recalled) {
    struct Waiter waiter;
    struct Rig rig;

    rig_open(&rig);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    expect_eq(lease_recall(rig.held.entry, 0), 0);
    shelf_release(&rig.held);
    expect_str(lease_word_name(lease_load(rig.held.entry)), "vacant");
    expect_eq(rig.held.slot->where, SLOT_AWAY);
    expect_eq(wait_count(rig.shelf), 1);
    expect_eq(lease_grant(rig.held.entry, 1), 0);
    lease_wake(rig.pool->connection->table);
    waiter_join(&waiter, 0);
    expect_eq(waiter.word, lease_word(1, LEASE_BUSY));
    expect_eq(waiter.taken.slot->provenance, PROVENANCE_EMPTY);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ kin */

/* One total for tables of two element sizes. */
static void kin_open(struct Rig *rig, int mine) {
    *rig = (struct Rig){0};
    fixture_open_with(&rig->fixture, EMBEDDED, (struct wasmpool_options){.funcref_size = 24},
                      (const char *const[]){"total_tables=1", NULL});
    rig->pool = rig->fixture.pool;
    rig->shelf = &rig->pool->tables[mine];
    rig->held = take(rig);
    rig->shelf = rig->shelf->kin;
    cr_assert(rig->shelf == &rig->pool->tables[!mine]);
}

static void expect_kin_served(int mine) {
    struct Waiter waiter;
    struct Rig rig;

    kin_open(&rig, mine);
    waiter_start(&waiter, rig.shelf, WAITER_LONG_MS);
    expect_eq(rig.shelf->kin->n_kin_waiters, 1);
    shelf_release(&rig.held);
    waiter_join(&waiter, 0);
    cr_assert(waiter.taken.slab->shelf == rig.shelf, "the slot is of the other element size");
    expect_str(lease_word_name(lease_load(rig.held.entry)), "vacant");
    expect_eq(rig.pool->granted[KIND_TABLE], 1);
    rig_close(&rig);
}

Test(wait, ends_with_the_release_of_a_table_of_another_element_size) {
    expect_kin_served(0);
    expect_kin_served(1);
}

Test(wait, is_woken_by_the_release_of_a_table_of_another_element_size) {
    struct Taken taken;
    struct Rig rig;

    kin_open(&rig, 0);
    waiter_at_sleep = (struct Moment){release_held, &rig, false};
    cr_assert_eq(
        shelf_take(rig.shelf, &(struct Wish){.deadline_ns = waiter_deadline_ns(WAITER_LONG_MS)}, &taken, NULL), 0);
    expect_eq(waiter_sleeps, 1);
    rig_close(&rig);
}

Test(wait, for_a_table_that_is_given_up_leaves_no_trace_at_the_other_size) {
    struct Rig rig;

    kin_open(&rig, 0);
    expect_result(&rig.fixture, try(&rig, waiter_deadline_ns(5)), WASMPOOL_E_LIMIT);
    expect_waited(&rig.fixture.error, "total_tables", 1, 1);
    expect_no_trace(rig.shelf);
    shelf_release(&rig.held);
    rig_close(&rig);
}

/* ------------------------------------------------------------------------------------------------ requests */

struct Requester {
    struct wasmpool_request request;
    struct wasmpool *pool;
    pthread_t thread;
    int result;
    struct wasmpool_instance *instance;
    struct wasmpool_error error;
};

static void *requester_run(void *argument) {
    struct Requester *requester = argument;

    requester->result = wasmpool_allocate_module(requester->pool, &requester->request, &requester->instance,
                                                 &requester->error);
    return NULL;
}

static struct Shelf *shelf_of(struct wasmpool *pool, enum Kind kind) {
    return kind == KIND_MEMORY ? &pool->memories : kind == KIND_TABLE ? &pool->tables[0] : &pool->instances;
}

/* One is allocated, all there is of a kind; another is requested, with everything before that kind in its hands. */
static void expect_request_served(enum Kind kind, const char *setting) {
    struct wasmpool_module *module = fixture_module(1, 1, 1, 10);
    struct wasmpool_instance *first = NULL;
    struct Requester requester = {.request.module = module};
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, setting);
    expect_result(&fixture, fixture_allocate(&fixture, module, &first), 0);
    memset(wasmpool_instance_memory(first, 0)->base, 0xfe, WASM_PAGE);
    requester.pool = fixture.pool;
    requester.request.deadline_ns = waiter_deadline_ns(WAITER_LONG_MS);
    cr_assert_eq(pthread_create(&requester.thread, NULL, requester_run, &requester), 0);
    cr_assert(host_await(wait_count(shelf_of(fixture.pool, kind)) == 1, WAITER_AWAIT_MS));
    fixture_expect_use(&fixture, kind == KIND_INSTANCE ? 1 : 2, kind == KIND_TABLE ? 2 : 1, 1);
    wasmpool_deallocate_module(&first);
    pthread_join(requester.thread, NULL);
    cr_assert_eq(requester.result, 0, "%s", requester.error.message);
    expect_zero(wasmpool_instance_memory(requester.instance, 0)->base, WASM_PAGE);
    fixture_expect_use(&fixture, 1, 1, 1);
    wasmpool_deallocate_module(&requester.instance);
    expect_no_trace(shelf_of(fixture.pool, kind));
    fixture_close(&fixture);
    wasmpool_module_free(module);
}

Test(wait, of_a_request_is_for_its_permit) {
    expect_request_served(KIND_INSTANCE, "total_core_instances=1");
}

Test(wait, of_a_request_is_for_its_memory) {
    expect_request_served(KIND_MEMORY, "total_memories=1");
}

Test(wait, of_a_request_is_for_its_table) {
    expect_request_served(KIND_TABLE, "total_tables=1");
}

static void expect_rolled_back(const char *setting, const char *limit, uint64_t bound, uint64_t memories) {
    struct wasmpool_module *module = fixture_module((uint32_t)memories, 1, 1, 10);
    struct wasmpool_instance *first = NULL, *second = NULL;
    struct wasmpool_request request = {.module = module};
    struct Fixture fixture;

    fixture_open(&fixture, EMBEDDED, setting, "max_memories_per_module=2");
    expect_result(&fixture, fixture_allocate(&fixture, module, &first), 0);
    request.deadline_ns = waiter_deadline_ns(10);
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &second, &fixture.error),
                  WASMPOOL_E_LIMIT);
    expect_waited(&fixture.error, limit, bound, bound);
    cr_assert(clock_now_ns() >= request.deadline_ns);
    cr_assert_null(second);
    fixture_expect_use(&fixture, 1, memories, 1);
    wasmpool_deallocate_module(&first);
    expect_result(&fixture, wasmpool_allocate_module(fixture.pool, &request, &second, &fixture.error), 0);
    wasmpool_deallocate_module(&second);
    fixture_expect_use(&fixture, 0, 0, 0);
    fixture_close(&fixture);
    wasmpool_module_free(module);
}

Test(wait, of_a_request_that_is_given_up_is_rolled_back) {
    expect_rolled_back("total_core_instances=1", "total_core_instances", 1, 1);
    expect_rolled_back("total_memories=1", "total_memories", 1, 1);
    expect_rolled_back("total_memories=3", "total_memories", 3, 2); /* one of two memories came */
    expect_rolled_back("total_tables=1", "total_tables", 1, 1);
}
