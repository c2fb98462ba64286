/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/trial.h"

#include <criterion/criterion.h>

/* Have turns, of which the ways take so long after a turn of the same, and a third of it after one of the other.
 * Returns how many were of way 1. */
static uint32_t have_turns(struct Trial *trial, uint32_t *turn, uint32_t n, const uint64_t ns[2]) {
    uint32_t of_one = 0;
    bool before = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct TrialTurn this = trial_turn(trial, ++*turn);

        if (this.timed)
            trial_learn(trial, this.way, this.way == before ? ns[this.way] : ns[this.way] / 3);
        before = this.way;
        of_one += this.way;
    }
    return of_one;
}

static uint32_t of_one_after(const uint64_t ns[2]) {
    struct Trial trial = {0};
    uint32_t turn = 0;

    have_turns(&trial, &turn, 4 * TRIAL_EVERY, ns);
    return have_turns(&trial, &turn, TRIAL_EVERY, ns);
}

/* At its first turn after the other, the slower one takes 350. */
Test(trial, the_faster_way_is_taken_however_the_other_looks_at_first) {
    cr_assert_eq(of_one_after((uint64_t[]){369, 1049}), TRIAL_TURNS);
    cr_assert_eq(of_one_after((uint64_t[]){1049, 369}), TRIAL_EVERY - TRIAL_TURNS);
}

Test(trial, the_other_way_becomes_the_faster_one) {
    struct Trial trial = {0};
    uint32_t turn = 0;

    have_turns(&trial, &turn, 8 * TRIAL_EVERY, (uint64_t[]){300, 600});
    have_turns(&trial, &turn, 8 * TRIAL_EVERY, (uint64_t[]){600, 300});
    cr_assert_eq(have_turns(&trial, &turn, TRIAL_EVERY, (uint64_t[]){600, 300}), TRIAL_EVERY - TRIAL_TURNS);
}

Test(trial, one_turn_that_was_interrupted_decides_nothing) {
    struct Trial trial = {0};
    uint32_t turn = 0;

    have_turns(&trial, &turn, 4 * TRIAL_EVERY, (uint64_t[]){369, 1049});
    trial_learn(&trial, 0, 1000000);
    cr_assert_eq(have_turns(&trial, &turn, TRIAL_EVERY, (uint64_t[]){369, 1049}), TRIAL_TURNS);
}
