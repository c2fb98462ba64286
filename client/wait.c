/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/wait.h"

#include "client/demand.h"
#include "client/pool.h"
#include "shared/clock.h"

#include <inttypes.h>
#include <stdio.h>

/* On the stack of who waits. Under the queue's lock. */
struct Ticket {
    struct Ticket *next;
    uint64_t image_id;
    bool is_served;
    struct Taken taken;
    const struct wasmpool_error *refusal;
    pthread_cond_t changed; /* served, or first */
};

void wait_init(struct Wait *wait) {
    pthread_mutex_init(&wait->lock, NULL);
    wait->first = NULL;
    wait->lastp = &wait->first;
    wait->watched = NULL;
}

void wait_deinit(struct Wait *wait) {
    pthread_mutex_destroy(&wait->lock);
}

/* ------------------------------------------------------------------------------------------------ queue */

uint32_t wait_count(const struct Shelf *shelf) {
    return atomic_load(&((struct Shelf *)shelf)->n_waiters);
}

/* Counted before anything is looked for: see shelf_release. */
static void wait_enqueue(struct Shelf *shelf, struct Ticket *ticket) {
    struct Wait *wait = &shelf->wait;

    pthread_mutex_lock(&wait->lock);
    ticket->next = NULL;
    *wait->lastp = ticket;
    wait->lastp = &ticket->next;
    atomic_fetch_add(&shelf->n_waiters, 1);
    if (shelf->kin)
        atomic_fetch_add(&shelf->kin->n_kin_waiters, 1);
    pthread_mutex_unlock(&wait->lock);
}

static void wait_dequeue(struct Shelf *shelf, struct Ticket *ticket) {
    struct Wait *wait = &shelf->wait;
    struct Ticket **link = &wait->first;

    while (*link != ticket)
        link = &(*link)->next;
    *link = ticket->next;
    if (!*link)
        wait->lastp = link;
    atomic_fetch_sub(&shelf->n_waiters, 1);
    if (shelf->kin)
        atomic_fetch_sub(&shelf->kin->n_kin_waiters, 1);
    if (link != &wait->first)
        return;
    wait->watched = NULL;
    wait->is_due = true;
    if (wait->first)
        pthread_cond_signal(&wait->first->changed);
}

static void wait_hand(struct Shelf *shelf, struct Ticket *ticket, const struct Taken *taken) {
    struct LeaseTable *watched = shelf->wait.watched;

    ticket->taken = *taken;
    ticket->is_served = true;
    wait_dequeue(shelf, ticket);
    pthread_cond_signal(&ticket->changed);
    if (watched)
        lease_wake(watched);
}

bool wait_serve_first(struct Shelf *shelf, const struct Taken *taken) {
    struct Ticket *ticket;

    pthread_mutex_lock(&shelf->wait.lock);
    ticket = shelf->wait.first;
    if (ticket)
        wait_hand(shelf, ticket, taken);
    pthread_mutex_unlock(&shelf->wait.lock);
    return ticket;
}

void wait_serve(struct Shelf *shelf) {
    struct Taken taken;

    if (!wait_count(shelf))
        return;
    pthread_mutex_lock(&shelf->wait.lock);
    while (shelf->wait.first && shelf_take_idle(shelf, shelf->wait.first->image_id, &taken))
        wait_hand(shelf, shelf->wait.first, &taken);
    pthread_mutex_unlock(&shelf->wait.lock);
}

bool wait_refuse(struct Shelf *shelf, struct wasmpool_error *error) {
    const struct Ticket *ticket;

    if (!wait_count(shelf))
        return false;
    pthread_mutex_lock(&shelf->wait.lock);
    ticket = shelf->wait.first;
    if (ticket)
        *error = *ticket->refusal;
    pthread_mutex_unlock(&shelf->wait.lock);
    return ticket;
}

void wait_nudge(struct Shelf *shelf) {
    struct Wait *wait = &shelf->wait;

    if (!wait_count(shelf))
        return;
    pthread_mutex_lock(&wait->lock);
    wait->is_due = true;
    if (wait->first)
        pthread_cond_signal(&wait->first->changed);
    if (wait->watched)
        lease_wake(wait->watched);
    pthread_mutex_unlock(&wait->lock);
}

void wait_rouse(struct Shelf *shelf) {
    lease_wake(shelf->pool->connection->table);
}

/* ------------------------------------------------------------------------------------------------ waiting */

enum Turn { TURN_SERVED, TURN_FIRST, TURN_LATE };

/* Sleep until something happens to the ticket: who is first looks again at once, but waits for a nudge if he is
 * stalled. */
static enum Turn wait_turn(struct Shelf *shelf, struct Ticket *ticket, bool is_stalled, uint64_t deadline_ns) {
    struct timespec deadline = clock_timespec(deadline_ns);
    struct Wait *wait = &shelf->wait;
    enum Turn turn;

    pthread_mutex_lock(&wait->lock);
    while (!ticket->is_served && (wait->first != ticket || (is_stalled && !wait->is_due)) &&
           !pthread_cond_timedwait(&ticket->changed, &wait->lock, &deadline))
        continue;
    turn = ticket->is_served ? TURN_SERVED : clock_now_ns() >= deadline_ns ? TURN_LATE : TURN_FIRST;
    if (turn == TURN_LATE)
        wait_dequeue(shelf, ticket);
    pthread_mutex_unlock(&wait->lock);
    return turn;
}

/* The first one, from now on: nothing but what happens after this makes him look again. */
static void wait_begin_look(struct Shelf *shelf, struct Ticket *ticket) {
    struct Wait *wait = &shelf->wait;

    pthread_mutex_lock(&wait->lock);
    if (wait->first == ticket)
        wait->is_due = false;
    pthread_mutex_unlock(&wait->lock);
}

/* The head sleeps until the lease table's futex is not `seen`. */
static void wait_watch(struct Shelf *shelf, struct Ticket *ticket, struct LeaseTable *table, uint32_t seen,
                       uint64_t deadline_ns) {
    struct Wait *wait = &shelf->wait;
    uint64_t now;
    bool sleeps;

    pthread_mutex_lock(&wait->lock);
    sleeps = wait->first == ticket && !wait->is_due;
    if (sleeps)
        wait->watched = table;
    pthread_mutex_unlock(&wait->lock);
    now = clock_now_ns();
    if (sleeps && now < deadline_ns)
        lease_wait(table, seen, deadline_ns - now < WAIT_SLICE_NS ? deadline_ns - now : WAIT_SLICE_NS);
}

/* Give up, unless it was served meanwhile. */
static bool wait_give_up(struct Shelf *shelf, struct Ticket *ticket) {
    bool is_served;

    pthread_mutex_lock(&shelf->wait.lock);
    is_served = ticket->is_served;
    if (!is_served)
        wait_dequeue(shelf, ticket);
    pthread_mutex_unlock(&shelf->wait.lock);
    return !is_served;
}

/* Everyone who joins sees to it that demand is as high as the queue is long; from then on the first one does. */
static int wait_stand(struct Shelf *shelf, struct Ticket *ticket, uint64_t deadline_ns, struct wasmpool_error *error) {
    for (;;) {
        struct LeaseTable *table;
        enum Turn turn;
        uint32_t seen;
        int r;

        wait_begin_look(shelf, ticket);
        r = demand_await(shelf, deadline_ns, &table, &seen, error);
        if (r && r != DEMAND_E_BUSY)
            return wait_give_up(shelf, ticket) ? r : 0;
        if (!r)
            wait_watch(shelf, ticket, table, seen, deadline_ns);
        turn = wait_turn(shelf, ticket, r == DEMAND_E_BUSY, deadline_ns);
        if (turn != TURN_FIRST)
            return turn == TURN_SERVED ? 0 : ERROR_LIMIT;
    }
}

static int wait_too_late(const struct wasmpool_error *refusal, uint64_t waited_ns, struct wasmpool_error *error) {
    if (!error)
        return ERROR_LIMIT;
    *error = *refusal;
    snprintf(error->message, sizeof(error->message), "waited %" PRIu64 " ms: %.200s", waited_ns / NS_PER_MS,
             refusal->message);
    return ERROR_LIMIT;
}

int wait_take(struct Shelf *shelf, const struct Wish *wish, const struct wasmpool_error *refusal, struct Taken *taken,
              struct wasmpool_error *error) {
    struct Ticket ticket = {.image_id = wish->image_id, .refusal = refusal};
    uint64_t start_ns = clock_now_ns();
    struct wasmpool_error why = {0};
    pthread_condattr_t attributes;
    int r;

    if (start_ns >= wish->deadline_ns)
        return wait_too_late(refusal, 0, error);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ticket.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    wait_enqueue(shelf, &ticket);
    r = wait_stand(shelf, &ticket, wish->deadline_ns, &why);
    pthread_cond_destroy(&ticket.changed);
    demand_settle(shelf);
    if (!r) {
        *taken = ticket.taken;
        return 0;
    }
    if (r == ERROR_LIMIT)
        return wait_too_late(refusal, clock_now_ns() - start_ns, error);
    if (error)
        *error = why;
    return r;
}
