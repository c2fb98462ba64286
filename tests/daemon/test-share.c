/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/share.h"
#include "tests/support/test.h"

typedef unsigned __int128 Wide;

#define CLAIMANTS_MAX 24
#define ROUNDS 20000

/* What the reference says: who is met, and what the others share. */
struct Reference {
    bool met[CLAIMANTS_MAX];
    uint64_t due[CLAIMANTS_MAX];
    Wide slots;
    Wide weight;
};

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Small numbers, so that claimants tie and slots are few; or any; or at the edge of what fits. */
static uint64_t number(uint64_t *seed, unsigned range) {
    uint64_t random = next(seed);

    switch (range) {
    case 0:
        return random % 4;
    case 1:
        return random % 300;
    case 2:
        return random >> next(seed) % 64;
    default:
        return UINT64_MAX - random % 3;
    }
}

static size_t claimants(uint64_t *seed, struct Share *shares, uint64_t *totalp) {
    size_t n = next(seed) % (CLAIMANTS_MAX + 1);
    unsigned range = next(seed) % 4, total_range = next(seed) % 4, heaviest = next(seed) % 2 ? 4 : SHARE_WEIGHT_MAX;

    for (size_t i = 0; i < n; i++)
        shares[i] = (struct Share){
            .weight = 1 + next(seed) % heaviest,
            .demand = number(seed, range),
            .held = next(seed) % 2 ? number(seed, range) : 0,
            .ticket = next(seed) % 2 ? 1 + next(seed) % 8 : 0,
            .due = next(seed),
        };
    *totalp = number(seed, total_range);
    return n;
}

/* Whether `a` rounds up before `b`, word for word as the header has it. */
static bool rounds_up_first(const struct Share *a, Wide whole_a, Wide fraction_a, const struct Share *b, Wide whole_b,
                            Wide fraction_b) {
    bool first_a = a->held == 0 && a->ticket, first_b = b->held == 0 && b->ticket;
    bool more_a = a->held > whole_a, more_b = b->held > whole_b;

    if (first_a || first_b) {
        if (first_a && first_b && a->ticket != b->ticket)
            return a->ticket < b->ticket;
        if (first_a != first_b)
            return first_a;
    } else if (more_a != more_b)
        return more_a;
    return fraction_a > fraction_b;
}

static void reference_deal(struct Reference *reference, const struct Share *shares, size_t n) {
    Wide whole[CLAIMANTS_MAX], fraction[CLAIMANTS_MAX], left = reference->slots;
    bool up[CLAIMANTS_MAX] = {0};

    for (size_t i = 0; i < n; i++) {
        if (reference->met[i])
            continue;
        whole[i] = shares[i].weight * reference->slots / reference->weight;
        fraction[i] = shares[i].weight * reference->slots % reference->weight;
        left -= whole[i];
        reference->due[i] = (uint64_t)whole[i];
    }
    for (; left > 0; left--) {
        size_t best = n;

        for (size_t i = 0; i < n; i++)
            if (!reference->met[i] && !up[i] && fraction[i] > 0 &&
                (best == n ||
                 rounds_up_first(&shares[i], whole[i], fraction[i], &shares[best], whole[best], fraction[best])))
                best = i;
        cr_assert_lt(best, n, "%lu slots are left and nobody has a fraction", (uint64_t)left);
        up[best] = true;
        reference->due[best]++;
    }
}

/* Water-filling as one would do it by hand: give to all who are met, and start again with what is left. */
static void reference_compute(struct Reference *reference, const struct Share *shares, size_t n, uint64_t total) {
    bool again = true;

    *reference = (struct Reference){.slots = total};
    for (size_t i = 0; i < n; i++)
        reference->weight += shares[i].weight;
    while (again) {
        Wide slots = reference->slots, weight = reference->weight;

        again = false;
        for (size_t i = 0; i < n; i++)
            if (!reference->met[i] && shares[i].demand * weight <= shares[i].weight * slots) {
                reference->met[i] = again = true;
                reference->due[i] = shares[i].demand;
                reference->slots -= shares[i].demand;
                reference->weight -= shares[i].weight;
            }
    }
    if (reference->weight == 0)
        reference->slots = 0;
    reference_deal(reference, shares, n);
}

static void expect_reference(const struct Share *shares, size_t n, uint64_t total, uint64_t seed) {
    struct Reference reference;

    reference_compute(&reference, shares, n, total);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(shares[i].due, reference.due[i], "seed %lu, total %lu: %zu of %zu (weight %lu, demand %lu, held %lu, "
                     "ticket %lu) is due %lu, not %lu", seed, total, i, n, shares[i].weight, shares[i].demand, shares[i].held,
                     shares[i].ticket, reference.due[i], shares[i].due);
}

/* What the header promises, without the reference's own dealing. */
static void expect_promises(const struct Share *shares, size_t n, uint64_t total, uint64_t seed) {
    Wide demand = 0, due = 0;
    struct Reference reference;

    reference_compute(&reference, shares, n, total);
    for (size_t i = 0; i < n; i++) {
        Wide exact = shares[i].weight * reference.slots; /* in parts of reference.weight */

        demand += shares[i].demand;
        due += shares[i].due;
        cr_assert_leq(shares[i].due, shares[i].demand, "seed %lu: due %lu, demands %lu", seed, shares[i].due, shares[i].demand);
        if (shares[i].due == shares[i].demand)
            continue;
        cr_assert(shares[i].due * reference.weight < exact + reference.weight &&
                      exact < (shares[i].due + (Wide)1) * reference.weight,
                  "seed %lu: %zu is due %lu, one slot or more from its part", seed, i, shares[i].due);
        /* Had it one slot more, it would have at least as much by weight as anyone who has what it demands or rounded
         * up. */
        for (size_t j = 0; j < n; j++)
            cr_assert(shares[j].due == 0 || (shares[i].due + (Wide)1) * shares[j].weight >
                                                (shares[j].due - (Wide)1) * shares[i].weight,
                      "seed %lu: %zu has %lu by weight %lu while %zu has %lu by %lu", seed, i, shares[i].due,
                      shares[i].weight, j, shares[j].due, shares[j].weight);
    }
    cr_assert(due == (demand < total ? demand : total), "seed %lu: %lu of %lu are due", seed, (uint64_t)due, total);
}

static void expect_promises_of(uint64_t seed) {
    for (int round = 0; round < ROUNDS; round++) {
        struct Share shares[CLAIMANTS_MAX], before[CLAIMANTS_MAX];
        uint64_t total, from = seed;
        size_t n = claimants(&seed, shares, &total);

        memcpy(before, shares, n * sizeof(*shares));
        share_compute(shares, n, total);
        expect_reference(shares, n, total, from);
        expect_promises(shares, n, total, from);
        for (size_t i = 0; i < n; i++) {
            before[i].due = shares[i].due;
            cr_assert_arr_eq(&before[i], &shares[i], sizeof(*shares), "seed %lu: %zu is not as it was", from, i);
        }
    }
}

Test(share, keeps_its_promises_for_any_input) {
    expect_promises_of(42);
}

Test(share, keeps_its_promises_for_an_input_that_is_new_each_time) {
    uint64_t seed = 0;

    cr_assert_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
    seed |= 1;
    fprintf(stderr, "test-share: seed %lu\n", seed);
    expect_promises_of(seed);
}

Test(share, lowers_nobody_by_more_than_one_slot_when_there_are_more) {
    uint64_t seed = 7;

    for (int round = 0; round < ROUNDS; round++) {
        struct Share shares[CLAIMANTS_MAX], richer[CLAIMANTS_MAX];
        uint64_t total, more = 1 + next(&seed) % 3, from = seed;
        size_t n = claimants(&seed, shares, &total);

        memcpy(richer, shares, n * sizeof(*shares));
        share_compute(shares, n, total);
        share_compute(richer, n, total > UINT64_MAX - more ? UINT64_MAX : total + more);
        for (size_t i = 0; i < n; i++)
            cr_assert(richer[i].due + (Wide)1 >= shares[i].due, "seed %lu: %lu of %lu, %lu of more", from,
                          shares[i].due, total, richer[i].due);
    }
}

/* The weights of those whose demand is not met add up to a prime, 19 or 13, so that no two have the same fraction. */
Test(share, moves_with_the_claimants_when_they_change_places) {
    const struct Share shares[] = {{.weight = 1, .demand = 900, .held = 9},
                                   {.weight = 2, .demand = 900},
                                   {.weight = 3, .demand = 900, .ticket = 5},
                                   {.weight = 6, .demand = 1},
                                   {.weight = 7, .demand = 900, .held = 40}};
    struct Share straight[5], turned[5];

    for (unsigned step = 1; step < 5; step++)
        for (uint64_t total = 0; total < 300; total++) {
            for (unsigned i = 0; i < 5; i++) {
                straight[i] = shares[i];
                turned[(i * step + step) % 5] = shares[i];
            }
            share_compute(straight, 5, total);
            share_compute(turned, 5, total);
            for (unsigned i = 0; i < 5; i++)
                cr_expect_eq(straight[i].due, turned[(i * step + step) % 5].due, "%lu: %u is due %lu, then %lu", total, i,
                             straight[i].due, turned[(i * step + step) % 5].due);
        }
}

Test(share, gives_everything_to_who_is_alone) {
    const uint64_t numbers[] = {0, 1, 2, 200, UINT64_MAX - 1, UINT64_MAX};

    for (size_t d = 0; d < 6; d++)
        for (size_t t = 0; t < 6; t++) {
            struct Share share = {.weight = 1 + d * 199, .demand = numbers[d], .held = numbers[t]};
            uint64_t least = numbers[d] < numbers[t] ? numbers[d] : numbers[t];

            share_compute(&share, 1, numbers[t]);
            cr_expect_eq(share.due, least, "demands %lu of %lu: due %lu", numbers[d], numbers[t], share.due);
        }
}

Test(share, gives_to_the_greedy_by_weight) {
    for (size_t n = 1; n <= CLAIMANTS_MAX; n++) {
        struct Share shares[CLAIMANTS_MAX];
        uint64_t weight = n * (n + 1) / 2;

        for (size_t i = 0; i < n; i++)
            shares[i] = (struct Share){.weight = 1 + i, .demand = UINT64_MAX};
        share_compute(shares, n, 1000);
        for (size_t i = 0; i < n; i++)
            cr_expect(shares[i].due == (1 + i) * 1000 / weight || shares[i].due == ((1 + i) * 1000 + weight - 1) / weight,
                      "%zu of %zu is due %lu, not %lu", i, n, shares[i].due, (1 + i) * 1000 / weight);
    }
}

Test(share, divides_what_one_does_not_demand_among_the_others) {
    struct Share shares[] = {{.weight = 1, .demand = 10}, {.weight = 1, .demand = 200}, {.weight = 3, .demand = 200}};

    share_compute(shares, 3, 130);
    cr_expect_eq(shares[0].due, 10, "%lu", shares[0].due);
    cr_expect_eq(shares[1].due, 30, "%lu", shares[1].due);
    cr_expect_eq(shares[2].due, 90, "%lu", shares[2].due);
}

Test(share, lets_those_that_hold_nothing_take_turns) {
    struct Share shares[] = {{.weight = 1, .demand = 1, .held = 1},
                             {.weight = 1, .demand = 1, .ticket = 9},
                             {.weight = 1, .demand = 1, .ticket = 4},
                             {.weight = 1, .demand = 1}};

    share_compute(shares, 4, 1);
    cr_expect_eq(shares[2].due, 1, "the one with ticket 4 is due %lu", shares[2].due);
    share_compute(shares, 4, 2);
    cr_expect_eq(shares[1].due, 1, "the one with ticket 9 is due %lu", shares[1].due);
    share_compute(shares, 4, 3);
    cr_expect_eq(shares[0].due, 1, "the one that holds it is due %lu", shares[0].due);
    cr_expect_eq(shares[3].due, 0, "the one that neither holds nor waits is due %lu", shares[3].due);
}

Test(share, does_not_move_a_slot_for_nothing) {
    struct Share shares[] = {{.weight = 1, .demand = 9}, {.weight = 1, .demand = 9, .held = 3}, {.weight = 1, .demand = 9, .held = 2}};

    share_compute(shares, 3, 7);
    cr_expect_eq(shares[1].due, 3, "the one that holds 3 is due %lu", shares[1].due);
    cr_expect_eq(shares[0].due, 2, "%lu", shares[0].due);
    shares[1].held = 2;
    share_compute(shares, 3, 7);
    cr_expect_eq(shares[0].due, 3, "where nobody holds more, the first is due %lu", shares[0].due);
}

Test(share, prefers_the_largest_fraction) {
    struct Share shares[] = {{.weight = 1, .demand = 9}, {.weight = 2, .demand = 9}};

    share_compute(shares, 2, 1);
    cr_expect_eq(shares[1].due, 1, "the one of weight 2 is due %lu", shares[1].due);
    share_compute(shares, 2, 2);
    cr_expect_eq(shares[0].due, 1, "the one of weight 1 is due %lu", shares[0].due);
}

Test(share, does_not_overflow) {
    struct Share shares[3];

    for (size_t i = 0; i < 3; i++)
        shares[i] = (struct Share){.weight = SHARE_WEIGHT_MAX, .demand = UINT64_MAX, .held = UINT64_MAX, .ticket = UINT64_MAX};
    share_compute(shares, 3, UINT64_MAX);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(shares[i].due, UINT64_MAX / 3, "%lu", shares[i].due);
    shares[0].weight = 1;
    share_compute(shares, 3, UINT64_MAX);
    cr_expect_eq(shares[0].due, UINT64_MAX / 2001, "%lu", shares[0].due);
}

/* As many as there can be, each met at a level of its own: the slow case of a computation by rounds. */
Test(share, computes_for_thousands) {
    enum { N = 4096 };
    struct Share *shares = calloc(N, sizeof(*shares));
    uint64_t sum = 0;

    for (size_t i = 0; i < N; i++)
        shares[i] = (struct Share){.weight = 1, .demand = (i * 2654435761 % N) * 3, .ticket = i % 3 ? N - i : 0};
    share_compute(shares, N, N * 2);
    for (size_t i = 0; i < N; i++)
        sum += shares[i].due;
    cr_expect_eq(sum, N * 2, "%lu", sum);
    share_compute(shares, 0, 5);
    free(shares);
}
