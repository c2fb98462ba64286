/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A client: its threads take a slot, or wait for one, and release it. Part of lease.pml. */

#define CURRENT(C) (C + 2 * is_anew[C])

/* It is ours: what does it hold? The first that does something to it puts pages there. */
inline hold(slot) {
    assert(ONE_HOLDER || !holders[slot]);
    holders[slot]++;
    if
    :: remembered[slot] == WORD_GENERATION(now) + 1 || (remembered[slot] && !WITH(GUARD_NEW_GENERATION)) ->
        assert(PAGES_KEPT || pages[slot])
    :: else -> assert(GRANTED_EMPTY || !pages[slot])
    fi;
    remembered[slot] = WORD_GENERATION(now) + 1;
    pages[slot] = true
}

inline count() {
    waits[_pid] = true;
    waiters[c]++
}

inline leave(t) {
    waits[t] = false;
    waiters[c]--
}

/* The process plays the owner of a table that is nobody's any more. Of words that change meanwhile an edge is lost. */
inline drain(slot) {
    do
    :: WORD_STATE(word[slot]) == WORD_IDLE && WITH(GUARD_DRAIN_REVOKES) ->
        now = word[slot];
        owner_revoke(slot, WORD_GENERATION(now))
    :: WORD_STATE(word[slot]) == WORD_BUSY && WITH(GUARD_DRAIN_RECALLS) ->
        now = word[slot];
        owner_recall(slot, WORD_GENERATION(now))
    :: else -> break
    od
}

inline walk_release() {
    client_release(k, remembered[k] - 1);
    if
    :: walked -> holders[k]--; goto through
    :: else -> goto lose
    fi
}

active [THREADS] proctype Thread() {
    byte c = _pid / 2, k, now, to, rounds = ROUNDS;
    bool walked;

    {
        if
        :: LONE && _pid == 3 -> goto end
        :: else
        fi;
look: /* wait_enqueue, demand_await. That the queue is joined and the futex read before the look is what counts: what
         happens in between is news. */
        atomic {
            if
            :: WITH(GUARD_COUNT_BEFORE_LOOK) && !waits[_pid] && !served[_pid] -> count()
            :: else
            fi;
            news[_pid] = false;
            k = CURRENT(c);
            now = word[k];
            if
            :: WORD_STATE(now) == WORD_IDLE -> goto take
            :: WORD_STATE(now) != WORD_IDLE && WITH(GUARD_READ_BEFORE_LOOK) && WITH(GUARD_COUNT_BEFORE_LOOK) -> goto ask
            :: else
            fi
        };
        atomic { /* in a mutant: others came in between */
            true;
            if
            :: !WITH(GUARD_READ_BEFORE_LOOK) -> news[_pid] = false
            :: else -> count()
            fi;
            goto ask
        };
take: /* lane_take, under the queue's lock: if it has been served meanwhile, it leaves the slot alone */
        atomic {
            walked = false;
            if
            :: !served[_pid] && WITH(GUARD_COMPARE) -> client_take(k, WORD_GENERATION(now))
            :: !served[_pid] && !WITH(GUARD_COMPARE) -> word[k] = WORD(WORD_GENERATION(now), WORD_BUSY); walked = true
            :: else
            fi;
            if
            :: walked ->
                if
                :: waits[_pid] -> leave(_pid)
                :: else
                fi;
                hold(k);
                now = 0;
                walked = false
            :: else -> now = 0; goto look
            fi
        };
        goto use;
ask: /* demand_raise */
        atomic {
            now = 0;
            if
            :: served[_pid]
            :: !served[_pid] && ended[k] -> goto reconnect
            :: else -> target[k] = true; want[k] = true
            fi
        };
asleep: /* wait_watch */
        if
        :: atomic { served[_pid] -> k = served[_pid] - 1; served[_pid] = 0; goto use }
        :: atomic { !served[_pid] && news[_pid] -> goto look }
        :: atomic { !served[_pid] && !news[_pid] && ended[k] && WITH(GUARD_SLICE) -> goto look }
        fi;
reconnect: /* remote_reach */
        if
        :: atomic { CURRENT(c) != k -> goto look }
        :: atomic { CURRENT(c) == k && !is_down -> is_anew[c] = true }
        fi;
        drain(k);
        atomic { now = 0; walked = false; goto look };
use: /* demand_settle. The daemon sees in the next turn that the target was lowered. */
        atomic {
            if
            :: !waiters[c] -> target[k] = false; queued[k] = false
            :: else
            fi
        };
release: /* shelf_release */
        atomic {
            assert(NEVER_PUNCHED || pages[k]);
            if
            :: waiters[c] && WITH(GUARD_SERVE_WAITER) ->
                if
                :: WORD_STATE(word[k]) == WORD_RECALLED && WITH(GUARD_HAND_OVER_SEES_RECALL) -> goto lose
                :: else -> served[_pid ^ 1] = k + 1; leave(_pid ^ 1); goto through
                fi
            :: else
            fi;
            if
            :: WITH(GUARD_LOOK_UNDER_LOCK) -> walk_release()
            :: else
            fi
        };
        atomic { true; walk_release() };
lose: /* shelf_lose: not ours before it is VACANT. Whoever is stopped then has not kicked. */
        atomic {
            holders[k]--;
            if
            :: WITH(GUARD_RELEASE_SEES_RECALL) ->
                client_give_back(k, remembered[k] - 1);
                assert(ONE_HOLDER || walked);
                if
                :: KICKS -> kick[k] = true
                :: true
                fi
            :: else -> word[k] = WORD(remembered[k] - 1, WORD_IDLE)
            fi
        };
through:
        atomic {
            walked = false;
            k = 0;
            rounds = rounds - !(ENDLESS && c == 0);
            if
            :: rounds
            :: else -> left--; is_through[_pid] = true; goto end
            fi
        };
        goto look
    } unless { atomic { dead[c] -> k = 0; now = 0; walked = false; rounds = 0 } }; /* at any of these steps */
end:
    skip
}
