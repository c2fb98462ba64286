/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The lease table between a daemon and two clients of two threads each.
 *
 * Connection k is a lease table of one slot, and the slab behind it; 0 and 2 are client 0's first and second one, 1 and
 * 3 client 1's. All of them may have TOTAL slots at a time, fewer than there are threads that want one. The daemon's
 * record outlives it, as memory does that others keep; whatever else it knows dies with it.
 *
 * Processes interleave between atomic steps. In each there is one access for which it matters who comes first; the rest
 * commutes with what others do, as the daemon's record does, which nobody else sees: where the daemon may die in the
 * midst of a step, DIES says so. What a configuration has:
 *   ROUNDS        so many times each thread takes and releases a slot
 *   TRIMS         so many times an idle slot is trimmed
 *   CRASH_DAEMON  so many times the daemon dies, anywhere, and another one begins: with RESUME it takes over from the
 *                 record, else it knows nothing, and the clients connect anew and drain what they have
 *   CRASH_CLIENT  client 0 dies, anywhere
 *   CUT           the daemon ends client 0's connection at any time, and the process lives
 *   KICKS         a kick may arrive; without it none does, which is no better
 *   LONE          client 1 has one thread only
 *   ENDLESS       client 0's threads never stop
 * What can die does, at the latest when nothing else can happen: that all goes well without it, another configuration
 * shows. */

#include "edges.h"
#include "guards.h"

#define THREADS 4
#define GENERATIONS_MAX 16 /* more than there is a reason for; what is a byte has room for twice as many */
#define CLIENT(K) ((K) % 2)

#if CUT && RESUME
#define CONNECTIONS 3
#define EACH(CHOICE) CHOICE(0) CHOICE(1) CHOICE(2)
#define SUM(OF) (OF(0) + OF(1) + OF(2))
#define ANY(IS) (IS(0) || IS(1) || IS(2))
#define ALL(ARE) (ARE(0) && ARE(1) && ARE(2))
#elif !RESUME
#define CONNECTIONS 4
#define EACH(CHOICE) CHOICE(0) CHOICE(1) CHOICE(2) CHOICE(3)
#define SUM(OF) (OF(0) + OF(1) + OF(2) + OF(3))
#define ANY(IS) (IS(0) || IS(1) || IS(2) || IS(3))
#define ALL(ARE) (ARE(0) && ARE(1) && ARE(2) && ARE(3))
#else
#define CONNECTIONS 2
#define EACH(CHOICE) CHOICE(0) CHOICE(1)
#define SUM(OF) (OF(0) + OF(1))
#define ANY(IS) (IS(0) || IS(1))
#define ALL(ARE) (ARE(0) && ARE(1))
#endif

/* The properties, by name: assert(NAME || what must hold). SERVED, who waits is served, is the formula at the end. Of a
 * mutant only the one counts that is to fail. */
#define OTHERS(PROPERTY) (ONLY && ONLY != PROPERTY)
hidden byte GENERATION_GROWS = OTHERS(1); /* each edge into VACANT begins a new one, and none goes back */
hidden byte ONE_HOLDER = OTHERS(2);       /* a slot is busy in one place */
hidden byte ONE_BUDGET = OTHERS(3);       /* and no more slots are than there may be */
hidden byte NEVER_PUNCHED = OTHERS(4);    /* no slot of a living process loses its pages while it is busy or idle */
hidden byte GRANTED_EMPTY = OTHERS(5);    /* a slot has no pages when it is granted, nor when it is first taken then */
hidden byte PAGES_KEPT = OTHERS(6);       /* and has them as long as the client has reason to think so */
hidden byte NOTHING_LOST = OTHERS(7);     /* in the end each slot is where the record says, and can be granted */
hidden byte RECORD_THERE = OTHERS(8);     /* nobody writes the record of a slab that is gone */
hidden byte NO_PING_PONG = OTHERS(9);     /* slots do not go to and fro without being used */

/* ---------------------------------------------------------------- what is shared */

byte word[CONNECTIONS];
bool pages[CONNECTIONS];  /* the slot has some */
bool target[CONNECTIONS]; /* somebody waits */
bool news[THREADS];       /* the futex is not what the thread has read */
bool want[CONNECTIONS];   /* messages on their way */
bool kick[CONNECTIONS];
bool ended[CONNECTIONS];  /* end-of-file, on both sides */

/* ---------------------------------------------------------------- the daemon's record */

byte generation[CONNECTIONS];
bool granted[CONNECTIONS], recalled[CONNECTIONS], cleaning[CONNECTIONS], disconnected[CONNECTIONS];
bool gone[CONNECTIONS];      /* there is no slab any more */
bool forgotten[CONNECTIONS]; /* a daemon before this one knew it */

/* ---------------------------------------------------------------- what dies with the daemon */

bool is_down;
bool queued[CONNECTIONS], trimmed[CONNECTIONS];
byte punches[CONNECTIONS]; /* in flight, in other threads, */
byte punched[CONNECTIONS]; /* and done: the loop is to be told */
#if MUTANT == GUARD_RESCAN
bool is_told;              /* there is a reason to look at who waits */
#define LOOKS is_told
#define TELL is_told = true
#else
#define LOOKS true
#define TELL skip
#endif

/* ---------------------------------------------------------------- the clients' own */

bool dead[2];                 /* the process */
bool is_anew[2];              /* it has connected anew */
byte remembered[CONNECTIONS]; /* generation + 1 when the slot was last taken; 0: never */
byte holders[CONNECTIONS];
byte waiters[2];
bool waits[THREADS];
byte served[THREADS];         /* connection + 1 of the slot that was handed over */

bool is_through[THREADS];
byte left = THREADS - LONE - 2 * ENDLESS; /* that are not, of those that end */
byte trims = TRIMS, crashes = CRASH_DAEMON;
bool finished;

/* ---------------------------------------------------------------- edges */

#define GROWS_grant true
#define GROWS_take true
#define GROWS_release true
#define GROWS_recall true
#define GROWS_revoke WITH(GUARD_REVOKE_GROWS)
#define GROWS_give_back WITH(GUARD_GIVE_BACK_GROWS)

#define IS_SAME(A, B) (WITH(GUARD_WHOLE_WORD) -> (A) == (B) : WORD_STATE(A) == WORD_STATE(B))

/* owner_grant(slot, generation) and so on, each of which sets `walked`. */
#define EDGE_INLINE(NAME, WALKER, FROM, TO, STEP) \
    inline WALKER##_##NAME(slot, since) { \
        d_step { \
            walked = IS_SAME(word[slot], WORD(since, FROM)); \
            if \
            :: walked -> \
                to = WORD(since + STEP * GROWS_##NAME, TO); \
                assert(GENERATION_GROWS || WORD_GENERATION(to) >= WORD_GENERATION(word[slot]) + (TO == WORD_VACANT)); \
                assert(NO_PING_PONG || WORD_GENERATION(to) < GENERATIONS_MAX); \
                word[slot] = to; \
                to = 0 \
            :: else \
            fi \
        } \
    }

EDGES(EDGE_INLINE)

/* ---------------------------------------------------------------- processes */

#include "client.pml"
#include "daemon.pml"

#if CRASH_CLIENT
#define DIE_THREAD(T) news[T] = false; waits[T] = false; served[T] = 0; is_through[T] = true;

active proctype ClientCrash() {
end:
    d_step {
        !finished ->
        dead[0] = true;
        left = left - !is_through[0] - !is_through[1];
        holders[0] = 0;
        remembered[0] = 0;
        waiters[0] = 0;
        DIE_THREAD(0)
        DIE_THREAD(1)
    }
}
#endif

#if CUT
active proctype Cut() {
end:
    d_step { !finished -> ended[0] = true }
}
#endif

#if ENDLESS
ltl SERVED { <> !left }
#else
ltl SERVED { <> finished }
#endif
