/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_TRIAL_H
#define CLIENT_TRIAL_H

/* Which of two ways to do the same thing takes less time, learnt by taking the other one now and then.
 *
 * What the first turns of a way take says nothing of it: they pay for what the way before has left in the cache, and
 * leave their own for others to pay. Zeroing 64 KiB takes 0.67 us after turns that only looked at them, and 1.05 us
 * after one that zeroed them. So the other way is taken a few times in a row, and the last of them is timed. */

#include <stdbool.h>
#include <stdint.h>

#define TRIAL_TURNS 3    /* in a row, */
#define TRIAL_EVERY 1024 /* of so many: where they take three times as long, that is less than 1 % */

struct Trial {
    uint64_t ns[2]; /* averages, by way; 0: not known */
};

struct TrialTurn {
    bool way;   /* 0 as long as nothing is known */
    bool timed; /* trial_learn wants to know what this one takes */
};

/* Turns are counted by the caller, by one each time. */
static inline struct TrialTurn trial_turn(const struct Trial *trial, uint32_t turn) {
    uint32_t at = turn % TRIAL_EVERY;
    bool best = trial->ns[1] < trial->ns[0];

    return (struct TrialTurn){best ^ (at < TRIAL_TURNS), at == TRIAL_TURNS - 1 || at == TRIAL_EVERY - 1};
}

/* A turn that took much longer than those before was interrupted: it counts as twice the average at most. */
static inline void trial_learn(struct Trial *trial, bool way, uint64_t ns) {
    uint64_t before = trial->ns[way];

    if (before && ns > 2 * before)
        ns = 2 * before;
    trial->ns[way] = before ? (3 * before + ns) / 4 : ns;
}

#endif
