/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_CLIENT_WAITER_H
#define TESTS_CLIENT_WAITER_H

/* Threads that wait for a slot, and moments between the steps of who waits: the programs that include this are linked
 * with --wrap=lease_wait and --wrap=pthread_cond_init, so that a test can act just before somebody sleeps, or joins. */

#include "client/pool.h"
#include "shared/clock.h"
#include "shared/lease.h"
#include "tests/support/host.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdio.h>

#define WAITER_AWAIT_MS 10000
#define WAITER_LONG_MS 60000 /* longer than anything takes here */
#define WAITER_SHORT_MS 2000 /* long enough for a few to come together in the queue, on a busy machine too */

/* What is called once, and then forgotten, when this thread comes to one of the moments. */
struct Moment {
    void (*act)(void *);
    void *argument;
    bool is_unseen; /* by this process: it does sleep, then */
};

static _Thread_local struct Moment waiter_at_sleep; /* the head, before it sleeps: after this it must not */
static _Thread_local struct Moment waiter_at_queue; /* whoever is about to join it */
static _Thread_local unsigned waiter_sleeps;        /* how many times the head came to sleep */

static inline bool moment_act(struct Moment *moment) {
    struct Moment once = *moment;

    *moment = (struct Moment){0};
    if (once.act)
        once.act(once.argument);
    return once.act;
}

int __real_lease_wait(struct LeaseTable *table, uint32_t seen, uint64_t timeout_ns);
int __wrap_lease_wait(struct LeaseTable *table, uint32_t seen, uint64_t timeout_ns);
int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes);

int __wrap_lease_wait(struct LeaseTable *table, uint32_t seen, uint64_t timeout_ns) {
    bool is_unseen = waiter_at_sleep.is_unseen;

    waiter_sleeps++;
    if (moment_act(&waiter_at_sleep) && !is_unseen)
        cr_assert_neq(atomic_load(&table->header.futex), seen, "it would sleep through what has happened");
    return __real_lease_wait(table, seen, timeout_ns);
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes) {
    moment_act(&waiter_at_queue);
    return __real_pthread_cond_init(cond, attributes);
}

static inline uint64_t waiter_deadline_ns(uint64_t ms) {
    return clock_now_ns() + ms * NS_PER_MS;
}

/* ------------------------------------------------------------------------------------------------ threads */

struct Waiter {
    struct Shelf *shelf;
    struct Wish wish;
    pthread_t thread;
    int result;
    struct Taken taken;
    uint64_t word; /* of the slot, when it came */
    uint64_t ended_ns;
    struct wasmpool_error error;
};

static inline void *waiter_run(void *argument) {
    struct Waiter *waiter = argument;

    waiter->result = shelf_take(waiter->shelf, &waiter->wish, &waiter->taken, &waiter->error);
    waiter->ended_ns = clock_now_ns();
    if (!waiter->result)
        waiter->word = lease_load(waiter->taken.entry);
    return NULL;
}

/* Without seeing to it that it stands in the queue. */
static inline void waiter_launch(struct Waiter *waiter, struct Shelf *shelf, uint64_t ms) {
    *waiter = (struct Waiter){.shelf = shelf, .wish = {.deadline_ns = waiter_deadline_ns(ms)}};
    cr_assert_eq(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
}

/* The next in the queue. */
static inline void waiter_start(struct Waiter *waiter, struct Shelf *shelf, uint64_t ms) {
    uint32_t n = wait_count(shelf);

    waiter_launch(waiter, shelf, ms);
    cr_assert(host_await(wait_count(shelf) == n + 1, WAITER_AWAIT_MS), "%u stand in the queue, not %u",
              wait_count(shelf), n + 1);
}

static inline void waiter_join(struct Waiter *waiter, int result) {
    pthread_join(waiter->thread, NULL);
    cr_assert(waiter->result == result, "who waits gets %d (%s), not %d", waiter->result,
              waiter->result ? waiter->error.message : "a slot", result);
}

static inline bool wait_is_watched(struct Shelf *shelf) {
    bool is_watched;

    pthread_mutex_lock(&shelf->wait.lock);
    is_watched = shelf->wait.watched;
    pthread_mutex_unlock(&shelf->wait.lock);
    return is_watched;
}

/* Nobody waits, and nothing is left of those who did. */
static inline void expect_no_trace(struct Shelf *shelf) {
    expect_eq(wait_count(shelf), 0);
    expect_eq(shelf->n_kin_waiters, 0);
    if (shelf->kin)
        expect_eq(shelf->kin->n_kin_waiters, 0);
    cr_assert_null(shelf->wait.first);
    cr_assert(shelf->wait.lastp == &shelf->wait.first, "the queue's end is not its beginning");
    cr_assert_null(shelf->wait.watched);
    cr_assert_null(shelf->awaited);
}

/* "waited N ms: " */
static inline void expect_waited(const struct wasmpool_error *error, const char *limit, uint64_t bound, uint64_t use) {
    unsigned long ms;
    int n = 0;

    cr_assert(sscanf(error->message, "waited %lu ms: %n", &ms, &n) == 1 && n, "'%s' does not say how long",
              error->message);
    cr_assert_null(strstr(error->message + n, "waited"), "it says so twice: '%s'", error->message);
    expect_says(error->message, limit);
    expect_str(error->limit, limit);
    expect_eq(error->bound, bound);
    expect_eq(error->use, use);
    expect_eq(error->code, WASMPOOL_E_LIMIT);
}

#endif
