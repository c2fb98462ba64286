/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The lease table's edges against each other: threads take and release slots while an owner grants, revokes and recalls
 * them. A taken slot is held by one thread only, its generation never goes back, and no slot is lost. */

#include "shared/lease.h"
#include "tests/stress/stress.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define SLOTS 4
#define STEPS 200000

static struct LeaseEntry entries[SLOTS];
static _Atomic unsigned held[SLOTS];
static _Atomic unsigned recalled;
static _Atomic bool done;

static void *client(void *argument) {
    uint64_t last[SLOTS] = {0}, generation;

    for (unsigned i = (unsigned)(uintptr_t)argument; !done; i++) {
        unsigned slot = i % SLOTS;
        int r;

        if (lease_take(&entries[slot], &generation))
            continue;
        check(atomic_fetch_add(&held[slot], 1) == 0, "a slot is taken by one thread");
        check(generation >= last[slot], "a generation never goes back");
        last[slot] = generation;
        atomic_fetch_sub(&held[slot], 1);
        r = lease_release(&entries[slot], generation);
        check(r == 0 || r == LEASE_E_RECALLED, "a taken slot is released");
        if (r == LEASE_E_RECALLED)
            atomic_fetch_add(&recalled, 1);
    }
    return NULL;
}

/* Each step tries one edge on one slot, from what its word says; a lost race is no failure. */
static void owner_step(unsigned step) {
    struct LeaseEntry *entry = &entries[step % SLOTS];
    uint64_t word = lease_load(entry), generation = lease_generation(word);

    if (lease_state(word) == LEASE_VACANT)
        check(!lease_grant(entry, generation), "nobody else leaves VACANT");
    else if (lease_state(word) == LEASE_IDLE && step % 3 == 0) {
        if (!lease_revoke(entry, generation))
            check(lease_load(entry) == lease_word(generation + 1, LEASE_VACANT), "a revoked slot is nobody's");
    } else if (lease_state(word) == LEASE_BUSY && step % 2 == 0)
        lease_recall(entry, generation);
}

int main(void) {
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, client, (void *)i);
    for (unsigned step = 0; step < STEPS || !recalled; step++)
        owner_step(step / 7 + step);
    done = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        check(lease_state(lease_load(&entries[i])) != LEASE_BUSY, "no slot stays busy");
    printf("lease-threads: %u slots came back by recall\n", recalled);
    return stress_end();
}
