/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/planner.h"
#include "tests/support/test.h"

static struct Planner planner;

/* Timed resets that are all alike. */
static void learn(unsigned n, const struct PlannerSample *sample) {
    while (n--)
        planner_learn(&planner, sample);
}

static const struct PlannerSample still = {.count_ns = 300, .counted = true, .still = true, .hot = 4, .pages = 256};
static const struct PlannerSample moving = {.count_ns = 300, .counted = true, .hot = 4, .pages = 256};

Test(planner, begins_with_the_count) {
    planner_init(&planner);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
    learn(100, &still);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
}

Test(planner, leaves_out_the_count_where_it_moves_all_the_time) {
    planner_init(&planner);
    planner_learn_scan(&planner, 1000);
    learn(100, &moving);
    expect_eq(planner_way(&planner), LEASE_RESET_SCAN);
}

Test(planner, keeps_the_count_where_scans_cost_much_more) {
    struct PlannerSample now_and_then[2] = {still, moving};

    planner_init(&planner);
    planner_learn_scan(&planner, 30000);
    for (unsigned i = 0; i < 200; i++)
        learn(1, &now_and_then[i % 2]);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
}

Test(planner, leaves_out_the_count_where_threads_make_it_dear) {
    struct PlannerSample dear = still;

    planner_init(&planner);
    dear.count_ns = 21000;
    planner_learn_scan(&planner, 1300);
    learn(100, &dear);
    expect_eq(planner_way(&planner), LEASE_RESET_SCAN);
}

Test(planner, takes_up_the_count_again_where_it_stands_still) {
    planner_init(&planner);
    planner_learn_scan(&planner, 1000);
    learn(100, &moving);
    cr_assert_eq(planner_way(&planner), LEASE_RESET_SCAN);
    learn(100, &still);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
}

/* A scan that was interrupted is not what scans cost. */
Test(planner, is_not_led_astray_by_one_that_took_much_longer) {
    struct PlannerSample dear = still, interrupted = still;

    planner_init(&planner);
    dear.count_ns = 21000;
    planner_learn_scan(&planner, 700);
    learn(100, &dear);
    cr_assert_eq(planner_way(&planner), LEASE_RESET_SCAN);
    planner_learn_scan(&planner, 3000000);
    learn(100, &dear);
    expect_eq(planner_way(&planner), LEASE_RESET_SCAN);
    planner_init(&planner);
    planner_learn_scan(&planner, 30000);
    learn(100, &still);
    interrupted.count_ns = 4000000;
    learn(1, &interrupted);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
}

/* Not even if it was the first. */
Test(planner, forgets_a_first_one_that_took_much_longer) {
    struct PlannerSample dear = still;

    planner_init(&planner);
    dear.count_ns = 21000;
    planner_learn_scan(&planner, 3000000);
    learn(100, &dear);
    cr_assert_eq(planner_way(&planner), LEASE_RESET_COUNT);
    planner_learn_scan(&planner, 700);
    learn(1, &dear);
    expect_eq(planner_way(&planner), LEASE_RESET_SCAN);
}

Test(planner, asks_for_the_count_seldom_where_that_is_dear) {
    struct PlannerSample dear = still;

    planner_init(&planner);
    expect_eq(planner_every(&planner, LEASE_RESET_SCAN), PLANNER_EVERY);
    dear.count_ns = 21000;
    planner_learn_scan(&planner, 1300);
    learn(100, &dear);
    cr_expect_leq(2 * 21000, planner_every(&planner, LEASE_RESET_SCAN) * 1300 / 100);
    expect_eq(planner_every(&planner, LEASE_RESET_COUNT), PLANNER_EVERY);
    dear.count_ns = UINT32_MAX;
    learn(100, &dear);
    expect_eq(planner_every(&planner, LEASE_RESET_SCAN), PLANNER_EVERY_MAX);
}

/* Between what costs about the same it stays with what it has. */
Test(planner, does_not_take_turns) {
    struct PlannerSample samples[2] = {still, moving};
    unsigned changes = 0;
    enum LeaseReset before;

    planner_init(&planner);
    planner_learn_scan(&planner, 600);
    for (unsigned i = 0; i < 1000; i++) {
        before = planner_way(&planner);
        learn(1, &samples[i / 2 % 2]);
        changes += planner_way(&planner) != before;
    }
    cr_expect_leq(changes, 1, "%u changes", changes);
}

Test(planner, writes_everything_where_most_is_hot) {
    struct PlannerSample hot = still;

    planner_init(&planner);
    hot.hot = hot.pages / 2;
    learn(100, &hot);
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
    hot.hot = hot.pages / 4 * 3;
    learn(1, &hot);
    expect_eq(planner_way(&planner), LEASE_RESET_WHOLE);
}

/* Each time for longer, so that trying costs less and less. */
Test(planner, tries_now_and_then_whether_still_most_is_hot) {
    struct PlannerSample hot = still, whole = {0};
    unsigned lasted[6];

    planner_init(&planner);
    hot.hot = hot.pages;
    for (unsigned i = 0; i < 6; i++) {
        learn(1, &hot);
        cr_assert_eq(planner_way(&planner), LEASE_RESET_WHOLE);
        for (lasted[i] = 0; planner_way(&planner) == LEASE_RESET_WHOLE && lasted[i] < 1000000; lasted[i]++)
            learn(1, &whole);
        cr_expect(!i || lasted[i] == 2 * lasted[i - 1], "%u after %u", lasted[i], lasted[i - 1]);
    }
    expect_eq(planner_way(&planner), LEASE_RESET_COUNT);
}
