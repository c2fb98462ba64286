/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/share.h"

#include <assert.h>
#include <stdbool.h>

/* What those share whose demand is not met: `slots` for claimants of together `weight`. */
struct Level {
    uint64_t slots;
    uint64_t weight;
};

typedef bool (*ShareBefore)(const struct Share *shares, const struct Level *level, uint64_t a, uint64_t b);

/* Split first and multiplied then, so that neither product leaves 64 bits: the one is at most slots, the other less
 * than weight * SHARE_WEIGHT_MAX. */
static uint64_t level_whole(const struct Level *level, const struct Share *share) {
    return share->weight * (level->slots / level->weight) +
           share->weight * (level->slots % level->weight) / level->weight;
}

static uint64_t level_fraction(const struct Level *level, const struct Share *share) {
    return share->weight * (level->slots % level->weight) % level->weight;
}

static bool level_meets(const struct Level *level, const struct Share *share) {
    return (unsigned __int128)share->demand * level->weight <= (unsigned __int128)share->weight * level->slots;
}

/* By demand for each unit of weight: the order in which a rising level meets them. */
static bool before_by_level(const struct Share *shares, const struct Level *level, uint64_t a, uint64_t b) {
    unsigned __int128 x = (unsigned __int128)shares[a].demand * shares[b].weight;
    unsigned __int128 y = (unsigned __int128)shares[b].demand * shares[a].weight;

    (void)level;
    return x != y ? x < y : a < b;
}

/* The rules of the header by number; last those whose share is whole as it is, or who get all that they demand. */
static unsigned round_up_rule(const struct Level *level, const struct Share *share) {
    if (level_meets(level, share) || level_fraction(level, share) == 0)
        return 5;
    if (share->held == 0 && share->ticket > 0)
        return 1;
    return share->held > level_whole(level, share) ? 2 : 3;
}

static bool before_by_rule(const struct Share *shares, const struct Level *level, uint64_t a, uint64_t b) {
    unsigned rule_a = round_up_rule(level, &shares[a]), rule_b = round_up_rule(level, &shares[b]);
    uint64_t fraction_a = level_fraction(level, &shares[a]), fraction_b = level_fraction(level, &shares[b]);

    if (rule_a != rule_b)
        return rule_a < rule_b;
    if (rule_a == 1 && shares[a].ticket != shares[b].ticket)
        return shares[a].ticket < shares[b].ticket;
    if (fraction_a != fraction_b)
        return fraction_a > fraction_b;
    return a < b;
}

static void order_sift(struct Share *shares, const struct Level *level, ShareBefore before, size_t root, size_t n) {
    uint64_t index = shares[root].due;

    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(shares, level, shares[child].due, shares[child + 1].due))
            child++;
        if (!before(shares, level, index, shares[child].due))
            break;
        shares[root].due = shares[child].due;
    }
    shares[root].due = index;
}

/* Until they are known, the `due` hold the order: shares[k].due is the index of the k-th. A heap sort, since that takes
 * no more room and its worst case is no worse than its usual one. */
static void order_by(struct Share *shares, size_t n, const struct Level *level, ShareBefore before) {
    for (size_t i = 0; i < n; i++)
        shares[i].due = i;
    for (size_t i = n / 2; i-- > 0;)
        order_sift(shares, level, before, i, n);
    for (size_t end = n; end-- > 1;) {
        uint64_t last = shares[end].due;

        shares[end].due = shares[0].due;
        shares[0].due = last;
        order_sift(shares, level, before, 0, end);
    }
}

/* Whoever is met takes less than its part, so the level only rises, and whom it met once it meets to the end. */
static struct Level level_find(struct Share *shares, size_t n, uint64_t total) {
    struct Level level = {.slots = total};

    for (size_t i = 0; i < n; i++)
        level.weight += shares[i].weight;
    order_by(shares, n, &level, before_by_level);
    for (size_t k = 0; k < n; k++) {
        const struct Share *share = &shares[shares[k].due];

        if (!level_meets(&level, share))
            break;
        level.slots -= share->demand;
        level.weight -= share->weight;
    }
    return level;
}

/* How many slots are left when all have their share rounded down: fewer than there are fractions. */
static uint64_t level_left(const struct Level *level, const struct Share *shares, size_t n) {
    uint64_t left = level->slots;

    for (size_t i = 0; i < n; i++)
        left -= level_meets(level, &shares[i]) ? 0 : level_whole(level, &shares[i]);
    return left;
}

static bool demand_fits(const struct Share *shares, size_t n, uint64_t total) {
    unsigned __int128 demand = 0;

    for (size_t i = 0; i < n; i++) {
        assert(shares[i].weight >= 1 && shares[i].weight <= SHARE_WEIGHT_MAX);
        demand += shares[i].demand;
    }
    return demand <= total;
}

void share_compute(struct Share *shares, size_t n, uint64_t total) {
    struct Level level;
    uint64_t left, last = 0;

    if (demand_fits(shares, n, total)) {
        for (size_t i = 0; i < n; i++)
            shares[i].due = shares[i].demand;
        return;
    }
    level = level_find(shares, n, total);
    left = level_left(&level, shares, n);
    if (left > 0) {
        order_by(shares, n, &level, before_by_rule);
        last = shares[left - 1].due;
    }
    for (size_t i = 0; i < n; i++) {
        bool up = left > 0 && !before_by_rule(shares, &level, last, i);

        shares[i].due = level_meets(&level, &shares[i]) ? shares[i].demand : level_whole(&level, &shares[i]) + up;
    }
}
