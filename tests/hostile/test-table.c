/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* What a client can do to its own lease table and its own slabs: nothing that others notice. */

#include "tests/support/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

RIG_SUITE(table);

#define SEED 20260131
#define SCRIBBLE_MS 1500

/* Words in every state, words that are none, and noise over the whole table, while it wants and kicks. */
static void scribble(void *argument) {
    unsigned seed = *(unsigned *)argument;
    int64_t until_ms = host_now_ms() + SCRIBBLE_MS;
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    struct Shape shape = peer_shape(KIND_MEMORY, 64);
    struct PeerSlab slab;
    struct Error error;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 8, &slab);
    while (host_now_ms() < until_ms) {
        uint64_t *words = (uint64_t *)peer.table;

        for (int i = 0; i < 2000; i++)
            words[(size_t)rand_r(&seed) % (lease_table_bytes(128) / 8)] = (uint64_t)rand_r(&seed) << rand_r(&seed) % 64;
        for (uint32_t i = 0; i < 64; i++)
            atomic_store(&peer_entry(&peer, &slab, i)->word,
                         lease_word((uint64_t)rand_r(&seed) % 3, (uint64_t)rand_r(&seed) % 8));
        peer_want(&peer, &slab, (uint32_t)rand_r(&seed), &error);
        peer_send(&peer, &(WireMessage)WIRE_MESSAGE(0, KICK, kick, &kick));
    }
    if (seed % 2)
        peer_goodbye(&peer);
}

Test(table, filled_with_random_words_harms_nobody_else) {
    unsigned seed = SEED;
    pid_t pids[2];

    rig_open(NULL);
    for (int i = 0; i < 2; i++) {
        seed += (unsigned)i;
        pids[i] = host_fork(scribble, &seed);
    }
    while (waitpid(pids[0], NULL, WNOHANG) == 0) {
        struct PeerStatus status;

        rig_use_witness();
        status = rig_status();
        cr_assert(status.granted[KIND_MEMORY] <= status.bound[KIND_MEMORY], "%lu granted of %lu",
                  status.granted[KIND_MEMORY], status.bound[KIND_MEMORY]);
        cr_assert(status.busy[KIND_MEMORY] <= status.granted[KIND_MEMORY], "%lu busy of %lu granted",
                  status.busy[KIND_MEMORY], status.granted[KIND_MEMORY]);
    }
    expect_eq(host_join(pids[1]), 0);
    rig_await_granted(KIND_MEMORY, 0);
    expect_eq(rig_status().connections, 1);
    rig_expect_sound();
    rig_close();
}

static void punch_table(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;
    struct Error error = {0};
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 4, &slab);
    for (int i = 0; i < 50; i++) {
        int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

        host_demand(!fallocate(peer.table_fd, mode, 0, (off_t)peer.table_bytes), "punch: %s", strerror(errno));
        peer_want(&peer, &slab, 1 + (uint32_t)i % 8, &error);
        host_demand(!madvise(peer.table, peer.table_bytes, MADV_REMOVE), "madvise: %s", strerror(errno));
        peer_want(&peer, &slab, 8, &error);
    }
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
}

Test(table, punched_by_its_client_reads_as_zero_and_kills_nobody) {
    rig_open(NULL);
    rig_attack(punch_table, NULL);
    rig_await_granted(KIND_MEMORY, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ memfds */

static void expect_refused(int r, int expected, const char *what) {
    host_demand(r < 0 && errno == expected, "%s: %s", what, r < 0 ? strerror(errno) : "was allowed");
}

static void tamper_with(int fd, uint64_t bytes) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    expect_refused(ftruncate(fd, 0), EPERM, "ftruncate to nothing");
    expect_refused(ftruncate(fd, (off_t)bytes * 2), EPERM, "ftruncate to the double");
    expect_refused(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM, "a seal against writing");
    expect_refused(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), EPERM, "a seal against future writing");
    expect_refused((int)pwrite(fd, "x", 1, (off_t)bytes), EPERM, "a write behind the end");
    expect_refused(fallocate(fd, 0, (off_t)bytes, 4096), EPERM, "fallocate behind the end");
    host_demand(!fallocate(fd, mode, 0, (off_t)bytes), "punching was refused: %s", strerror(errno));
}

static void tamper(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 8);
    struct PeerSlab slab;
    struct Peer peer;
    struct stat st;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 4, &slab);
    slab.base[shape_slot_offset(&slab.shape, peer_take(&peer, &slab))] = 1;
    tamper_with(slab.fd, slab.shape.file_bytes);
    tamper_with(peer.table_fd, peer.table_bytes);
    host_demand(!fstat(slab.fd, &st) && (uint64_t)st.st_size == slab.shape.file_bytes, "its size changed");
    if (fcntl(slab.fd, F_GET_SEALS) & 0x20)
        expect_refused(fchmod(slab.fd, 0777), EPERM, "chmod to executable");
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
}

Test(table, and_slab_can_be_punched_but_neither_resized_nor_sealed_by_their_client) {
    rig_open(NULL);
    rig_attack(tamper, NULL);
    rig_await_granted(KIND_MEMORY, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ claims */

Test(table, claims_of_slots_that_were_not_granted_do_not_count) {
    const char *settings[] = {"total_memories=4", NULL};
    struct Shape shape = peer_shape(KIND_MEMORY, 64);
    struct PeerStatus status;
    struct PeerSlab slab, other_slab;
    struct Error error = {0};
    struct Peer peer, other;

    rig_open(settings);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 0, &slab);
    for (uint32_t i = 0; i < 32; i++) {
        atomic_store(&peer_entry(&peer, &slab, i)->word, lease_word(0, LEASE_BUSY));
        slab.base[shape_slot_offset(&slab.shape, i)] = 1;
    }
    status = rig_status();
    expect_eq(status.granted[KIND_MEMORY], 0);
    expect_eq(status.busy[KIND_MEMORY], 0);
    /* Its pages are charged to it all the same. */
    expect_eq(status.resident_bytes, 32 * 4096);
    /* Wanting more does not make them its own, nor take away what others can have. */
    peer_want(&peer, &slab, 1, &error);
    cr_assert(rig_status().granted[KIND_MEMORY] <= 1, "%lu granted", rig_status().granted[KIND_MEMORY]);
    peer_open(&other, rig.daemon.socket);
    peer_open_slab(&other, &shape, 3, &other_slab);
    expect_eq(other_slab.granted, 3);
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
    rig_await_granted(KIND_MEMORY, 3);
    peer_goodbye(&other);
    peer_unmap_slab(&other_slab);
    rig_await_granted(KIND_MEMORY, 0);
    rig_expect_sound();
    rig_close();
}

/* The word says VACANT in the next generation: as if it had been recalled and had come back. The slot is uncharged, and
 * what the client still does there stays in its own slab. */
Test(table, claims_that_a_slot_came_back_give_it_back) {
    struct Shape shape = peer_shape(KIND_MEMORY, 1);
    struct PeerSlab slab;
    struct Error error = {0};
    struct Peer peer;

    rig_open(NULL);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 1, &slab);
    slab.base[shape_slot_offset(&slab.shape, 0)] = 1;
    atomic_store(&peer_entry(&peer, &slab, 0)->word, lease_word(1, LEASE_VACANT));
    expect_eq(peer_want(&peer, &slab, 0, &error), 0);
    rig_await_granted(KIND_MEMORY, 0);
    slab.base[shape_slot_offset(&slab.shape, 0)] = 1;
    /* What is granted is empty, whoever wrote there in between: the slot is cleaned first. */
    expect_eq(host_await(peer_want(&peer, &slab, 1, &error) == 1, RIG_AWAIT_MS), true);
    expect_eq(slab.base[shape_slot_offset(&slab.shape, 0)], 0);
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
    rig_expect_sound();
    rig_close();
}

/* A label full of noise, a time in the future and absurd pages are shown as what they are: claims. */
Test(table, claims_for_inspection_are_cleaned) {
    const char *arguments[] = {"wasmpoolctl", "--socket", rig.daemon.admin, "list", NULL};
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct LeaseEntry *entry;
    struct PeerSlab slab;
    struct Peer peer;
    char *output;

    rig_open(NULL);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 1, &slab);
    entry = peer_entry(&peer, &slab, peer_take(&peer, &slab));
    memset(entry->label, 0x1b, sizeof(entry->label));
    memcpy(entry->label, "evil\n\x1b[2J\xff", 10);
    atomic_store(&entry->taken_ns, UINT64_MAX);
    atomic_store(&entry->pages, UINT32_MAX);
    expect_eq(host_run(arguments, 0, &output, NULL), 0);
    expect_says(output, "evil??[2J?");
    for (const char *c = output; *c; c++)
        cr_assert(*c == '\n' || (*c >= 0x20 && *c < 0x7f), "byte %#x reaches the terminal", *c);
    free(output);
    peer_goodbye(&peer);
    peer_unmap_slab(&slab);
    rig_expect_sound();
    rig_close();
}
