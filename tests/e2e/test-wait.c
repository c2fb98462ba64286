/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Requests with a deadline, in a process that has nothing, for what another process holds. Both use the library. */

#include "tests/e2e/fleet.h"

#include "client/pool.h"

#include <pthread.h>

RIG_SUITE(wait);

#define TOTAL 4
#define REQUESTS_MAX 2
#define DEADLINE_MS 50000 /* far longer than anything takes here */

static const char *const few[] = {"total_memories=4", NULL};

static uint64_t deadline_ns(void) {
    return (uint64_t)(host_now_ms() + DEADLINE_MS) * 1000000;
}

static int allocate(const struct Worker *worker, struct wasmpool_instance **instancep, struct wasmpool_error *error) {
    struct wasmpool_request request = {.module = worker->module, .label = "wait", .deadline_ns = deadline_ns()};

    return wasmpool_allocate_module(worker->pool, &request, instancep, error);
}

/* ------------------------------------------------------------------------------------------------ who holds */

enum Order { ORDER_NONE, ORDER_RELEASE_RECALLED, ORDER_RETAKE_ALL, ORDER_CHURN, ORDER_END };

struct Holder {
    _Atomic int order;
    _Atomic uint32_t n_held, n_recalled;
    _Atomic uint64_t cycles;
    pid_t pid;
    bool idle; /* it releases everything first */
    /* Its own. */
    struct Worker worker;
    struct wasmpool_instance *instances[TOTAL];
};

static bool is_recalled(struct wasmpool *pool, struct wasmpool_instance *instance) {
    struct Taken taken;

    return shelf_find(pool, wasmpool_instance_memory(instance, 0)->allocation, &taken) &&
           lease_load(taken.entry) & LEASE_RECALL;
}

static void holder_look(struct Holder *holder) {
    uint32_t n_recalled = 0;

    for (uint32_t i = 0; i < holder->n_held; i++)
        n_recalled += is_recalled(holder->worker.pool, holder->instances[i]);
    holder->n_recalled = n_recalled;
}

static void holder_fill(struct Holder *holder) {
    struct wasmpool_error error;

    while (holder->n_held < TOTAL) {
        host_demand(!allocate(&holder->worker, &holder->instances[holder->n_held], &error), "%s", error.message);
        instance_fill(holder->instances[holder->n_held], 0xfe);
        holder->n_held++;
    }
}

static void holder_release(struct Holder *holder, uint32_t n) {
    while (n-- && holder->n_held)
        wasmpool_deallocate_module(&holder->instances[--holder->n_held]);
}

/* One of those that the daemon chose: the longer it takes, the more it chooses. */
static void holder_release_recalled(struct Holder *holder) {
    for (uint32_t i = 0; i < holder->n_held; i++)
        if (is_recalled(holder->worker.pool, holder->instances[i])) {
            struct wasmpool_instance *last = holder->instances[holder->n_held - 1];

            holder->instances[holder->n_held - 1] = holder->instances[i];
            holder->instances[i] = last;
            holder_release(holder, 1);
            return;
        }
}

static void holder_obey(struct Holder *holder, int order) {
    switch (order) {
    case ORDER_RELEASE_RECALLED:
        holder_release_recalled(holder);
        break;
    case ORDER_RETAKE_ALL:
        holder_release(holder, TOTAL);
        holder_fill(holder);
        break;
    case ORDER_CHURN:
        while (holder->order == ORDER_CHURN) {
            holder_release(holder, TOTAL);
            holder_fill(holder);
            holder->cycles++;
        }
        break;
    }
}

static void hold(void *argument) {
    struct Holder *holder = argument;

    worker_open(&holder->worker, rig.daemon.address);
    holder_fill(holder);
    if (holder->idle)
        holder_release(holder, TOTAL);
    for (int order; (order = holder->order) != ORDER_END;) {
        holder_obey(holder, order);
        holder_look(holder);
        atomic_compare_exchange_strong(&holder->order, &order, ORDER_NONE);
        host_nap();
    }
    holder_release(holder, TOTAL);
    worker_close(&holder->worker);
}

static struct Holder *holder_start(bool idle) {
    struct Holder *holder = host_share(sizeof(*holder));

    holder->idle = idle;
    holder->pid = host_fork(hold, holder);
    rig_await_granted(KIND_MEMORY, TOTAL);
    cr_assert(host_await(holder->n_held == (idle ? 0 : TOTAL), RIG_AWAIT_MS), "%u slots are held", holder->n_held);
    return holder;
}

static void holder_end(struct Holder *holder) {
    holder->order = ORDER_END;
    expect_eq(host_join(holder->pid), 0);
    host_unshare(holder, sizeof(*holder));
}

static void holder_do(struct Holder *holder, int order) {
    holder->order = order;
    cr_assert(host_await(holder->order == ORDER_NONE, RIG_AWAIT_MS), "nobody obeys");
}

/* ------------------------------------------------------------------------------------------------ who waits */

struct Seeker {
    _Atomic uint32_t n_wanted; /* threads that request; more may come later */
    _Atomic uint32_t n_waiting, n_ended;
    _Atomic uint32_t turns[REQUESTS_MAX]; /* the how manieth a request ended as; from 1 */
    int results[REQUESTS_MAX];
    char messages[REQUESTS_MAX][256];
    uint64_t connections;
    _Atomic bool ends;
    pid_t pid;
    struct Worker worker;
};

struct Seeking {
    struct Seeker *seeker;
    uint32_t index;
    pthread_t thread;
    struct wasmpool_instance *instance;
};

static void *seek_one(void *argument) {
    struct Seeking *seeking = argument;
    struct Seeker *seeker = seeking->seeker;
    struct wasmpool_error error = {0};

    seeker->results[seeking->index] = allocate(&seeker->worker, &seeking->instance, &error);
    strcpy(seeker->messages[seeking->index], error.message);
    if (seeking->instance)
        host_demand(instance_is(seeking->instance, 0), "a memory that came from another process is not empty");
    seeker->turns[seeking->index] = ++seeker->n_ended;
    return NULL;
}

static void seek(void *argument) {
    struct Seeker *seeker = argument;
    struct Seeking seekings[REQUESTS_MAX] = {0};
    uint32_t n = 0;

    worker_open(&seeker->worker, rig.daemon.address);
    while (!seeker->ends) {
        for (; n < seeker->n_wanted; n++) {
            seekings[n] = (struct Seeking){.seeker = seeker, .index = n};
            pthread_create(&seekings[n].thread, NULL, seek_one, &seekings[n]);
        }
        seeker->n_waiting = wait_count(&seeker->worker.pool->memories);
        host_nap();
    }
    for (uint32_t i = 0; i < n; i++) {
        pthread_join(seekings[i].thread, NULL);
        wasmpool_deallocate_module(&seekings[i].instance);
    }
    worker_close(&seeker->worker);
}

/* They stand in the queue when this returns. */
static void seeker_want(struct Seeker *seeker, uint32_t n) {
    seeker->n_wanted = n;
    cr_assert(host_await(seeker->n_waiting == n, RIG_AWAIT_MS), "%u wait, not %u", seeker->n_waiting, n);
}

static struct Seeker *seeker_start(void) {
    struct Seeker *seeker = host_share(sizeof(*seeker));

    seeker->pid = host_fork(seek, seeker);
    return seeker;
}

static void seeker_end(struct Seeker *seeker) {
    seeker->ends = true;
    expect_eq(host_join(seeker->pid), 0);
    host_unshare(seeker, sizeof(*seeker));
}

static void expect_served(struct Seeker *seeker, uint32_t index, uint32_t turn) {
    cr_assert(host_await(seeker->n_ended >= turn, RIG_AWAIT_MS), "request %u still waits", index);
    cr_assert_eq(seeker->results[index], 0, "request %u: %s", index, seeker->messages[index]);
    expect_eq(seeker->turns[index], turn);
}

/* ------------------------------------------------------------------------------------------------ tests */

Test(wait, ends_when_another_process_releases_what_was_recalled) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    seeker = seeker_start();
    seeker_want(seeker, 1);
    cr_assert(host_await(holder->n_recalled, RIG_AWAIT_MS), "nothing is recalled");
    expect_eq(seeker->n_ended, 0);
    holder_do(holder, ORDER_RELEASE_RECALLED);
    expect_served(seeker, 0, 1);
    seeker_end(seeker);
    holder_end(holder);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
}

Test(wait, is_in_order) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    seeker = seeker_start();
    for (uint32_t n = 1; n <= REQUESTS_MAX; n++)
        seeker_want(seeker, n);
    cr_assert(host_await(holder->n_recalled >= REQUESTS_MAX, RIG_AWAIT_MS), "%u slots are recalled",
              holder->n_recalled);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        expect_eq(seeker->n_ended, i);
        holder_do(holder, ORDER_RELEASE_RECALLED);
        expect_served(seeker, i, i + 1);
    }
    seeker_end(seeker);
    holder_end(holder);
    rig_close();
}

Test(wait, is_none_for_what_is_idle_in_a_process_that_is_stopped) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(true);
    kill(holder->pid, SIGSTOP);
    seeker = seeker_start();
    seeker->n_wanted = 1;
    expect_served(seeker, 0, 1);
    kill(holder->pid, SIGCONT);
    seeker_end(seeker);
    holder_end(holder);
    rig_close();
}

Test(wait, ends_beside_a_process_that_never_rests) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    holder->order = ORDER_CHURN;
    cr_assert(host_await(holder->cycles > 100, RIG_AWAIT_MS));
    seeker = seeker_start();
    seeker->n_wanted = 1;
    expect_served(seeker, 0, 1);
    seeker_end(seeker); /* and with what it gives back the other one goes on */
    holder_end(holder);
    rig_expect_nothing_granted();
    rig_close();
}

Test(wait, of_a_process_that_is_killed_is_over) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    seeker = seeker_start();
    seeker_want(seeker, 1);
    cr_assert(host_await(holder->n_recalled, RIG_AWAIT_MS));
    kill(seeker->pid, SIGKILL);
    expect_eq(host_join(seeker->pid), 128 + SIGKILL);
    host_unshare(seeker, sizeof(*seeker));
    cr_assert(host_await(rig_status().connections == 2, RIG_AWAIT_MS)); /* the witness and who holds */
    /* What had been recalled for it comes back to who asks, and nothing is recalled any more. */
    holder_do(holder, ORDER_RETAKE_ALL);
    expect_eq(holder->n_held, TOTAL);
    for (int looks = 0; looks < 20; looks++) {
        host_nap();
        expect_eq(holder->n_recalled, 0);
    }
    expect_eq(rig_status().granted[KIND_MEMORY], TOTAL);
    holder_end(holder);
    rig_expect_sound();
    rig_close();
}

static void kill_daemon(void) {
    private_daemon_kill(&rig.daemon);
    peer_close(&rig.witness);
}

Test(wait, ends_with_the_daemon) {
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    seeker = seeker_start();
    for (uint32_t n = 1; n <= REQUESTS_MAX; n++)
        seeker_want(seeker, n);
    kill_daemon();
    cr_assert(host_await(seeker->n_ended == REQUESTS_MAX, RIG_AWAIT_MS), "%u of %d have noticed", seeker->n_ended,
              REQUESTS_MAX);
    for (int i = 0; i < REQUESTS_MAX; i++)
        cr_assert_eq(seeker->results[i], WASMPOOL_E_UNAVAILABLE, "%d: %s", seeker->results[i], seeker->messages[i]);
    seeker_end(seeker);
    holder_end(holder);
    private_daemon_stop(&rig.daemon);
}

/* Whose sockets nobody kept: it knows nothing of who holds what, and whoever needs it connects afresh. */
Test(wait, goes_on_at_the_daemon_that_comes_after) {
    const char *settings[] = {"--config=/dev/null", "log_level=notice", few[0], NULL};
    struct Holder *holder;
    struct Seeker *seeker;

    rig_open(few);
    holder = holder_start(false);
    seeker = seeker_start();
    seeker_want(seeker, 1);
    kill(seeker->pid, SIGSTOP); /* lest it look while there is none */
    kill_daemon();
    private_daemon_restart(&rig.daemon, settings);
    rig_settle();
    kill(seeker->pid, SIGCONT);
    expect_served(seeker, 0, 1);
    rig_await_granted(KIND_MEMORY, 1);
    seeker_end(seeker);
    holder_end(holder);
    rig_expect_nothing_granted();
    rig_close();
}
