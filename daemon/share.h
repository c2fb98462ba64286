/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SHARE_H
#define DAEMON_SHARE_H

/* Fair shares: how many of `total` slots each of several claimants is due, by weight. Weighted max-min fairness in
 * whole slots: nobody is due more than it demands, and what one does not demand is divided among the others by weight.
 * Pure arithmetic, exact for any input.
 *
 * The fractions are dealt out whole: everyone is due its exact share rounded down or up (never more than one slot away
 * from it), and all shares add up to the total or to the whole demand, whichever is less. Of those whose demand is not
 * met, the ones that round up are, in this order:
 *   1. those that hold nothing and wait, by ticket: with fewer slots than claimants, turns are taken;
 *   2. those that hold more than their share rounded down: a slot does not move for nothing;
 *   3. those with the largest fraction;
 *   4. those that come first. */

#include <stddef.h>
#include <stdint.h>

#define SHARE_WEIGHT_MAX 1000

struct Share {
    uint64_t weight; /* 1 to SHARE_WEIGHT_MAX */
    uint64_t demand; /* what it holds and what it wants on top */
    uint64_t held;
    uint64_t ticket; /* when it began to wait, lower is earlier; 0: it does not */
    uint64_t due;    /* out */
};

/* Fill in `due` of all `n`. Orders nothing: the array stays as it is. O(n log n) at worst; `n` may be 0. */
void share_compute(struct Share *shares, size_t n, uint64_t total);

#endif
