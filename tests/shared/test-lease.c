/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/lease.h"
#include "tests/support/test.h"

#include <string.h>

#define GENERATION UINT64_C(41)

enum Edge { EDGE_GRANT, EDGE_REVOKE, EDGE_RECALL, EDGE_TAKE, EDGE_RELEASE, EDGE_N };

static const char *const EDGE_NAMES[EDGE_N] = {"grant", "revoke", "recall", "take", "release"};

/* Every word that the low bits can spell, the drawn states and the impossible ones. */
enum {
    VACANT = LEASE_VACANT,
    IDLE = LEASE_IDLE,
    BUSY = LEASE_BUSY,
    BUSY_RECALLED = LEASE_BUSY | LEASE_RECALL,
    STATES = 8,
};

static int walk(enum Edge edge, struct LeaseEntry *entry, uint64_t generation) {
    uint64_t taken;

    switch (edge) {
    case EDGE_GRANT:
        return lease_grant(entry, generation);
    case EDGE_REVOKE:
        return lease_revoke(entry, generation);
    case EDGE_RECALL:
        return lease_recall(entry, generation);
    case EDGE_TAKE:
        return lease_take(entry, &taken);
    default:
        return lease_release(entry, generation);
    }
}

static const struct {
    enum Edge edge;
    unsigned from, to;
    uint64_t generations;
    int result;
} DRAWN[] = {
    {EDGE_GRANT, VACANT, IDLE, 0, 0},
    {EDGE_TAKE, IDLE, BUSY, 0, 0},
    {EDGE_RELEASE, BUSY, IDLE, 0, 0},
    {EDGE_REVOKE, IDLE, VACANT, 1, 0},
    {EDGE_RECALL, BUSY, BUSY_RECALLED, 0, 0},
    {EDGE_RELEASE, BUSY_RECALLED, VACANT, 1, LEASE_E_RECALLED},
};

Test(lease, only_the_drawn_edges_can_be_walked) {
    for (unsigned edge = 0; edge < EDGE_N; edge++)
        for (unsigned state = 0; state < STATES; state++) {
            struct LeaseEntry entry = {.word = lease_word(GENERATION, state)};
            uint64_t expected = entry.word;
            int result = LEASE_E_LOST, r;

            for (size_t i = 0; i < sizeof(DRAWN) / sizeof(DRAWN[0]); i++)
                if (DRAWN[i].edge == edge && DRAWN[i].from == state) {
                    expected = lease_word(GENERATION + DRAWN[i].generations, DRAWN[i].to);
                    result = DRAWN[i].result;
                }
            r = walk(edge, &entry, GENERATION);
            cr_expect_eq(r, result, "%s from state %u: %d, not %d", EDGE_NAMES[edge], state, r, result);
            cr_expect_eq(entry.word, expected, "%s from state %u leads to %#" PRIx64 ", not %#" PRIx64,
                         EDGE_NAMES[edge], state, (uint64_t)entry.word, expected);
        }
}

Test(lease, edges_into_vacant_and_no_others_begin_a_generation) {
    for (size_t i = 0; i < sizeof(DRAWN) / sizeof(DRAWN[0]); i++)
        cr_expect_eq(DRAWN[i].generations, DRAWN[i].to == VACANT, "%s", EDGE_NAMES[DRAWN[i].edge]);
}

/* take does not look at the generation: whoever finds a slot idle may have it, and learns which generation it is. */
Test(lease, all_edges_but_take_are_lost_in_another_generation) {
    for (size_t i = 0; i < sizeof(DRAWN) / sizeof(DRAWN[0]); i++)
        for (int other = -1; other <= 1; other += 2) {
            struct LeaseEntry entry = {.word = lease_word(GENERATION, DRAWN[i].from)};
            int r;

            if (DRAWN[i].edge == EDGE_TAKE)
                continue;
            r = walk(DRAWN[i].edge, &entry, GENERATION + (uint64_t)other);
            cr_expect_eq(r, LEASE_E_LOST, "%s in a wrong generation: %d", EDGE_NAMES[DRAWN[i].edge], r);
            cr_expect_eq(entry.word, lease_word(GENERATION, DRAWN[i].from), "%s in a wrong generation changed the word",
                         EDGE_NAMES[DRAWN[i].edge]);
        }
}

Test(lease, take_tells_the_generation_and_only_on_success) {
    struct LeaseEntry entry = {.word = lease_word(GENERATION, LEASE_IDLE)};
    uint64_t generation = 7;

    expect_eq(lease_take(&entry, &generation), 0);
    expect_eq(generation, GENERATION);
    generation = 7;
    expect_eq(lease_take(&entry, &generation), LEASE_E_LOST);
    expect_eq(generation, 7);
}

Test(lease, a_slot_that_comes_back_after_a_recall_has_to_be_granted_again) {
    struct LeaseEntry entry = {.word = lease_word(0, LEASE_VACANT)};
    uint64_t generation;

    expect_eq(lease_grant(&entry, 0), 0);
    expect_eq(lease_take(&entry, &generation), 0);
    expect_eq(lease_recall(&entry, generation), 0);
    expect_eq(lease_recall(&entry, generation), LEASE_E_LOST);
    expect_eq(lease_release(&entry, generation), LEASE_E_RECALLED);
    expect_eq(lease_release(&entry, generation), LEASE_E_LOST);
    expect_eq(lease_take(&entry, &generation), LEASE_E_LOST);
    expect_eq(lease_grant(&entry, 0), LEASE_E_LOST);
    expect_eq(lease_grant(&entry, 1), 0);
    expect_eq(lease_take(&entry, &generation), 0);
    expect_eq(generation, 1);
}

Test(lease, words_hold_the_largest_generation) {
    uint64_t word = lease_word(LEASE_GENERATION_MAX, LEASE_BUSY | LEASE_RECALL);

    expect_eq(lease_generation(word), LEASE_GENERATION_MAX);
    expect_eq(lease_state(word), LEASE_BUSY);
    cr_expect(word & LEASE_RECALL);
}

/* From the last generation the next one is the first again, and not another state. */
Test(lease, the_generation_wraps_around_without_touching_the_state) {
    struct LeaseEntry entry = {.word = lease_word(LEASE_GENERATION_MAX, LEASE_IDLE)};

    expect_eq(lease_revoke(&entry, LEASE_GENERATION_MAX), 0);
    expect_eq(entry.word, lease_word(0, LEASE_VACANT));
}

Test(lease, states_and_kinds_have_names) {
    expect_str(lease_word_name(lease_word(GENERATION, VACANT)), "vacant");
    expect_str(lease_word_name(lease_word(GENERATION, IDLE)), "idle");
    expect_str(lease_word_name(lease_word(GENERATION, BUSY)), "busy");
    expect_str(lease_word_name(lease_word(GENERATION, BUSY_RECALLED)), "recalled");
    expect_str(lease_word_name(lease_word(GENERATION, 3)), "invalid");
    expect_str(kind_name(KIND_MEMORY), "memory");
    expect_str(kind_name(KIND_TABLE), "table");
    expect_str(kind_name(KIND_INSTANCE), "instance");
    expect_str(kind_name(0), "unknown");
    expect_str(kind_name(KIND_N), "unknown");
}

/* More than its bits hold is as much as they do. */
Test(lease, a_reset_is_told_in_one_word) {
    uint32_t reset = lease_reset_word(LEASE_RESET_SCAN, 1234, 64 * 777);

    expect_eq(lease_reset_way(reset), LEASE_RESET_SCAN);
    expect_eq(lease_reset_pages(reset), 1234);
    expect_eq(lease_reset_ns(reset), 64 * 777);
    reset = lease_reset_word(LEASE_RESET_EXTENTS, UINT64_MAX, UINT64_MAX);
    expect_eq(lease_reset_way(reset), LEASE_RESET_EXTENTS);
    expect_eq(lease_reset_pages(reset), LEASE_RESET_PAGES_MAX);
    expect_eq(lease_reset_ns(reset), (uint64_t)LEASE_RESET_TIMES_MAX * LEASE_RESET_NS);
    for (uint32_t way = 0; way < LEASE_RESET_N; way++)
        cr_expect(*lease_reset_name(way) && *lease_reset_why(way));
    expect_str(lease_reset_name(LEASE_RESET_N), "unknown");
    expect_str(lease_reset_name(UINT32_MAX), "unknown");
}

Test(lease, a_table_is_a_page_of_header_and_a_cache_line_for_each_slot) {
    static union {
        struct LeaseTable table;
        uint8_t bytes[4096 + 64 * 4];
    } room;

    memset(&room, 0, sizeof(room));
    lease_table_init(&room.table, 4);
    expect_eq(lease_table_bytes(4), sizeof(room));
    expect_eq(lease_table_bytes(LEASE_ENTRIES_MAX), 4096 + (4 << 20));
    expect_eq(room.table.header.magic, LEASE_MAGIC);
    expect_eq(room.table.header.version, LEASE_VERSION);
    expect_eq(room.table.header.entries, 4);
    expect_eq(room.table.header.header_bytes, 4096);
    expect_eq((uint8_t *)&room.table.entries[3] - room.bytes, 4096 + 3 * 64);
    for (int i = 0; i < 4; i++)
        expect_str(lease_word_name(lease_load(&room.table.entries[i])), "vacant");
}

Test(lease, ways_to_reset_have_a_word_and_a_reason_each) {
    for (uint32_t way = 0; way < LEASE_RESET_N; way++) {
        cr_assert(*lease_reset_name(way) && *lease_reset_why(way), "of way %u nothing is said", way);
        for (uint32_t other = 0; other < way; other++)
            cr_assert(strcmp(lease_reset_name(way), lease_reset_name(other)) &&
                          strcmp(lease_reset_why(way), lease_reset_why(other)),
                      "of ways %u and %u the same is said", way, other);
    }
    expect_str(lease_reset_name(LEASE_RESET_N), "unknown");
}
