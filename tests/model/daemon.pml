/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The daemon: what it does in a turn of its loop, in any order; and its threads that punch. Part of lease.pml. */

/* ---------------------------------------------------------------- punches */

#define PUNCH(K) \
    :: d_step { \
           punches[K] -> \
           assert(NEVER_PUNCHED || dead[CLIENT(K)] || WORD_STATE(word[K]) == WORD_VACANT); \
           pages[K] = false; \
           punches[K]--; \
           punched[K]++ \
       }

active proctype Puncher() {
end:
    do
    EACH(PUNCH)
    od
}

/* ---------------------------------------------------------------- daemon */

#if CRASH_DAEMON
#define DIES if :: crashes -> goto died :: true fi
#else
#define DIES skip
#endif

#define IS_USABLE(K) (!gone[K] && !forgotten[K] && WORD_STATE(word[K]) != WORD_VACANT)
#define IS_GRANTED(K) granted[K]
#define HAS_ROOM (SUM(IS_GRANTED) < TOTAL)
#define IS_KNOWN(K) (!gone[K] && !forgotten[K])
#define IS_HEARD(K) (IS_KNOWN(K) && !disconnected[K])
#define WAITS(K) (queued[K] && target[K])
#define SOME_WAIT (SUM(WAITS) > 0)
#define OTHERS_WAIT(K) (SUM(WAITS) > WAITS(K))

/* It has come back, by our edge or the client's. */
#define CAME_BACK(K) (granted[K] && word[K] == WORD(generation[K] + 1, WORD_VACANT))
#define IS_IDLE(K) (granted[K] && word[K] == WORD(generation[K], WORD_IDLE))
#define IS_BUSY(K) (granted[K] && word[K] == WORD(generation[K], WORD_BUSY))

/* In each turn of the loop everyone is heard, and who waits is served. Where nothing ends, it counts that client 1 is,
 * too; and that share.c says that it is the turn of who has less. */
#define COMES_FIRST(K, IS) (!ENDLESS || K == 1 || !IS(1))
#define HAS_SENT(K) want[K]
#define CAN_HEAR_WANT(K) (want[K] && IS_HEARD(K) && COMES_FIRST(K, HAS_SENT) && !HAS_TO_SERVE)
#define CAN_HEAR_KICK(K) (kick[K] && IS_HEARD(K))
#define CAN_FINISH(K) (punched[K])
#define CAN_REAP(K) (dead[CLIENT(K)] && IS_KNOWN(K))
#define CAN_DISCONNECT(K) (ended[K] && IS_HEARD(K))
#define CAN_SWEEP(K) (disconnected[K] && IS_KNOWN(K) && (CAME_BACK(K) || IS_IDLE(K)) && WITH(GUARD_SWEEP))
#define CAN_SPEND(K) (disconnected[K] && IS_KNOWN(K) && !granted[K])
#define CAN_COLLECT(K) (SOME_WAIT && LOOKS && recalled[K] && CAME_BACK(K))
#define CAN_GRANT(K) \
    (WAITS(K) && LOOKS && COMES_FIRST(K, WAITS) && (HAS_ROOM || !WITH(GUARD_ROOM)) && !granted[K] && \
     !(cleaning[K] && (WITH(GUARD_NOT_WHILE_CLEANING) || punches[K] > 1)))
/* What was granted to who waits the code takes back all the same, if it is beyond its share and not taken for
 * WANT_FRESH_MS. Here nobody who is woken is so late. */
#define CAN_REVOKE(K) \
    (OTHERS_WAIT(K) && LOOKS && !HAS_ROOM && IS_IDLE(K) && !(target[K] && WITH(GUARD_NOT_FROM_WAITER)))
#define CAN_RECALL(K) (OTHERS_WAIT(K) && LOOKS && !HAS_ROOM && IS_BUSY(K) && !recalled[K])
#define CAN_TRIM(K) (trims && IS_HEARD(K) && IS_IDLE(K) && pages[K])

#if ENDLESS
#define CAN_SERVE(K) (CAN_COLLECT(K) || CAN_GRANT(K) || CAN_REVOKE(K) || CAN_RECALL(K))
#define HAS_TO_SERVE (CAN_SERVE(0) || CAN_SERVE(1))
#else
#define HAS_TO_SERVE false
#endif

/* What goes on without anybody else. */
#define HAS_WORK(K) \
    (CAN_HEAR_WANT(K) || CAN_HEAR_KICK(K) || CAN_FINISH(K) || punches[K] || CAN_REAP(K) || CAN_DISCONNECT(K) || \
     CAN_SWEEP(K) || CAN_SPEND(K) || CAN_COLLECT(K) || CAN_GRANT(K) || CAN_REVOKE(K) || CAN_RECALL(K))

/* lease_wake. Who does not wait will read the futex before he does. */
#define WAKE(T) news[T] = waits[T] || !WITH(GUARD_COUNT_BEFORE_LOOK)

inline wake(slot) {
    if
    :: CURRENT(CLIENT(slot)) == slot -> WAKE(2 * CLIENT(slot)); WAKE(2 * CLIENT(slot) + 1)
    :: else
    fi
}

/* slab_clean_slot, if it has pages. */
inline clean(slot) {
    if
    :: pages[slot] && !cleaning[slot] -> cleaning[slot] = true; punches[slot]++
    :: else
    fi
}

/* grant_return: the word has changed, and the record follows. */
inline put_back(slot) {
    generation[slot]++;
    DIES;
    granted[slot] = false;
    recalled[slot] = false;
    clean(slot);
    TELL
}

/* slab_free: the whole slab is punched, and nobody waits for that. Of a dead process' slab nothing counts any more. */
inline drop(slot) {
    gone[slot] = true;
    granted[slot] = false;
    recalled[slot] = false;
    queued[slot] = false;
    generation[slot] = 0;
    want[slot] = false;
    kick[slot] = false;
    if
    :: dead[CLIENT(slot)] -> word[slot] = 0; pages[slot] = false; target[slot] = false; cleaning[slot] = false
    :: else -> punches[slot]++
    fi;
    TELL
}

/* grant_slot: record, word; and the client is woken. */
inline walk_grant(slot) {
    owner_grant(slot, generation[slot]);
    assert(GRANTED_EMPTY || !walked || !pages[slot]);
    assert(ONE_BUDGET || SUM(IS_USABLE) <= TOTAL)
}

inline grant(slot) {
    if
    :: WITH(GUARD_RECORD_BEFORE_GRANT) -> granted[slot] = true; DIES; walk_grant(slot)
    :: else -> walk_grant(slot); DIES; granted[slot] = true
    fi;
    DIES;
    queued[slot] = false;
    if
    :: WITH(GUARD_WAKE_AT_GRANT) -> wake(slot)
    :: else
    fi
}

/* client_want_quietly, which looks first whether something has come back */
inline do_HEAR_WANT(slot) {
    want[slot] = false;
    DIES;
    if
    :: CAME_BACK(slot) -> put_back(slot)
    :: else
    fi;
    queued[slot] = target[slot];
    TELL
}

/* client_kick */
inline do_HEAR_KICK(slot) {
    kick[slot] = false;
    DIES;
    if
    :: recalled[slot] && CAME_BACK(slot) -> put_back(slot)
    :: else
    fi
}

/* reclaim_finish, grant_cleaned, and grant_again of what was trimmed */
inline do_FINISH(slot) {
    punched[slot]--;
    if
    :: gone[slot] && WITH(GUARD_SLAB_IS_THERE)
    :: else ->
        assert(RECORD_THERE || !gone[slot]);
        cleaning[slot] = false;
        TELL;
        if
        :: trimmed[slot] && IS_HEARD(slot) && HAS_ROOM && !SOME_WAIT && !granted[slot] && !pages[slot] -> grant(slot)
        :: else
        fi;
        trimmed[slot] = false
    fi
}

/* session_on_process: the pidfd says so */
inline do_REAP(slot) {
    drop(slot)
}

/* client_disconnect */
inline do_DISCONNECT(slot) {
    disconnected[slot] = true;
    queued[slot] = false;
    if
    :: !WITH(GUARD_ONLY_DEATH) -> drop(slot)
    :: else
    fi
}

/* client_sweep */
inline do_SWEEP(slot) {
    if
    :: CAME_BACK(slot)
    :: else -> owner_revoke(slot, generation[slot]); DIES
    fi;
    put_back(slot)
}

/* client_is_spent */
inline do_SPEND(slot) {
    drop(slot)
}

inline do_COLLECT(slot) {
    put_back(slot)
}

/* grant_slots: with pages it is cleaned first */
inline do_GRANT(slot) {
    if
    :: pages[slot] && WITH(GUARD_EMPTY_BEFORE_GRANT) -> cleaning[slot] = true; punches[slot]++
    :: else -> grant(slot)
    fi
}

/* want_revoke, want_recall */
inline do_REVOKE(slot) {
    owner_revoke(slot, generation[slot]);
    DIES;
    put_back(slot)
}

inline do_RECALL(slot) {
    if
    :: WITH(GUARD_RECORD_BEFORE_RECALL) -> recalled[slot] = true; DIES; owner_recall(slot, generation[slot])
    :: else -> owner_recall(slot, generation[slot]); DIES; recalled[slot] = true
    fi
}

/* grant_trim */
inline do_TRIM(slot) {
    trims--;
    if
    :: WITH(GUARD_REVOKE_BEFORE_TRIM) ->
        owner_revoke(slot, generation[slot]);
        DIES;
        trimmed[slot] = true;
        put_back(slot)
    :: else -> punches[slot]++
    fi
}

/* A daemon that begins where another one has left off. */
inline adopt(slot) {
    cleaning[slot] = cleaning[slot] && !WITH(GUARD_ADOPT_CLEANING);
    if
    :: CAME_BACK(slot) && WITH(GUARD_ADOPT_RETURN) -> put_back(slot)
    :: granted[slot] && word[slot] == WORD(generation[slot], WORD_VACANT) && WITH(GUARD_ADOPT_GRANT) ->
        granted[slot] = false
    :: else
    fi;
    recalled[slot] = recalled[slot] && (WORD_STATE(word[slot]) == WORD_RECALLED || !WITH(GUARD_ADOPT_RECALL));
    if
    :: WITH(GUARD_ADOPT_WAKES) -> wake(slot)
    :: else
    fi
}

#define ADOPT(K) if :: IS_KNOWN(K) -> adopt(K) :: else fi;

#if RESUME
#define DIE(K) \
    queued[K] = false; trimmed[K] = false; punched[K] = 0; punches[K] = (WITH(GUARD_PUNCH_DIES) -> 0 : punches[K]);
#define DIE_ALL EACH(DIE)
#define BEGIN EACH(ADOPT) skip
#else
/* Its sockets are closed, and what it had granted is nobody's any more. */
#define DIE(K) \
    queued[K] = false; trimmed[K] = false; punched[K] = 0; punches[K] = 0; ended[K] = true; forgotten[K] = true; \
    granted[K] = false; recalled[K] = false; cleaning[K] = false;
#define DIE_ALL DIE(0) DIE(1)
#define BEGIN skip
#endif

/* In the end: idle, or on its way back, or free. And gone from who was left alone with its table. */
#define IS_RIGHT(K) \
    (dead[CLIENT(K)] || \
     ((!IS_KNOWN(K) || IS_IDLE(K) || (recalled[K] && CAME_BACK(K)) || \
       (!granted[K] && !cleaning[K] && word[K] == WORD(generation[K], WORD_VACANT))) && \
      (CURRENT(CLIENT(K)) == K || WORD_STATE(word[K]) == WORD_VACANT)))

#define DO(K, NAME) :: atomic { CAN_##NAME(K) -> do_##NAME(K); walked = false }
#define DO_ANY(K) \
    DO(K, HEAR_WANT) DO(K, HEAR_KICK) DO(K, FINISH) DO(K, REAP) DO(K, DISCONNECT) DO(K, SWEEP) DO(K, SPEND) \
    DO(K, COLLECT) DO(K, GRANT) DO(K, REVOKE) DO(K, RECALL) DO(K, TRIM)

active proctype Daemon() {
    byte to;
    bool walked;

loop:
    do
    EACH(DO_ANY)
#if CRASH_DAEMON
    :: atomic { crashes -> goto died }
#endif
#if MUTANT == GUARD_RESCAN
    :: atomic { is_told -> is_told = false }
#endif
    :: atomic { !left && !ANY(HAS_WORK) -> assert(NOTHING_LOST || ALL(IS_RIGHT)); finished = true; goto over }
    od;
died:
    atomic { crashes--; is_down = true; walked = false; DIE_ALL };
    atomic { is_down = false; BEGIN; goto loop };
over:
    skip
}
