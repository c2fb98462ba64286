/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_LEASE_H
#define SHARED_LEASE_H

/* The lease table: which slots a connection may use right now.
 *
 * A memfd that the daemon shares with one connection (or plain memory, where the allocator is embedded): one page of
 * header, then one cache line for each slot. The heart of an entry is its word, {generation, recall bit, state}:
 *
 *    VACANT --lease_grant--> IDLE --lease_take--> BUSY --lease_release--> IDLE
 *       ^                     |                    |
 *       |                     |                    +--lease_recall--> BUSY|RECALL --+
 *       +--lease_revoke-------+                                                     |
 *       +--lease_release (recalled; the caller sends one Kick) ---------------------+
 *
 * grant, revoke and recall are walked by whoever owns the memory: the daemon, the embedded allocator, or, once the
 * connection of a table has ended, the client that is left alone with it. take and release are walked by the client.
 * Every edge is one sequentially consistent compare-and-swap of the whole word, so of two that race exactly one wins,
 * and no edge makes a system call. The generation grows by one on each edge into VACANT: a client that finds another
 * one than it remembers knows that the slot's pages are gone.
 *
 * The owner treats each word as a claim: the client can write anything here. Authority is in the owner's own record. */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_MAGIC UINT32_C(0x736c7077) /* "wpls" */
#define LEASE_VERSION 1

#define LEASE_ENTRIES_MAX 65536 /* slots of one connection; 4 MiB of sparse table */
#define LEASE_SLABS_MAX 960     /* slabs of one connection: as many targets as fit behind the header's own lines */
#define LEASE_LABEL_BYTES 24

enum Kind { KIND_MEMORY = 1, KIND_TABLE = 2, KIND_INSTANCE = 3 };
#define KIND_N 4 /* for arrays indexed by kind; 0 is nobody's */

enum LeaseState { LEASE_VACANT = 0, LEASE_IDLE = 1, LEASE_BUSY = 2 };

#define LEASE_STATE_MASK UINT64_C(3)
#define LEASE_RECALL UINT64_C(4)
#define LEASE_GENERATION_SHIFT 3
#define LEASE_GENERATION_MAX (UINT64_MAX >> LEASE_GENERATION_SHIFT)

/* Flags of an entry, written by the client. */
#define LEASE_FLAG_RETIRED UINT32_C(1) /* could be neither reset nor emptied: stays BUSY until the connection ends */
#define LEASE_FLAG_PRIVATE UINT32_C(2) /* has pages of the client's own: see client/overlay.h */

/* Positive outcomes. */
enum {
    LEASE_E_LOST = 1,     /* the word was not what this edge starts from: somebody else walked first */
    LEASE_E_RECALLED = 2, /* lease_release went to VACANT, not to IDLE: send a Kick */
};

/* A target: how many slots of a slab the client wants granted, and whether somebody waits for them. Without the bit the
 * owner grants what it can when it looks and forgets the rest; with it the slab stands in the owner's queue, at whose
 * head idle slots are revoked and busy ones recalled elsewhere, until so many are granted or the client lowers it. */
#define LEASE_TARGET_WAIT UINT32_C(0x80000000)
#define LEASE_TARGET_SLOTS (~LEASE_TARGET_WAIT)

/* How a slot's bytes were made what the next one must find; see client/reset.h. */
enum LeaseReset {
    LEASE_RESET_NONE,    /* not yet */
    LEASE_RESET_SMALL,   /* all compared */
    LEASE_RESET_COUNT,   /* hot pages written back, and nothing looked for: the count of faults stood still, or else a look */
    LEASE_RESET_SCAN,    /* hot pages, after a look each time */
    LEASE_RESET_WHOLE,   /* all written */
    LEASE_RESET_EXTENTS, /* all pages that exist */
    LEASE_RESET_PRIVATE, /* of an image that is mapped copy-on-write: hot pages, or all that was written given back */
    LEASE_RESET_N
};

struct LeaseEntry {
    _Atomic uint64_t word;
    /* What the client says for those who inspect; nothing depends on it. */
    _Atomic uint32_t flags;
    _Atomic uint32_t image;    /* id of the image that it was taken with, of this connection; 0: none that is shared */
    _Atomic uint32_t pages;    /* host pages in use */
    _Atomic uint32_t reset;    /* how it was reset last: lease_reset_word */
    _Atomic uint64_t taken_ns; /* CLOCK_MONOTONIC when it was taken */
    char label[LEASE_LABEL_BYTES];
    uint64_t reserved;
};

struct LeaseHeader {
    uint32_t magic, version;
    uint32_t entries; /* that follow the header */
    uint32_t header_bytes;
    _Alignas(64) _Atomic uint32_t futex; /* bumped and woken when slots were granted outside of an answer, and when a
                                            waiter of this process is served or the epoch changes: see lease_wait */
    _Alignas(64) _Atomic uint32_t epoch; /* bumped when the connection starts anew or ends */
    _Alignas(64) uint8_t reserved[64];
    _Atomic uint32_t targets[LEASE_SLABS_MAX]; /* demand of each slab, a level: see LEASE_TARGET_WAIT */
};

struct LeaseTable {
    struct LeaseHeader header;
    struct LeaseEntry entries[];
};

static_assert(sizeof(struct LeaseEntry) == 64, "an entry is a cache line");
static_assert(sizeof(struct LeaseHeader) == 4096, "the header is a page");
static_assert(offsetof(struct LeaseHeader, futex) == 64, "a line of its own");
static_assert(offsetof(struct LeaseHeader, epoch) == 128, "a line of its own");
static_assert(offsetof(struct LeaseHeader, targets) == 256, "lines of their own");
static_assert(offsetof(struct LeaseEntry, taken_ns) == 24, "part of the protocol");
static_assert(offsetof(struct LeaseEntry, label) == 32, "part of the protocol");

static inline uint64_t lease_table_bytes(uint32_t entries) {
    return sizeof(struct LeaseHeader) + (uint64_t)entries * sizeof(struct LeaseEntry);
}

void lease_table_init(struct LeaseTable *table, uint32_t entries);

static inline uint64_t lease_word(uint64_t generation, uint64_t state) {
    return generation << LEASE_GENERATION_SHIFT | state;
}

static inline uint64_t lease_generation(uint64_t word) {
    return word >> LEASE_GENERATION_SHIFT;
}

static inline enum LeaseState lease_state(uint64_t word) {
    return (enum LeaseState)(word & LEASE_STATE_MASK);
}

/* Can it be taken? With the recall bit, which nobody sets on an idle one, it cannot. */
static inline bool lease_is_idle(uint64_t word) {
    return (word & (LEASE_STATE_MASK | LEASE_RECALL)) == LEASE_IDLE;
}

static inline uint64_t lease_load(const struct LeaseEntry *entry) {
    return atomic_load_explicit(&((struct LeaseEntry *)entry)->word, memory_order_seq_cst);
}

#ifdef LEASE_TRACE
int lease_walk(struct LeaseEntry *entry, uint64_t from, uint64_t to); /* the same, recorded: see tests/model/trace.h */
#else
static inline int lease_walk(struct LeaseEntry *entry, uint64_t from, uint64_t to) {
    return atomic_compare_exchange_strong(&entry->word, &from, to) ? 0 : LEASE_E_LOST;
}
#endif

/* Owner: VACANT -> IDLE, in the generation that the owner's record says. The slot must be empty by then. */
static inline int lease_grant(struct LeaseEntry *entry, uint64_t generation) {
    return lease_walk(entry, lease_word(generation, LEASE_VACANT), lease_word(generation, LEASE_IDLE));
}

/* Owner: IDLE -> VACANT of the next generation. */
static inline int lease_revoke(struct LeaseEntry *entry, uint64_t generation) {
    return lease_walk(entry, lease_word(generation, LEASE_IDLE), lease_word(generation + 1, LEASE_VACANT));
}

/* Owner: BUSY -> BUSY|RECALL. */
static inline int lease_recall(struct LeaseEntry *entry, uint64_t generation) {
    return lease_walk(entry, lease_word(generation, LEASE_BUSY), lease_word(generation, LEASE_BUSY | LEASE_RECALL));
}

/* Client: IDLE -> BUSY, in whatever generation; *generationp is written on success. */
static inline int lease_take(struct LeaseEntry *entry, uint64_t *generationp) {
    uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);

    if (!lease_is_idle(word))
        return LEASE_E_LOST;
    if (lease_walk(entry, word, word ^ (LEASE_IDLE ^ LEASE_BUSY)))
        return LEASE_E_LOST;
    *generationp = lease_generation(word);
    return 0;
}

/* Client: BUSY -> IDLE; or, when it was recalled, -> VACANT of the next generation, and LEASE_E_RECALLED.
 * LEASE_E_LOST means that the word was not BUSY in this generation: the table was tampered with. */
static inline int lease_release(struct LeaseEntry *entry, uint64_t generation) {
    uint64_t busy = lease_word(generation, LEASE_BUSY);

    if (!lease_walk(entry, busy, lease_word(generation, LEASE_IDLE)))
        return 0;
    if (!lease_walk(entry, busy | LEASE_RECALL, lease_word(generation + 1, LEASE_VACANT)))
        return LEASE_E_RECALLED;
    return LEASE_E_LOST;
}

/* Wait until the header's futex is not `seen` any more: read it, look for what is waited for, then call this. Returns 0
 * when it changed (or may have: look again), or -ETIMEDOUT after `timeout_ns`. Wakes on every lease_wake, in whatever
 * process, since `seen` was read: none is lost. A dead owner wakes nobody. Source: futex(2), FUTEX_WAIT. */
int lease_wait(struct LeaseTable *table, uint32_t seen, uint64_t timeout_ns);

/* Bump the futex and wake all who wait on it, in every process that has the table. */
void lease_wake(struct LeaseTable *table);

/* With how many hot pages there were, and how long it took when that was last measured: both are cut off at the end of
 * their bits. */
#define LEASE_RESET_NS 64
#define LEASE_RESET_PAGES_MAX UINT32_C(0x1fff)
#define LEASE_RESET_TIMES_MAX UINT32_C(0xffff)

static inline uint32_t lease_reset_word(enum LeaseReset way, uint64_t pages, uint64_t ns) {
    uint64_t times = ns / LEASE_RESET_NS;

    return (uint32_t)way | (uint32_t)(pages < LEASE_RESET_PAGES_MAX ? pages : LEASE_RESET_PAGES_MAX) << 3 |
           (uint32_t)(times < LEASE_RESET_TIMES_MAX ? times : LEASE_RESET_TIMES_MAX) << 16;
}

static inline uint32_t lease_reset_way(uint32_t reset) {
    return reset & 7;
}

static inline uint32_t lease_reset_pages(uint32_t reset) {
    return reset >> 3 & LEASE_RESET_PAGES_MAX;
}

static inline uint64_t lease_reset_ns(uint32_t reset) {
    return (uint64_t)(reset >> 16) * LEASE_RESET_NS;
}

/* A word for a way, and why it is taken, for people. */
const char *lease_reset_name(uint32_t way);
const char *lease_reset_why(uint32_t way);

/* A phrase for a word's state, for people: "vacant", "idle", "busy", "recalled". */
const char *lease_word_name(uint64_t word);
const char *kind_name(unsigned kind);

#endif
