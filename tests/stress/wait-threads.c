/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* More threads than slots take, wait and release, while the table's owner revokes, recalls and grants under them. No
 * slot is held by two at once; who has a deadline has a slot or was there until it had passed; and in the end every
 * slot is idle, can be taken, and nobody waits. */

#include "client/pool.h"
#include "client/wasmpool.h"
#include "tests/stress/stress.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define THREADS 8
#define SLOTS 3
#define CYCLES 3000
#define PATIENT_EVERY 8            /* so many of them wait until it is their turn, */
#define PATIENT_NS 60000000000ULL  /* which is sooner than this */
#define HASTY_NS_MAX 2000000       /* the others' longest deadline */
#define HOLD_YIELDS_MAX 8

static struct wasmpool *pool;
static _Atomic unsigned holders[SHELF_SLAB_SLOTS];
static _Atomic unsigned n_taken, n_refused, n_late, n_recalled, n_revoked;
static _Atomic bool done;

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t draw(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static uint64_t draw_deadline(uint64_t *seed, unsigned cycle) {
    if (cycle % PATIENT_EVERY == 0)
        return now_ns() + PATIENT_NS;
    return draw(seed) % 3 ? now_ns() + draw(seed) % HASTY_NS_MAX : 0;
}

static void hold(const struct Taken *taken, uint64_t *seed) {
    uint64_t word = lease_load(taken->entry);

    check(atomic_fetch_add(&holders[taken->index], 1) == 0, "a slot is held by one thread");
    check(lease_state(word) == LEASE_BUSY, "a slot that is held is busy");
    check(lease_generation(word) == taken->slot->generation, "its generation is the one it was taken in");
    for (uint32_t i = draw(seed) % HOLD_YIELDS_MAX; i; i--)
        sched_yield();
    atomic_fetch_sub(&holders[taken->index], 1);
}

static void *work(void *argument) {
    uint64_t seed = (uint64_t)(uintptr_t)argument;

    for (unsigned cycle = 0; cycle < CYCLES; cycle++) {
        struct Wish wish = {.deadline_ns = draw_deadline(&seed, cycle)};
        struct wasmpool_error error;
        struct Taken taken;
        int r = shelf_take(&pool->memories, &wish, &taken, &error);

        if (!r) {
            n_taken++;
            hold(&taken, &seed);
            shelf_release(&taken);
            continue;
        }
        check(r == WASMPOOL_E_LIMIT, "a refusal is for want of slots");
        check(cycle % PATIENT_EVERY, "who is patient is served");
        check(!wish.deadline_ns || now_ns() >= wish.deadline_ns, "nobody gives up before his deadline");
        *(wish.deadline_ns ? &n_late : &n_refused) += 1;
    }
    return NULL;
}

/* One edge on one slot; a lost race is no failure. What is granted is told, as a daemon does. */
static void owner_step(struct LeaseEntry *entry, uint32_t dice) {
    uint64_t word = lease_load(entry), generation = lease_generation(word);

    switch (lease_state(word)) {
    case LEASE_VACANT:
        check(!lease_grant(entry, generation), "nobody else leaves VACANT");
        lease_wake(pool->connection->table);
        break;
    case LEASE_IDLE:
        n_revoked += !lease_revoke(entry, generation);
        break;
    default:
        if (dice % 4 == 0)
            n_recalled += !lease_recall(entry, generation);
    }
}

static void *own(void *argument) {
    struct LeaseEntry *entries = pool->connection->table->entries;
    uint64_t seed = 4711;

    (void)argument;
    while (!done) {
        owner_step(&entries[draw(&seed) % SLOTS], draw(&seed));
        for (uint32_t i = draw(&seed) % 64; i; i--)
            sched_yield();
    }
    /* And all of them are granted at last. */
    for (int i = 0; i < SLOTS; i++)
        if (lease_state(lease_load(&entries[i])) == LEASE_VACANT)
            owner_step(&entries[i], 0);
    return NULL;
}

static bool open_pool(void) {
    static const char *const settings[] = {"total_memories=3", "memory_reservation=1M", "max_memory_size=1M",
                                           "memory_guard_size=64K", NULL};
    struct wasmpool_options options = {.address = "embedded:", .settings = settings};

    return !wasmpool_open(&pool, &options, NULL);
}

/* The pool grants all it has, and from then on its books say so: what is revoked only the owner grants again. */
static void take_all(bool *took) {
    struct Taken taken[SLOTS];
    int n = 0;

    while (n < SLOTS && !shelf_take(&pool->memories, &(struct Wish){0}, &taken[n], NULL))
        n++;
    *took = n == SLOTS;
    while (n)
        shelf_release(&taken[--n]);
}

static void check_end(void) {
    struct SlabUse use = slab_use(pool->memories.slabs);
    bool took;

    check(wait_count(&pool->memories) == 0, "nobody waits any more");
    check(!pool->memories.wait.first && pool->memories.wait.lastp == &pool->memories.wait.first, "the queue is empty");
    check(use.idle == SLOTS && !use.busy, "every slot is idle");
    take_all(&took);
    check(took, "every slot can be taken");
    check(pool->memories.n_granted == SLOTS, "as many count as granted as are");
}

static void run(bool is_owned) {
    pthread_t threads[THREADS], owner;

    done = false;
    if (is_owned)
        pthread_create(&owner, NULL, own, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    done = true;
    if (is_owned)
        pthread_join(owner, NULL);
    check_end();
    printf("wait-threads: %u served, %u refused, %u too late; %u slots revoked, %u recalled\n", n_taken, n_refused,
           n_late, n_revoked, n_recalled);
}

int main(void) {
    bool opened = open_pool(), took;

    check(opened, "the pool opens");
    if (opened) {
        take_all(&took);
        check(took, "every slot can be taken at first");
        run(false);
        run(true);
        check(n_revoked && n_recalled && n_late && n_refused, "there was some of everything");
    }
    wasmpool_close(pool);
    return stress_end();
}
