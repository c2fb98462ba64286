/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Numbers that are too large, too small or too many. */

#include "tests/support/rig.h"

#include <stdio.h>

RIG_SUITE(number);

#define HUGE_BYTES (UINT64_C(1) << 63)

static const struct Shape hostile_shapes[] = {
    {.kind = KIND_MEMORY, .reservation = HUGE_BYTES, .count = 1},
    {.kind = KIND_MEMORY, .reservation = HUGE_BYTES, .guard = HUGE_BYTES, .count = 1},
    {.kind = KIND_MEMORY, .reservation = HUGE_BYTES, .count = 2},
    {.kind = KIND_MEMORY, .reservation = 65536, .guard = HUGE_BYTES, .count = 1},
    {.kind = KIND_MEMORY, .reservation = 65536, .guard = UINT64_MAX - 65535, .guard_before = true, .count = 1},
    {.kind = KIND_MEMORY, .reservation = UINT64_MAX, .guard = UINT64_MAX, .count = UINT32_MAX},
    {.kind = KIND_MEMORY, .reservation = UINT64_C(1) << 32, .count = 4096},
    {.kind = KIND_MEMORY, .reservation = 65536, .count = UINT32_MAX},
    {.kind = KIND_MEMORY, .reservation = 65536, .count = 0},
    {.kind = KIND_MEMORY, .reservation = 65536, .count = SHAPE_SLOTS_MAX + 1},
    {.kind = KIND_MEMORY, .reservation = 0, .count = 1},
    {.kind = KIND_MEMORY, .reservation = 1, .count = 1},
    {.kind = KIND_MEMORY, .reservation = 65536, .guard = 1, .count = 1},
    {.kind = KIND_TABLE, .elements = UINT64_MAX, .element_size = 8, .count = 1},
    {.kind = KIND_TABLE, .elements = UINT64_MAX / 8, .element_size = 8, .count = 1},
    {.kind = KIND_TABLE, .elements = HUGE_BYTES, .element_size = 64, .count = 4096},
    {.kind = KIND_TABLE, .elements = 1, .element_size = 0, .count = 1},
    {.kind = KIND_TABLE, .elements = 1, .element_size = 7, .count = 1},
    {.kind = KIND_TABLE, .elements = 1, .element_size = UINT32_MAX, .count = 1},
    {.kind = KIND_TABLE, .elements = 1, .element_size = UINT32_MAX - 7, .count = 1},
    {.kind = KIND_INSTANCE, .count = UINT32_MAX},
    {.kind = KIND_INSTANCE, .count = 0},
    {.kind = (enum Kind)0, .count = 1},
    {.kind = (enum Kind)4, .count = 1},
    {.kind = (enum Kind)INT32_MAX, .count = 1},
    {.kind = (enum Kind)-1, .count = 1},
};

static void ask_hostile_shapes(void *unused) {
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (size_t i = 0; i < sizeof(hostile_shapes) / sizeof(hostile_shapes[0]); i++)
        peer_expect_error(&peer, peer_ask_slab(&peer, &hostile_shapes[i], UINT32_MAX), ERROR_INVALID, NULL);
    peer_goodbye(&peer);
}

Test(number, of_a_shape_out_of_bounds_is_invalid_and_the_client_goes_on) {
    struct PeerStatus status;

    rig_open(NULL);
    rig_attack(ask_hostile_shapes, NULL);
    status = rig_status();
    expect_eq(status.cut_off, 0);
    expect_eq(status.refused, sizeof(hostile_shapes) / sizeof(hostile_shapes[0]));
    expect_eq(status.slabs[KIND_MEMORY] + status.slabs[KIND_TABLE] + status.slabs[KIND_INSTANCE], 0);
    rig_close();
}

static void name_the_bound(void *unused) {
    struct Shape shape = {.kind = KIND_MEMORY, .reservation = UINT64_C(1) << 36, .count = 4096};
    struct Error error;
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_expect_error(&peer, peer_ask_slab(&peer, &shape, 1), ERROR_INVALID, &error);
    host_demand(!strcmp(error.limit, "slab_bytes_max") && error.bound == SHAPE_SLAB_BYTES_MAX &&
                    error.ask == UINT64_C(1) << 48,
                "the refusal is '%s'", error.message);
    peer_goodbye(&peer);
}

Test(number, of_bytes_beyond_the_bound_is_refused_with_the_bound) {
    rig_open(NULL);
    rig_attack(name_the_bound, NULL);
    rig_close();
}

static void want_everything(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4096);
    struct PeerSlab slab;
    struct Error error;
    struct Peer peer;
    uint32_t granted;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, UINT32_MAX, &slab);
    host_demand(slab.granted && slab.granted <= 16, "%u slots at once", slab.granted);
    granted = peer_want(&peer, &slab, UINT32_MAX, &error);
    host_demand(granted && granted <= 16, "%u slots at once", granted);
    host_demand(peer_count(&peer, &slab, LEASE_IDLE) == slab.granted + granted, "the table says otherwise");
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
}

Test(number, of_slots_wanted_is_granted_in_small_batches) {
    rig_open(NULL);
    rig_attack(want_everything, NULL);
    rig_await_granted(KIND_MEMORY, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ too many */

/* It names who is refused, too. */
static void expect_limit(struct Peer *peer, uint64_t id, const char *limit, uint64_t bound, uint64_t use) {
    struct Error error;
    char who[32];

    peer_expect_error(peer, id, ERROR_LIMIT, &error);
    snprintf(who, sizeof(who), " (pid %d, ", (int)getpid());
    host_demand(!strncmp(error.message, "connection ", 11) && strstr(error.message, who), "'%s' does not name%s",
                error.message, who);
    host_demand(!strcmp(error.limit, limit) && error.bound == bound && error.use == use,
                "the refusal is '%s' (limit %s, bound %lu, use %lu), not of %s", error.message, error.limit,
                error.bound, error.use, limit);
}

static void open_three_slabs(void *argument) {
    const char *limit = argument;
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct PeerSlab slabs[3];
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 3; i++)
        peer_reopen_slab(&peer, &shape, 0, &slabs[i]); /* the witness has just closed one */
    expect_limit(&peer, peer_ask_slab(&peer, &shape, 0), limit, 3, 3);
    peer_close_slab(&peer, &slabs[1]);
    peer_reopen_slab(&peer, &shape, 0, &slabs[1]);
    host_demand(slabs[1].id > slabs[2].id, "slab %u: an id was used again", slabs[1].id);
    expect_limit(&peer, peer_ask_slab(&peer, &shape, 0), limit, 3, 3);
    for (int i = 0; i < 3; i++)
        peer_unmap_slab(&slabs[i]);
    peer_goodbye(&peer);
}

Test(number, of_slabs_of_a_client_is_bounded) {
    const char *settings[] = {"slabs_per_client_max=3", NULL};

    rig_open(settings);
    rig_attack(open_three_slabs, "slabs_per_client_max");
    rig_close();
}

Test(number, of_slabs_over_all_is_bounded) {
    const char *settings[] = {"slabs_max=3", NULL};

    rig_open(settings);
    rig_attack(open_three_slabs, "slabs_max");
    rig_close();
}

static void fill_the_table(void *unused) {
    struct Shape shape = peer_shape(KIND_INSTANCE, SHAPE_SLOTS_MAX);
    struct PeerSlab slab;
    struct Error error;
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (uint32_t i = 0; i < LEASE_ENTRIES_MAX / SHAPE_SLOTS_MAX; i++)
        peer_open_slab(&peer, &shape, 0, &slab);
    peer_expect_error(&peer, peer_ask_slab(&peer, &shape, 0), ERROR_LIMIT, &error);
    host_demand(!strcmp(error.limit, "entries"), "the refusal is '%s'", error.message);
    peer_close_slab(&peer, &slab);
    peer_open_slab(&peer, &shape, 1, &slab);
    host_demand(slab.granted == 1, "nothing was granted");
    peer_goodbye(&peer);
}

Test(number, of_entries_of_a_lease_table_is_bounded) {
    rig_open(NULL);
    rig_attack(fill_the_table, NULL);
    rig_close();
}
