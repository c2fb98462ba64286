/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A daemon on a host without PSI, and on one that gives it no trigger: see other-psi.c. */

#include "tests/e2e/ctl.h"

#include <fcntl.h>
#include <stdio.h>

RIG_SUITE(psi);

#define SLOTS 8
#define SLOT_BYTES (UINT64_C(1) << 20) /* of peer_shape */
#define STALL_US 1000000

static void psi_rig_open(const char *psi, const char *const *settings) {
    char program[512];

    host_set_fail(rig_die);
    host_find_program(program, sizeof(program), "wasmpoold-other-psi");
    setenv("WASMPOOL_DAEMON", program, true);
    setenv("WASMPOOL_TEST_PSI", psi, true);
    rig_open(settings);
}

static unsigned count_in(const char *text, const char *part) {
    unsigned n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

static void expect_feature(const char *name, bool present) {
    json_t *root = ctl_json("status"), *feature = json_object_get(json_object_get(root, "features"), name);

    cr_assert(json_is_object(feature), "status says nothing of %s", name);
    cr_expect_eq(json_is_true(json_object_get(feature, "present")), present, "%s: %s", name,
                 json_string_value(json_object_get(feature, "without")));
    json_decref(root);
}

/* Idle slots with all their pages. */
static void fill(struct Peer *peer, struct PeerSlab *slab) {
    struct Shape shape = peer_shape(KIND_MEMORY, SLOTS);
    struct Error error = {0};
    uint32_t slots[SLOTS];

    peer_open(peer, rig.daemon.socket);
    peer_open_slab(peer, &shape, SLOTS, slab);
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!peer_count(peer, slab, LEASE_IDLE))
            host_demand(peer_want(peer, slab, SLOTS, &error), "%s", error.message);
        slots[i] = peer_take(peer, slab);
        memset(slab->base + shape_slot_offset(&slab->shape, slots[i]), 1, SLOT_BYTES);
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        peer_release(peer, slab, slots[i]);
}

static void leave(struct Peer *peer, struct PeerSlab *slab) {
    peer_unmap_slab(slab);
    peer_goodbye(peer);
    rig_expect_sound();
    rig_close();
}

/* Nor does the log complain at each look; and what does not depend on it is as ever. */
Test(psi, that_is_absent_is_said_once_by_status) {
    static const char *const settings[] = {"log_level=info", "idle_trim_ms=1", NULL};
    struct PeerSlab slab;
    struct Peer peer;
    char *output;

    psi_rig_open("/nonexistent/pressure", settings);
    fill(&peer, &slab);
    cr_expect(host_await(rig_status().resident_bytes == 0, RIG_AWAIT_MS), "%lu bytes are still resident",
              rig_status().resident_bytes);
    expect_feature("psi", false);
    expect_feature("psi_trigger", false);
    expect_eq(ctl(&output, NULL, "status"), 0);
    expect_says(output, "no: the daemon does not see when the host is short of memory\n");
    expect_eq(count_in(output, "the host is short of memory"), 1);
    expect_says(output, "the host's PSI, if any, is read every second");
    expect_eq(host_count_log(&rig.daemon, " psi", NULL), 0);
    free(output);
    leave(&peer, &slab);
}

/* By the file that stands for the host's, tasks have waited that long since boot. */
static void set_stalled(int fd, uint64_t us) {
    char text[128];
    int n = snprintf(text, sizeof(text), "some avg10=0.00 avg60=0.00 avg300=0.00 total=%020lu\n", us);

    cr_assert_eq(pwrite(fd, text, (size_t)n, 0), n);
}

/* More each time that somebody looks: before the daemon's first look, too, which only begins to count. */
static bool has_trimmed_half(int fd, uint64_t *stalled_us) {
    set_stalled(fd, *stalled_us += STALL_US);
    return rig_status().resident_bytes <= SLOTS * SLOT_BYTES / 2;
}

Test(psi, without_a_trigger_is_looked_at) {
    static const char *const settings[] = {"log_level=info", "idle_trim_ms=0", NULL};
    char path[] = "/tmp/wasmpool-psi-XXXXXX";
    int fd = mkstemp(path);
    uint64_t stalled_us = 0;
    struct PeerSlab slab;
    struct Peer peer;

    cr_assert_geq(fd, 0);
    set_stalled(fd, 0);
    psi_rig_open(path, settings);
    expect_feature("psi", true);
    expect_feature("psi_trigger", false);
    fill(&peer, &slab);
    expect_eq(rig_status().resident_bytes, SLOTS * SLOT_BYTES);
    cr_expect(host_await(has_trimmed_half(fd, &stalled_us), 4 * RIG_AWAIT_MS), "%lu bytes are still resident",
              rig_status().resident_bytes);
    cr_expect(host_await(host_count_log(&rig.daemon, "trimmed", "the host is short of memory"), RIG_AWAIT_MS),
              "nothing was logged");
    unlink(path);
    close(fd);
    leave(&peer, &slab);
}
