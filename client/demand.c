/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/demand.h"

#include "client/pool.h"
#include "shared/clock.h"

#include <string.h>

#define DEMAND_ATTEMPTS 3

/* ------------------------------------------------------------------------------------------------ room */

static bool slab_has_room(const struct Slab *slab) {
    return atomic_load(&((struct Slab *)slab)->n_granted) < slab->shape.count;
}

/* Some of its slots may be the owner's to keep. */
static bool slab_may_have_more(const struct Slab *slab) {
    return atomic_load(&((struct Slab *)slab)->n_granted) < slab->most;
}

void demand_add_slab(struct Slab *slab) {
    struct Shelf *shelf = slab->shelf;

    atomic_store(&slab->roomy, true);
    slab->next_roomy = shelf->roomy;
    shelf->roomy = slab;
}

/* Off the list, unless a slot has left it just now. Returns whether it is off. */
static bool demand_close(struct Slab **link) {
    struct Slab *slab = *link;

    /* In this order: who leaves counts first and looks at the flag then. */
    atomic_store(&slab->roomy, false);
    if (!slab->spare && !slab->connection->draining && slab_has_room(slab)) {
        atomic_store(&slab->roomy, true);
        return false;
    }
    *link = slab->next_roomy;
    return true;
}

void demand_remove_slab(struct Slab *slab) {
    struct Shelf *shelf = slab->shelf;

    if (shelf->asked == slab)
        shelf->asked = NULL;
    if (shelf->awaited == slab)
        shelf->awaited = NULL;
    for (struct Slab **link = &shelf->roomy; *link; link = &(*link)->next_roomy)
        if (*link == slab) {
            *link = slab->next_roomy;
            break;
        }
    atomic_store(&slab->roomy, false);
}

/* Slots have left slabs that were fully granted: find out which. */
static void demand_reopen(struct Shelf *shelf) {
    if (!atomic_load(&shelf->has_left) || !atomic_exchange(&shelf->has_left, false))
        return;
    for (struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        if (!atomic_load(&slab->roomy) && !slab->connection->draining && slab_has_room(slab))
            demand_add_slab(slab);
}

/* A slab that may have more slots granted. */
static struct Slab *demand_choose(struct Shelf *shelf) {
    demand_reopen(shelf);
    for (struct Slab **link = &shelf->roomy; *link;) {
        if (!slab_has_room(*link) && demand_close(link))
            continue;
        if (slab_may_have_more(*link))
            return *link;
        link = &(*link)->next_roomy;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ collecting */

struct Catch {
    struct Slot *first, **lastp;
    uint32_t n;
};

static void demand_catch(struct Shelf *shelf, struct Slab *slab, struct Catch *caught) {
    uint8_t lane = shelf_home(shelf);

    for (uint32_t i = 0; i < slab->shape.count; i++) {
        struct Slot *slot = &slab->slots[i];

        if (!lease_is_idle(lease_load(slab_entry(slab, i))) || !slot_claim(slot, lane))
            continue;
        slot->next = NULL;
        *caught->lastp = slot;
        caught->lastp = &slot->next;
        caught->n++;
    }
}

/* The last are taken first: when the mark comes up, a quarter is left. */
static void demand_mark(const struct Catch *caught) {
    struct Slot *slot = caught->first;

    for (uint32_t i = 0; i < caught->n / 4; i++)
        slot = slot->next;
    slot->marked = true;
}

static uint32_t demand_land(struct Shelf *shelf, struct Catch *caught) {
    if (!caught->n)
        return 0;
    if (caught->n >= DEMAND_MARK_LEAST)
        demand_mark(caught);
    shelf->hinted = false;
    shelf_file(shelf, caught->first);
    return caught->n;
}

static uint32_t demand_collect_of(struct Slab *slab) {
    struct Catch caught = {.lastp = &caught.first};

    demand_catch(slab->shelf, slab, &caught);
    return demand_land(slab->shelf, &caught);
}

uint32_t demand_collect(struct Shelf *shelf) {
    struct Catch caught = {.lastp = &caught.first};

    demand_reopen(shelf);
    for (struct Slab **link = &shelf->roomy; *link;) {
        demand_catch(shelf, *link, &caught);
        if (slab_has_room(*link) || !demand_close(link))
            link = &(*link)->next_roomy;
    }
    return demand_land(shelf, &caught);
}

/* What may have been granted since: a late answer's, and whatever the owner has announced. */
static uint32_t demand_collect_news(struct Shelf *shelf) {
    struct Connection *connection = shelf->pool->connection;
    uint32_t news, n = shelf->asked ? demand_collect_of(shelf->asked) : 0;

    if (n)
        return n;
    news = atomic_load(&connection->table->header.futex);
    if (shelf->news_of == connection && shelf->news == news)
        return 0;
    shelf->news_of = connection;
    shelf->news = news;
    return demand_collect(shelf);
}

/* ------------------------------------------------------------------------------------------------ asking */

/* Where the address space does not suffice for a slab of the usual size, a smaller one may do. */
static int demand_open_slab(struct Shelf *shelf, uint32_t ask, struct wasmpool_error *error) {
    uint32_t count = shelf->shape.count;

    for (;;) {
        struct wasmpool_error why = {0};
        int r = shelf->pool->source->open_slab(shelf->pool, shelf, count, ask < count ? ask : count, &why);
        bool is_space = r == ERROR_HOST && (!strcmp(why.limit, "RLIMIT_AS") || !strcmp(why.limit, "address space") ||
                                            !strcmp(why.limit, "RLIMIT_FSIZE"));

        if (is_space && count > 1) {
            count = count > 4 ? count / 4 : 1;
            continue;
        }
        if (r && error)
            *error = why;
        return r;
    }
}

/* Demand is doubled each time: a worker that needs one slot gets one, one with a burst is not slowed by round trips. */
static uint32_t demand_size(const struct Shelf *shelf) {
    uint32_t granted = atomic_load(&((struct Shelf *)shelf)->n_granted);

    return granted < 1 ? 1 : granted < DEMAND_ASK_MAX ? granted : DEMAND_ASK_MAX;
}

/* A new slab, and what was granted of it. LIMIT: nothing was. */
static int demand_extend(struct Shelf *shelf, uint32_t ask, struct wasmpool_error *error) {
    int r = demand_open_slab(shelf, ask, error);

    if (r)
        return r;
    shelf->asked = shelf->slabs;
    return demand_collect_of(shelf->asked) ? 0 : ERROR_LIMIT;
}

/* 0: there are slots in the lanes. */
static int demand_ask(struct Shelf *shelf, struct wasmpool_error *error) {
    for (;;) {
        uint32_t ask = demand_size(shelf);
        struct Slab *slab = demand_choose(shelf);
        int r;

        if (!slab) {
            uint32_t n_slabs = shelf->pool->n_mapped;

            r = demand_extend(shelf, ask, error);
            if (r != ERROR_LIMIT || shelf->pool->n_mapped == n_slabs)
                return r;
            slab = shelf->slabs; /* nothing was free: ask again, to be told why */
        }
        shelf->asked = slab;
        r = shelf->pool->source->want(shelf->pool, slab, ask, error);
        /* Also when it is refused: what was hinted at may have come meanwhile, so that no more was wanted. */
        if (!r || r == ERROR_LIMIT)
            demand_collect_news(shelf);
        if (r != ERROR_LIMIT || shelf_has_idle(shelf))
            return r == ERROR_LIMIT ? 0 : r;
        if (strcmp(error->limit, "slots"))
            return r;
        slab->most = atomic_load(&slab->n_granted);
    }
}

/* Grows with each slot that is taken back. */
static uint64_t demand_generations(const struct Shelf *shelf) {
    uint64_t sum = 0;

    for (const struct Slab *slab = shelf->slabs; slab; slab = slab->next)
        for (uint32_t i = 0; i < slab->shape.count; i++)
            sum += lease_generation(lease_load(slab_entry(slab, i)));
    return sum;
}

static int demand_refill_locked(struct Shelf *shelf, struct wasmpool_error *error) {
    struct wasmpool *pool = shelf->pool;
    enum Kind kind = shelf->shape.kind;
    uint64_t generations = 0;

    /* More than once: that a daemon has been started anew shows only when it is asked, and what was granted may be with
     * others again before it is collected. */
    for (int attempt = 0; attempt < DEMAND_ATTEMPTS; attempt++) {
        int r;

        if (attempt == DEMAND_ATTEMPTS - 1)
            generations = demand_generations(shelf);
        if (wait_refuse(shelf, error))
            return ERROR_LIMIT;
        /* Another thread may have collected or released what there is while this one came here. */
        if (demand_collect_news(shelf) || shelf_has_idle(shelf))
            return 0;
        r = pool->source->reach(pool, error);
        if (!r)
            r = demand_ask(shelf, error);
        if (shelf_has_idle(shelf))
            return 0;
        if (r && (r != ERROR_UNAVAILABLE || !pool->connection->ended || attempt))
            return r;
    }
    if (demand_generations(shelf) != generations)
        return error_limit(failure(error), ERROR_LIMIT, pool_total_name(kind), pool_total(pool, kind),
                           pool_total(pool, kind), 1, "what is granted goes to others before it can be taken");
    return error_set(failure(error), ERROR_PROTOCOL, "slots were promised and not granted");
}

/* Who cannot or will not wait still asks once: a daemon that lives answers in much less. */
static uint64_t demand_deadline_ns(uint64_t deadline_ns) {
    uint64_t least_ns = clock_now_ns() + DEMAND_LEAST_MS * NS_PER_MS;

    return !deadline_ns || deadline_ns > least_ns ? deadline_ns : least_ns;
}

int demand_refill(struct Shelf *shelf, uint64_t deadline_ns, struct wasmpool_error *error) {
    int r;

    if (!pool_lock_until(shelf->pool, demand_deadline_ns(deadline_ns)))
        return error_set(failure(error), ERROR_UNAVAILABLE,
                         "other threads keep asking for more until after the deadline");
    r = demand_refill_locked(shelf, error);
    pool_unlock(shelf->pool);
    return r;
}

void demand_hint(struct Shelf *shelf, struct Slab *slab) {
    struct wasmpool *pool = shelf->pool;

    /* A hint is not worth waiting for; and who has the lock may well be asking for more. */
    if (!pool->source->hint || pthread_mutex_trylock(&pool->lock))
        return;
    if (!shelf->hinted && !shelf->awaited && !pool->connection->ended) {
        if (slab->connection != pool->connection || !slab_may_have_more(slab))
            slab = demand_choose(shelf);
        if (slab) {
            shelf->hinted = true;
            shelf->asked = slab;
            pool->source->hint(pool, slab, demand_size(shelf));
        }
    }
    pool_unlock(pool);
}

/* ------------------------------------------------------------------------------------------------ waiting */

static void demand_lower(struct Shelf *shelf) {
    if (shelf->awaited)
        shelf->pool->source->wait_over(shelf->pool, shelf->awaited, 0);
    shelf->awaited = NULL;
}

/* Tell the owner how many wait, with a slab that has room for them. LIMIT: nothing has come of it yet. */
static int demand_raise(struct Shelf *shelf, struct wasmpool_error *error) {
    uint32_t n = wait_count(shelf);
    struct Slab *slab = demand_choose(shelf);

    if (!slab) {
        uint32_t n_slabs = shelf->pool->n_mapped;
        int r = demand_extend(shelf, n, error);

        if (r != ERROR_LIMIT || shelf->pool->n_mapped == n_slabs)
            return r;
        slab = shelf->slabs;
    }
    if (shelf->awaited != slab)
        demand_lower(shelf);
    shelf->asked = shelf->awaited = slab;
    return shelf->pool->source->wait_for(shelf->pool, slab, n, error);
}

static int demand_await_locked(struct Shelf *shelf, struct LeaseTable **tablep, uint32_t *seenp,
                               struct wasmpool_error *error) {
    struct wasmpool *pool = shelf->pool;
    struct LeaseTable *table;
    int r = pool->source->reach(pool, error);

    if (r)
        return r;
    table = pool->connection->table;
    *tablep = table;
    *seenp = atomic_load(&table->header.futex);
    do {
        demand_collect_news(shelf);
        wait_serve(shelf);
        r = wait_count(shelf) ? demand_raise(shelf, error) : ERROR_LIMIT;
    } while (!r);
    /* Where no slab can be had, what is released here is still worth waiting for. And that the connection has ended
     * has changed the futex: he comes back at once, and reaches for another. */
    return r == ERROR_LIMIT || (r == ERROR_UNAVAILABLE && pool->connection->ended) ? 0 : r;
}

int demand_await(struct Shelf *shelf, uint64_t deadline_ns, struct LeaseTable **tablep, uint32_t *seenp,
                 struct wasmpool_error *error) {
    struct wasmpool *pool = shelf->pool;
    int r;

    if (pthread_mutex_trylock(&pool->lock)) {
        atomic_store(&shelf->is_stalled, true);
        pool_defer(pool);
        return DEMAND_E_BUSY;
    }
    pool->patience.deadline_ns = deadline_ns;
    r = demand_await_locked(shelf, tablep, seenp, error);
    pool_unlock(pool);
    return r;
}

void demand_settle(struct Shelf *shelf) {
    atomic_store(&shelf->is_unsettled, true);
    pool_defer(shelf->pool);
}

void demand_tend(struct Shelf *shelf) {
    if (atomic_exchange(&shelf->is_unsettled, false)) {
        if (!wait_count(shelf))
            demand_lower(shelf);
        else if (shelf->awaited)
            shelf->pool->source->wait_over(shelf->pool, shelf->awaited, wait_count(shelf));
    }
    if (atomic_exchange(&shelf->is_stalled, false))
        wait_nudge(shelf);
}
